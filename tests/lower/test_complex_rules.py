"""Complex numbers as pairs: the rules at infinities, NaN, zeros of both signs and the ends of the range are NumPy's."""

import numpy as np
import pytest

import autograd_jit.numpy as anp
from autograd_jit import grad, jit
from autograd_jit.lower.program import lower
from autograd_jit.trace.recorder import Recorder

INF, NAN = np.inf, np.nan
ENDS = {
    np.complex128: [0.0, -0.0, 1.0, -1.0, INF, -INF, NAN, 5e-324, -1e-310, 1e200, -1e308, 1e-200, 0.5, -750.0, 1500.0]
    + [710.0, 2200.0, 3.0, 20.0, 1e-9, -0.3, 360.0, -400.0],
    np.complex64: [0.0, -0.0, 1.0, -1.0, INF, -INF, NAN, 1e-45, -1e-40, 1e30, -1e38, 1e-30, 0.5, -95.0, 190.0]
    + [80.0, 300.0, 3.0, 20.0, 1e-9, -0.3, 44.0, -50.0],
}
#: in units of the last place of the larger part, about: sums of a few roundings and libmvec's functions
PRECISION = {np.complex128: 2e-14, np.complex64: 4e-6}

UNARY = {
    **{name: getattr(anp, name) for name in "negative positive conj square reciprocal absolute exp exp2 expm1".split()},
    **{name: getattr(anp, name) for name in "log log2 log10 sqrt sinh cosh tanh sin cos tan".split()},
    **{name: getattr(anp, name) for name in "angle real imag isnan isinf isfinite".split()},
    **{f"power {n}": (lambda z, n=n: anp.power(z, n)) for n in (-3, -2, -1, 0, 1, 2, 3, 4, 7)},
    **{f"** {n}": (lambda z, n=n: z**n) for n in (-2, -1, 1, 2, 3)},
    "plus one": lambda z: z + 1,
    "by a real": lambda z: 2.0 * z,
    "one over": lambda z: 1 / z,
    "by 1j": lambda z: 1j * z,
    "parts": lambda z: z.real + 1j * z.imag,
    "is one": lambda z: z == 1.0,
}
BINARY = {
    **{name: getattr(anp, name) for name in "add subtract multiply divide equal not_equal".split()},
    "where": lambda x, y: anp.where(x == y, x, y),
    "divided by a real": lambda x, y: x / y.real,
    "a real divided": lambda x, y: x.real / y,
    "by a real": lambda x, y: x * y.real,
}


@pytest.fixture(autouse=True)
def quiet():
    """What NumPy warns of at special values is no matter here."""
    with np.errstate(all="ignore"):
        yield


def program_of(function, *args):
    recorder = Recorder("tape")
    boxes = [recorder.add_input(x, f"x{i}") for i, x in enumerate(args)]
    return lower(recorder.finish(function(*boxes)))


def assert_kinds(got, want, precision: float) -> None:
    """Equal NaN, infinities and signs of zeros in each part, and values as near as ``precision`` of the larger part."""
    assert got.dtype == want.dtype and got.shape == want.shape
    if want.dtype == bool:
        np.testing.assert_array_equal(got, want)
        return
    size = np.maximum(np.abs(want.real), np.abs(want.imag))
    for x, y in ((got.real, want.real), (got.imag, want.imag)):
        np.testing.assert_array_equal(np.isnan(x), np.isnan(y))
        known = ~np.isnan(y)
        far = known & (np.isinf(x) | np.isinf(y))
        np.testing.assert_array_equal(x[far], y[far])
        zero = known & (x == 0) & (y == 0)
        np.testing.assert_array_equal(np.signbit(x[zero]), np.signbit(y[zero]))
        near = known & ~far & np.isfinite(size)
        allowed = precision * size[near] + 4 * np.finfo(y.dtype).smallest_subnormal
        assert (np.abs(x[near] - y[near]) <= allowed).all()


def check(function, args, precision: float) -> None:
    program = program_of(function, *args)
    assert not program.steps, program.steps
    (got,) = program.run(args)
    assert_kinds(np.asarray(got), np.asarray(function(*args)), precision)


