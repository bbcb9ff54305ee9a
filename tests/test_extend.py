"""Users' own primitives, types and rules."""

from __future__ import annotations

import warnings

import numpy as onp
import pytest

import autograd_jit
import autograd_jit.numpy as np
from autograd_jit import core, grad, hessian, jacobian, make_jvp
from autograd_jit.errors import MissingRuleError, TracedValueError
from autograd_jit.extend import (
    Box,
    JVPNode,
    SparseObject,
    VJPNode,
    VSpace,
    def_linear,
    defjvp,
    defjvp_argnum,
    defjvp_argnums,
    defvjp,
    defvjp_argnum,
    defvjp_argnums,
    notrace_primitive,
    primitive,
    register_notrace,
    vspace,
)
from autograd_jit.numpy.numpy_boxes import ArrayBox
from autograd_jit.numpy.numpy_vspaces import ArrayVSpace
from autograd_jit.test_util import check_grads

X = onp.array([0.5, -1.0, 2.0])


def product():
    return primitive(lambda x, y: x * y)


# ---------------------------------------------------------------- rules


def test_defvjp_and_defjvp():
    f = product()
    defvjp(f, lambda ans, x, y: lambda g: g * y, lambda ans, x, y: lambda g: g * x)
    defjvp(f, lambda t, ans, x, y: t * y, lambda t, ans, x, y: t * x)
    check_grads(f, (0, 1))(X, 3.0)  # the rules return the broadcast shape; the engine sums
    check_grads(f, (0, 1))(2.0, X)


def test_argnums_keyword_and_none():
    f = product()
    defvjp(f, lambda ans, x, y: lambda g: g * x, argnums=(1,))
    assert grad(f, 1)(2.0, 3.0) == 2.0
    with pytest.raises(MissingRuleError, match="argument number 0"):
        grad(f)(2.0, 3.0)
    defvjp(f, None, lambda ans, x, y: lambda g: g * x)
    assert grad(f, (0, 1))(2.0, 3.0) == (0.0, 2.0)
    defjvp(f, None, lambda t, ans, x, y: t * x)
    assert make_jvp(f, (0, 1))(2.0, 3.0)((1.0, 1.0)) == (6.0, 2.0)


def test_rules_by_argnum():
    f = product()
    defvjp_argnum(f, lambda argnum, ans, args, kwargs: lambda g: g * args[1 - argnum])
    defjvp_argnum(f, lambda argnum, t, ans, args, kwargs: t * args[1 - argnum])
    check_grads(f, (0, 1))(X, onp.cos(X))


def test_rules_for_all_argnums_at_once():
    f = product()
    calls = []

    def vjps(argnums, ans, args, kwargs):
        calls.append(argnums)
        return lambda g: tuple(g * args[1 - argnum] for argnum in argnums)

    def jvps(argnums, tangents, ans, args, kwargs):
        calls.append(argnums)
        return sum(t * args[1 - argnum] for argnum, t in zip(argnums, tangents))

    defvjp_argnums(f, vjps)
    defjvp_argnums(f, jvps)
    check_grads(f, (0, 1))(X, onp.cos(X))
    assert (0, 1) in calls


def test_def_linear_and_same():
    f = primitive(lambda x: 3.0 * x)
    def_linear(f)
    assert make_jvp(f)(2.0)(5.0) == (6.0, 15.0)
    f = product()
    defjvp(f, "same", "same")
    assert make_jvp(f, (0, 1))(2.0, 3.0)((1.0, 1.0)) == (6.0, 5.0)


def test_primitives_without_derivative():
    steps = notrace_primitive(onp.floor)
    assert grad(lambda x: x * steps(x))(2.5) == 2.0
    f = product()
    defvjp(f, lambda ans, x, y: lambda g: g * y)
    register_notrace(VJPNode, f)
    assert grad(lambda x: f(x, 3.0) + x)(2.0) == 1.0


def test_a_missing_rule_names_function_argument_and_mode():
    @primitive
    def mystery(x, y):
        return x * y

    with pytest.raises(MissingRuleError, match="VJP of mystery with respect to argument number 1"):
        grad(lambda y: mystery(2.0, y))(3.0)
    with pytest.raises(MissingRuleError, match="JVP of mystery with respect to argument number 0"):
        make_jvp(lambda x: mystery(x, 2.0))(3.0)(1.0)
    with pytest.raises(NotImplementedError):
        grad(mystery)(1.0, 2.0)


@pytest.mark.parametrize("define", [defvjp, defjvp, defvjp_argnums, core.defvjp_argnum, core.def_linear])
def test_rules_for_a_function_that_is_no_primitive_have_no_effect(define):
    def cube(x):
        return x**3

    with pytest.warns(UserWarning, match="rules for cube have no effect"):
        define(cube, *[lambda *args: None] * (define is not core.def_linear))
    assert grad(cube)(2.0) == 12.0 and make_jvp(cube)(2.0)(1.0) == (8.0, 12.0)


