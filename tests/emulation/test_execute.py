"""Kernels run from their IR: numbers, orders of threads, and the faults that must be found."""

import numpy as np
import pytest

pytest.importorskip("numba_cuda", reason="the CUDA compiler packages are not installed")
pytestmark = [pytest.mark.emulated, pytest.mark.usefixtures("compiler_packages")]

mpmath = pytest.importorskip("mpmath")

from numba import cuda, float32, float64, int32, int64, types  # noqa: E402

from tests.emulation import programs  # noqa: E402
from tests.emulation.execute import EmulatedKernel  # noqa: E402
from tests.emulation.host_ir import EmulationError, NotEmulated  # noqa: E402


def run_elementwise(expression, x, **options):
    dtype = x.dtype.name
    kernel = EmulatedKernel(
        programs.elementwise(expression, dtype), (programs.pointer(dtype),) * 2 + (int64,), **options
    )
    y = np.full_like(x, -7)
    kernel(4, 64, x, y, x.size)
    return y


# NVIDIA's documented bounds in units in the last place: CUDA programming guide, "Mathematical functions".
FUNCTIONS = {
    "exp": (2, 1, "real"), "log": (1, 1, "positive"), "log1p": (1, 1, "positive"), "expm1": (1, 1, "real"),
    "sin": (2, 2, "real"), "cos": (2, 2, "real"), "tan": (4, 2, "real"), "tanh": (2, 2, "real"), "sinh": (3, 2, "real"),
    "cosh": (2, 1, "real"), "atan": (2, 2, "real"), "asinh": (3, 3, "real"), "sqrt": (0.5, 0.5, "positive"),
    "erf": (2, 2, "real"), "erfc": (4, 5, "real"), "asin": (2, 2, "unit"), "acos": (2, 2, "unit"),
    "atanh": (3, 2, "unit"), "log2": (1, 1, "positive"), "log10": (2, 1, "positive"), "lgamma": (6, 4, "positive"),
}  # fmt: skip
DOMAINS = {"real": (-5, 5), "positive": (0.01, 30), "unit": (-0.99, 0.99)}
# Half a unit is added to the guide's bounds: for measuring in units of the rounded reference.
EXACT = {"log2": lambda v: mpmath.log(v, 2), "lgamma": mpmath.loggamma, "log10": mpmath.log10}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_math_functions_keep_to_the_documented_bounds(name, dtype):
    bound = FUNCTIONS[name][dtype == "float64"]
    if name == "lgamma":  # the bound holds away from the zeros at 1 and 2, where no relative accuracy is promised
        x = np.linspace(3, 30, 200).astype(dtype)
    else:
        x = np.linspace(*DOMAINS[FUNCTIONS[name][2]], 200).astype(dtype)
    y = run_elementwise(f"math.{name}(v)", x)
    exact = EXACT.get(name) or getattr(mpmath, name)
    with mpmath.workdps(40):
        wanted = [exact(mpmath.mpf(float(v))) for v in x]
        errors = [float(abs(mpmath.mpf(float(a)) - w)) for a, w in zip(y, wanted)]
    unit = np.spacing(np.abs(np.array([float(w) for w in wanted]).astype(dtype))).astype(float)
    assert np.max(np.array(errors) / unit) <= bound + 0.51


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", [0, 1, 33, 1000])
def test_special_values_and_sizes(dtype, size):
    x = np.random.default_rng(0).normal(size=size).astype(dtype)
    x[::5] = np.nan
    x[1::7] = np.inf
    x[2::7] = -np.inf
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(run_elementwise("v * v - v", x, contract=False), x * x - x)


def test_products_and_sums_are_fused_as_on_a_device():
    x = np.linspace(0.1, 1, 50)
    with mpmath.workdps(40):
        fused = np.array([float(mpmath.mpf(v) * mpmath.mpf(v) - mpmath.mpf(1) / 2) for v in x])
    np.testing.assert_array_equal(run_elementwise("v * v - 0.5", x), fused)
    assert (run_elementwise("v * v - 0.5", x, contract=False) == x * x - 0.5).all() and (fused != x * x - 0.5).any()


@pytest.mark.parametrize("mode, direction", [("rd", -np.inf), ("ru", np.inf)])
def test_directed_rounding_is_exact(mode, direction):
    x = np.linspace(0.1, 3, 100).astype(np.float32)
    scope = f"libdevice.fmul_{mode}(v, v)"
    source = programs.elementwise(scope, "float32")
    from numba.cuda import libdevice

    source.__globals__["libdevice"] = libdevice
    y = np.zeros_like(x)
    EmulatedKernel(source, (programs.pointer("float32"),) * 2 + (int64,))(1, 32, x, y, x.size)
    square = x.astype(np.float64) ** 2
    near = square.astype(np.float32)
    wrong_side = near.astype(np.float64) > square if mode == "rd" else near.astype(np.float64) < square
    np.testing.assert_array_equal(y, np.where(wrong_side, np.nextafter(near, np.float32(direction)), near))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_block_sums_do_not_depend_on_the_order_of_threads(dtype):
    x = np.random.default_rng(1).normal(size=5000).astype(dtype)
    kernel = EmulatedKernel(programs.block_sum(dtype), (programs.pointer(dtype),) * 2 + (int64,))
    results = set()
    for seed in range(5):
        out = np.full(8, np.nan, dtype)
        kernel(8, 128, x, out, x.size, seed=seed)
        results.add(out.tobytes())
    assert len(results) == 1
    np.testing.assert_allclose(out.sum(dtype=float), x.sum(dtype=float), rtol=100 * np.finfo(dtype).eps, atol=1e-5)