@pytest.mark.parametrize("dtype", ENDS)
@pytest.mark.parametrize("name", UNARY)
def test_functions_of_one_number(name, dtype):
    ends = np.array([complex(a, b) for a in ENDS[dtype] for b in ENDS[dtype]])
    check(UNARY[name], (ends.astype(dtype),), PRECISION[dtype])
    rng = np.random.default_rng(0)
    ordinary = (rng.normal(size=300) + 1j * rng.normal(size=300)) * 10 ** rng.uniform(-3, 1, 300)
    check(UNARY[name], (ordinary.astype(dtype),), PRECISION[dtype] / 5)


@pytest.mark.parametrize("dtype", ENDS)
@pytest.mark.parametrize("name", BINARY)
def test_functions_of_two_numbers(name, dtype):
    ends = np.array([complex(a, b) for a in ENDS[dtype][:13] for b in ENDS[dtype][:13]]).astype(dtype)
    check(BINARY[name], (np.repeat(ends, len(ends)), np.tile(ends, len(ends))), PRECISION[dtype])


def test_logarithms_near_the_unit_circle_are_those_of_the_exact_distance():
    rng = np.random.default_rng(1)
    z = np.exp(1j * rng.uniform(-3, 3, 500)) * (1 + rng.normal(size=500) * 10.0 ** rng.uniform(-15, 0, 500))
    (got,) = program_of(anp.log, z).run((z,))
    np.testing.assert_allclose(got.real, np.log(z).real, rtol=1e-12, atol=1e-30)


def complexes(*shape, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=shape) + 1j * rng.normal(size=shape)


PRODUCTS = {
    "vectors": ((5,), (5,)),
    "one element": ((1,), (1,)),
    "matrix and vector": ((4, 5), (5,)),
    "vector and matrix": ((5,), (5, 3)),
    "matrices": ((4, 5), (5, 3)),
    "stacks": ((2, 1, 4, 3), (3, 3, 2)),
    "column and row": ((4, 1), (1, 3)),
    "row and column": ((1, 5), (5, 1)),
    "by BLAS": ((30, 31), (31, 32)),
    "nothing to add": ((3, 0), (0, 2)),
}


@pytest.mark.parametrize("kinds", ["complex complex", "real complex", "complex real"])
@pytest.mark.parametrize("name", PRODUCTS)
def test_products(name, kinds):
    operands = [complexes(*shape, seed=i) for i, shape in enumerate(PRODUCTS[name])]
    x, y = [z if kind == "complex" else z.real.copy() for z, kind in zip(operands, kinds.split(), strict=True)]
    check(anp.matmul, (x, y), 1e-12)
    if not x.size:
        return
    for special in (INF, NAN, -0.0, *([complex(0, INF), complex(NAN, 1)] if x.dtype == complex else [])):
        x = x.copy()
        x.flat[0] = special
        check(anp.matmul, (x, y), 1e-11)


@pytest.mark.parametrize("labels, shapes", [
    ("ij,jk->ik", ((2, 3), (3, 4))), ("i,j->ij", ((3,), (4,))), ("ijk->k", ((2, 3, 4),)), ("ij,ij->", ((3, 4), (3, 4))),
])  # fmt: skip
def test_einsum(labels, shapes):
    operands = tuple([complexes(*shape, seed=i) for i, shape in enumerate(shapes)])
    check(lambda *args: anp.einsum(labels, *args), operands, 1e-13)
    mixed = (*operands[:-1], operands[-1].real.copy()) if len(operands) > 1 else operands
    check(lambda *args: anp.einsum(labels, *args), mixed, 1e-13)


