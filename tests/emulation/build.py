"""Host object code of kernels and of libdevice, kept on disk, loaded into one JIT engine."""

from __future__ import annotations

import functools
import hashlib
import re
import threading

import llvmlite.binding as llvm

from tests.emulation import cache, host_ir, packages, shims

_lock = threading.RLock()


@functools.cache
def _machine() -> llvm.TargetMachine:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    # The host's own instructions, for their fused multiply-add: libdevice is full of them, and calls of libm are slow.
    return llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=llvm.get_host_cpu_features().flatten(), opt=2, jit=True
    )


@functools.cache
def _engine() -> llvm.ExecutionEngine:
    return llvm.create_mcjit_compiler(llvm.parse_assembly(""), _machine())


def object_code(text: str, exported: set[str]) -> bytes:
    """Compile; all that is defined but `exported` becomes internal, so that kernels of one name can live together."""
    machine = _machine()
    module = llvm.parse_assembly(text)
    module.triple = machine.triple
    for value in [*module.functions, *module.global_variables]:
        if not value.is_declaration and value.name not in exported:
            value.linkage = "internal"
    module.verify()
    options = llvm.create_pipeline_tuning_options(speed_level=2)
    builder = llvm.create_pass_builder(machine, options)
    passes = builder.getModulePassManager()
    passes.run(module, builder)
    _refuse_unknown(module)
    return machine.emit_object(module)


def _refuse_unknown(module: llvm.ModuleRef) -> None:
    """An undefined symbol would end the process at load time; say which one instead."""
    known = ("llvm.", "libdevice.")
    unknown = [f.name for f in module.functions if f.is_declaration and not f.name.startswith(known)]
    if unknown:
        raise host_ir.NotEmulated(f"no emulation of the external functions {', '.join(sorted(unknown))}")


def _load(code: bytes, symbol: str) -> int:
    with _lock:
        engine = _engine()
        engine.add_object_file(llvm.ObjectFileRef.from_data(code))
        engine.finalize_object()
        address = engine.get_global_value_address(symbol)
    if not address:
        raise host_ir.EmulationError(f"{symbol} is missing from the compiled object")
    return address


# ---------------------------------------------------------------- libdevice


def _library(fastmath: bool) -> str:
    return "libdevice.fast." if fastmath else "libdevice.exact."


@functools.cache
def libdevice(fastmath: bool) -> frozenset[str]:
    """Load NVIDIA's libdevice as host code; the names it offers.  With fast maths it flushes float32 denormals."""
    name = _library(fastmath).strip(".")
    listing = cache.remember(name + ".names", lambda: _libdevice_object(fastmath)[0])
    code = cache.remember(name + ".o", lambda: _libdevice_object(fastmath)[1])
    available = frozenset(listing.decode().split())
    _load(code, _library(fastmath) + "__nv_sqrtf")
    return available


@functools.cache
def _libdevice_object(fastmath: bool) -> tuple[bytes, bytes]:
    _machine()
    text = host_ir.on_host(str(llvm.parse_bitcode(packages.libdevice_bitcode())))
    text, available = _without_unknown(text, fastmath)
    parts, _ = host_ir.closure(text, {m[2] for m in host_ir.DEFINITION.finditer(text)}, fastmath)
    text = re.sub(rf"^declare [^\n]*@(?:{re.escape(shims.PREFIX)}|__nvvm_reflect).*$", "", text, flags=re.M)
    text = re.sub(r"@(__nv_\w+)", rf"@{_library(fastmath)}\1", text) + "\n" + "\n".join(parts)
    text = host_ir.declare_intrinsics(text) + "\n" + text
    exported = {_library(fastmath) + name for name in available}
    return "\n".join(sorted(available)).encode(), object_code(text, exported)


def _without_unknown(text: str, fastmath: bool) -> tuple[str, set[str]]:
    """libdevice less the functions that need something without a shim, and less those that call them."""
    bodies = {m[2]: m[0] for m in host_ir.DEFINITION.finditer(text)}
    calls = {name: host_ir.names(body.split("\n", 1)[1]) for name, body in bodies.items()}
    lost: set[str] = set()
    for name, called in calls.items():
        _, absent = host_ir.closure(bodies[name], bodies, fastmath)
        # Half precision would call into a runtime library that is not there.
        if absent or any("fp16" in callee for callee in called):
            lost.add(name)
    while more := {name for name, called in calls.items() if name not in lost and called & lost}:
        lost |= more
    kept = host_ir.DEFINITION.sub(lambda m: "" if m[2] in lost else m[0], text)
    return kept, {name for name in bodies if name not in lost and name.startswith("__nv_")}


# ---------------------------------------------------------------- kernels


@functools.cache
def executable(modules: tuple[str, ...], entry: str, fastmath: bool, contract: bool = True) -> int:
    """Address of the kernel's `Executable` (c/scheduler.h); raises NotEmulated."""
    key = hashlib.sha256("\0".join([*modules, entry, str(fastmath), str(contract)]).encode()).hexdigest()[:24]
    available = libdevice(fastmath)

    def compile_kernel() -> bytes:
        host = host_ir.kernel_module(list(modules), entry, key, fastmath, contract, _library(fastmath), set(available))
        return object_code(host.text, {host.symbol})

    return _load(cache.remember(f"kernel-{key}", compile_kernel), f"kernel.{key}")
