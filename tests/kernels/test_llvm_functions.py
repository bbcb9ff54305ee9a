"""LLVM through llvmlite's C functions gives what its Python package gives."""

import subprocess
import sys

import pytest

from autograd_jit.kernels import executor_ir, kernel_ir, llvm, llvm_functions, vector_ir

pytestmark = pytest.mark.skipif(
    llvm_functions.library_path() is None, reason="the functions of this version of llvmlite are not known"
)


def chain(element):
    def compute(body, values):
        product = vector_ir.math(body, "multiply", element, [values[0], values[0]])
        return [vector_ir.math(body, "exp", element, [product])]

    return kernel_ir.elementwise_kernel(compute, [element], [element], [])


MODULES = {"executor": executor_ir.IR, "double": chain("double"), "float": chain("float")}


@pytest.mark.parametrize("tier", ["quick", "full"])
@pytest.mark.parametrize("name", MODULES)
def test_object_code_is_that_of_the_package(name, tier):
    with llvm._llvm() as package:
        expected = package.emit(MODULES[name], name, tier)
    assert llvm._emitter().emit(MODULES[name], llvm._CODEGEN_LEVEL[tier]) == expected


@pytest.mark.parametrize(
    "text, reason",
    [
        ("define void @f() { ret i32 }", "parsing"),
        ("define i32 @f() {\nentry:\n %x = add i32 %y, 1\n %y = add i32 %x, 1\n ret i32 %x\n}", "dominate"),
    ],
)
def test_what_llvm_rejects_is_rejected_with_its_reason(text, reason):
    emitter = llvm._emitter()
    for _ in range(3):  # and nothing is left behind that a later module meets
        with pytest.raises(RuntimeError, match=reason):
            emitter.emit(text, 0)
        assert emitter.emit("define void @f() { ret void }", 0).startswith(b"\x7fELF")


def test_another_version_of_llvmlite_goes_through_its_package(monkeypatch):
    import llvmlite

    monkeypatch.setattr(llvmlite, "__version__", "0.1.0")
    assert llvm_functions.library_path() is None
    monkeypatch.setattr(llvm, "_emitter", lambda: None)
    code = llvm.compile_ir("define i64 @f() { ret i64 7 }", tier="quick")
    assert code.address("f")


def test_a_library_without_the_functions_goes_through_the_package(monkeypatch):
    monkeypatch.setattr(llvm_functions, "_SIGNATURES", {"Missing": (None, ())})
    assert llvm._emitter.__wrapped__() is None


def test_compiling_does_not_import_llvmlites_package():
    program = """
import sys
from autograd_jit.kernels import llvm
llvm.compile_ir("define i64 @f() { ret i64 7 }", tier="quick")
llvm.compile_ir("define i64 @f() { ret i64 7 }", tier="full")
assert "llvmlite.binding" not in sys.modules
llvm.optimized_ir("define i64 @f() { ret i64 7 }")
assert "llvmlite.binding" in sys.modules
llvm.compile_ir("define i64 @f() { ret i64 8 }", tier="quick")
"""
    subprocess.run([sys.executable, "-c", program], check=True)
