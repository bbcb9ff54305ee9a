"""Kernels of printed IR: right, vectorised, freed, refused with a reason; sums as accurate as NumPy's."""

import ctypes
import gc
import math
import os
import re
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from autograd_jit.kernels import cpu, kernel_ir, llvm, vecmath, vector_ir

DTYPES = {"double": np.float64, "float": np.float32}
SIZES = [0, 1, 2, 7, 8, 9, 15, 16, 17, 33, 255, 256, 257, 511, 512, 513, 1000, 4095, 4096, 100_003]
TIERS = ["quick", "full", "loops"]


def run(code, arrays, cells):
    """Call a kernel: cells are the element count and scalars, each packed into 8 bytes."""
    kernel = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p)(code.address("kernel"))
    slots = (ctypes.c_void_p * len(arrays))(*[array.ctypes.data for array in arrays])
    args = b"".join(np.asarray(cell).tobytes().ljust(8, b"\0") for cell in cells)
    return kernel(slots, args)


def exp_of_ax_plus_b(element, lanes=0):
    def compute(body, values):
        x, a, b = values
        product = vector_ir.math(body, "multiply", element, [a, x])
        return [vector_ir.math(body, "add", element, [vector_ir.math(body, "exp", element, [product]), b])]

    return kernel_ir.elementwise_kernel(compute, [element], [element], [element, element], lanes=lanes)


# --- elementwise --------------------------------------------------------------------------------------


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("element", DTYPES)
def test_worked_example_at_every_remainder(element, tier):
    dtype = DTYPES[element]
    code = llvm.compile_ir(exp_of_ax_plus_b(element), tier=tier)
    for n in SIZES:
        x, y = np.linspace(-2, 2, n, dtype=dtype), np.full(n + 1, 7, dtype)
        assert run(code, [x, y], [n, dtype(1.5), dtype(0.25)]) == 0
        np.testing.assert_allclose(y[:n], np.exp(1.5 * x.astype(float)) + 0.25, rtol=8 * np.finfo(dtype).eps)
        assert y[n] == 7, "wrote behind the array"


@pytest.mark.parametrize("element", DTYPES)
def test_an_elements_value_does_not_depend_on_its_place(element):
    dtype = DTYPES[element]
    code = llvm.compile_ir(exp_of_ax_plus_b(element))
    x = np.random.default_rng(0).uniform(-3, 3, 67).astype(dtype)
    whole, part = np.empty_like(x), np.empty(5, dtype)
    run(code, [x, whole], [67, dtype(1.1), dtype(0)])
    for start in range(60):
        run(code, [x[start:], part], [5, dtype(1.1), dtype(0)])
        np.testing.assert_array_equal(part, whole[start : start + 5])


def test_in_place_use_is_right():
    code = llvm.compile_ir(exp_of_ax_plus_b("double"))
    x = np.linspace(-1, 1, 1003)
    expected = np.exp(x) + 1
    run(code, [x, x], [x.size, 1.0, 1.0])
    np.testing.assert_allclose(x, expected, rtol=1e-15)


@pytest.mark.skipif(vecmath.vector_call("exp", "double", 2) is None, reason="no libmvec here")
@pytest.mark.parametrize("element", DTYPES)
def test_machine_code_is_vector_code(element):
    text = llvm.assembly(exp_of_ax_plus_b(element))
    lanes, suffix = llvm.lanes(element), {"double": "d", "float": "s"}[element]
    assert vecmath.vector_call("exp", element, lanes).symbol in text
    register = {64: "%zmm", 32: "%ymm", 16: "%xmm"}[cpu.vector_bytes()]
    assert re.search(rf"v?(mul|add|fmadd\w*)p{suffix}\s[^\n]*{register}", text)
    assert not re.search(r"\bv?muls[sd]\b", text)


SCALAR_LOOP = """
define i64 @kernel(ptr %slots, ptr %args) {attributes} {{
entry:
  %x = load ptr, ptr %slots, align 8
  %ys = getelementptr ptr, ptr %slots, i64 1
  %y = load ptr, ptr %ys, align 8
  %n = load i64, ptr %args, align 8
  %any = icmp sgt i64 %n, 0
  br i1 %any, label %loop, label %done
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %loop ]
  %xi = getelementptr double, ptr %x, i64 %i
  %v = load double, ptr %xi, align 8{loaded}
  %e = call double @exp(double %v) {call}
  %yi = getelementptr double, ptr %y, i64 %i
  store double %e, ptr %yi, align 8{stored}
  %next = add nuw nsw i64 %i, 1
  %more = icmp slt i64 %next, %n
  br i1 %more, label %loop, label %done
done:
  ret i64 0
}}
{declaration}
{kept}
!1 = !{{!3}}
!2 = !{{!4}}
!3 = distinct !{{!3, !5}}
!4 = distinct !{{!4, !5}}
!5 = distinct !{{!5}}
"""