PARTWISE = {
    "reshape of a transpose": lambda z: z.T.reshape(-1),
    "slice": lambda z: z[1:, ::2],
    "index array": lambda z: z[np.array([2, 0, 0])],
    "mask": lambda z: z[z.real > 0],
    "concatenate": lambda z: anp.concatenate([z[:1], z.real, z * 1j]),
    "stack": lambda z: anp.stack([z, z.imag]),
    "roll": lambda z: anp.roll(z, 1, axis=0),
    "flip": lambda z: z[::-1],
    "broadcast": lambda z: anp.broadcast_to(z[0] * 1, (3, *z.shape[1:])),
    "sum": lambda z: anp.sum(z, axis=0),
    "mean": lambda z: anp.mean(z),
    "trace": lambda z: anp.trace(z),
    "cumsum": lambda z: anp.cumsum(z, axis=1),
    "kron": lambda z: anp.kron(z, z.real),
    "astype": lambda z: z.real.astype(complex) + z.astype(np.complex64),
    "where with a number": lambda z: anp.where(z.real > 0, z, 1.5),
    "a constant": lambda z: z * complexes(3, 4, seed=7),
    "a scalar": lambda z: z[0, 1] * 2j,
}


@pytest.mark.parametrize("name", PARTWISE)
def test_functions_of_both_parts_alike(name):
    z = complexes(3, 4)
    check(PARTWISE[name], (z,), 1e-6 if name == "astype" else 1e-14)


def test_python_steps_read_and_write_complex_arrays():
    def function(z):
        return anp.linalg.inv(z * 2) + z

    z = complexes(3, 3) + 3 * np.eye(3)
    program = program_of(function, z)
    assert len(program.steps) == 1
    np.testing.assert_allclose(program.run((z,))[0], function(z), rtol=1e-14)


def test_branches_on_complex_values():
    def function(z):
        return z * 2 if z[0] else z + complex(z[1])

    compiled = jit(function)
    for z in (np.array([1j, 2]), np.array([0j, 2]), np.array([1 + 1j, 2]), np.array([0j, 3j]), np.array([0j, 2])):
        np.testing.assert_array_equal(compiled(z), function(z))
    assert compiled.stats.traces == 3  # a truth value, and two numbers


def test_complex_scalars_go_in_and_come_out():
    compiled = jit(lambda a, z: (z * a, anp.abs(a) * 2, a))
    for a in (1 + 2j, 0.5 - 1j):
        for scalar in (complex(a), np.complex128(a), np.complex64(a)):
            got, want = compiled(scalar, complexes(3)), (complexes(3) * scalar, np.abs(scalar) * 2, scalar)
            np.testing.assert_allclose(got[0], want[0], rtol=1e-15)
            np.testing.assert_allclose(got[1], want[1], rtol=1e-6)
            assert got[2] is scalar and got[0].dtype == want[0].dtype


def test_captured_complex_arrays_are_inputs():
    weights = complexes(4)
    compiled = jit(lambda x: anp.sum(anp.abs(weights * x)))
    compiled(np.ones(4))
    weights[0] = 10j
    np.testing.assert_allclose(compiled(np.ones(4)), np.sum(np.abs(weights)), rtol=1e-15)
    assert compiled.stats.traces == 1


def test_gradients_are_one_fused_native_program():
    w = complexes(200)

    def loss(x):
        return anp.sum(anp.abs(w / (x + 1j * x**2 + 2) + anp.exp(1j * x)))

    x = np.linspace(-1, 1, 200)
    compiled = jit(grad(loss))
    np.testing.assert_allclose(compiled(x), grad(loss)(x), rtol=1e-13)
    compiled(x)
    assert "ython step" not in str(compiled.explain())
    assert compiled.stats.replays >= 1


def test_parts_are_put_together_without_a_product():
    from autograd_jit.numpy.special_elementwise import complex_of

    check(complex_of, (np.array([INF, -0.0, NAN, 1.0]), np.array([1.0, INF, -0.0, NAN])), 0.0)


def test_comparisons_with_python_scalars_take_the_precision_of_the_array():
    z = np.array([0.1 + 0j, 0.3], np.complex64)
    compiled = jit(lambda z, a: (z == a, z != a, z == 0.1))
    for a in (0.1, 0.3, 0.1):
        for got, want in zip(compiled(z, a), (z == a, z != a, z == 0.1), strict=True):
            np.testing.assert_array_equal(got, want)
    for a in (0.1 + 0j, np.float64(0.1)):
        np.testing.assert_array_equal(jit(lambda z, a: z == a)(z, a), z == a)
