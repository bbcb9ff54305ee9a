"""Settings of the whole process. ::

    from autograd_jit import config

    config.compiler = "numba"           # for good
    config(compiler="numba")            # the same
    with config(compiler="numba"):      # until the end of the block
        ...

The settings:

``compiler``
    What makes machine code of kernels. ``"llvm"`` (the default) prints LLVM IR: a kernel takes 2 to 8 ms. ``"numba"``
    compiles the Python source that ``jitted.kernels(*args)`` shows, with ``numba.njit``: 0.2 to 1 s a kernel and a
    second of import, kept in memory only. Programs that exist keep the kernels that they have.
``compile``
    When programs are compiled, and how well. ``"background"`` (the default): the first call only records; a thread
    makes code of it, quickly at first, optimised when the program is called again (`recorded.py` says who waits).
    ``"eager"``: optimised code in the first call. ``"never"``: quick code in the first call, and never any other.
    ``"lazy"``: as ``"background"``, but the first calls of a signature run interpreted and are not even recorded
    until they have taken as long as compiling is expected to, so that a program that ends soon never waits for it.
    The compiled answers are the same to the last bit. ``jit(f, compile=...)`` overrides it.
``target``
    Where functions that are compiled from now on run: ``"cpu"`` (the default), ``"cuda"`` (an NVIDIA device; an error
    where there is none) or ``"auto"`` (the device where there is one). ``jit(f, target=...)`` overrides it.
``progress``
    Whether to count kernels on stderr while a program with new ones is compiled: True, False, or ``"auto"`` (the
    default), which does so on a terminal and wipes the line afterwards.
``memory_limit``
    Bytes that programs may keep: arenas, constants, tables and machine code (1 GiB). When a new program exceeds it, the
    programs of signatures that were not used for longest are thrown out; they are traced again when they are needed.
``threads``
    How many threads a kernel over large arrays may use (the default: as many as the process has processors, 8 at most).
    The answers are the same to the last bit. It holds for programs that are lowered from now on; what was cut
    into more parts runs on one thread. BLAS has threads of its own, which ``threadpoolctl`` or its environment sets.
``precise``
    Whether kernels of functions that are compiled from now on compute ``exp``, ``sin``, ``arctan2`` and the like as
    the C library does, bit for bit: its function is called for every element, which takes 4 to 16 times as long
    (float32: 3 to 45) as the vector functions that are used otherwise (at most 4 ulp from the exact value; glibc's
    own: 3.2). False is the default. ``jit(f, precise=...)`` overrides it; a function keeps what it was compiled with.
    What runs over NumPy (a first call, a step that has no kernel) has NumPy's functions, of which some are vectors',
    too; devices have theirs, and ``compiler="numba"`` calls the C library's functions of doubles in either case.
``fast_approximations``
    Whether float32 kernels of functions that are compiled for a CUDA device from now on use the device's approximate
    ``exp``, logarithms, ``sin``, ``cos``, division and square root (False; bounds in :mod:`.kernels.cuda_math`). It
    changes answers, and so the paths that comparisons take. ``jit(f, fast_approximations=...)`` overrides it; a
    function keeps what it was compiled with. Nothing else than that changes: not the CPU, not float64.

The initial values can be given as ``AUTOGRAD_JIT_COMPILER``, ``AUTOGRAD_JIT_COMPILE``, ``AUTOGRAD_JIT_TARGET``,
``AUTOGRAD_JIT_PROGRESS`` (0, 1 or auto), ``AUTOGRAD_JIT_MEMORY_LIMIT``, ``AUTOGRAD_JIT_THREADS``,
``AUTOGRAD_JIT_PRECISE`` and ``AUTOGRAD_JIT_FAST_APPROXIMATIONS`` (0 or 1) in the environment.
Settings belong to the process, not to a thread.
"""

from __future__ import annotations

import os
import sys
from types import TracebackType
from typing import Any, Final, Literal, get_args

from .errors import ArgumentError
from .kernels import cpu

__all__ = ["CompileMode", "Compiler", "Config", "Target", "config"]

Compiler = Literal["llvm", "numba"]
Target = Literal["cpu", "cuda", "auto"]
CompileMode = Literal["background", "eager", "never", "lazy"]

#: setting -> its initial value and the values that it may have
_SETTINGS: Final[dict[str, tuple[Any, tuple | range]]] = {
    "compiler": ("llvm", get_args(Compiler)),
    "compile": ("background", get_args(CompileMode)),
    "target": ("cpu", get_args(Target)),
    "progress": ("auto", (False, True, "auto")),
    "memory_limit": (2**30, range(2**63)),
    "threads": (cpu.usable(), range(1, 1025)),
    "precise": (False, (False, True)),
    "fast_approximations": (False, (False, True)),
}


class Config:
    """The settings, as attributes (see the module). Calling it changes some, for good or for a ``with`` block.

    >>> with config(compile="eager"):
    ...     config.compile
    'eager'
    >>> config.compile
    'background'
    """

    compiler: Compiler
    compile: CompileMode
    target: Target
    progress: bool | Literal["auto"]
    memory_limit: int
    threads: int
    precise: bool
    fast_approximations: bool

    def __init__(self) -> None:
        for name, (initial, allowed) in _SETTINGS.items():
            setattr(self, name, _from_environment(name, initial, allowed))

    def __setattr__(self, name: str, value: Any) -> None:
        _check(name, value)
        super().__setattr__(name, value)
        pools = sys.modules.get(f"{__package__}.kernels.thread_pool")
        if name == "threads" and pools is not None:  # else there are none yet
            pools.allow(value)

    def __call__(self, **settings: Any) -> _Restore:
        """Change settings now; as a context manager, put them back at the end of the block."""
        for name, value in settings.items():  # all or nothing
            _check(name, value)
        before = {name: getattr(self, name) for name in settings}
        for name, value in settings.items():
            setattr(self, name, value)
        return _Restore(self, before)

    def __repr__(self) -> str:
        return f"config({', '.join([f'{name}={getattr(self, name)!r}' for name in _SETTINGS])})"


class _Restore:
    """What ``config(...)`` returns: leaving it puts back what it changed."""

    def __init__(self, owner: Config, before: dict[str, Any]) -> None:
        self._owner = owner
        self._before = before

    def __enter__(self) -> Config:
        return self._owner

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for name, value in self._before.items():
            setattr(self._owner, name, value)


def _check(name: str, value: Any) -> None:
    if name not in _SETTINGS:
        raise ArgumentError(f"config has no setting {name!r}; it has {', '.join(_SETTINGS)}")
    allowed = _SETTINGS[name][1]
    if isinstance(allowed, range):
        if type(value) is not int or value not in allowed:
            positive = "positive" if allowed.start else "not negative"
            raise ArgumentError(f"config.{name} is a whole number and {positive}, not {value!r}")
    elif not any(value is option or (type(value) is str and value == option) for option in allowed):
        raise ArgumentError(f"config.{name} is one of {', '.join(map(repr, allowed))}, not {value!r}")


def _from_environment(name: str, initial: Any, allowed: tuple | range) -> Any:
    variable = f"AUTOGRAD_JIT_{name.upper()}"
    text = os.environ.get(variable)
    if text is None:
        return initial
    if isinstance(allowed, range):
        if not text.isdecimal():
            raise ArgumentError(f"${variable} is a whole number, not {text!r}")
        return int(text)
    choices = {"1" if option is True else "0" if option is False else option: option for option in allowed}
    if text not in choices:
        raise ArgumentError(f"${variable} is one of {', '.join(choices)}, not {text!r}")
    return choices[text]


config: Final = Config()
