"""Every BLAS and LAPACK address exists; a kernel in IR multiplies and factorises with them."""

import ctypes
import subprocess
import sys

import numpy as np
import pytest

from autograd_jit.kernels import blas, llvm

ALL = sorted(name for names in blas.ROUTINES.values() for name in names)
# What lowering rules of linear algebra need.
NEEDED = (
    [p + n for n in "gemm gemv syrk potrf potrs trtrs getrf getrs getri gesdd".split() for p in "sdcz"]
    + [p + n for n in ("ger", "dot", "syevd") for p in "sd"]
    + [p + n for n in ("gerc", "geru", "dotc", "heevd") for p in "cz"]
)


@pytest.mark.parametrize("name", ALL)
def test_every_routine_has_an_address(name):
    assert blas.blas_address(name) > 4096


def test_the_routines_lowering_needs_are_there():
    assert set(NEEDED) <= set(ALL)


def test_unknown_routine():
    with pytest.raises(KeyError):
        blas.blas_address("dgemmm")


def test_scipy_is_imported_only_on_demand():
    program = (
        "import sys, autograd_jit\nbefore = set(sys.modules)\nimport autograd_jit.kernels.blas\n"
        "print([name for name in set(sys.modules) - before if name.startswith('scipy')])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]", done.stderr


def call(name, *arguments):
    """A Fortran call through ctypes: integers, text and scalars by reference."""
    held = []
    for argument in arguments:
        if isinstance(argument, np.ndarray):
            held.append(argument)
        elif isinstance(argument, str):
            held.append(np.frombuffer(argument.encode(), np.uint8))
        else:
            held.append(np.array([argument], np.int32 if isinstance(argument, int) else np.float64))
    kinds = [ctypes.c_void_p] * len(held)
    ctypes.CFUNCTYPE(None, *kinds)(blas.blas_address(name))(*[h.ctypes.data for h in held])
    return held


def test_cholesky_by_address():
    rng = np.random.default_rng(0)
    root = rng.normal(size=(5, 5))
    matrix = np.asfortranarray(root @ root.T + np.eye(5))
    factor, info = matrix.copy(order="F"), np.zeros(1, np.int32)
    call("dpotrf", "L", 5, factor, 5, info)
    assert info[0] == 0
    np.testing.assert_allclose(np.tril(factor), np.linalg.cholesky(matrix), rtol=1e-12)


def test_a_kernel_multiplies_matrices():
    """y = a @ b in C order: the transposed problem in Fortran order."""
    declared = blas.declaration("dgemm", 13)
    text = f"""
@n = private constant i8 78
@one = private constant double 1.0
@zero = private constant double 0.0
{declared}
define i64 @kernel(ptr %slots, ptr %args) {llvm.KERNEL_ATTRIBUTES} {{
  %a = load ptr, ptr %slots, align 8
  %bs = getelementptr ptr, ptr %slots, i64 1
  %b = load ptr, ptr %bs, align 8
  %cs = getelementptr ptr, ptr %slots, i64 2
  %c = load ptr, ptr %cs, align 8
  call void @agj_dgemm(ptr @n, ptr @n, ptr %args, ptr %args, ptr %args, ptr @one, ptr %b, ptr %args, ptr %a,
                       ptr %args, ptr @zero, ptr %c, ptr %args) {llvm.ROUTINE_ATTRIBUTES}
  ret i64 0
}}"""
    code = llvm.compile_ir(text)
    rng = np.random.default_rng(1)
    a, b, c = rng.normal(size=(3, 6, 6))
    kernel = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p)(code.address("kernel"))
    slots = (ctypes.c_void_p * 3)(*[m.ctypes.data for m in (a, b, c)])
    kernel(slots, ctypes.byref(ctypes.c_int32(6)))
    np.testing.assert_allclose(c, a @ b, rtol=1e-12)


def test_products_come_from_numpys_library_where_it_can_be_found():
    address = blas.product_address("dgemm")
    assert address
    if blas._numpy_libraries():
        assert address != blas.blas_address("dgemm")
    else:
        assert address == blas.blas_address("dgemm")
