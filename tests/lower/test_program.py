"""Programs end to end: layouts, matrix products, outputs, guards, Python steps, threads."""

import subprocess
import sys
import threading

import numpy as np
import pytest

import autograd_jit.numpy as anp
from autograd_jit import grad, jit, value_and_grad


def check(function, *args, steps=0, tolerance=1e-12):
    """The second call is a native replay and gives what NumPy does."""
    compiled = jit(function)
    compiled(*args)
    got, want = compiled(*args), function(*args)
    assert compiled.stats.replays >= 1, compiled.explain()  # 2 where an equal function was traced before
    assert len(compiled._handle.program(args, {}).steps) == steps, compiled.explain()
    for one, other in zip(
        got if isinstance(got, tuple) else (got,), want if isinstance(want, tuple) else (want,), strict=True
    ):
        assert type(one) is type(other) and np.asarray(one).dtype == np.asarray(other).dtype
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance)
    return compiled


def layouts(shape, dtype=float):
    """The same matrix laid out in memory in several ways."""
    array = np.random.default_rng(shape).standard_normal(shape).astype(dtype)
    double = np.zeros([2 * n for n in shape], dtype)
    double[tuple([slice(None, None, 2)] * len(shape))] = array
    odd = np.zeros(array.nbytes + 1, np.uint8)[1:].view(dtype).reshape(shape)
    odd[...] = array
    yield "C", array
    yield "Fortran", np.asfortranarray(array)
    yield "strided", double[tuple([slice(None, None, 2)] * len(shape))]
    yield "reversed", np.ascontiguousarray(array[::-1])[::-1]
    yield "unaligned", odd


@pytest.mark.parametrize(("name", "x"), list(layouts((7, 5))))
def test_arguments_of_any_layout(name, x):
    check(lambda x: (anp.exp(x) * 2, anp.sum(x, axis=0), x.T @ x), x)


# ---------------------------------------------------------------- BLAS

TURNS = {
    "plain": lambda x: x,
    "transposed": lambda x: anp.swapaxes(anp.swapaxes(x, -1, -2) * 1.0, -1, -2),
    "rows reversed": lambda x: x[..., ::-1, :],
    "columns reversed": lambda x: x[..., ::-1],
    "sliced": lambda x: anp.concatenate([x, x], axis=-1)[..., : x.shape[-1]],
    "every second": lambda x: anp.repeat(x, 2, axis=-1)[..., ::2],
}


@pytest.mark.parametrize("left", TURNS)
@pytest.mark.parametrize("right", TURNS)
@pytest.mark.parametrize("ours", [False, True])
def test_products_of_matrices_in_any_orientation(left, right, ours, monkeypatch):
    monkeypatch.setattr("autograd_jit.lower.rules.products.pays", lambda *_: ours)
    x, y = np.random.default_rng(0).standard_normal((20, 24)), np.random.default_rng(1).standard_normal((24, 19))
    compiled = jit(lambda x, y: TURNS[left](x) @ TURNS[right](y))
    compiled(x, y)
    np.testing.assert_allclose(compiled(x, y), TURNS[left](x) @ TURNS[right](y), rtol=1e-12, atol=1e-12)
    schedule = compiled.kernels(x, y).schedule
    assert any("BLAS" in line or "product" in line for line in schedule), schedule


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(
    ("left", "right"),
    [
        ((300, 300), (300, 1)),
        ((1, 300), (300, 300)),
        ((300, 300), (300,)),
        ((300,), (300, 300)),
        ((300, 1), (1, 300)),
        ((1, 70000), (70000, 1)),
        ((3, 20, 30), (3, 30, 20)),
        ((3, 20, 30), (30, 20)),
        ((20, 30), (3, 30, 20)),
        ((3, 1, 20, 30), (1, 2, 30, 20)),
        ((0, 30), (30, 20)),
        ((20, 0), (0, 20)),
        ((1, 1, 40, 30), (30, 40)),
    ],
)
@pytest.mark.parametrize("turn", [False, True])
def test_products_of_any_shape(left, right, dtype, turn):
    """Vectors, batches, broadcasts and unit axes; with ``turn`` each operand arrives transposed."""
    x, y = [np.random.default_rng(0).standard_normal(shape).astype(dtype) for shape in (left, right)]
    tolerance = 1e-12 if dtype is np.float64 else 2e-4
    if not turn:
        check(lambda x, y: x @ y, x, y, tolerance=tolerance)
        return

    def product(x, y):
        back = [anp.swapaxes(a, -1, -2) if a.ndim > 1 else a for a in (x, y)]
        return back[0] @ back[1]

    check(
        product,
        *[np.ascontiguousarray(np.swapaxes(a, -1, -2)) if a.ndim > 1 else a for a in (x, y)],
        tolerance=tolerance,
    )