def test_a_missing_barrier_is_found_under_every_order():
    x = np.random.default_rng(1).normal(size=5000)
    kernel = EmulatedKernel(
        programs.block_sum("float64", first_barrier="pass"), (programs.pointer("float64"),) * 2 + (int64,)
    )
    for seed in range(5):
        out = np.zeros(8)
        kernel(8, 128, x, out, x.size, seed=seed)
        assert not abs(out.sum() - x.sum()) < 1e-6  # poison in shared memory is NaN


def test_a_divergent_barrier_is_an_error():
    def kernel(x):
        if cuda.threadIdx.x < 2:
            cuda.syncthreads()
        x[cuda.threadIdx.x] = 1

    divergent = EmulatedKernel(kernel, (programs.pointer("float64"),))
    with pytest.raises(EmulationError, match=r"divergent barrier in block .* 2 wait at a barrier.* 6 have left"):
        divergent(1, 8, np.zeros(8))
    # The stacks of the threads left behind are not reused half-run.
    test_block_sums_do_not_depend_on_the_order_of_threads("float32")


def test_a_write_outside_shared_memory_is_an_error():
    kernel = EmulatedKernel(
        programs.block_sum("float64", guard="t < w or t == 127"), (programs.pointer("float64"),) * 2 + (int64,)
    )
    x = np.ones(256)
    kernel(2, 128, x, np.zeros(2), x.size)  # reads past the end only: not seen

    def outside(x):
        partial = cuda.shared.array(16, float64)
        partial[cuda.threadIdx.x + 1] = x[cuda.threadIdx.x]
        cuda.syncthreads()
        x[cuda.threadIdx.x] = partial[cuda.threadIdx.x]

    with pytest.raises(EmulationError, match="outside shared array 0"):
        EmulatedKernel(outside, (programs.pointer("float64"),))(1, 16, np.zeros(16))


def test_shuffles_votes_and_partial_warps():
    def kernel(x, out, votes, n):
        t = cuda.threadIdx.x
        total = x[t]
        step = 16
        while step > 0:
            total += cuda.shfl_down_sync(0xFFFFFFFF, total, step)
            step >>= 1
        if t % 32 == 0:
            out[t // 32] = total
        votes[t] = cuda.ballot_sync(0xFFFFFFFF, x[t] > 0)

    x = np.random.default_rng(2).normal(size=128).astype(np.float32)
    out, votes = np.zeros(4, np.float32), np.zeros(128, np.int32)
    signature = (programs.pointer("float32"),) * 2 + (types.CPointer(int32), int64)
    compiled = EmulatedKernel(kernel, signature)
    for seed in range(3):
        compiled(1, 128, x, out, votes, 128, seed=seed)
        np.testing.assert_allclose(out, x.reshape(4, 32).sum(1), rtol=1e-5, atol=1e-5)
        wanted = (1 << np.arange(32, dtype=np.uint64)) @ (x.reshape(4, 32) > 0).T.astype(np.uint64)
        np.testing.assert_array_equal(votes.view(np.uint32).reshape(4, 32)[:, 0], wanted)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_atomics(dtype):
    def kernel(x, total, largest, n):
        i = cuda.grid(1)
        while i < n:
            cuda.atomic.add(total, 0, x[i])
            cuda.atomic.max(largest, 0, x[i])
            i += cuda.gridsize(1)

    scalar = programs.FLOATS[dtype]
    x = np.random.default_rng(3).integers(-100, 100, 1000).astype(dtype)
    total, largest = np.zeros(1, dtype), np.full(1, -np.inf, dtype)
    array = scalar[::1]
    compiled = EmulatedKernel(kernel, (array, array, array, int64))
    compiled(4, 64, x, total, largest, x.size)
    assert total[0] == x.sum() and largest[0] == x.max()


def test_an_unknown_intrinsic_is_refused_by_name():
    def sleeps(x):
        cuda.nanosleep(10)
        x[0] = float32(1)

    with pytest.raises(NotEmulated, match=r"no emulation of .*nanosleep"):
        EmulatedKernel(sleeps, (programs.pointer("float32"),))


def test_fast_maths_flushes_denormals():
    x = np.array([1e-40, 1.0], np.float32)
    assert run_elementwise("math.exp(v) * float32(0) + math.sqrt(v)", x, fastmath=True)[0] == 0
    assert run_elementwise("math.sqrt(v)", x)[0] != 0