def test_a_cotangent_of_a_wrong_shape_is_an_error_at_the_rule():
    @primitive
    def broken(x):
        return x * 1.0

    defvjp(broken, lambda ans, x: lambda g: onp.ones(7))
    defjvp(broken, lambda t, ans, x: onp.ones(7))
    with pytest.raises(ValueError, match=r"rule of broken .* shape \(7,\)"):
        grad(lambda x: np.sum(broken(x)))(X)
    with pytest.raises(ValueError, match=r"rule of broken .* shape \(7,\)"):
        make_jvp(broken)(X)(X)


def test_rules_may_change_dtype_and_kind():
    f = primitive(lambda x: x * 1.0)
    defvjp(f, lambda ans, x: lambda g: onp.asarray(g, complex) + 1j)
    assert grad(lambda x: np.sum(f(x)))(onp.ones(2, "float32")).dtype == "float32"


def test_redefining_a_rule_of_the_package():
    rules = np.sinh.primitive.vjps
    try:
        defvjp(np.sinh, lambda ans, x: lambda g: 100.0 * g)
        assert grad(np.sinh)(0.5) == 100.0
    finally:
        np.sinh.primitive.vjps = rules
    assert grad(np.sinh)(0.0) == 1.0


def test_primitives_of_containers():
    total = primitive(lambda items: sum(items["a"]) * items["b"])
    defvjp(total, lambda ans, p: lambda g: {"a": [g * p["b"]] * len(p["a"]), "b": g * sum(p["a"])})
    close = grad(lambda x, y: total({"a": [x, x * x], "b": y}), (0, 1))(3.0, 2.0)
    assert close == (2.0 * (1 + 6.0), 12.0)


def test_keyword_arguments_reach_the_rules():
    scaled = primitive(lambda x, scale=1.0: x * scale)
    defvjp(scaled, lambda ans, x, scale=1.0: lambda g: g * scale)
    assert grad(lambda x: scaled(x, scale=4.0))(1.0) == 4.0
    with pytest.raises(TracedValueError, match="scale"):
        grad(lambda s: scaled(2.0, scale=s))(1.0)


# ---------------------------------------------------------------- sparse cotangents


def sparse_take():
    take = primitive(lambda x, index: x[index])

    @primitive
    def untake(g, index, space):
        def mut_add(dense):
            onp.add.at(dense, index, g)
            return dense

        return SparseObject(space, mut_add)

    defvjp(take, lambda ans, x, index: lambda g: untake(g, index, vspace(x)), None)
    defvjp(untake, lambda ans, g, index, space: lambda h: take(h, index), None, None)
    return take


def test_sparse_objects():
    take = sparse_take()
    loss = lambda x: np.sum(take(x, [0, 0, 2]) ** 2) + np.sum(x)
    assert grad(loss)(X).tolist() == [4 * 0.5 + 1, 1.0, 2 * 2.0 + 1]
    assert hessian(loss)(X).tolist() == [[4.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 2.0]]
    sparse = SparseObject(vspace(X), lambda dense: dense + 1.0)
    total, writable = core.add_outgrads(None, sparse)
    assert total.tolist() == [1.0, 1.0, 1.0] and writable
    total, _ = core.add_outgrads((X, False), sparse)
    assert total.tolist() == [1.5, 0.0, 3.0] and X[0] == 0.5


# ---------------------------------------------------------------- types


class Quantity:
    def __init__(self, magnitude):
        self.magnitude = magnitude


class QuantityBox(Box):
    __slots__ = ()

    @property
    def magnitude(self):
        return magnitude_of(self)


class QuantityVSpace(VSpace):
    def zeros(self):
        return Quantity(0.0)

    def _add(self, x, y):
        return Quantity(x.magnitude + y.magnitude)


QuantityBox.register(Quantity)
QuantityVSpace.register(Quantity)
magnitude_of = primitive(lambda q: q.magnitude)
quantity = primitive(lambda x: Quantity(x))
defvjp(magnitude_of, lambda ans, q: lambda g: quantity(g))
defvjp(quantity, lambda ans, x: lambda g: magnitude_of(g))
defjvp(magnitude_of, lambda t, ans, q: t.magnitude)
defjvp(quantity, lambda t, ans, x: quantity(t))


def test_a_users_type():
    gradient = grad(lambda q: q.magnitude**2 + 5.0 * q.magnitude)(Quantity(3.0))
    assert type(gradient) is Quantity and gradient.magnitude == 11.0
    assert grad(lambda x: quantity(x * x).magnitude ** 2)(3.0) == 108.0
    assert grad(lambda x: grad(lambda q: q.magnitude**3)(quantity(x)).magnitude)(3.0) == 18.0
    assert make_jvp(lambda x: quantity(x * x).magnitude)(3.0)(1.0) == (9.0, 6.0)


