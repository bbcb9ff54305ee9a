"""Options of :func:`autograd_jit.jit`."""

from __future__ import annotations

from typing import Any, get_args

from .config import CompileMode, Target, config
from .errors import ArgumentError, BackendError
from .records import fields, record, replaced

__all__ = ["Options", "options_of"]


@record(frozen=True)
class Options:
    """Options of :func:`jit`."""

    verify: bool | float = False
    max_paths: int = 64
    max_signatures: int = 256
    target: Target | None = None  # of `options_of`: "cpu" or "cuda"
    compile: CompileMode | None = None
    precise: bool | None = None  # of `options_of`: True or False
    fast_approximations: bool | None = None  # of `options_of`: True or False, on the CPU False

    @property
    def mode(self) -> CompileMode:
        """When programs are compiled, and how well: what was asked for, or else the setting of the process."""
        return self.compile or config.compile


def options_of(given: dict[str, Any]) -> Options:
    """Options from keyword arguments. Raises ArgumentError for unknown ones and impossible values."""
    known = set(fields(Options))
    for name in given:
        if name not in known:
            raise ArgumentError(f"jit has no option {name!r}; it knows {', '.join(sorted(known))}")
    options = Options(**given)
    if not 0 <= options.verify <= 1:
        raise ArgumentError(f"verify is True, False or the share of calls to verify, not {options.verify!r}")
    if options.compile is not None and options.compile not in get_args(CompileMode):
        raise ArgumentError(f"compile is one of {', '.join(get_args(CompileMode))}, not {options.compile!r}")
    if options.target is not None and options.target not in get_args(Target):
        raise ArgumentError(f"target is one of {', '.join(get_args(Target))}, not {options.target!r}")
    target = _resolved(options.target or config.target)
    precise, fast = _switch("precise", options.precise), _switch("fast_approximations", options.fast_approximations)
    return replaced(options, target=target, precise=precise, fast_approximations=fast and target != "cpu")


def _switch(name: str, given: bool | None) -> bool:
    if given is not None and type(given) is not bool:
        raise ArgumentError(f"{name} is True or False, not {given!r}")
    return getattr(config, name) if given is None else given


def _resolved(target: Target) -> Target:
    """ "cpu" or "cuda". Raises BackendError where the device that is asked for is not there."""
    if target == "cpu":
        return target
    from .kernels.cuda_device import why_unavailable

    reason = why_unavailable()
    if reason is not None and target == "cuda":
        raise BackendError(f'target="cuda" is not available: {reason}. target="auto" takes the CPU instead')
    return "cpu" if reason is not None else "cuda"
