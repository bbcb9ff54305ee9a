"""Transforms of a vector's worth of rows at a time: accuracy, every layout, special values, and rows alone."""

import ctypes
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import autograd_jit.numpy as anp
from autograd_jit import grad, jit
from autograd_jit.kernels import fourier, fourier_passes, numpy_fourier, subset
from autograd_jit.kernels.fourier_tables import Kind, passes, plan, tables
from autograd_jit.kernels.llvm import compile_ir
from autograd_jit.lower.program import lower
from autograd_jit.trace.recorder import Recorder

FFT = anp.fft
EPS = np.finfo(float).eps
HAS_LONG_DOUBLE = np.finfo(np.longdouble).eps < EPS / 100

pytestmark = [
    pytest.mark.cpu,
    pytest.mark.skipif(
        not numpy_fourier.loop("fft", np.dtype(float))[0], reason="this NumPy does not say where its transforms are"
    ),
]


def native(function, x):
    """The program of a function, and whether all of its transforms are our own."""
    recorder = Recorder("tape")
    program = lower(recorder.finish(function(recorder.add_input(x, "x"))))
    assert not program.steps, program.steps
    return program, all("of rows" in call.routine for call in program.calls.values()) and bool(program.calls)


def run(function, x, *, ours=True):
    program, is_ours = native(function, x)
    assert is_ours == ours
    (got,) = program.run((x,))
    return got


def numbers(*shape, dtype="complex128", seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=shape) + 1j * rng.normal(size=shape)
    return (x if dtype.startswith("complex") else x.real).astype(dtype)


# ---------------------------------------------------------------- accuracy


