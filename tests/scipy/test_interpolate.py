"""Interpolants, image filters and sparse products: values as SciPy's, derivatives against numerical ones."""

import numpy as np
import pytest
import scipy.interpolate as si
import scipy.ndimage as sn
import scipy.sparse as ss

import autograd_jit.scipy
from autograd_jit.errors import ArgumentError, TracedValueError
from autograd_jit.scipy import interpolate, ndimage, sparse
from autograd_jit.scipy.sparse import linalg as sparse_linalg
from tests.numeric import check, gradient

KNOTS = np.array([0.0, 0.5, 1.2, 2.0, 3.1, 4.0])
VALUES = np.random.default_rng(0).normal(size=(6, 2))
QUERY = np.array([[0.2, 0.9, 2.7], [3.3, 1.5, 3.9]])


def value_of(f, *args):
    seen = []
    gradient(lambda *boxes: seen.append(f(*boxes)) or boxes[0])(*args)
    return seen[0]._value


@pytest.mark.parametrize("bc_type", ["not-a-knot", "natural", "clamped", ((1, 0.5), (2, -1.0))], ids=str)
@pytest.mark.parametrize("nu", [0, 1])
def test_cubic_spline(nu, bc_type):
    f = lambda m: lambda y, x: m.CubicSpline(KNOTS, y, bc_type=bc_type)(x, nu)
    values = VALUES[:, 0]
    check(f(interpolate), values, QUERY, tol=1e-6)
    assert np.allclose(value_of(f(interpolate), values, QUERY), f(si)(values, QUERY))
    if isinstance(bc_type, str):
        check(f(interpolate), VALUES, QUERY, tol=1e-6)


def test_axes_and_derivatives_of_splines():
    f = lambda m: lambda y, x: m.CubicSpline(KNOTS, y, axis=1)(x)
    check(f(interpolate), VALUES.T, QUERY, tol=1e-6)
    assert np.allclose(value_of(f(interpolate), VALUES.T, QUERY), f(si)(VALUES.T, QUERY))
    check(lambda y, x: interpolate.CubicSpline(KNOTS, y).derivative()(x), VALUES, QUERY[0], tol=1e-6)


@pytest.mark.parametrize("kind", ["linear", "quadratic", "cubic"])
def test_interp1d(kind):
    order = np.array([3, 0, 5, 1, 2, 4])
    f = lambda m: lambda y, x: m.interp1d(KNOTS[order], y, kind)(x)
    values = VALUES.T[:, order]
    check(f(interpolate), values, QUERY, tol=1e-6)
    assert np.allclose(value_of(f(interpolate), values, QUERY), f(si)(values, QUERY))
    outside = QUERY + 1.07  # no query within a step of a knot, or of a midpoint, where pieces meet
    g = lambda m: lambda y, x: m.interp1d(KNOTS, y, kind, bounds_error=False, fill_value=(-1.0, 2.0))(x)
    check(g(interpolate), VALUES.T, outside, tol=1e-6)
    assert np.allclose(value_of(g(interpolate), VALUES.T, outside), g(si)(VALUES.T, outside))
    h = lambda m: lambda y, x: m.interp1d(KNOTS, y, kind, fill_value="extrapolate")(x)
    check(h(interpolate), VALUES.T, outside, tol=1e-6)
    with pytest.raises(ValueError, match="outside"):
        gradient(f(interpolate))(values, outside)


def test_make_interp_spline():
    f = lambda m: lambda y: m.make_interp_spline(KNOTS, y, 3)(QUERY)
    check(f(interpolate), VALUES, tol=1e-6)
    assert np.allclose(value_of(f(interpolate), VALUES), f(si)(VALUES))


def test_interpolation_refuses_what_it_cannot_do():
    with pytest.raises(ArgumentError, match="x="):
        gradient(lambda x: interpolate.CubicSpline(x, VALUES)(1.0))(KNOTS)
    with pytest.raises(ArgumentError, match="kind"):
        interpolate.interp1d(KNOTS, VALUES, "nearest", axis=0)
    with pytest.raises(ArgumentError, match="periodic"):
        gradient(lambda y: interpolate.CubicSpline(KNOTS, y, bc_type="periodic")(1.0))(VALUES)
    assert interpolate.PchipInterpolator is si.PchipInterpolator


@pytest.mark.parametrize("mode", ["reflect", "mirror", "nearest", "wrap", "constant"])
@pytest.mark.parametrize(("size", "origin"), [((3, 3), 0), ((2, 3), 0), ((3, 4), (1, -1)), ((4, 2), (-1, 0))], ids=str)
@pytest.mark.parametrize("name", ["convolve", "correlate"])
def test_image_filters(name, size, origin, mode):
    image, weights = np.random.default_rng(0).normal(size=(6, 5)), np.random.default_rng(1).normal(size=size)
    f = lambda m: lambda a, w: getattr(m, name)(a, w, mode=mode, cval=0.7, origin=origin)
    check(f(ndimage), image, weights)
    assert np.allclose(value_of(f(ndimage), image, weights), f(sn)(image, weights))


@pytest.mark.parametrize("shape", [(4,), (4, 3)], ids=str)
def test_sparse(shape):
    a = ss.random(5, 4, 0.5, format="csr", random_state=0)
    square = ss.csc_array(np.diag(np.arange(1.0, 5.0)) + np.eye(4, k=1))
    x = np.random.default_rng(0).normal(size=shape)
    check(lambda y: sparse.matmul(a, y), x)
    check(lambda y: sparse.matmul(y.T, a.T), x)
    check(lambda y: sparse_linalg.spsolve(square, y), x)
    assert np.allclose(value_of(lambda y: sparse.matmul(a, y), x), a @ x)
    with pytest.raises(TracedValueError):
        gradient(lambda y: a @ y)(x)


def test_submodules_are_found_lazily():
    assert autograd_jit.scipy.ndimage is ndimage
    assert autograd_jit.scipy.constants.pi == np.pi
    with pytest.raises(AttributeError, match="no attribute"):
        autograd_jit.scipy.nothing
