"""The operators against numbers worked out by hand, against Autograd where it is right, and on bad input."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import inspect
import threading
import warnings
from collections import OrderedDict, namedtuple

import autograd
import autograd.differential_operators
import autograd.numpy as autograd_numpy
import numpy as onp
import pytest

import autograd_jit
import autograd_jit.numpy as np
from autograd_jit import (
    checkpoint,
    deriv,
    elementwise_grad,
    grad,
    grad_and_aux,
    grad_named,
    hessian,
    hessian_tensor_product,
    hessian_vector_product,
    holomorphic_grad,
    hvp,
    jacobian,
    make_ggnvp,
    make_hvp,
    make_jvp,
    make_jvp_reversemode,
    make_vjp,
    multigrad_dict,
    tensor_jacobian_product,
    value_and_grad,
    vector_jacobian_product,
)
from autograd_jit.errors import (
    ArgumentError,
    AutogradJitError,
    NonDifferentiableError,
    NonScalarOutputError,
)
from autograd_jit.extend import defvjp, primitive
from tests.jit_support import assert_same

X = onp.array([0.5, -1.0, 2.0])
A = onp.array([[1.0, 2.0, 0.5], [0.3, -1.0, 4.0]])


def close(actual, expected, tolerance=1e-12):
    """Equal structure, types of containers, shapes and dtypes; close values."""
    if isinstance(expected, dict):
        assert type(actual) is type(expected) and list(actual) == list(expected)
        for key in expected:
            close(actual[key], expected[key], tolerance)
    elif isinstance(expected, (list, tuple)):
        assert type(actual) is type(expected) and len(actual) == len(expected)
        for one, other in zip(actual, expected):
            close(one, other, tolerance)
    else:
        assert onp.shape(actual) == onp.shape(expected)
        assert onp.result_type(actual) == onp.result_type(expected)
        onp.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance)


def foo(x, y=2.0):
    return x * x * y


# ---------------------------------------------------------------- names and documentation


@pytest.mark.parametrize(
    "operator",
    "grad value_and_grad elementwise_grad deriv jacobian hessian holomorphic_grad grad_and_aux make_vjp make_jvp "
    "make_hvp make_jvp_reversemode hessian_tensor_product hessian_vector_product tensor_jacobian_product "
    "vector_jacobian_product".split(),
)
@pytest.mark.parametrize("argnum", [0, 1, [0, 1], (0, 1)])
def test_results_are_named_and_documented_as_autograds(operator, argnum):
    ours = getattr(autograd_jit, operator)(foo, argnum)
    theirs = getattr(autograd.differential_operators, operator)(foo, argnum)
    assert ours.__name__ == theirs.__name__
    assert ours.__doc__ == theirs.__doc__


def test_names_of_the_other_operators():
    assert grad_named(foo, "y").__name__ == autograd.grad_named(foo, "y").__name__
    assert make_ggnvp(foo).__name__ == autograd.differential_operators.make_ggnvp(foo).__name__
    assert grad(functools.partial(foo, y=3.0)).__name__ == autograd.grad(functools.partial(foo, y=3.0)).__name__
    assert checkpoint(foo).__name__ == "foo"


def test_the_signature_is_the_functions():
    assert list(inspect.signature(grad(foo)).parameters) == ["x", "y"]


# ---------------------------------------------------------------- against Autograd


CASES = [
    (lambda np: lambda x: np.sum(np.sin(x) * x), (X,)),
    (lambda np: lambda x, y: np.sum(np.dot(x, y) ** 2), (A, X)),
    (lambda np: lambda x: x**3, (1.5,)),
    (lambda np: lambda p: np.sum(p["w"] * p["b"]) ** 2, ({"w": X, "b": 2.0},)),
    (lambda np: lambda p: np.sum(p[0] @ p[1][0]) * p[1][1], ((A, [X, 3.0]),)),
]


@pytest.mark.parametrize("make,args", CASES)
@pytest.mark.parametrize("operator", ["grad", "value_and_grad"])
def test_gradients_agree_with_autograd(make, args, operator):
    ours = getattr(autograd_jit, operator)(make(np))(*args)
    theirs = getattr(autograd, operator)(make(autograd_numpy))(*args)
    close(ours, theirs)


@pytest.mark.parametrize("argnum", [0, 1, -1, -2, (0, 1), [1, 0], (-1, 0)])
def test_argnums(argnum):
    fun = lambda np: lambda x, y: np.sum(np.dot(x, y) ** 2)
    close(grad(fun(np), argnum)(A, X), autograd.grad(fun(autograd_numpy), argnum)(A, X))


@pytest.mark.parametrize("operator", ["jacobian", "hessian"])
@pytest.mark.parametrize(
    "make,args",
    [
        (lambda np: lambda x: np.sin(x) * x[0], (X,)),
        (lambda np: lambda x: np.outer(x, x**2), (X,)),
        (lambda np: lambda x: np.sum(x**3), (X,)),
        (lambda np: lambda w, x: np.tanh(np.dot(w, x)), (A, X)),
        (lambda np: lambda x: x**3, (1.5,)),
        (lambda np: lambda t: np.sin(t) * np.arange(1.0, 5.0), (1.5,)),
        (lambda np: lambda x: np.dot(np.arange(24.0).reshape(8, 3), x**2), (X,)),
        (lambda np: lambda x: x[0] * x, (X[:1],)),
    ],
)
def test_jacobians_agree_with_autograd(operator, make, args):
    ours = getattr(autograd_jit, operator)(make(np))(*args)
    theirs = getattr(autograd, operator)(make(autograd_numpy))(*args)
    close(ours, theirs)


@pytest.mark.parametrize("argnum", [0, 1])
def test_products_agree_with_autograd(argnum):
    make = lambda np: lambda w, x: np.sum(np.tanh(np.dot(w, x)) ** 2)
    vector = [onp.cos(A), onp.cos(X)][argnum]
    for name in ("hessian_tensor_product", "hessian_vector_product"):
        close(
            getattr(autograd_jit, name)(make(np), argnum)(A, X, vector),
            getattr(autograd.differential_operators, name)(make(autograd_numpy), argnum)(A, X, vector),
        )
    close(hvp(make(np), argnum)(A, X, vector), hessian_vector_product(make(np), argnum)(A, X, vector))
    ours, theirs = make_hvp(make(np), argnum)(A, X), autograd.make_hvp(make(autograd_numpy), argnum)(A, X)
    close(ours[0](vector), theirs[0](vector))
    close(ours[1], theirs[1])


@pytest.mark.parametrize("vector", [onp.arange(2.0), onp.arange(6.0).reshape(2, 3)])
def test_tensor_jacobian_product_agrees_with_autograd(vector):
    make = lambda np: lambda x: np.outer(np.sin(x[:2]), x**2)
    for operator in (tensor_jacobian_product, vector_jacobian_product):
        close(
            operator(make(np))(X, vector),
            autograd.tensor_jacobian_product(make(autograd_numpy))(X, vector),
        )


def test_make_vjp_and_make_jvp_agree_with_autograd():
    make = lambda np: lambda w, x: np.tanh(np.dot(w, x))
    g, v = onp.array([1.0, -2.0]), onp.cos(A)
    for ours, theirs in [
        (make_vjp(make(np))(A, X), autograd.make_vjp(make(autograd_numpy))(A, X)),
        (make_vjp(make(np), 1)(A, X), autograd.make_vjp(make(autograd_numpy), 1)(A, X)),
    ]:
        close(ours[0](g), theirs[0](g))
        close(ours[1], theirs[1])
    close(make_jvp(make(np))(A, X)(v), autograd.make_jvp(make(autograd_numpy))(A, X)(v))
    close(
        make_jvp_reversemode(make(np))(A, X)(v),
        autograd.differential_operators.make_jvp_reversemode(make(autograd_numpy))(A, X)(v),
    )
    close(
        make_jvp(make(np), (0, 1))(A, X)((v, X)),
        autograd.make_jvp(make(autograd_numpy), (0, 1))(A, X)((v, X)),
    )


def test_make_ggnvp_agrees_with_autograd():
    f = lambda np: lambda x: np.tanh(np.dot(A, x))
    g = lambda np: lambda y: np.sum(y**4)
    v = onp.cos(X)
    close(make_ggnvp(f(np))(X)(v), autograd.make_ggnvp(f(autograd_numpy))(X)(v))
    close(make_ggnvp(f(np), g(np))(X)(v), autograd.make_ggnvp(f(autograd_numpy), g(autograd_numpy))(X)(v))


def test_elementwise_grad_deriv_and_holomorphic_grad_agree_with_autograd():
    make = lambda np: lambda x: np.sin(x) * x
    close(elementwise_grad(make(np))(X), autograd.elementwise_grad(make(autograd_numpy))(X))
    close(deriv(lambda t: np.array([t, t**2]))(3.0), onp.array([1.0, 6.0]))
    close(deriv(make(np))(X), autograd.deriv(make(autograd_numpy))(X))
    z = 1.0 + 2.0j
    close(holomorphic_grad(lambda z: np.exp(z) * z)(z), onp.exp(z) * (1 + z))
    assert deriv(lambda z: z**3)(z) == pytest.approx(3 * z**2)
    with pytest.warns(UserWarning, match="Input to holomorphic_grad is not complex"):
        assert holomorphic_grad(lambda z: z**3)(2.0) == 12.0


def test_higher_orders():
    assert grad(grad(grad(lambda x: x**4)))(2.0) == 48.0
    assert grad(lambda x: grad(lambda y: x * y**2)(3.0) * x)(2.0) == 24.0  # no confusion of levels
    close(jacobian(grad(lambda x: np.sum(x**3)))(X), onp.diag(6 * X))
    assert grad(lambda x: make_jvp(lambda y: y**3 * x)(x)(1.0)[1])(2.0) == 9 * 4.0


# ---------------------------------------------------------------- containers and types


Point = namedtuple("Point", "x y")


@dataclasses.dataclass
class Layer:
    weights: onp.ndarray
    bias: float
    name: str = "layer"


def test_namedtuple_dataclass_and_ordereddict():
    gradient = grad(lambda p: np.sum(p.x * p.y))(Point(X, 2.0))
    assert type(gradient) is Point
    close(gradient.x, onp.full(3, 2.0))
    gradient = grad(lambda layer: np.sum(layer.weights) * layer.bias)(Layer(X, 3.0))
    assert type(gradient) is Layer and gradient.name == "layer"
    close(gradient.weights, onp.full(3, 3.0))
    close(gradient.bias, onp.float64(1.5))
    gradient = grad(lambda d: d["b"] * d["a"])(OrderedDict(b=2.0, a=3.0))
    assert type(gradient) is OrderedDict and list(gradient) == ["b", "a"]


def test_the_function_sees_plain_containers():
    seen = []
    grad(lambda p: (seen.append((type(p), type(p["a"]), p["n"])), p["a"][0] * 2.0)[1])({"a": [1.0], "n": 3})
    assert seen == [(dict, list, 3)]


def test_leaves_without_derivative_pass_through():
    flags = onp.array([True, False])
    params = {"w": X, "n": 3, "on": True, "kind": "relu", "none": None, "ints": onp.arange(2), "flags": flags}

    def loss(p):
        assert p["n"] == 3 and p["on"] is True and p["kind"] == "relu" and p["none"] is None
        return np.sum(p["w"] ** p["n"]) + p["ints"][1]

    gradient = grad(loss)(params)
    close(gradient["w"], 3 * X**2)
    # zero, so that a step along the gradient leaves settings alone
    assert gradient["n"] == 0 and type(gradient["n"]) is int
    assert gradient["on"] is False and gradient["kind"] == "relu" and gradient["none"] is None
    assert gradient["ints"].tolist() == [0, 0] and gradient["flags"].tolist() == [False, False]
    assert list(gradient) == list(params)


def test_outputs_in_containers():
    out = {"a": lambda x: x**2, "b": (lambda x: x * 3.0,)}
    fun = lambda x: {"a": out["a"](x), "b": (out["b"][0](x), "text", 7)}
    vjp, value = make_vjp(fun)(X)
    close(value["a"], X**2)
    assert value["b"][1:] == ("text", 7)
    close(vjp({"a": onp.ones(3), "b": (onp.ones(3), None, None)}), 2 * X + 3)
    close(vjp({"a": None, "b": (onp.ones(3), None, None)}), onp.full(3, 3.0))
    value, tangent = make_jvp(fun)(X)(onp.ones(3))
    close(tangent["a"], 2 * X)
    close(tangent["b"][0], onp.full(3, 3.0))
    block = jacobian(fun)(X)
    close(block["a"], onp.diag(2 * X))
    close(block["b"][0], 3 * onp.eye(3))
    close(elementwise_grad(lambda x: [x**2, x])(X), 2 * X + 1)
    assert grad(lambda x: (x**2,))(3.0) == 6.0


def test_jacobian_of_containers():
    fun = lambda p: (np.outer(p["a"], p["c"]), p["b"] * p["a"])
    p = {"a": X, "b": 2.0, "c": onp.array([1.0, 4.0]), "n": 5}
    (outer, product) = jacobian(fun)(p)
    assert list(outer) == list(p) and outer["n"] == 0
    close(outer["a"], onp.einsum("ik,j->ijk", onp.eye(3), p["c"]))
    close(outer["c"], onp.einsum("i,jk->ijk", X, onp.eye(2)))
    close(outer["b"], onp.zeros((3, 2)))
    close(product["b"], X)
    close(product["c"], onp.zeros((3, 2)))
    second = hessian(lambda p: np.sum(p["a"] ** 2 * p["b"]))({"a": X, "b": 2.0})
    close(second["a"]["a"], 4 * onp.eye(3))
    close(second["a"]["b"], 2 * X)
    close(second["b"]["a"], 2 * X)
    close(second["b"]["b"], onp.float64(0.0))
    close(jacobian(lambda x, y: x * y, (0, 1))(X, 2.0), (2.0 * onp.eye(3), X))


def test_complex_jacobians():
    z = onp.array([1j, 2.0 - 1j])
    close(jacobian(lambda z: z**2)(z), onp.diag(2 * z))
    close(jacobian(lambda x: x * (1 + 2j))(X), onp.eye(3) * (1 + 2j))
    close(jacobian(lambda t: np.exp(1j * t))(0.5), onp.complex128(1j * onp.exp(0.5j)))
    # a real function: du/dx - i du/dy, as grad
    close(jacobian(lambda z: np.abs(z) ** 2)(z), onp.diag(2 * onp.conj(z)), 1e-9)
    close(jacobian(lambda z: np.real(z) * 1.0)(z), onp.eye(2) + 0j)
    with pytest.raises(NonDifferentiableError, match="not holomorphic"):
        jacobian(lambda z: np.conj(z) * z)(z)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "complex64", "complex128"])
def test_the_gradient_has_the_arguments_type(dtype):
    fun = lambda x: np.sum(np.real(x * x) * 2.0)
    array = onp.ones(3, dtype)
    assert grad(fun)(array).dtype == dtype
    scalar = onp.dtype(dtype).type(1)
    assert type(grad(fun)(scalar)) is type(scalar)
    assert type(grad(fun)(onp.array(1, dtype))) is onp.ndarray
    assert grad(lambda p: fun(p["a"]))({"a": array})["a"].dtype == dtype
    if array.dtype.kind == "f":
        assert jacobian(lambda x: x * 2.0)(array).dtype == dtype
        assert make_jvp(lambda x: x * 2.0)(array)(array)[1].dtype == dtype


def test_a_python_float_gives_a_float():
    for gradient in (grad(foo)(3.0), grad(foo, (0, 1))(3.0, 2.0)[1], hessian(foo)(3.0), jacobian(foo)(3.0)):
        assert isinstance(gradient, float)
    assert isinstance(grad(lambda z: np.abs(z))(3.0 + 4.0j), complex)
    half = primitive(lambda x: 0.5 * x)
    defvjp(half, lambda ans, x: lambda g: 0.5)  # a rule that returns a Python float
    assert type(grad(half)(3.0)) is onp.float64
    assert isinstance(value_and_grad(foo)(3.0)[0], float)


def test_arrays_of_size_one_count_as_scalar_outputs():
    close(grad(lambda x: np.sum(x, keepdims=True))(X), onp.ones(3))
    close(value_and_grad(lambda x: x * x)(onp.array([3.0]))[1], onp.array([6.0]))


def test_gradients_are_writable_and_share_no_memory():
    gradient = grad(np.sum)(X)  # a broadcast view inside
    gradient += 1.0
    first, second = grad(lambda x, y: np.sum((x + y) ** 2), (0, 1))(X, X.copy())
    first[:] = 0.0
    close(second, 4 * X)
    seed = onp.ones(3)
    pulled = make_vjp(lambda x: x + 0.0)(X)[0](seed)
    pulled[:] = 5.0
    close(seed, onp.ones(3))


# ---------------------------------------------------------------- choosing the argument


def test_argnum_by_name():
    def fun(x, y=2.0, *, scale=1.0, **options):
        return x * y * scale * options.get("extra", 1.0)

    assert grad(fun, "y")(3.0, 4.0) == 3.0
    assert grad(fun, "y")(3.0, y=4.0) == 3.0
    assert grad(fun, "y")(3.0) == 3.0  # at its default
    assert grad(fun, "scale")(3.0, 4.0, scale=5.0) == 12.0
    assert grad(fun, "extra")(3.0, 4.0, extra=1.0) == 12.0
    assert grad(fun, ("x", "scale"))(3.0, 4.0, scale=5.0) == (20.0, 12.0)
    assert grad(fun, 1)(3.0) == 3.0
    assert grad(fun)(x=3.0) == 2.0
    assert grad_named(fun, "y")(3.0, 4.0) == 3.0
    assert grad_named(fun, "scale")(3.0, 4.0) == 12.0
    assert hessian(lambda x, y: x * y**3, "y")(3.0, 4.0) == 72.0


def test_functions_of_every_kind():
    class Model:
        def loss(self, x, y):
            return x * y

        def __call__(self, x):
            return x**2

    assert grad(Model().loss, "y")(3.0, 4.0) == 3.0
    assert grad(Model())(3.0) == 6.0
    assert grad(functools.partial(foo, y=5.0))(3.0) == 30.0
    assert grad(np.sin)(0.0) == 1.0


@pytest.mark.filterwarnings("ignore:Output seems independent")
def test_multigrad_dict():
    def fun(x, y=2.0, *rest, n=3, **options):
        return x * y * rest[0] * n * options["k"]

    gradient = multigrad_dict(fun)(2.0, 3.0, 4.0, k=5.0)
    assert gradient == {"x": 180.0, "y": 120.0, "rest": (90.0,), "n": 0, "options": {"k": 72.0}}
    assert isinstance(gradient, OrderedDict)


def test_grad_and_aux():
    def fun(x):
        return np.sum(x**2), {"half": x / 2, "text": "kept", "n": 3, "list": [x[0], None]}

    gradient, aux = grad_and_aux(fun)(X)
    close(gradient, 2 * X)
    close(aux["half"], X / 2)
    assert type(aux["half"]) is onp.ndarray and aux["text"] == "kept" and aux["n"] == 3
    assert aux["list"] == [0.5, None] and not autograd_jit.tracer.isbox(aux["list"][0])
    # aux inside an outer derivative keeps its own
    assert grad(lambda x: grad_and_aux(lambda y: (y**2, y * x))(x)[1])(3.0) == 6.0


# ---------------------------------------------------------------- checkpoint


def test_checkpoint_gives_the_same_derivatives():
    def inner(p, x, scale=1.0):
        return {"y": np.tanh(p["w"] * x) * scale, "n": 3}

    def loss(fun):
        return lambda w, x, s: np.sum(fun({"w": w, "tag": "t"}, x, scale=s)["y"] ** 2)

    args = (X, onp.cos(X), 1.5)
    close(grad(loss(checkpoint(inner)), (0, 1, 2))(*args), grad(loss(inner), (0, 1, 2))(*args))
    close(hessian(loss(checkpoint(inner)))(*args), hessian(loss(inner))(*args))
    v = onp.ones(3)
    close(make_jvp(loss(checkpoint(inner)))(*args)(v), make_jvp(loss(inner))(*args)(v))


def test_checkpoint_runs_again_in_the_backward_pass_only():
    runs = []

    def inner(x):
        runs.append(autograd_jit.tracer.isbox(x))
        return np.sin(x)

    vjp, _ = make_vjp(lambda x: checkpoint(inner)(x) * 2.0)(X)
    assert runs == [False]  # plain values forward: nothing inside is kept
    vjp(onp.ones(3))
    assert runs == [False, True]


# ---------------------------------------------------------------- how the work is done


def counting(fun):
    @functools.wraps(fun)
    def counted(*args):
        counted.calls += 1
        return fun(*args)

    counted.calls = 0
    return counted


def test_a_jacobian_traces_once():
    fun = counting(lambda x: np.sin(x) * x[0])
    jacobian(fun)(X)
    assert fun.calls == 1
    fun = counting(lambda x: np.sum(x**3))
    hessian(fun)(X)
    assert fun.calls == 1


def test_a_tall_jacobian_goes_forward():
    fun = counting(lambda t: np.sin(t) * onp.arange(100.0))
    jacobian(fun)(0.5)
    assert fun.calls == 1
    fun = counting(lambda x: np.dot(onp.ones((100, 3)), np.sin(x)))
    jacobian(fun)(X)
    assert fun.calls == 1 + 3  # one trace that shows the size, one run per column: not 100 pulls


def test_a_tall_jacobian_without_forward_rules_goes_reverse():
    double = primitive(lambda x: x * 2.0)
    defvjp(double, lambda ans, x: lambda g: 2.0 * g)
    close(jacobian(lambda t: double(t) * onp.arange(4.0))(0.5), 2.0 * onp.arange(4.0))
    close(jacobian(lambda x: np.dot(onp.ones((100, 3)), double(x)))(X), onp.full((100, 3), 2.0))
    close(hvp(lambda x: np.sum(double(x) ** 2))(X, onp.ones(3)), onp.full(3, 8.0))


def test_a_tall_jacobian_of_a_random_function_is_of_one_draw():
    rng = onp.random.default_rng(0)
    fun = lambda x: rng.normal() * np.dot(onp.ones((100, 3)), x)
    jac = jacobian(fun)(X)
    assert onp.all(jac == jac[0, 0])


@pytest.mark.parametrize(
    "operator", [grad, value_and_grad, jacobian, hessian, elementwise_grad, make_vjp, multigrad_dict, hvp, deriv]
)
def test_transform_leads_back_to_the_function(operator):
    result = operator(foo)
    build, inner = result._transform
    assert inner is foo
    assert build(foo).__name__ == result.__name__


# ---------------------------------------------------------------- compiled


@pytest.mark.parametrize(
    "operator,fun,args",
    [
        (grad, lambda x, y: np.sum(np.sin(x) * y), (X, 2.0)),
        (value_and_grad, lambda p: np.sum(p["a"] ** 2) * p["b"], ({"a": X, "b": 2.0, "n": 3},)),
        (elementwise_grad, lambda x: np.sin(x) * x, (X,)),
        (deriv, lambda t: np.sin(t) * t, (0.5,)),
        (jacobian, lambda x: np.outer(x, x), (X,)),
        (jacobian, lambda t: np.sin(t) * onp.arange(10.0), (0.5,)),
        (hessian, lambda x: np.sum(x**3) * x[0], (X,)),
        (hvp, lambda x: np.sum(x**3), (X, onp.ones(3))),
        (tensor_jacobian_product, lambda x: np.outer(x, x), (X, onp.ones(3))),
        (grad_and_aux, lambda x: (np.sum(x**2), {"half": x / 2, "n": 3}), (X,)),
        (holomorphic_grad, lambda z: z**3, (1.0 + 2j,)),
        (multigrad_dict, lambda x, y=2.0: np.sum(x**2) * y, (X,)),
    ],
)
def test_jit_changes_no_answer(operator, fun, args):
    compiled, expected = operator(fun, jit=True), operator(fun)(*args)
    assert compiled.__name__ == operator(fun).__name__ and compiled.__doc__ == operator(fun).__doc__
    for _ in range(3):
        close(compiled(*args), expected)
    assert compiled.stats.traces == 1 and compiled.stats.replays == 2
    close(autograd_jit.jit(operator(fun))(*args), expected)


def test_operators_of_a_compiled_function():
    fun = autograd_jit.jit(lambda x: np.sum(np.sin(x) ** 2))
    plain = lambda x: np.sum(np.sin(x) ** 2)
    fun(X)
    for operator in (grad, jacobian, hessian, value_and_grad):
        close(operator(fun)(X), operator(plain)(X))
        close(operator(fun, jit=True)(X), operator(plain)(X))
    text = message(NonDifferentiableError, lambda: grad(fun)(3))
    assert "test_differential_operators.py" in text


def test_a_wrapper_of_a_gradient_is_not_taken_for_it():
    @functools.wraps(grad(foo))
    def doubled(x):
        return 2.0 * grad(foo)(x)

    assert autograd_jit.jit(doubled)(3.0) == 24.0


# ---------------------------------------------------------------- independence


@pytest.mark.parametrize("fun", [lambda x: 3.0, lambda x: 3, lambda x: np.floor(x)])
def test_an_independent_output_warns_and_gives_zero(fun):
    for operator in (grad, elementwise_grad, jacobian, deriv):
        with pytest.warns(UserWarning, match=r"Output seems independent of input\.") as caught:
            assert operator(fun)(1.5) == 0.0
        assert caught[0].filename == __file__
    with pytest.warns(UserWarning, match="independent"):
        close(grad(lambda x: 3.0)(X), onp.zeros(3))
    with pytest.warns(UserWarning, match="independent"):
        close(grad(lambda p: 3.0)({"a": X, "b": 1.0}), {"a": onp.zeros(3), "b": onp.float64(0.0)})
    with pytest.warns(UserWarning, match="independent"):
        assert make_vjp(lambda x: 3.0)(1.0)[0](1.0) == 0.0


def test_no_warning_where_one_argument_is_unused():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert grad(lambda x, y: x**2, (0, 1))(3.0, 4.0) == (6.0, 0.0)
        close(jacobian(lambda p: p["a"] * 2.0)({"a": X, "b": X})["b"], onp.zeros((3, 3)))


# ---------------------------------------------------------------- bad input


def non_scalar(x):
    return x * 2.0


HERE = f"test_differential_operators.py:{non_scalar.__code__.co_firstlineno}"


def message(error, call):
    with pytest.raises(error) as caught:
        call()
    assert isinstance(caught.value, AutogradJitError)
    assert caught.value.__cause__ is None
    return str(caught.value)


@pytest.mark.parametrize("operator", [grad, value_and_grad])
def test_a_non_scalar_output_is_refused(operator):
    text = message(NonScalarOutputError, lambda: operator(non_scalar)(X))
    assert text.startswith(f"{operator.__name__} of non_scalar (") and HERE in text
    assert "Grad only applies to real scalar-output functions. Try jacobian, elementwise_grad" in text
    assert "shape (3,)" in text
    with pytest.raises(TypeError, match="real scalar-output"):
        operator(non_scalar)({"a": X}["a"])


def test_complex_missing_and_container_outputs_are_refused():
    assert "complex" in message(NonScalarOutputError, lambda: grad(lambda x: x * 1j)(1.0))
    assert "return" in message(NonScalarOutputError, lambda: grad(lambda x: None)(1.0))
    assert "grad_and_aux" in message(NonScalarOutputError, lambda: grad(lambda x: (x, x))(1.0))
    assert "type str" in message(NonScalarOutputError, lambda: grad(lambda x: "a")(1.0))
    assert "real-output" in message(NonScalarOutputError, lambda: elementwise_grad(lambda x: x * 1j)(1.0))
    assert "pair" in message(ArgumentError, lambda: grad_and_aux(lambda x: x)(1.0))


@pytest.mark.parametrize("operator", [grad, value_and_grad, jacobian, hessian, elementwise_grad, make_vjp, make_jvp])
def test_integer_arguments_are_refused(operator):
    text = message(NonDifferentiableError, lambda: operator(foo)(3))
    assert f"{operator.__name__} of foo (" in text and "argument 0 ('x') is the integer 3" in text
    assert "3.0" in text
    assert "dtype bool" in message(NonDifferentiableError, lambda: operator(foo)(onp.ones(3, bool)))
    assert "argument 1 ('y')" in message(NonDifferentiableError, lambda: operator(foo, 1)(1.0, 3))
    assert "argument 1 ('y')" in message(NonDifferentiableError, lambda: operator(foo, (0, 1))(1.0, onp.int64(3)))
    assert "argument 'y'" in message(NonDifferentiableError, lambda: operator(foo, "y")(1.0, True))
    with pytest.raises(TypeError):
        operator(foo)(3)


@pytest.mark.parametrize("jit", [False, True])
def test_an_array_of_integers_is_differentiated_as_one_of_floats(jit):
    def loss(x):
        return np.sum(np.sin(x) * x**2)

    points = onp.array([[1, 2], [3, -4]])
    for operator in (grad, value_and_grad, jacobian, hessian, lambda f, jit: elementwise_grad(np.sin, jit=jit)):
        compiled, want = operator(loss, jit=jit), operator(loss, jit=False)(points.astype(float))
        for _ in range(3):
            assert_same(compiled(points), want, precision=1e-12)
    assert grad(loss)(onp.array(2, onp.int8)).dtype == onp.float64
    assert make_jvp(loss)(points)(onp.ones((2, 2)))[1] == onp.sum(grad(loss)(points))
    in_a_list = grad(lambda p: np.sum(p[0] * p[1]))([onp.ones(2), onp.arange(2)])[1]
    assert in_a_list.tolist() == [0, 0]  # data among the parameters


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("empty", [{}, [], (), [[], ()], {"weights": {}}])
def test_the_gradient_of_an_empty_container_is_empty(empty, jit):
    def scale(params, x):
        return params.get("scale", x) ** 2 if type(params) is dict else x**2

    gradient, both = grad(scale, jit=jit), grad(scale, (0, 1), jit=jit)
    for _ in range(3):
        with pytest.warns(UserWarning, match="independent") if not jit else contextlib.nullcontext():
            assert gradient(empty, 3.0) == empty
        assert both(empty, 3.0) == (empty, 6.0)


def test_a_boolean_has_no_gradient():
    for function in (lambda x: x > 0, lambda x: np.allclose(x, 1.0), lambda x: True):
        assert "boolean" in message(NonScalarOutputError, lambda f=function: grad(f)(2.0))


def test_foreign_arguments_are_refused():
    class Foreign:
        def __array__(self, dtype=None, copy=None):
            return onp.ones(3)

    from decimal import Decimal

    assert "builtins.set" in message(NonDifferentiableError, lambda: grad(foo)({1.0, 2.0}))
    assert "Foreign" in message(ArgumentError, lambda: grad(foo)(Foreign()))
    assert "Foreign" in message(ArgumentError, lambda: grad(lambda p: p["a"])({"a": 1.0, "b": Foreign()}))
    assert "Decimal" in message(ArgumentError, lambda: grad(lambda p: p["a"])({"a": 1.0, "b": Decimal(1)}))
    assert "object" in message(ArgumentError, lambda: grad(foo)(onp.array([1.0, None])))
    assert "register" in message(ArgumentError, lambda: grad(foo)(onp.ones(3).view(onp.matrix)))
    assert "no float" in message(NonDifferentiableError, lambda: grad(foo)({"n": 1, "m": [2, "x"]}))
    assert grad(lambda p: p[0] ** 2)((3.0, len, {"rng"})) == (6.0, len, {"rng"})


def test_unknown_argnums_are_refused():
    assert "no argument number 2: its arguments are (x, y)" in message(ArgumentError, lambda: grad(foo, 2)(1.0))
    assert "no argument number -2" in message(ArgumentError, lambda: grad(foo, -2)(1.0))
    assert "no argument 'z'. Its arguments are x, y" in message(ArgumentError, lambda: grad(foo, "z"))
    assert "'x' is missing" in message(ArgumentError, lambda: grad(foo)())
    assert "twice" in message(ArgumentError, lambda: grad(foo, (0, -2))(1.0, 2.0))
    assert "argnum must be" in message(ArgumentError, lambda: grad(foo, 1.5))
    assert "argnum must be" in message(ArgumentError, lambda: grad(foo, True))
    assert "not a value of type float" in message(ArgumentError, lambda: grad(3.0))
    assert "argnums" in message(ArgumentError, lambda: grad(foo, argnums=1))
    assert "name of an argument" in message(ArgumentError, lambda: grad_named(foo, 0))


def test_wrong_tangents_and_cotangents_are_refused():
    vjp, _ = make_vjp(non_scalar)(X)
    assert "shape (2,)" in message(ArgumentError, lambda: vjp(onp.ones(2)))
    assert "shape (2,)" in message(ArgumentError, lambda: make_jvp(non_scalar)(X)(onp.ones(2)))
    assert "leaves" in message(ArgumentError, lambda: make_jvp(lambda p: p[0])((1.0, 2.0))((1.0,)))
    assert "vector" in message(ArgumentError, lambda: hessian_tensor_product(foo)(1.0))
    close(vjp(1.0), onp.full(3, 2.0))  # a scalar stands for a constant array
    close(vjp([1, 2, 3]), onp.array([2.0, 4.0, 6.0]))


def test_an_exception_of_the_function_passes_unchanged():
    error = IndexError("mine")

    def fails(x):
        raise error

    for operator in (grad, value_and_grad, jacobian, hessian, make_vjp, elementwise_grad):
        with pytest.raises(IndexError) as caught:
            operator(fails)(1.0)
        assert caught.value is error
        with pytest.raises(IndexError) as caught:
            operator(fails, (0,))([1.0])
        assert caught.value is error
    assert grad(grad(lambda x: x**3))(2.0) == 12.0  # nothing is left behind


def test_an_inner_operators_error_names_the_inner_function():
    def outer(x):
        return grad(foo)(3) * x

    text = message(NonDifferentiableError, lambda: grad(outer)(1.0))
    assert text.startswith("grad of foo (")


def test_threads_do_not_meet():
    failures = []

    def work(k):
        for _ in range(30):
            if grad(grad(lambda x: np.sin(k * x)))(0.5) != pytest.approx(-k * k * onp.sin(0.5 * k)):
                failures.append(k)

    threads = [threading.Thread(target=work, args=(float(k),)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_a_deep_graph():
    def loss(x):
        for _ in range(20_000):
            x = x * 1.0001
        return x

    assert grad(loss)(1.0) == pytest.approx(1.0001**20_000)
