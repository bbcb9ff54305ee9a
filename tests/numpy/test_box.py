"""A box behaves as the array that it stands for: attributes, methods, operators, NumPy's protocols."""

import copy
import math

import numpy as onp
import pytest

import autograd_jit.numpy as np
from autograd_jit import grad
from autograd_jit.errors import ArgumentError, TracedValueError
from autograd_jit.trace.reverse import make_vjp_leaves
from autograd_jit.trace.tracer import getval, isbox
from tests.numpy.generator import assert_close, numeric_derivative

X = onp.array([[0.5, -1.2, 2.0], [1.5, 0.3, -0.7]])


def traced(fun, x=X):
    """``fun``'s result on a traced ``x``, as plain values."""
    return make_vjp_leaves(lambda leaves: fun(leaves[0]), [x])[1]


def check(fun, x=X, same=True):
    """Value as on the plain array, and the reverse derivative as the numerical one."""
    pull, outs, _ = make_vjp_leaves(lambda leaves: fun(leaves[0]), [x])
    if same:
        onp.testing.assert_allclose(outs[0], fun(x))
    tangent = onp.random.default_rng(0).standard_normal(onp.shape(x))
    numeric = numeric_derivative(lambda leaves: [fun(leaves[0])], [x], [tangent])
    g = onp.random.default_rng(1).standard_normal(onp.shape(outs[0]))
    (gradient,) = pull([g])
    gradient = onp.zeros_like(x) if gradient is None else gradient
    assert onp.shape(gradient) == onp.shape(x)
    assert_close([onp.sum(gradient * tangent)], [onp.sum(g * numeric[0])], "pairing")


METHODS = {
    "T": lambda x: x.T,
    "mT": lambda x: x.mT,
    "real": lambda x: x.real,
    "imag": lambda x: x.imag,
    "astype": lambda x: x.astype(float),
    "clip": lambda x: x.clip(-0.5, 1.0),
    "clip None": lambda x: x.clip(None, 1.0),
    "compress": lambda x: x.compress([True, False], axis=0),
    "conj": lambda x: x.conj(),
    "conjugate": lambda x: x.conjugate(),
    "copy": lambda x: x.copy(),
    "cumprod": lambda x: x.cumprod(1),
    "cumsum": lambda x: x.cumsum(axis=0),
    "diagonal": lambda x: x.diagonal(1),
    "dot": lambda x: x.dot(onp.ones(3)),
    "flatten": lambda x: x.flatten("F"),
    "item": lambda x: x.item(4),
    "item of two": lambda x: x.item(1, 0),
    "item of tuple": lambda x: x.item((1, 0)),
    "max": lambda x: x.max(),
    "mean": lambda x: x.mean(0),
    "min": lambda x: x.min(axis=1, keepdims=True),
    "prod": lambda x: x.prod(),
    "ravel": lambda x: x.ravel(),
    "repeat": lambda x: x.repeat(2, axis=1),
    "reshape": lambda x: x.reshape(3, 2),
    "reshape of tuple": lambda x: x.reshape((3, -1), order="F"),
    "squeeze": lambda x: x[:1].squeeze(0),
    "std": lambda x: x.std(ddof=1),
    "sum": lambda x: x.sum(axis=(0, 1)),
    "swapaxes": lambda x: x.swapaxes(0, 1),
    "take": lambda x: x.take([0, 5]),
    "trace": lambda x: x.trace(),
    "transpose": lambda x: x.transpose(1, 0),
    "transpose tuple": lambda x: x.transpose((1, 0)),
    "transpose none": lambda x: x.transpose(None),
    "var": lambda x: x.var(1),
    "view": lambda x: x.view(),
    "pos": lambda x: +x,
    "neg": lambda x: -x,
    "abs": lambda x: abs(x),
    "radd": lambda x: 1 + x,
    "rsub": lambda x: 1.0 - x,
    "rdiv": lambda x: 2 / x,
    "rpow": lambda x: 2.0**x,
    "pow": lambda x: x**3,
    "mod": lambda x: x % 0.9,
    "rmod": lambda x: 0.9 % (x + 3.0),
    "divmod": lambda x: divmod(x, 0.9)[1],
    "rdivmod": lambda x: divmod(2.0, x + 3.0)[1],
    "matmul": lambda x: x @ onp.ones((3, 2)),
    "rmatmul": lambda x: onp.ones((4, 2)) @ x,
    "array first": lambda x: onp.ones((2, 3)) * x,
    "scalar first": lambda x: onp.float64(2.0) * x,
    "iteration": lambda x: sum(row[0] * row[1] for row in x),
    "unpacking": lambda x: (lambda a, b: a * b)(*x),
    "reversed": lambda x: np.stack(list(reversed(list(x)))),
    "deepcopy": lambda x: copy.deepcopy(x) * x,
    "shallow copy": lambda x: copy.copy(x) * x,
    "flat": lambda x: sum(v * v for v in x.flat),
    "index slice": lambda x: x[::-1, 1:],
    "index none": lambda x: x[None, ..., 0],
    "index mask": lambda x: x[x > 0],
    "index list": lambda x: x[[0, 1, 1]],
    "index pair": lambda x: x[[0, 1], [2, 2]],
}


