"""Options of :func:`autograd_jit.jit`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, get_args

from .config import CompileMode
from .errors import ArgumentError

__all__ = ["Options", "options_of"]


@dataclass(frozen=True)
class Options:
    """Options of :func:`jit`."""

    verify: bool | float = False
    max_paths: int = 64
    max_signatures: int = 256
    target: str = "cpu"
    compile: CompileMode | None = None


def options_of(given: dict[str, Any]) -> Options:
    """Options from keyword arguments. Raises ArgumentError for unknown ones and impossible values."""
    known = set(Options.__dataclass_fields__)
    for name in given:
        if name not in known:
            raise ArgumentError(f"jit has no option {name!r}; it knows {', '.join(sorted(known))}")
    options = Options(**given)
    if not 0 <= options.verify <= 1:
        raise ArgumentError(f"verify is True, False or the share of calls to verify, not {options.verify!r}")
    if options.compile is not None and options.compile not in get_args(CompileMode):
        raise ArgumentError(f"compile is one of {', '.join(get_args(CompileMode))}, not {options.compile!r}")
    if options.target not in ("cpu", "auto"):
        raise ArgumentError(
            f'target={options.target!r} is not available: this version compiles for the CPU (target="cpu" or "auto")'
        )
    return options