def test_nan_and_infinity_in_products():
    x = np.ones((20, 20))
    x[3, 4], x[5, 6] = np.nan, np.inf
    check(lambda x: (x @ np.ones((20, 20)), x[:4, :4] @ x[:4, :4]), x)


# ---------------------------------------------------------------- outputs


def test_outputs_are_fresh_and_of_the_right_kind():
    x = np.arange(6.0).reshape(2, 3)
    compiled = check(lambda x: (x, x.T, x[0] * 1.0, anp.sum(x), 3, anp.exp(x), anp.exp(x)), x)
    first, second = compiled(x), compiled(x)
    assert first[0] is x and np.shares_memory(first[1], x)
    for a, b in zip(first[2:], second[2:], strict=True):
        if isinstance(a, np.ndarray):
            assert not np.shares_memory(a, b) and not np.shares_memory(a, x)
    assert not np.shares_memory(first[5], first[6])


def test_results_stay_as_they_are_when_the_program_runs_again():
    compiled = jit(lambda x: anp.exp(x[::-1]) + anp.sum(x))
    compiled(np.ones(4))
    kept = compiled(np.ones(4))
    copy = kept.copy()
    compiled(np.full(4, 9.0))
    np.testing.assert_array_equal(kept, copy)


@pytest.mark.parametrize("shape", [(), (0,), (1,), (0, 3), (3, 0, 2), (1, 1, 1), (2,) * 11, (1,) * 32])
def test_shapes(shape):
    x = np.random.default_rng(0).standard_normal(shape)
    check(lambda x: (anp.exp(x) * 2 + 1, anp.sum(x)), x)


# ---------------------------------------------------------------- guards, steps, threads


def test_guards_between_native_stretches_and_steps():
    def function(x):
        y = anp.sort(x) * 2
        if anp.sum(y) > 0:
            return anp.cumsum(anp.sort(y)) + 1
        return y - 1

    compiled = jit(function)
    for x in (np.ones(3), -np.ones(3), np.full(3, 2.0), np.full(3, -2.0), np.ones(3)):
        np.testing.assert_array_equal(compiled(x), function(x))
    assert compiled.stats.traces == 2 and compiled.stats.replays == 3


def test_an_integer_index_out_of_range_raises_as_numpy_does():
    compiled = jit(lambda x, i: x[i] * 2)
    x = np.arange(5.0)
    compiled(x, np.array([0, 1]))
    np.testing.assert_array_equal(compiled(x, np.array([-1, 4])), [8.0, 8.0])
    with pytest.raises(IndexError):
        compiled(x, np.array([0, 5]))


