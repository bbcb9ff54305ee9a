"""LLVM IR text to machine code: as few passes as the text allows, no numba, code freed with its last user.

    code = compile_ir(text)              # the "full" tier; tier="quick" for code that has to exist at once
    address = code.address("kernel")     # valid while `code` is referenced
    load_object(code.object_code)        # what a second process does with a cached object

Why kernels are printed as vector IR
------------------------------------
LLVM's optimiser spends its time on proving that a scalar loop may be vectorised, which the emitter knows
from the start.  A kernel printed with `<8 x double>` operations needs no optimiser at all, only code
generation.  Milliseconds for one kernel with three inputs, one output and an `exp` in every ten
operations; then nanoseconds an element over 1,000 elements (AMD Zen 5, LLVM 22, one core):

    form                                        5 ops   20 ops   60 ops    | 20 ops, ns   20 ops no exp, ns
    scalar loop, default pipeline O3 + codegen   12.2     14.4     18.4    |    3.4           0.84
    scalar loop, pipeline O1, no SLP ("loops")   12.0     13.3     17.4    |    3.4           0.84
    vector IR + masked tail, codegen O2 ("full")  5.9      6.6      9.2    |    3.2           0.82
    vector IR + masked tail, codegen O1           5.5      6.2      8.2    |    3.3           0.84
    vector IR + masked tail, codegen O0 ("quick") 1.7      1.5      2.0    |    3.5           0.93
    vector IR, one masked loop, codegen O0        1.1      1.0      1.6    |    3.8           1.17
    GVN or InstCombine before codegen            +0.6     +0.7     +0.8    |  no change

So the emitter prints vector IR, a program starts on "quick" code and is given "full" code when it has
proved hot, and "loops" is left for what is hard to print as vectors ("scalar": the same, for loops that have no
vectors in them).  512-bit vectors beat 256-bit ones
by 1.4 (20 operations) to 1.9 times (60 operations, no exp) on Zen 5.

Printing vectors also takes away three risks.  No aliasing question arises: an iteration does all its loads
before its first store, so exact in-place use (`x = f(x)`) is right by construction, and there is nothing to
tell LLVM.  An element's value does not depend on its position, for the tail runs the same vector functions
under a mask.  And reductions need no `reassoc` flag: the order of additions is what is printed.
(In "loops" code `!alias.scope`/`!noalias` on the loads and stores removes the overlap checks, and is 0.4 ms
cheaper than an inner `alwaysinline` function with `noalias` parameters.)

Linking is `object_loader`'s business where it can be (0.06 ms, 4 kB a kernel, and no llvmlite: importing that
takes 65 ms and is put off until something has to be compiled).

A worked example, y = exp(a*x) + b:

    define i64 @kernel(ptr %slots, ptr %args) #0 {      ; #0 = KERNEL_ATTRIBUTES
    entry:
      ...                                               ; pointers out of %slots, n, a and b out of %args
      %full = and i64 %n, -8
    loop:                                               ; while i < full
      %x = load <8 x double>, ptr %xi, align 8          ; align: the element's, never the vector's
      %t = fmul <8 x double> %a, %x
      %e = call <8 x double> @_ZGVeN8v_exp(<8 x double> %t) #1     ; #1 = MATH_ATTRIBUTES
      %y = fadd <8 x double> %e, %b
      store <8 x double> %y, ptr %yi, align 8
    tail:                                               ; once more under a mask, if i < n
      %x.t = call <8 x double> @llvm.masked.load.v8f64.p0(ptr align 8 %xi, <8 x i1> %mask, ...)

`kernel_ir.elementwise_kernel` prints it (0.3 to 0.6 ms in Python); tests/kernels/test_llvm.py compiles and
times it.
"""

from __future__ import annotations

import ctypes
import functools
import os
import platform
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, Literal

from . import cpu, llvm_functions, object_loader
from .object_loader import LoadedObject, UnsupportedObject

Tier = Literal["quick", "full", "loops", "scalar"]

# Vector registers of 512 bits must be legal, also on CPUs whose LLVM tuning prefers 256.  No target-cpu and
# no target-features here: the target machine supplies them, and parsing them costs 0.1 ms a kernel.
KERNEL_ATTRIBUTES: Final = 'nounwind willreturn "min-legal-vector-width"="512" "prefer-vector-width"="512"'
# memory(none): a maths call reads and writes nothing the program can see (errno is not ours to keep), so that
# LLVM may merge, hoist and drop it.
MATH_ATTRIBUTES: Final = "nounwind willreturn memory(none)"
# A call that reads memory through its arguments or writes them (BLAS, LAPACK).
ROUTINE_ATTRIBUTES: Final = "nounwind"

ELEMENT_BYTES: Final = {"double": 8, "float": 4, "i64": 8, "i32": 4, "i16": 2, "i8": 1}

_CODEGEN_LEVEL: Final[dict[Tier, int]] = {"quick": 0, "full": 2, "loops": 2, "scalar": 2}
#: text of these goes to LLVM's code generator as it is: our kernels are printed as they should run
_WITHOUT_PASSES: Final = ("quick", "full")


