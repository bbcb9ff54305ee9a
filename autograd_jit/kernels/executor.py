"""The native executor: binds Python arguments to slots and walks a table of kernels, without Python.

Its machine code is that of :mod:`.executor_ir`, which says what it reads; here are the Python objects around it.
"""

from __future__ import annotations

import ctypes
import functools
import sys
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from ..background import submit_all
from .executor_ir import (
    ARRAY,
    BLOCK_WORDS,
    DATA,
    DESCR,
    DIMS,
    FLAGS,
    GEMM_WORDS,
    IR,
    MAX_AXES,
    NDIM,
    OUTPUT,
    READY,
    SCALAR,
    SPEC_WORDS,
    TYPE,
    VALUE,
)
from .llvm import CompiledCode, compile_ir, load_object

__all__ = [
    "ARRAY", "BLOCK_WORDS", "GEMM_WORDS", "MAX_AXES", "OUTPUT", "SCALAR", "SPEC_WORDS", "Spec", "make_caller",
    "make_watch", "optimise", "specification", "supported", "utility",
]  # fmt: skip


class _Runtime(NamedTuple):
    """The executor's own machine code."""

    code: CompiledCode
    is_optimised: bool


_loaded: dict[str, _Runtime] = {}
#: all code that there was, for good: tables and method definitions have addresses in it, also where another thread's
#: code became that of the process in the same moment
_kept: list[CompiledCode] = []


def _runtime() -> CompiledCode:
    """The code of this process. Of threads that come at once, all get the code of one."""
    found = _loaded.get("runtime")
    if found is None:
        found = _loaded.setdefault("runtime", _load_runtime())
        if not found.is_optimised:
            submit_all([optimise])
    return found.code


def _load_runtime() -> _Runtime:
    """From the disk cache; or compiled quickly, since optimising takes 25 ms, for which a first call need not wait."""
    stored = _stored()
    if stored is not None:
        return _Runtime(stored, True)
    return _Runtime(_for_good(compile_ir(IR, name_hint="executor", tier="quick")), False)


def _stored() -> CompiledCode | None:
    from ..lower.cache import default_cache

    found = default_cache().get(_key())
    return None if found is None else _for_good(load_object(found))


def _for_good(code: CompiledCode) -> CompiledCode:
    _kept.append(code)
    return code


@functools.cache
def _key() -> str:
    import hashlib

    return "executor-" + hashlib.sha256(IR.encode()).hexdigest()


def optimise() -> None:
    """Go over to optimised code, and keep it on disk for other processes.

    Frames that exist go over, too: their built-in functions look their code up in a method definition at each call.
    """
    from ..lower.cache import default_cache

    if "runtime" in _loaded and _loaded["runtime"].is_optimised:
        return
    code = _stored()
    if code is None:
        code = _for_good(compile_ir(IR, name_hint="executor"))
        default_cache().put(_key(), code.object_code)
    _loaded["runtime"] = _Runtime(code, True)
    for (name, _), method in list(_methods.items()):
        method.function = code.address(name)


def utility(name: str) -> int:
    """The address of ``agj_check``, ``agj_gemm``, ``agj_loop_start``, ``agj_loop_end`` or ``agj_parts``."""
    return _runtime().address(name)


def immortal_utility(name: str) -> int:
    """An address that outlives the interpreter, for threads that do."""
    runtime = _runtime()
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(runtime))
    return runtime.address(name)


class Spec(NamedTuple):
    """One argument of a frame: its kind, the slot that its address goes to, and what it must be.

    An output is an array, or a new object of the scalar ``type``, to be filled.
    """

    kind: int
    slot: int
    type: type | None = None
    dtype: np.dtype | None = None
    shape: tuple[int, ...] = ()


