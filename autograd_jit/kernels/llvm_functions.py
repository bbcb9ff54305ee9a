"""Text to object code by llvmlite's C functions, without its Python package.

The package takes 25 ms to import, a third of what the first kernel of a process took, since it wraps all of LLVM; here
are the dozen functions that every kernel needs. Their signatures are llvmlite's own business and may change: they are
used with versions of llvmlite for which they are known, and `kernels.llvm` goes through the package with others.

Modules are parsed in a context of their own, so that nothing here shares state with users of llvmlite's global one
(Numba, in another thread).
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import sys
from typing import Final

__all__ = ["Emitter", "library_path"]

#: versions of llvmlite whose functions have the signatures below
_KNOWN: Final = ("0.50.",)

_TEXT, _POINTER, _INT = ctypes.c_char_p, ctypes.c_void_p, ctypes.c_int
_OUT: Final = ctypes.POINTER(_POINTER)  # to text of LLVM's, to be disposed of
_SIGNATURES: Final = {
    "InitializeNativeTarget": (None, ()),
    "InitializeNativeAsmPrinter": (None, ()),
    "DisposeString": (None, (_POINTER,)),
    "GetProcessTriple": (None, (_OUT,)),
    "GetHostCPUName": (None, (_OUT,)),
    "GetHostCPUFeatures": (_INT, (_OUT,)),
    "GetTargetFromTriple": (_POINTER, (_TEXT, _OUT)),
    # target, triple, processor, features, level, relocations, code model, print code?, for a JIT?, ABI
    "CreateTargetMachine": (_POINTER, (_POINTER, _TEXT, _TEXT, _TEXT, _INT, _TEXT, _TEXT, _INT, _INT, _TEXT)),
    "ContextCreate": (_POINTER, ()),
    "ContextDispose": (None, (_POINTER,)),
    "ParseAssembly": (_POINTER, (_POINTER, _TEXT, _OUT)),
    "VerifyModule": (ctypes.c_bool, (_POINTER, _OUT)),  # whether it is broken
    "DisposeModule": (None, (_POINTER,)),
    "TargetMachineEmitToMemory": (_POINTER, (_POINTER, _POINTER, _INT, _OUT)),
    "GetBufferStart": (_POINTER, (_POINTER,)),
    "GetBufferSize": (ctypes.c_size_t, (_POINTER,)),
    "DisposeMemoryBuffer": (None, (_POINTER,)),
}  # fmt: skip


def library_path() -> str | None:
    """Where llvmlite's library is; None where it is not found or its functions are not known."""
    if not sys.platform.startswith("linux"):
        return None
    import llvmlite

    if not llvmlite.__version__.startswith(_KNOWN):
        return None
    found = importlib.util.find_spec("llvmlite")
    for folder in (found.submodule_search_locations or ()) if found else ():
        path = os.path.join(folder, "binding", "libllvmlite.so")
        if os.path.exists(path):
            return path
    return None


class Emitter:
    """LLVM for this processor. One thread at a time.

    >>> object_code = Emitter(library_path()).emit("define void @f() { ret void }", level=0)

    Raises OSError or AttributeError if the library is not what it should be.
    """

    def __init__(self, path: str) -> None:
        library = ctypes.CDLL(path)
        for name, (result, arguments) in _SIGNATURES.items():
            function = getattr(library, f"LLVMPY_{name}")
            function.restype, function.argtypes = result, arguments
        self._llvm = library
        library.LLVMPY_InitializeNativeTarget()
        library.LLVMPY_InitializeNativeAsmPrinter()
        self._machines: dict[int, int] = {}

    def emit(self, ir_text: str, level: int) -> bytes:
        """Object code of a module, optimised so much (0 to 3). Raises RuntimeError with LLVM's reason."""
        llvm = self._llvm
        context = llvm.LLVMPY_ContextCreate()
        try:
            with _Text(llvm) as reason:
                module = llvm.LLVMPY_ParseAssembly(context, ir_text.encode(), reason.place)
                if not module:
                    raise RuntimeError(f"LLVM IR parsing error\n{reason}")
            try:
                return self._emit(module, level)
            finally:
                llvm.LLVMPY_DisposeModule(module)
        finally:
            llvm.LLVMPY_ContextDispose(context)

    def _emit(self, module: int, level: int) -> bytes:
        llvm = self._llvm
        with _Text(llvm) as reason:
            if llvm.LLVMPY_VerifyModule(module, reason.place):
                raise RuntimeError(str(reason))
        with _Text(llvm) as reason:
            buffer = llvm.LLVMPY_TargetMachineEmitToMemory(self._machine(level), module, 1, reason.place)
            if not buffer:
                raise RuntimeError(str(reason))
        try:
            return ctypes.string_at(llvm.LLVMPY_GetBufferStart(buffer), llvm.LLVMPY_GetBufferSize(buffer))
        finally:
            llvm.LLVMPY_DisposeMemoryBuffer(buffer)

    def _machine(self, level: int) -> int:
        """The target machine of an optimisation level, made when it is first asked for; there for good."""
        found = self._machines.get(level)
        if found is None:
            found = self._machines[level] = self._new_machine(level)
        return found

    def _new_machine(self, level: int) -> int:
        llvm = self._llvm
        with _Text(llvm) as triple, _Text(llvm) as processor, _Text(llvm) as features, _Text(llvm) as reason:
            llvm.LLVMPY_GetProcessTriple(triple.place)
            llvm.LLVMPY_GetHostCPUName(processor.place)
            llvm.LLVMPY_GetHostCPUFeatures(features.place)
            target = llvm.LLVMPY_GetTargetFromTriple(triple.value, reason.place)
            if not target:
                raise RuntimeError(str(reason))
            machine: int | None = llvm.LLVMPY_CreateTargetMachine(
                target, triple.value, processor.value, features.value, level, b"default", b"jitdefault", 0, 1, b""
            )
        if not machine:
            raise RuntimeError("LLVM has no code generator for this processor")
        return machine


class _Text:
    """Text that LLVM answers with, and takes back at the end of a ``with`` statement."""

    def __init__(self, llvm: ctypes.CDLL) -> None:
        self._llvm, self._pointer = llvm, _POINTER()
        self.place = ctypes.byref(self._pointer)

    @property
    def value(self) -> bytes:
        return ctypes.string_at(self._pointer.value) if self._pointer.value else b""

    def __str__(self) -> str:
        return self.value.decode(errors="replace")

    def __enter__(self) -> _Text:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pointer.value:
            self._llvm.LLVMPY_DisposeString(self._pointer)