@pytest.mark.parametrize("name", METHODS)
def test_methods_and_operators(name):
    check(METHODS[name])


def test_tolist_keeps_traced_numbers():
    check(lambda x: x.tolist()[1][2] * 2.0)


def test_plain_attributes():
    seen = {}

    def fun(x):
        names = "shape ndim size dtype itemsize nbytes strides device".split()
        seen.update({name: getattr(x, name) for name in names})
        seen["flags"] = x.flags.c_contiguous
        seen["len"] = len(x)
        return np.sum(x)

    traced(fun)
    assert seen == {
        "shape": (2, 3), "ndim": 2, "size": 6, "dtype": X.dtype, "itemsize": 8, "nbytes": 48,
        "strides": (24, 8), "device": "cpu", "flags": True, "len": 2,
    }  # fmt: skip


def test_numbers_and_text():
    def fun(x):
        y = x[0, 0]
        assert (float(y), int(y + 1), complex(y), round(y), math.floor(y), math.ceil(y)) == (0.5, 1, 0.5, 0, 0, 1)
        assert f"{y:.2f}" == "0.50"
        assert "with value" in repr(y)
        assert 0.5 in x and 17.0 not in x
        assert bool(y)
        return y

    traced(fun)


def test_comparisons_and_searches_are_plain():
    def fun(x):
        for result in (x > 0, x == x, x.argmax(), x.argsort(), x.any(), x.all(), x.nonzero(), x.round(), x // 1):
            assert not any(map(isbox, result)) if isinstance(result, tuple) else not isbox(result)
        assert x.searchsorted is not None and x.argpartition(1).shape == x.shape
        return x[0, 0]

    traced(fun)


def test_every_public_attribute_of_ndarray():
    from autograd_jit.numpy.array_box import ArrayBox

    without_meaning = set("byteswap ctypes data dump dumps getfield setfield setflags tobytes tofile".split())
    public = {name for name in dir(onp.ndarray) if not name.startswith("_")}
    assert public - set(dir(ArrayBox)) == without_meaning


def test_writing_is_refused_by_name():
    def assign(x):
        x[0] = 1.0

    for write in (assign, lambda x: x.sort(), lambda x: x.fill(0.0), lambda x: x.put([0], 1.0), lambda x: x.resize(6)):
        with pytest.raises(TracedValueError, match="writes into a traced array"):
            traced(write)


def test_rebinding_operators():
    def fun(x):
        x += 1.0
        x *= x
        return x

    check(fun, same=False)


def test_plain_array_updated_with_traced():
    def fun(x):
        total = onp.zeros((2, 3))
        total += x
        total *= x
        return total

    check(fun, same=False)

    def single(x):
        total = onp.zeros((2, 3), onp.float32)
        total += x
        assert total.dtype == onp.float32
        return total

    traced(single)

    def growing(x):
        total = onp.zeros(3)
        total += x
        return total

    with pytest.raises(ValueError, match="non-broadcastable"):
        traced(growing)

    def integers(x):
        total = onp.zeros((2, 3), int)
        total += x
        return total

    with pytest.raises(TypeError, match="Cannot cast"):
        traced(integers)


PLAIN_NUMPY = {
    "ufunc": lambda x: onp.sin(x),
    "binary": lambda x: onp.multiply(onp.ones(3), x),
    "abs": lambda x: onp.abs(x),
    "divide": lambda x: onp.true_divide(x, 2.0),
    "remainder": lambda x: onp.mod(x, 0.9),
    "function": lambda x: onp.sum(x, axis=0),
    "concatenate": lambda x: onp.concatenate([x, onp.ones((1, 3))]),
    "stack": lambda x: onp.stack([x, x]),
    "where": lambda x: onp.where(X > 0, x, 0.0),
    "einsum": lambda x: onp.einsum("ij,kj->ik", x, x),
    "linalg": lambda x: onp.linalg.norm(x),
    "inv": lambda x: onp.linalg.inv(x[:, :2]),
    "fft": lambda x: onp.real(onp.fft.fft(x)),
    "add.reduce": lambda x: onp.add.reduce(x),
    "maximum.reduce": lambda x: onp.maximum.reduce(x, axis=1),
    "multiply.accumulate": lambda x: onp.multiply.accumulate(x),
    "multiply.outer": lambda x: onp.multiply.outer(x, onp.arange(2.0)),
    "matmul": lambda x: onp.matmul(x, x.T),
    "vecdot": lambda x: onp.vecdot(x, x),
    "zeros_like": lambda x: onp.zeros_like(x) + x,
    "median": lambda x: onp.median(x),
    "trapezoid": lambda x: onp.trapezoid(x, axis=1),
}


@pytest.mark.parametrize("name", PLAIN_NUMPY)
def test_plain_numpy_functions(name):
    check(PLAIN_NUMPY[name])


def test_scipys_ufuncs():
    special = pytest.importorskip("scipy.special")
    check(lambda x: special.erf(x))


def test_plain_functions_without_derivative_say_so():
    for fun, name in ((lambda x: onp.union1d(x, x), "union1d"), (lambda x: onp.add.at(x, 0, 1.0), "add.at")):
        with pytest.raises(TracedValueError, match=name):
            traced(fun)


def test_out_is_refused():
    with pytest.raises(TracedValueError, match="out="):
        traced(lambda x: onp.add(x, 1.0, out=onp.zeros((2, 3))))
    for fun in (
        lambda x: np.sin(x, out=onp.zeros((2, 3))),
        lambda x: np.sum(x, out=onp.zeros(())),
        lambda x: np.sin(x, where=X > 0),
        lambda x: np.matmul(x, onp.ones(3), out=onp.zeros(2)),
        lambda x: np.cumsum(x, out=onp.zeros(6)),
        lambda x: np.dot(x, onp.ones(3), out=onp.zeros(2)),
    ):
        with pytest.raises(ArgumentError, match=r"(out|where)="):
            traced(fun)


def test_a_plain_array_is_never_made_of_a_box():
    with pytest.raises(TracedValueError, match="plain array"):
        traced(lambda x: onp.asarray(x))
    with pytest.raises(TracedValueError, match="plain array"):
        make_vjp_leaves(lambda outer: make_vjp_leaves(lambda inner: onp.asarray(inner[0]), [outer[0]])[1], [X])


def test_shape_and_dtype_functions_are_plain():
    def fun(x):
        assert np.shape(x) == (2, 3) and np.ndim(x) == 2 and np.size(x) == 6 and np.size(x, 1) == 3
        assert np.result_type(x, onp.float32) == onp.float64 and np.isscalar(x) is False
        assert np.iscomplexobj(x) is False and np.isrealobj(x)
        for made in (np.zeros_like(x), np.ones_like(x, dtype=int), np.empty_like(x, shape=2), np.full_like(x, 2.0)):
            assert type(made) is onp.ndarray
        assert np.array_equal(x, X) and np.allclose(x, X) and np.isclose(x, X).all() and np.array_equiv(x, X)
        return x[0, 0]

    traced(fun)
    check(lambda x: np.full_like(onp.zeros(2), x[0, 0]))


def test_storing_a_traced_value_into_a_plain_array_raises():
    """The derivative would be lost without a word."""

    def stores(x):
        y = onp.zeros(3)
        y[0] = x[0] * 2
        return np.sum(y) + x[1]

    for differentiated in (grad(stores), grad(stores, jit=True)):
        with pytest.raises(ValueError, match="array element") as info:
            differentiated(onp.ones(3))
        assert "would lose its derivative" in str(info.value.__cause__)
    assert grad(lambda x: x[0] * float(x[1]))(onp.full(2, 2.0)).tolist() == [2.0, 0.0]


def test_random_names():
    assert {name for name in dir(onp.random) if not name.startswith("_")} <= set(dir(np.random))
    for name in dir(onp.random):
        assert getattr(np.random, name) is not None
    np.random.seed(3)
    first = np.random.randn(2)
    onp.random.seed(3)
    onp.testing.assert_array_equal(first, onp.random.randn(2))
    assert not isbox(traced(lambda x: (x, getval(np.random.normal(x))))[1])


def test_concatenators():
    check(lambda x: np.r_[x[0], 0.0, x[1, 0], 1:3])
    check(lambda x: np.c_[x[0], x[1], onp.ones(3)])
    check(lambda x: np.r_["0,2", x[0], x[1]])
    check(lambda x: np.r_["1", x, x])


def test_put_along_axis_writes_plain_arrays_only():
    x = onp.zeros((2, 2))
    assert np.put_along_axis(x, onp.array([[0], [1]]), 3.0, 1) is x and x[0, 0] == 3.0


@pytest.mark.parametrize("jit", [False, True])
def test_casts_to_integers_by_numpys_types_are_steps_of_zero_derivative(jit):
    def pick(w):
        rows = np.int64(w[:, -1])
        return np.sum(w[rows, :1] * w[:, :-1] ** 2)

    gradient = grad(pick, jit=jit)
    for shift in (0.0, 0.0, 0.25):
        w = onp.array([[1.0, 2.0, 1.4], [3.0, 4.0, 0.2]]) + shift
        rows = w[:, -1].astype(int)
        want = onp.zeros_like(w)
        want[:, :-1] = 2 * w[:, :-1] * w[rows, :1]
        onp.add.at(want[:, 0], rows, onp.sum(w[:, :-1] ** 2, 1))
        onp.testing.assert_allclose(gradient(w), want, rtol=1e-13)