def specification(specs: list[Spec]) -> np.ndarray:
    """The words that describe a frame's arguments."""
    words = np.zeros((max(len(specs), 1), SPEC_WORDS), np.int64)
    for row, spec in zip(words, specs, strict=False):
        row[0], row[1] = spec.kind, spec.slot
        row[2] = id(spec.type) if spec.type is not None else 0
        row[3] = id(spec.dtype) if spec.dtype is not None else 0
        row[4] = len(spec.shape)
        row[5 : 5 + len(spec.shape)] = spec.shape
    return words


class _MethodDef(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("function", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    )


_METH_NOARGS: Final = 0x0004
_METH_FASTCALL: Final = 0x0080


_methods: dict[tuple[str, int], _MethodDef] = {}


def _method(name: str, flags: int) -> _MethodDef:
    """A definition that built-in functions point to, for good.

    No ``functools.cache``: of threads that come at once it keeps the last one's answer, and the functions made of the
    others' would point to memory that is gone.
    """
    found = _methods.get((name, flags))
    if found is None:
        found = _methods.setdefault((name, flags), _MethodDef(name.encode(), _runtime().address(name), flags, None))
    return found


@functools.cache
def _fixed_words() -> tuple[int, ...]:
    """Words 8 to 14 of every block."""
    api = ctypes.pythonapi
    functions = (api.Py_IncRef, api.PyEval_SaveThread, api.PyEval_RestoreThread)
    addresses = [ctypes.cast(function, ctypes.c_void_p).value or 0 for function in functions]
    return (*addresses, id(None), id(False), id(True), id(NotImplemented))


def make_caller(block: np.ndarray) -> Any:
    """A built-in function that runs the frame described by ``block`` on its arguments.

    Returns None, False, True or NotImplemented (see the module's docstring). The block, and all that it points to,
    must outlive it.
    """
    block[8:15] = _fixed_words()
    return _built_in("agj_call", _METH_FASTCALL, block)


class _Words(np.ndarray):
    """An array of words that keeps alive what they stand for."""

    held: list[object]


def make_watch(words: Sequence[tuple[int, int, object]]) -> Any:
    """A built-in function without arguments: whether each address still holds the word that it is paired with.

    The objects that come with them live as long as the function. It stops at the first word that differs, so that an
    address may depend on an earlier word being what it was.
    """
    block = np.zeros(4 + 2 * len(words), np.int64).view(_Words)
    incref, _, _, _, false, true, _ = _fixed_words()
    block[:4] = len(words), incref, true, false
    block[4:] = np.array([word[:2] for word in words], np.int64).ravel()
    block.held = [word[2] for word in words]
    return _built_in("agj_unchanged", _METH_NOARGS, block)


def _built_in(name: str, flags: int, bound: np.ndarray) -> Any:
    """A built-in function of ours whose ``self`` is an array."""
    create = ctypes.pythonapi.PyCFunction_NewEx
    create.restype = ctypes.py_object
    create.argtypes = (ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p)
    return create(ctypes.addressof(_method(name, flags)), bound, None)



@functools.cache
def supported() -> bool:
    """Whether CPython's and NumPy's structures lie as this module assumes; checked on real objects."""
    if sys.maxsize < 2**62 or object.__basicsize__ != 16 or not getattr(sys, "_is_gil_enabled", lambda: True)():
        return False
    array = np.arange(6.0).reshape(2, 3)
    address = id(array)

    def word(start: int, offset: int, type_: Any = ctypes.c_int64) -> int:
        return type_.from_address(start + offset).value

    return (
        word(address, TYPE) == id(np.ndarray)
        and word(address, DATA) == array.ctypes.data
        and word(address, NDIM, ctypes.c_int32) == 2
        and word(word(address, DIMS), 8) == 3
        and word(address, DESCR) == id(array.dtype)
        and word(address, FLAGS, ctypes.c_int32) & READY == READY
        and word(id(array.T), FLAGS, ctypes.c_int32) & 1 == 0
        and word(id(2.5), VALUE, ctypes.c_double) == 2.5
        and word(id(np.float64(1.5)), VALUE, ctypes.c_double) == 1.5
        and word(id(np.float32(1.5)), VALUE, ctypes.c_float) == 1.5
    )