@pytest.mark.parametrize("size", [10, 30_000])
def test_threads_share_a_program(size):
    function = lambda x: anp.sum(anp.sin(x)[::-1] * x) + x
    compiled = jit(function)
    inputs = [np.full(size, 0.1 * (i + 1)) for i in range(6)]
    compiled(inputs[0])
    wrong = []

    def work(x):
        want = function(x)
        for _ in range(40):
            if not np.allclose(compiled(x), want, rtol=1e-12):
                wrong.append(x)

    threads = [threading.Thread(target=work, args=(x,)) for x in inputs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong and compiled.stats.traces == 1


@pytest.mark.cpu  # a device maps long rows in another way than short ones
def test_another_size_compiles_nothing():
    compiled = jit(lambda x: anp.sum(anp.exp(x)[::-1] / (1 + x**2)), compile="eager")
    compiled(np.ones(50))
    made = compiled.stats.kernels_compiled + compiled.stats.kernels_loaded
    compiled(np.ones(70))
    assert compiled.stats.traces == 2
    assert compiled.stats.kernels_compiled + compiled.stats.kernels_loaded == made


# ---------------------------------------------------------------- row by row


def _layer_norm(x):
    apart = x - anp.mean(x, axis=-1, keepdims=True)
    return anp.sum(anp.sin(apart / anp.sqrt(anp.mean(apart**2, axis=-1, keepdims=True) + 1e-5)))


def _log_sum_exp(x):
    top = anp.max(x, axis=1, keepdims=True)
    return anp.sum(top[:, 0] + anp.log(anp.sum(anp.exp(x - top), axis=1)))


def _softmax(x):
    powers = anp.exp(x - anp.max(x, axis=-1, keepdims=True))
    return anp.sum(anp.square(powers / anp.sum(powers, axis=-1, keepdims=True)))


@pytest.mark.parametrize("function", [_layer_norm, _log_sum_exp, _softmax])
@pytest.mark.parametrize("shape", [(3, 5), (2, 1030)])
def test_the_gradient_of_a_normalisation_is_one_kernel(function, shape):
    x = np.random.default_rng(0).normal(size=shape)
    x[1, 2] = x[1].max()  # a tie
    compiled = grad(function, jit=True)
    compiled(x)
    for _ in range(3):
        np.testing.assert_allclose(compiled(x), grad(function)(x), rtol=1e-12, atol=1e-13)
        x = x * 1.1
    assert len(compiled.kernels(x).schedule) == 1
    x[0, 1], x[1, 0] = np.nan, np.inf  # rows do not touch one another
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(compiled(x), grad(function)(x), rtol=1e-12, atol=1e-13)


def test_windows_of_any_length_share_their_kernels():
    """Another length compiles nothing: no kernel is made for rows that are long, or short."""

    def rosenbrock(x):
        return anp.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)

    gradient = value_and_grad(rosenbrock, jit=True)
    kernels = set()
    for size in (10, 63, 64, 65, 500, 10_000):
        gradient(np.ones(size))
        kernels |= {entry.compiled.kernel for entry in gradient.kernels(np.ones(size))}
    assert len(kernels) == len(gradient.kernels(np.ones(10)))


#: what a program of real loops does without: each takes milliseconds of the first call's time
UNUSED = """kernels.fourier kernels.lapack kernels.matrix_product kernels.sequences kernels.subset lower.rules.fourier
    lower.rules.complex_elementwise lower.rules.complex_functions lower.rules.complex_parts
    lower.rules.complex_products""".split()

LOWERS = """
import sys
import numpy as np
import autograd_jit.numpy as anp
from autograd_jit import grad

gradient = grad(lambda x: anp.sum(anp.tanh(x) * x), jit=True, compile="eager")
assert np.array_equal(gradient(np.ones(5)), gradient(np.ones(5))) and not gradient.stats.python_steps
print(*sys.modules)
"""


@pytest.mark.cpu  # a process of its own has no emulated device
def test_a_small_program_imports_what_it_needs_only():
    done = subprocess.run([sys.executable, "-c", LOWERS], capture_output=True, text=True, check=True)
    imported = set(done.stdout.split())
    assert "autograd_jit.lower.program" in imported
    assert not imported.intersection([f"autograd_jit.{name}" for name in UNUSED])