def test_a_users_type_in_a_container():
    gradient = grad(lambda p: p["q"].magnitude * p["x"])({"q": Quantity(3.0), "x": 2.0})
    assert gradient["q"].magnitude == 2.0 and gradient["x"] == 3.0


def test_a_users_type_unused():
    with pytest.warns(UserWarning, match="independent"):
        assert grad(lambda q: 1.0)(Quantity(3.0)).magnitude == 0.0


class Tagged(onp.ndarray):
    """An ndarray subclass that a user registers as a value."""


def test_registered_ndarray_subclass():
    ArrayBox.register(Tagged)
    ArrayVSpace.register(Tagged)
    try:
        x = X.view(Tagged)
        assert onp.allclose(grad(lambda x: np.sum(x**2))(x), 2 * X)
    finally:
        del Box.type_mappings[Tagged], VSpace.mappings[Tagged]


def test_a_registered_named_tuple_is_boxed_whole():
    from collections import namedtuple

    Pair = namedtuple("Pair", "first second")

    class PairBox(Box):
        __slots__ = ()

    PairBox.register(Pair)
    seen = []
    try:
        VSpace.register(Pair, lambda pair: ArrayVSpace(0.0))
        with pytest.warns(UserWarning, match="independent"):
            grad(lambda p: (seen.append(type(p)), 1.0)[1])(Pair(1.0, 2.0))
    finally:
        del Box.type_mappings[Pair], Box.type_mappings[PairBox], VSpace.mappings[Pair]
        Box.types.discard(PairBox)
    assert seen == [PairBox]


def test_nodes_have_roots():
    assert JVPNode.new_root(2.0).g == 2.0
    assert VJPNode.new_root().parents == ()


# ---------------------------------------------------------------- the rules as dictionaries


def test_primitive_vjps_is_live():
    f = product()
    assert f not in core.primitive_vjps
    with pytest.raises(KeyError):
        core.primitive_vjps[f]
    defvjp(f, lambda ans, x, y: lambda g: g * y, lambda ans, x, y: lambda g: g * x)
    assert f in core.primitive_vjps and f in list(core.primitive_vjps)
    assert core.primitive_vjps[f]((0, 1), 6.0, (2.0, 3.0), {})(1.0) == (3.0, 2.0)
    core.primitive_vjps[f] = lambda argnums, ans, args, kwargs: lambda g: tuple(7.0 * g for _ in argnums)
    assert grad(f)(2.0, 3.0) == 7.0
    del core.primitive_vjps[f]
    assert f not in core.primitive_vjps
    assert np.sin in core.primitive_vjps and np.floor not in core.primitive_vjps
    assert 50 < len(core.primitive_vjps) == len(list(core.primitive_vjps))


def test_primitive_jvps_is_live():
    f = product()
    defjvp(f, lambda t, ans, x, y: t * y, lambda t, ans, x, y: t * x)
    assert core.primitive_jvps[f]((0, 1), (1.0, 1.0), 6.0, (2.0, 3.0), {}) == 5.0
    core.primitive_jvps[f] = lambda argnums, ts, ans, args, kwargs: 7.0 * ts[0]
    assert make_jvp(f)(2.0, 3.0)(1.0) == (6.0, 7.0)


# ---------------------------------------------------------------- old forms


def test_old_forms_work_and_warn():
    f = autograd_jit.primitive(lambda x, y: x * y)
    with pytest.warns(UserWarning, match="defgrad"):
        f.defgrad(lambda ans, x, y: lambda g: g * y)
    with pytest.warns(UserWarning, match="defvjp"):
        f.defvjp(lambda g, ans, vs, gvs, x, y: g * x, argnum=1)
    assert grad(f, (0, 1))(2.0, 3.0) == (3.0, 2.0)
    with pytest.warns(UserWarning, match="defvjp_is_zero"):
        f.defvjp_is_zero(argnums=(0,))
    assert grad(f, (0, 1))(2.0, 3.0) == (0.0, 2.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert f(2.0, 3.0) == 6.0


def test_the_top_level_primitive_is_a_decorator():
    @autograd_jit.primitive
    def cube(x):
        """Third power."""
        return x**3

    assert cube.__name__ == "cube" and cube.__doc__ == "Third power." and cube.fun(2.0) == 8.0
    defvjp(cube, lambda ans, x: lambda g: 3 * x**2 * g)
    assert grad(grad(cube))(2.0) == 12.0
    assert jacobian(cube)(X).tolist() == onp.diag(3 * X**2).tolist()