def exact(name, x, n):
    """A transform of rows by its definition, in long double."""
    longer = x.astype(np.clongdouble)
    if name == "irfft":
        longer = np.concatenate([longer, np.zeros((len(x), n - x.shape[1]))], axis=1)
        for k in {0, n // 2}:
            longer[:, k] = longer[:, k].real
        longer[:, n // 2 + 1 :] = np.conj(longer[:, 1 : (n + 1) // 2])[:, ::-1]
    powers = np.outer(np.arange(n), np.arange(n)) % n
    angles = 2 * np.arccos(np.longdouble(-1)) / n * np.arange(n, dtype=np.longdouble)
    matrix = (np.cos(angles) + (1j if name.startswith("i") else -1j) * np.sin(angles))[powers]
    result = longer @ matrix / (n if name.startswith("i") else 1)
    return result.real if name == "irfft" else result[:, : n // 2 + 1] if name == "rfft" else result


def error(got, want):
    """Root of the mean square, relative."""
    return float(np.sqrt(np.mean(np.abs(got - want) ** 2) / np.mean(np.abs(want) ** 2)))


@pytest.mark.skipif(not HAS_LONG_DOUBLE, reason="nothing to compare with")
@pytest.mark.parametrize("name", ["fft", "ifft", "rfft", "irfft"])
def test_errors_are_those_of_numpy(name):
    """At most EPS (1 + log2(n)) / 4, relative and in the mean, which is what each pass' roundings add up to; and not
    half as much again as NumPy's."""
    sizes = [*range(2, 131), 256, 1000, 1024]
    ours = []
    for n in sizes:
        x = numbers(17, n, seed=n)
        x = {"rfft": x.real.copy(), "irfft": x[:, : n // 2 + 1].copy()}.get(name, x)
        transform = (lambda x, n=n: FFT.irfft(x, n)) if name == "irfft" else getattr(FFT, name)
        program, is_ours = native(transform, x)
        (got,) = program.run((x,))
        if is_ours:
            ours.append(n)
            off, of_numpy = (error(y, exact(name, x, n)) for y in (got, transform(x)))
            assert off <= EPS * (1 + np.log2(n)) / 4 and off <= 1.5 * of_numpy + EPS / 10, (n, off, of_numpy)
        else:
            np.testing.assert_array_equal(got, transform(x))
    halved = name in ("rfft", "irfft")
    assert ours == [n for n in sizes if passes(n // 2 if halved else n) is not None and not (halved and n % 2)]


@pytest.mark.skipif(not HAS_LONG_DOUBLE, reason="nothing to compare with")
@pytest.mark.parametrize("n", [4096, 6000, 16384])
def test_errors_of_long_transforms(n):
    scipy_fft = pytest.importorskip("scipy.fft")
    x = numbers(8, n)
    want = scipy_fft.fft(x.astype(np.clongdouble))
    assert error(run(FFT.fft, x), want) <= 1.1 * error(np.fft.fft(x), want)


def test_single_precision():
    for n in (8, 60, 1000):
        x = numbers(40, n, dtype="complex64")
        got = run(lambda x: FFT.fft(x, norm="ortho"), x)
        want = np.fft.fft(x.astype(complex), norm="ortho")
        assert got.dtype == np.complex64
        assert error(got, want) <= 1.5 * error(np.fft.fft(x, norm="ortho"), want)


# ---------------------------------------------------------------- every layout


@pytest.mark.parametrize("dtype", ["complex128", "complex64", "float64", "float32"])
@pytest.mark.parametrize("norm", [None, "ortho", "forward"])
@pytest.mark.parametrize("name", "fft ifft fftn ifftn rfft irfft rfftn irfftn hfft ihfft".split())
def test_transforms(name, norm, dtype):
    if name in ("rfft", "rfftn", "ihfft") and dtype.startswith("complex"):
        pytest.skip("a transform of reals")
    tolerance = 1e-5 if dtype in ("complex64", "float32") else 1e-13
    for shape in [(16, 18), (3, 20, 16)]:
        x = numbers(*shape, dtype=dtype)
        for axes in range(x.ndim) if not name.endswith("n") else [None]:
            options = {"norm": norm} | ({} if axes is None else {"axis": axes})
            program, _ = native(lambda x, options=options: getattr(FFT, name)(x, **options), x)
            (got,) = program.run((x,))
            want = getattr(np.fft, name)(x, **options)
            assert got.dtype == want.dtype
            np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance * np.max(np.abs(want)))


@pytest.mark.parametrize("n", [3, 12, 30])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_cropping_padding_and_operands_in_any_order(axis, n):
    z = numbers(16, 17, 18)
    views = [
        lambda x: x,
        lambda x: x.T,
        lambda x: x[::-1, ::2, ::-1],
        lambda x: anp.swapaxes(x, 0, 1) * 2,
        lambda x: x[:, :1] + 0 * x[:, :1],
        lambda x: anp.broadcast_to(x[:, :1], (16, 17, 18)),
    ]
    for view in views:
        for transform in (FFT.fft, FFT.ifft, FFT.irfft, lambda x, n, axis: FFT.rfft(anp.real(x), n, axis)):
            program, _ = native(lambda x, view=view, transform=transform: transform(view(x), n, axis), z)
            (got,) = program.run((z,))
            want = transform(view(z), n, axis)
            np.testing.assert_allclose(got, want, rtol=1e-13, atol=1e-13 * np.max(np.abs(want)))


def test_numpys_loops_take_what_they_are_faster_at():
    few = [numbers(16, 64, 2)] if fourier.lane_count(np.dtype(float)) > 2 else []
    for x in (numbers(64), numbers(1, 64), numbers(16, 17), numbers(16, 2 * 11), numbers(8, 1), *few):
        axis = 1 if x.ndim == 3 else -1
        got = run(lambda x, axis=axis: FFT.fft(x, axis=axis), x, ours=False)
        np.testing.assert_array_equal(got, np.fft.fft(x, axis=axis))


@pytest.mark.parametrize("name", ["fft", "ifft", "rfft", "irfft"])
def test_a_row_is_the_same_wherever_it_lies(name):
    """Bit for bit: in batches of any size, over inner and outer axes."""
    transform = getattr(FFT, name)
    x = numbers(37, 33 if name == "irfft" else 60, dtype="float64" if name == "rfft" else "complex128")
    whole = run(transform, x)
    for some in (x[5:24], x[::-1].copy(), x[:8], x[:9], x[3:12]):
        np.testing.assert_array_equal(run(transform, some), whole[[np.flatnonzero(x[:, 1] == y[1])[0] for y in some]])
    np.testing.assert_array_equal(run(lambda x: transform(x.T, axis=0), x), whole.T)
    np.testing.assert_array_equal(run(lambda x: transform(x, axis=0), x.T.copy()), whole.T)
    over_two = run(lambda x: transform(x, axis=1), np.stack([x.T, x.T[:, ::-1]]))
    np.testing.assert_array_equal(over_two, np.stack([whole.T, whole.T[:, ::-1]]))


# ---------------------------------------------------------------- special values


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan, complex(0, np.inf), complex(np.nan, 1), 1.7e308])
@pytest.mark.parametrize("name", ["fft", "ifft", "rfft", "irfft"])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_rows_that_are_not_finite_are_numpys_and_touch_no_others(name, bad):
    if name == "rfft":
        bad = bad.real if np.isfinite(np.imag(bad)) else np.imag(bad)
    x = numbers(21, 33 if name == "irfft" else 32, dtype="float64" if name == "rfft" else "complex128")
    for axis in (1, 0):
        whole = run(lambda x, axis=axis: getattr(FFT, name)(x, axis=axis), x if axis else x.T.copy())
        y = x.copy()
        y[4, 3:6] = y[20, 0:2] = bad
        given = y if axis else y.T.copy()
        got = run(lambda x, axis=axis: getattr(FFT, name)(x, axis=axis), given)
        want = getattr(np.fft, name)(given, axis=axis)
        got, want, whole = (a if axis else a.T for a in (got, want, whole))
        assert not np.isfinite(got[4]).all() and not np.isfinite(got[20]).all()
        np.testing.assert_array_equal(got[[4, 20]], want[[4, 20]])
        others = [row for row in range(21) if row not in (4, 20)]
        np.testing.assert_array_equal(got[others], whole[others])


def test_what_is_exactly_zero_is_zero():
    x = numbers(16, 20, dtype="float64")
    spectrum = run(FFT.rfft, x)
    np.testing.assert_array_equal(spectrum[:, [0, 10]].imag, 0.0)
    hidden = spectrum.copy()
    hidden.imag[:, [0, 10]] = 3, np.nan
    np.testing.assert_array_equal(run(FFT.irfft, hidden), run(FFT.irfft, spectrum))
    for transform in (FFT.fft, FFT.ifft):
        np.testing.assert_array_equal(run(transform, np.zeros((16, 20), complex)), 0.0)
        np.testing.assert_array_equal(run(transform, np.eye(16) + 0j)[0], transform(np.eye(16)[0]))


# ---------------------------------------------------------------- derivatives, tiers, other processors


@pytest.mark.parametrize("shape", [(16, 12), (8, 30), (24, 16)])
def test_gradients(shape):
    x = numbers(*shape, dtype="float64")
    for loss in (
        lambda x: anp.sum(anp.abs(FFT.fft2(x)) ** 2),
        lambda x: anp.sum(anp.abs(FFT.rfft(x, 16)) ** 3),
        lambda x: anp.sum(FFT.irfft(x * (1 + 2j), 20, norm="ortho") ** 2),
        lambda x: anp.sum(anp.abs(FFT.fftshift(FFT.ifftn(x))) ** 3),
        lambda x: anp.sum(anp.real(FFT.ifft(FFT.fft(x, axis=0) ** 2, axis=0)) ** 2),
    ):
        first = grad(loss)
        for gradient in (first, grad(lambda x, first=first: anp.sum(first(x) ** 2))):
            compiled = jit(gradient)
            compiled(x)
            want = gradient(x)
            np.testing.assert_allclose(compiled(x), want, rtol=1e-11, atol=1e-12 * np.max(np.abs(want)))
            assert "ython step" not in str(compiled.explain())


@pytest.mark.parametrize("name", ["fft", "irfft"])
def test_both_tiers_give_the_same_bits(name, monkeypatch, tmp_path):
    from autograd_jit.lower import routines

    monkeypatch.setenv("AUTOGRAD_JIT_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr("autograd_jit.kernels.subset._compiled", {})
    x, results = numbers(19, 61 if name == "irfft" else 105), []
    for mode in ("never", "eager"):
        monkeypatch.setattr(routines, "_known", {})
        recorder = Recorder("tape")
        program = lower(recorder.finish(getattr(FFT, name)(recorder.add_input(x, "x"))), mode)
        assert [routine.tier for routine in program.routines] == ["quick" if mode == "never" else "full"]
        results += program.run((x,))
    np.testing.assert_array_equal(*results)


NARROWER = """
import sys
import numpy as np
from autograd_jit.kernels import cpu
cpu.vector_bytes = lambda: int(sys.argv[1])
from tests.kernels.test_fourier import FFT, numbers, run
results = {name: run(getattr(FFT, name), numbers(19, 61 if name == "irfft" else 60)) for name in ("fft", "irfft")}
results["outer"] = run(lambda x: FFT.ifft(x, axis=0), numbers(60, 19))
results["special"] = run(FFT.rfft, np.where(np.arange(13 * 30).reshape(13, 30) == 95, np.nan, 1.5))
np.savez(sys.argv[2], **results)
"""


@pytest.mark.parametrize("width", [16, 32])
def test_narrower_vectors(width, tmp_path):
    """As on processors without wide ones; and without fused products, at 16 bytes."""
    file = tmp_path / "results.npz"
    environment = os.environ | {"AUTOGRAD_JIT_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-c", NARROWER, str(width), str(file)]
    subprocess.run(command, check=True, env=environment, cwd=Path(__file__).parents[2])
    got = np.load(file)
    want = {
        "fft": run(FFT.fft, numbers(19, 60)),
        "irfft": run(FFT.irfft, numbers(19, 61)),
        "outer": run(lambda x: FFT.ifft(x, axis=0), numbers(60, 19)),
        "special": run(FFT.rfft, np.where(np.arange(13 * 30).reshape(13, 30) == 95, np.nan, 1.5)),
    }
    for name, value in want.items():
        np.testing.assert_allclose(got[name], value, rtol=1e-13, atol=1e-13 * np.nanmax(np.abs(value)))


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize(("kind", "n"), [(0, 2), (1, 9), (0, 64), (2, 18), (3, 18), (2, 2), (3, 70), (1, 210)])
def test_nothing_is_written_beside_the_result(kind, n, axis):
    code = subset.compiled(fourier.fourier_of_rows, "double")
    entry = ctypes.CFUNCTYPE(ctypes.c_int64, *[ctypes.c_void_p] * 2)(code.address("fourier_of_rows"))
    rows, m = 11, n // 2 + 1
    taken, given = {2: (n, 2 * m), 3: (2 * m, n)}.get(kind, (2 * n, 2 * n))  # reals of a row
    x = np.random.default_rng(n).normal(size=(rows, taken))
    x_wide, out_wide = 1 + (kind != Kind.OF_REALS), 1 + (kind != Kind.TO_REALS)  # reals of a point
    operand = x if axis else np.ascontiguousarray(np.swapaxes(x.reshape(rows, -1, x_wide), 0, 1))
    memory = np.full(fourier.workspace(n, x.dtype) + 32, 7.5)
    out = np.full(rows * given + 32, 7.5)
    arrays = (operand, np.ones(1), tables(Kind(kind), n), plan(Kind(kind), n), out[16:], np.zeros(11, int), memory[16:])
    slots = np.array([array.ctypes.data for array in arrays])
    x_steps = (0, x_wide, taken) if axis else (0, rows * x_wide, x_wide)
    out_steps = (given, out_wide, 0) if axis else (out_wide, rows * out_wide, 0)
    words = [1, rows, taken // x_wide, given // out_wide, 8, *out_steps, *numpy_fourier.loop("fft", x.dtype), 0, 0]
    words += [0, 0, *x_steps, 1, 0, 0, 0, 0, 2, 0, 0, 0, 0, 3, 0, 0, 0, 0, 4, 0, 5, 0, 6, 0]
    assert entry(slots.ctypes.data, np.array(words).ctypes.data) == 0
    for array in (out, memory):
        np.testing.assert_array_equal(array[:16], 7.5)
        np.testing.assert_array_equal(array[-16:], 7.5)
    spectrum = x if kind == 2 else x.view(complex)
    want = [
        np.fft.fft,
        lambda z: np.fft.ifft(z, norm="forward"),
        np.fft.rfft,
        lambda z: np.fft.irfft(z, n, norm="forward"),
    ]
    got = out[16:-16].reshape(rows, -1) if axis else np.swapaxes(out[16:-16].reshape(-1, rows, out_wide), 0, 1)
    got = np.ascontiguousarray(got).reshape(rows, given)
    np.testing.assert_allclose(got if kind == 3 else got.view(complex), want[kind](spectrum), rtol=1e-12, atol=1e-12)


def test_the_text_needs_no_other_than_its_own_passes():
    """Everything that the routine calls is in its module, but for LLVM's own functions."""
    text = subset.ir_text(fourier.fourier_of_rows, "double")
    assert compile_ir(text, tier="quick").address("fourier_of_rows")
    declared = [line for line in text.splitlines() if line.startswith("declare")]
    assert declared and all("@llvm." in line for line in declared)
    assert all(f"@{name}(" in text for name in fourier_passes.__all__)