def scalar_loop(*, scoped=True, kept=True):
    function = vecmath.math_call("exp", "double")
    return SCALAR_LOOP.format(
        attributes=llvm.KERNEL_ATTRIBUTES,
        call=function.call_attributes,
        declaration=function.declaration,
        kept=vecmath.keep_variants([function]) if kept else "",
        loaded=", !alias.scope !1, !noalias !2" if scoped else "",
        stored=", !alias.scope !2, !noalias !1" if scoped else "",
    )


@pytest.mark.skipif(vecmath.vector_call("exp", "double", 2) is None, reason="no libmvec here")
def test_loops_tier_vectorises_scalar_loops_with_libmvec():
    text = llvm.optimized_ir(scalar_loop())
    assert "_ZGV" in text.split("declare")[0]
    overlap_check = re.compile(r"memcheck|diff\.check")
    assert not overlap_check.search(text)
    assert overlap_check.search(llvm.optimized_ir(scalar_loop(scoped=False)))
    x = np.linspace(-1, 1, 1003)
    y = np.empty_like(x)
    run(llvm.compile_ir(scalar_loop(), tier="loops"), [x, y], [x.size])
    np.testing.assert_allclose(y, np.exp(x), rtol=1e-15)


# --- reductions ---------------------------------------------------------------------------------------

REFERENCE = {"sum": math.fsum, "prod": math.prod, "max": max, "min": min}


def reducer(kind, element, lanes=0, tier="full"):
    code = llvm.compile_ir(
        kernel_ir.reduction_kernel(kind, lambda body, values: values, [element], element, lanes=lanes),
        tier=tier,
    )

    def call(x):
        out = np.empty(1, DTYPES[element])
        run(code, [x, out], [x.size])
        return out[0]

    return call


@pytest.mark.parametrize("lanes", [0, 1, 2])
@pytest.mark.parametrize("kind", kernel_ir.REDUCTIONS)
@pytest.mark.parametrize("element", DTYPES)
def test_reductions_at_every_remainder(element, kind, lanes):
    reduce, rng, dtype = reducer(kind, element, lanes), np.random.default_rng(1), DTYPES[element]
    for n in SIZES:
        x = rng.uniform(0.99, 1.01, n).astype(dtype)
        if n:
            np.testing.assert_allclose(reduce(x), REFERENCE[kind](x.tolist()), rtol=300 * np.finfo(dtype).eps)
        else:
            assert reduce(x) == kernel_ir.REDUCTIONS[kind].identity


@pytest.mark.parametrize("kind", kernel_ir.REDUCTIONS)
@pytest.mark.parametrize("element", DTYPES)
def test_reductions_hand_nan_on_from_any_place(element, kind):
    reduce, dtype = reducer(kind, element), DTYPES[element]
    for n in (1, 9, 300, 1500):
        for place in {0, n // 2, n - 1}:
            x = np.ones(n, dtype)
            x[place] = np.nan
            assert np.isnan(reduce(x))


def test_infinities_in_reductions():
    x = np.array([1.0, np.inf, 2.0])
    assert reducer("sum", "double")(x) == np.inf
    assert np.isnan(reducer("sum", "double")(np.array([np.inf, -np.inf])))
    assert reducer("max", "double")(-x[1:2]) == -np.inf
    assert reducer("min", "double")(x[1:2]) == np.inf


@pytest.mark.parametrize("element", DTYPES)
@pytest.mark.parametrize("n", [1000, 100_003])
def test_sums_are_as_accurate_as_numpys(element, n):
    dtype, rng = DTYPES[element], np.random.default_rng(2)
    reduce, ours, numpys = reducer("sum", element), [], []
    for _ in range(400):
        x = rng.uniform(0, 1, n).astype(dtype)
        exact = math.fsum(x.tolist())
        ours.append(float(reduce(x)) - exact)
        numpys.append(float(np.sum(x)) - exact)
    assert np.std(ours) <= 1.25 * np.std(numpys)


def test_a_naive_sum_would_fail_the_accuracy_test():
    x = np.full(100_003, 0.1, np.float32)
    exact = math.fsum(x.tolist())
    naive = np.add.accumulate(x)[-1]
    assert abs(reducer("sum", "float")(x) - exact) < abs(naive - exact) / 100


# --- compiling and loading ----------------------------------------------------------------------------


def big_body(operations):
    def compute(body, values):
        for k in range(operations):
            op = ["multiply", "add", "subtract"][k % 3]
            values.append(vector_ir.math(body, op, "double", [values[-1], values[k % 3]]))
        return [values[-1]]

    return kernel_ir.elementwise_kernel(compute, ["double"] * 3, ["double"])


def test_object_code_runs_again_when_loaded():
    code = llvm.load_object(llvm.compile_object(exp_of_ax_plus_b("double")))
    x = np.linspace(0, 1, 11)
    y = np.empty_like(x)
    run(code, [x, y], [x.size, 1.0, 0.0])
    np.testing.assert_allclose(y, np.exp(x), rtol=1e-15)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_code_is_freed_with_the_last_reference():
    data = llvm.compile_object(big_body(20))

    def resident():
        gc.collect()
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    for _ in range(200):
        llvm.load_object(data).address("kernel")
    before = resident()
    for _ in range(2000):
        llvm.load_object(data).address("kernel")
    assert resident() - before < 2 * 2**20, "2000 kernels of 4 kB would be 8 MB"
    held = [llvm.load_object(data) for _ in range(500)]
    assert sum(code.size for code in held) == pytest.approx(resident() - before, rel=0.8)


def test_loading_does_not_import_llvm(tmp_path):
    (tmp_path / "object").write_bytes(llvm.compile_object(exp_of_ax_plus_b("double")))
    program = (
        "import sys, pathlib\n"
        "from autograd_jit.kernels import llvm\n"
        f"code = llvm.load_object(pathlib.Path({str(tmp_path / 'object')!r}).read_bytes())\n"
        "assert code.address('kernel')\n"
        "print([name for name in ('llvmlite', 'numba') if name in sys.modules])\n"
    )
    if not llvm.object_loader.supported():
        pytest.skip("objects of this platform are loaded by LLVM")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]", done.stderr