class CodegenError(RuntimeError):
    """LLVM refused a kernel: the message carries LLVM's reason and the kernel's name."""


class CompiledCode:
    """Machine code of one module, in this process's memory until the last reference to it goes."""

    def __init__(self, object_code: bytes, linked: LoadedObject | _OrcLibrary) -> None:
        self.object_code = object_code
        self._linked = linked

    def address(self, symbol: str) -> int:
        """The address of a function; valid while this object is alive."""
        try:
            return self._linked.address(symbol)
        except KeyError:
            raise CodegenError(f"the compiled module has no symbol {symbol!r}") from None

    @property
    def size(self) -> int:
        """Bytes of memory that the code takes, whole pages."""
        return self._linked.size


def compile_ir(ir_text: str, *, name_hint: str = "", tier: Tier = "full") -> CompiledCode:
    """Compile and link a module of IR text.  `name_hint` is what errors call it."""
    return load_object(compile_object(ir_text, name_hint=name_hint, tier=tier), name_hint=name_hint)


def compile_object(ir_text: str, *, name_hint: str = "", tier: Tier = "full") -> bytes:
    """Compile only: the object code that `load_object`, here or in another process, links."""
    with _lock:
        emitter = _emitter() if tier in _WITHOUT_PASSES else None
        if emitter is None:
            with _llvm() as llvm:
                return llvm.emit(ir_text, name_hint, tier)
        try:
            return emitter.emit(ir_text, _CODEGEN_LEVEL[tier])
        except RuntimeError as error:
            raise CodegenError(f"LLVM rejected the kernel {name_hint or '(unnamed)'}: {error}") from error


def load_object(object_code: bytes, *, name_hint: str = "") -> CompiledCode:
    """Link object code that this installation made earlier.  Raises CodegenError if it is no object code."""
    with _lock:
        if object_loader.supported():
            try:
                return CompiledCode(object_code, LoadedObject(object_code, symbol_address))
            except UnsupportedObject as error:
                _refuse_damaged(object_code, name_hint, error)
        with _llvm() as llvm:
            return CompiledCode(object_code, llvm.link(object_code, name_hint))


def register_symbol(name: str, address: int) -> None:
    """Make `name` (which must start with `agj_`) callable from kernels that are linked from now on."""
    if not name.startswith("agj_"):
        raise ValueError(f"symbol {name!r} must start with 'agj_': that prefix is how objects are scanned")
    with _lock:
        _symbols[name] = address


def optimized_ir(ir_text: str, *, tier: Tier = "loops") -> str:
    """The module after the tier's passes, as text: for tests and for reading."""
    with _llvm() as llvm:
        return str(llvm.parse(ir_text, "optimized_ir", tier))


def assembly(ir_text: str, *, tier: Tier = "full") -> str:
    """The module as assembler text: for tests and for reading."""
    with _llvm() as llvm:
        module = llvm.parse(ir_text, "assembly", tier)
        return str(llvm.machine(tier).emit_assembly(module))


def lanes(*types: str) -> int:
    """How many elements a kernel over these types handles at a time: full vectors of the widest type.

    Types of one kernel share a lane count, so that masks and conversions need no reshuffling: float64 with
    float32 runs 8 lanes of each on a 512-bit machine."""
    widest = max((ELEMENT_BYTES[type_] for type_ in types), default=8)
    return max(1, cpu.vector_bytes() // widest)


# --- inside -------------------------------------------------------------------------------------------

_lock = threading.RLock()
_symbols: dict[str, int] = {}
_instance: _Llvm | None = None

# A child forked while another thread compiles would find llvmlite's own lock taken for ever.  All our uses of
# llvmlite run under _lock, so a fork that waits for _lock (one kernel, under 10 ms) is safe.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)


@contextmanager
def _llvm() -> Iterator[_Llvm]:
    global _instance
    with _lock:
        if _instance is None:
            _instance = _Llvm()
        yield _instance


@functools.cache
def _emitter() -> llvm_functions.Emitter | None:
    """LLVM without the import of llvmlite's package; None where it must be had through that."""
    path = llvm_functions.library_path()
    try:
        return None if path is None else llvm_functions.Emitter(path)
    except (OSError, AttributeError, RuntimeError):
        return None


class _Llvm:
    """llvmlite's package, initialised: one target machine a tier."""

    def __init__(self) -> None:
        import llvmlite.binding as binding

        binding.initialize_native_target()
        binding.initialize_native_asmprinter()
        self.binding: Any = binding
        self._target = binding.Target.from_triple(binding.get_process_triple())
        self._machines: dict[Tier, Any] = {}
        vector_library(), math_library()  # ORC looks names up in the process

    def machine(self, tier: Tier) -> Any:
        """The target machine of a tier, made when it is first asked for: most processes need one or two."""
        found = self._machines.get(tier)
        if found is None:
            features = self.binding.get_host_cpu_features().flatten()
            found = self._machines[tier] = self._machine(_CODEGEN_LEVEL[tier], features)
        return found

    def _machine(self, level: int, features: str) -> Any:
        # The "jitdefault" code model is the large one: libraries may lie anywhere in the address space.  It
        # costs nothing at O2 (1.16 against 1.17 ns an element with 44 constants in the loop), 20 % at O0.
        return self._target.create_target_machine(
            cpu=self.binding.get_host_cpu_name(),
            features=features,
            opt=level,
            jit=True,
            codemodel="jitdefault",
        )

    def parse(self, ir_text: str, name_hint: str, tier: Tier) -> Any:
        try:
            module = self.binding.parse_assembly(ir_text)
            module.verify()
        except RuntimeError as error:
            raise CodegenError(f"LLVM rejected the kernel {name_hint or '(unnamed)'}: {error}") from error
        if tier not in _WITHOUT_PASSES:
            self._optimize(module, tier)
        return module

    def emit(self, ir_text: str, name_hint: str, tier: Tier) -> bytes:
        module = self.parse(ir_text, name_hint, tier)
        try:
            return bytes(self.machine(tier).emit_object(module))
        except RuntimeError as error:
            raise CodegenError(
                f"LLVM could not generate code for {name_hint or '(unnamed)'}: {error}"
            ) from error

    def _optimize(self, module: Any, tier: Tier) -> None:
        options = self.binding.create_pipeline_tuning_options(speed_level=1)
        options.loop_vectorization = tier == "loops"
        options.slp_vectorization = False
        builder = self.binding.create_pass_builder(self.machine(tier), options)
        builder.getModulePassManager().run(module, builder)

    def link(self, object_code: bytes, name_hint: str) -> _OrcLibrary:
        """Link through ORC: an instance a library, because a shared one keeps the code of dead libraries."""
        jit = self.binding.create_lljit_compiler(self._machine(0, ""))
        library = self.binding.JITLibraryBuilder().add_object_img(object_code).add_current_process()
        for name in sorted(set(re.findall(rb"agj_[A-Za-z0-9_]+", object_code))):
            library.import_symbol(name.decode(), symbol_address(name.decode()))
        try:
            tracker = library.link(jit, "kernel")
        except RuntimeError as error:
            raise CodegenError(f"could not link {name_hint or 'object code'}: {error}") from error
        return _OrcLibrary(jit, tracker, len(object_code))


class _OrcLibrary:
    """One library inside an ORC instance of its own."""

    def __init__(self, jit: Any, tracker: Any, object_bytes: int) -> None:
        self._jit = jit
        self._trackers = [tracker]
        self.size = 65536 + object_bytes  # measured: an instance takes 70 kB

    def address(self, symbol: str) -> int:
        with _lock:
            try:
                tracker = self._jit.lookup("kernel", symbol)
            except RuntimeError:
                raise KeyError(symbol) from None
            self._trackers.append(tracker)
            return int(tracker[symbol])


def _refuse_damaged(object_code: bytes, name_hint: str, error: UnsupportedObject) -> None:
    """LLVM aborts the process on some damaged objects: only well-formed ELF is passed on."""
    if object_code[:4] != b"\x7fELF" or "damaged" in str(error) or "truncated" in str(error):
        raise CodegenError(f"cannot load {name_hint or 'object code'}: {error}") from error


def symbol_address(name: str) -> int:
    """Where kernels' calls to `name` go: registered routines, then libmvec, libm and the process itself."""
    if name not in _symbols:
        _symbols[name] = _own_address(name) if name.startswith("agj_") else _library_address(name)
    return _symbols[name]


def _own_address(name: str) -> int:
    """Objects out of the cache name routines whose module nobody has asked for yet in this process."""
    from . import blas, vecmath, vector_library

    for address_of in (vector_library.address, vecmath.special_address, blas.blas_address):
        try:
            return address_of(name.removeprefix("agj_"))
        except KeyError:
            continue
    raise CodegenError(f"no routine is registered as {name!r}")


def _library_address(name: str) -> int:
    for library in (vector_library(), math_library(), ctypes.CDLL(None)):
        function = getattr(library, name, None)
        if function is not None:
            return ctypes.cast(function, ctypes.c_void_p).value or 0
    raise CodegenError(f"no loaded library defines {name!r}")


@functools.cache
def vector_library() -> ctypes.CDLL | None:
    """glibc's libmvec, for good; None where there is none (another platform, glibc before 2.22)."""
    if not sys.platform.startswith("linux") or platform.machine() != "x86_64":
        return None
    try:
        return ctypes.CDLL("libmvec.so.1", mode=ctypes.RTLD_GLOBAL)
    except OSError:
        return None


@functools.cache
def math_library() -> ctypes.CDLL:
    """The C maths library, visible to kernels."""
    name = {"linux": "libm.so.6", "darwin": "libm.dylib"}.get(sys.platform)
    return ctypes.CDLL(name, mode=ctypes.RTLD_GLOBAL)