def test_compiling_does_not_import_numba():
    program = (
        "import sys\nfrom autograd_jit.kernels import llvm\n"
        "llvm.compile_ir('define i64 @kernel(ptr %s, ptr %a) {\\n ret i64 0\\n}')\n"
        "print('numba' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "False", done.stderr


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("define i64 @kernel( {", "expected type"),
        ("define i64 @kernel() {\n %a = add i64 %b, 1\n ret i64 %a\n}", "undefined value"),
        ("declare i64 @agj_no_such_routine()\ndefine i64 @kernel() {\n %a = call i64 @agj_no_such_routine()\n"
         " ret i64 %a\n}", "agj_no_such_routine"),
        ("declare i64 @no_such_function()\ndefine i64 @kernel() {\n %a = call i64 @no_such_function()\n"
         " ret i64 %a\n}", "no_such_function"),
    ],
)  # fmt: skip
def test_a_kernel_that_cannot_be_compiled_says_why(text, reason):
    with pytest.raises(llvm.CodegenError, match=reason):
        llvm.compile_ir(text, name_hint="broken").address("kernel")


def test_unknown_symbol():
    with pytest.raises(llvm.CodegenError, match="nothing_here"):
        llvm.compile_ir(big_body(1)).address("nothing_here")


@pytest.mark.parametrize("damage", ["empty", "text", "header", "half", "zeros"])
def test_damaged_object_code_is_refused(damage):
    data = llvm.compile_object(big_body(20))
    damaged = {
        "empty": b"",
        "text": b"hello",
        "header": data[:70],
        "half": data[: len(data) // 2],
        "zeros": data[:64] + bytes(len(data) - 64),
    }[damage]
    with pytest.raises(llvm.CodegenError):
        llvm.load_object(damaged).address("kernel")


def test_scipy_functions_link_in_a_loaded_object(monkeypatch):
    text = kernel_ir.elementwise_kernel(
        lambda body, values: [vector_ir.math(body, "psi", "double", values)], ["double"], ["double"]
    )
    data = llvm.compile_object(text)
    monkeypatch.setattr(llvm, "_symbols", {})
    x = np.array([0.5, 1.0, 10.0])
    y = np.empty_like(x)
    run(llvm.load_object(data), [x, y], [3])
    np.testing.assert_allclose(y, [-1.9635100260214235, -0.5772156649015329, 2.251752589066721], rtol=1e-14)


def test_orc_links_what_the_own_loader_does_not(monkeypatch):
    monkeypatch.setattr(llvm.object_loader, "supported", lambda: False)
    code = llvm.compile_ir(exp_of_ax_plus_b("double"))
    x = np.linspace(0, 1, 11)
    y = np.empty_like(x)
    run(code, [x, y], [x.size, 1.0, 0.0])
    np.testing.assert_allclose(y, np.exp(x), rtol=1e-15)
    with pytest.raises(llvm.CodegenError, match="nothing_here"):
        code.address("nothing_here")


def test_threads_compile_at_once():
    failures = []

    def work(seed):
        try:
            x = np.full(10, float(seed))
            y = np.empty_like(x)
            for tier in TIERS * 3:
                run(llvm.compile_ir(exp_of_ax_plus_b("double"), tier=tier), [x, y], [10, 0.0, float(seed)])
                assert (y == 1.0 + seed).all()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_compiles_while_the_parent_does():
    stop = threading.Event()

    def compile_on():
        while not stop.is_set():
            llvm.compile_ir(big_body(20), tier="quick")

    thread = threading.Thread(target=compile_on)
    thread.start()
    program_ended = []
    try:
        for _ in range(10):
            child = os.fork()
            if child == 0:
                llvm.compile_ir(big_body(5), tier="quick")
                os._exit(0)
            deadline = time.monotonic() + 20
            while (ended := os.waitpid(child, os.WNOHANG))[0] == 0 and time.monotonic() < deadline:
                time.sleep(0.002)
            if ended[0] == 0:
                os.kill(child, 9)
                os.waitpid(child, 0)
            program_ended.append(ended[0] != 0 and os.waitstatus_to_exitcode(ended[1]) == 0)
    finally:
        stop.set()
        thread.join()
    assert all(program_ended)
