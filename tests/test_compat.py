"""Modules and names that programs written for Autograd import."""

from __future__ import annotations

import importlib

import autograd
import autograd.numpy as autograd_numpy
import numpy as onp
import pytest

import autograd_jit
import autograd_jit.numpy as np
from autograd_jit import core, grad, test_util, tracer, util, wrap_util
from autograd_jit.errors import NonDifferentiableError

X = onp.array([0.5, -1.0, 2.0])

NAMES = {
    "": "grad value_and_grad elementwise_grad deriv jacobian hessian holomorphic_grad grad_and_aux grad_named "
    "multigrad_dict make_vjp make_jvp make_hvp make_ggnvp hessian_tensor_product hessian_vector_product "
    "tensor_jacobian_product vector_jacobian_product checkpoint primitive dict list tuple isinstance type",
    "differential_operators": "grad value_and_grad jacobian hessian make_vjp make_jvp make_jvp_reversemode deriv",
    "extend": "Box VSpace SparseObject VJPNode JVPNode primitive notrace_primitive register_notrace defvjp "
    "defvjp_argnum defvjp_argnums defjvp defjvp_argnum defjvp_argnums def_linear vspace",
    "core": "make_vjp make_jvp backward_pass VJPNode JVPNode VSpace vspace add_outgrads sum_outgrads SparseObject "
    "primitive_vjps primitive_jvps defvjp defjvp def_linear defvjp_argnum defvjp_argnums Box getval isbox primitive "
    "toposort trace func subval Node",
    "tracer": "primitive notrace_primitive isbox getval Node Box trace new_box trace_stack toposort "
    "find_top_boxed_args register_notrace box_type_mappings box_types subvals",
    "util": "subvals subval toposort func quick_grad_check",
    "wrap_util": "unary_to_nary wraps wrap_nary_f get_name get_doc",
    "builtins": "tuple list dict isinstance type SequenceBox DictBox",
    "test_util": "check_grads check_vjp check_jvp combo_check check_equivalent scalar_close TOL RTOL EPS",
    "misc": "flatten const_graph",
    "misc.flatten": "flatten flatten_func",
    "misc.optimizers": "sgd rmsprop adam",
    "misc.fixed_points": "fixed_point",
    "misc.tracers": "const_graph full_graph",
    "numpy.numpy_boxes": "ArrayBox",
    "numpy.numpy_vspaces": "ArrayVSpace ComplexArrayVSpace VSpace",
    "numpy.numpy_vjps": "unbroadcast unbroadcast_f match_complex replace_zero balanced_eq",
    "numpy.numpy_jvps": "broadcast",
    "numpy.numpy_wrapper": "_astype wrap_namespace array_from_args metadata concatenate_args sin",
}


@pytest.mark.parametrize("module", NAMES)
def test_names_exist_here_and_there(module):
    suffix = f".{module}" if module else ""
    ours = importlib.import_module("autograd_jit" + suffix)
    theirs = importlib.import_module("autograd" + suffix)
    for name in NAMES[module].split():
        assert hasattr(ours, name), name
        assert hasattr(theirs, name), name


def test_misc_flatten_is_a_function():
    from autograd_jit.misc import flatten

    assert flatten([1.0, 2.0])[0].tolist() == [1.0, 2.0]


# ---------------------------------------------------------------- core and tracer


def test_core_make_vjp_and_make_jvp():
    vjp, value = core.make_vjp(lambda x: x**2, X)
    assert value.tolist() == (X**2).tolist() and vjp(onp.ones(3)).tolist() == (2 * X).tolist()
    assert core.make_jvp(lambda x: x**2, 3.0)(2.0) == (9.0, 12.0)
    with pytest.raises(NonDifferentiableError, match="make_vjp"):
        core.make_vjp(lambda x: x, 3)


def test_primitives_of_core_take_rules_in_the_old_ways():
    @core.primitive
    def product(x, y):
        return x * y

    with pytest.warns(UserWarning, match="old form"):
        product.defgrad(lambda ans, x, y: lambda g: y * g)
        product.defvjp(lambda g, ans, vs, gvs, x, y: x * g, argnum=1)
    test_util.check_grads(product, (0, 1), modes=["rev"])(X, X + 1)


def test_a_failed_check_names_the_function_and_its_derivative():
    @core.primitive
    def wrong(x):
        return x

    core.defvjp(wrong, lambda ans, x: lambda g: g * 1.01)
    with pytest.raises(AssertionError, match=r"check of wrong failed"):
        test_util.check_grads(wrong, modes=["rev"])(1.0)

    @core.primitive
    def right(x):
        return 2 * x

    core.defvjp(right, lambda ans, x: lambda g: 2 * wrong(g))
    with pytest.raises(AssertionError, match=r"check of vjp_right failed"):
        test_util.check_grads(right, modes=["rev"])(1.0)


def test_an_operator_of_a_users_own_out_of_the_parts_of_the_operators():
    parts = autograd_jit.differential_operators

    @parts.unary_to_nary
    def value_and_elementwise(fun, x):
        vjp, value = parts._make_vjp(fun, x)
        return value, vjp(parts.vspace(value).ones())

    value, slope = value_and_elementwise(lambda a, x: a * x**2, argnum=1)(3.0, X)
    assert value.tolist() == (3 * X**2).tolist() and slope.tolist() == (6 * X).tolist()
    assert parts._make_jvp(lambda x: x**2, 3.0)(2.0) == (9.0, 12.0)


def test_trace_and_backward_pass_by_hand():
    start = core.VJPNode.new_root()
    value, end = tracer.trace(start, lambda x: np.sum(x * onp.ones((2, 3))), X)
    assert value == 3.0
    assert core.backward_pass(1.0, end).tolist() == [2.0, 2.0, 2.0]  # summed to the shape of the input
    with pytest.warns(UserWarning, match="independent"):
        assert tracer.trace(core.VJPNode.new_root(), lambda x: 3.0, X) == (3.0, None)


def test_new_trace_and_new_box_by_hand():
    with tracer.trace_stack.new_trace() as outer, tracer.trace_stack.new_trace() as inner:
        assert inner > outer
        x = tracer.new_box(X, outer, core.VJPNode.new_root())
        y = tracer.new_box(x, inner, core.VJPNode.new_root())
        boxes, level, kind = tracer.find_top_boxed_args((1.0, x, y))
        assert boxes == [(2, y)] and level == inner and kind is core.VJPNode
        assert tracer.isbox(y) and tracer.getval(y) is X
        z = y * x
        assert core.backward_pass(onp.ones(3), z._node)._value.tolist() == X.tolist()
    assert tracer.find_top_boxed_args((1.0,)) == ([], -1, None)


def test_a_users_own_trace():
    class Counter(tracer.Node):
        def __init__(self, value, fun, args, kwargs, parent_argnums, parents):
            self.names = parents[0].names + [(fun.__name__, parent_argnums)]

        def initialize_root(self):
            self.names = []

    _, end = tracer.trace(Counter.new_root(), lambda x: np.floor(2.0 * x) + x.shape[0], X)
    assert [name for name, _ in end.names] == ["multiply", "floor", "add"]
    assert end.names[0][1] == (1,)
    tracer.register_notrace(Counter, np.floor)
    _, end = tracer.trace(Counter.new_root(), lambda x: np.sin(x) + np.floor(x), X)
    assert [name for name, _ in end.names] == ["sin", "add"]
    # the derivatives are not touched by another trace's choice
    assert grad(lambda x: np.sum(x * np.floor(x)))(X).tolist() == onp.floor(X).tolist()


def test_add_outgrads():
    a, writable = core.add_outgrads(None, X)
    assert a is X and not writable
    total, writable = core.add_outgrads((a, writable), X)
    assert total.tolist() == (2 * X).tolist() and writable and X[0] == 0.5
    again, _ = core.add_outgrads((total, True), X)
    assert again is total and again.tolist() == (3 * X).tolist()
    assert core.sum_outgrads([X, X, X]).tolist() == (3 * X).tolist()


# ---------------------------------------------------------------- util and wrap_util


def test_subvals_and_func():
    assert util.subvals([1, 2, 3], [(0, 9), (2, 8)]) == (9, 2, 8)
    assert util.subval((1, 2), 1, 5) == (1, 5)
    assert util.func(len) is len


def test_toposort_visits_children_before_parents():
    graph = {"end": ["a", "b"], "a": ["root"], "b": ["a", "root", "root"], "root": []}
    order = list(util.toposort("end", parents=graph.__getitem__))
    assert sorted(order) == sorted(graph)
    for node, parents in graph.items():
        for parent in parents:
            assert order.index(node) < order.index(parent)


def test_quick_grad_check(capsys):
    util.quick_grad_check(lambda x, k: np.sum(x**3) * k, X, (2.0,))
    assert "OK" in capsys.readouterr().out
    wrong = autograd_jit.extend.primitive(lambda x: x * 2.0)
    autograd_jit.extend.defvjp(wrong, lambda ans, x: lambda g: 3.0 * g)
    with pytest.raises(AssertionError, match="central differences"):
        util.quick_grad_check(lambda x: np.sum(wrong(x)), X, verbose=False)


def test_unary_to_nary_is_named_as_autograds():
    def twice(f, x, k=2.0):
        """Doc."""
        return k * f(x)

    ours, theirs = wrap_util.unary_to_nary(twice), autograd.wrap_util.unary_to_nary(twice)
    fun = lambda a, b: a[0] - b if isinstance(a, tuple) else a - b
    assert ours(fun, 1)(3.0, 1.0) == theirs(fun, 1)(3.0, 1.0) == 4.0
    assert ours(fun, k=3.0)(3.0, 1.0) == theirs(fun, k=3.0)(3.0, 1.0) == 6.0
    assert ours.__name__ == theirs.__name__ and ours.__doc__ == theirs.__doc__
    assert ours(fun, 1).__name__ == theirs(fun, 1).__name__ and ours(fun, 1).__doc__ == theirs(fun, 1).__doc__


def test_wraps():
    @wrap_util.wraps(len, "{op}_{fun}", "about {fun}: {doc}", op="my")
    def f():
        pass

    assert f.__name__ == "my_len" and f.__doc__ == f"about len: {len.__doc__}"


# ---------------------------------------------------------------- numpy_vjps, numpy_jvps, numpy_wrapper


@pytest.mark.parametrize("shape", [(), (3,), (1, 3), (2, 1), (2, 3)])
def test_unbroadcast_agrees_with_autograd(shape):
    from autograd.numpy import numpy_vjps as theirs

    from autograd_jit.numpy import numpy_vjps as ours

    target, g = onp.ones(shape), onp.arange(12.0).reshape(2, 2, 3)
    result = ours.unbroadcast_f(target, lambda g: 2.0 * g)(g)
    expected = theirs.unbroadcast_f(target, lambda g: 2.0 * g)(g)
    assert result.tolist() == expected.tolist() and onp.shape(result) == shape
    meta = np.numpy_wrapper.metadata(target)
    assert meta == autograd_numpy.metadata(target)
    assert onp.array_equal(ours.unbroadcast(g + 1j, meta), theirs.unbroadcast(g + 1j, meta))


def test_broadcast_and_match_complex():
    from autograd_jit.numpy.numpy_jvps import broadcast
    from autograd_jit.numpy.numpy_vjps import balanced_eq, match_complex, replace_zero

    assert broadcast(onp.ones(3), onp.zeros((2, 3))).shape == (2, 3)
    assert broadcast(1.0, onp.zeros(2, complex)).dtype == complex
    assert match_complex(X, X + 1j).dtype == float and match_complex(X + 1j, X).dtype == complex
    assert replace_zero(onp.array([0.0, 2.0]), 7.0).tolist() == [7.0, 2.0]
    assert balanced_eq(X, X, X).tolist() == [0.5, 0.5, 0.5]


def test_wrap_namespace():
    from autograd_jit.extend import defvjp
    from autograd_jit.numpy.numpy_wrapper import wrap_namespace

    old = {"cube": lambda x: x**3, "floor": onp.floor, "pi": 3.14, "float64": onp.float64, "sum": onp.sum}
    new: dict = {}
    wrap_namespace(old, new)
    assert new["pi"] == 3.14 and new["float64"] is onp.float64
    defvjp(new["cube"], lambda ans, x: lambda g: 3 * x**2 * g)
    assert grad(lambda x: new["cube"](x) + new["floor"](x))(2.0) == 12.0
    assert "sum" in new and new["sum"] is not onp.sum


def test_astype_and_array_from_args():
    from autograd_jit.numpy.numpy_wrapper import _astype, array_from_args, concatenate_args

    assert grad(lambda x: np.sum(_astype(x, "float32")))(X).dtype == "float64"
    assert grad(lambda x: np.sum(array_from_args((), {}, x, 2.0 * x)))(1.0) == 3.0
    assert grad(lambda x: np.sum(concatenate_args(0, x, 2.0 * x)))(X).tolist() == [3.0, 3.0, 3.0]


# ---------------------------------------------------------------- test_util


def test_check_grads_finds_wrong_rules():
    right = lambda x: np.sin(x) * x
    test_util.check_grads(right)(X)
    test_util.check_grads(right, modes=["rev"], order=3)(X)
    test_util.check_grads(lambda p: p["a"] * p["b"])({"a": X, "b": 2.0})
    test_util.check_grads(lambda z: z * np.conj(z) * 1j)(X + 0.5j)
    wrong = autograd_jit.extend.primitive(lambda x: x * 2.0)
    autograd_jit.extend.defvjp(wrong, lambda ans, x: lambda g: 2.1 * g)
    autograd_jit.extend.defjvp(wrong, lambda t, ans, x: 2.1 * t)
    with pytest.raises(AssertionError, match="VJP"):
        test_util.check_grads(wrong, modes=["rev"])(X)
    with pytest.raises(AssertionError, match="Value mismatch"):
        test_util.check_grads(wrong, modes=["fwd"])(X)
    with pytest.raises(AssertionError, match="modes"):
        test_util.check_grads(right, modes=["sideways"])(X)


def test_check_grads_finds_a_wrong_second_derivative():
    wrong = autograd_jit.extend.primitive(lambda x: x**2)
    autograd_jit.extend.defvjp(wrong, lambda ans, x: lambda g: 2.0 * tracer.getval(x) * g)
    test_util.check_grads(wrong, modes=["rev"], order=1)(X)
    with pytest.raises(AssertionError):
        test_util.check_grads(wrong, modes=["rev"], order=2)(X)


def test_combo_check_runs_every_combination():
    calls = []

    def fun(x, y, power=1):
        calls.append((float(tracer.getval(y)), power))
        return x**power * y

    test_util.combo_check(fun, (0,), modes=["rev"], order=1)([X, 2 * X], [1.0, 2.0], power=[1, 2])
    assert set(calls) == {(y, p) for y in (1.0, 2.0) for p in (1, 2)}


def test_scalar_close_and_check_equivalent():
    assert test_util.scalar_close(1.0, 1.0 + 1e-8) and not test_util.scalar_close(1.0, 1.001)
    test_util.check_equivalent(X, X.copy())
    with pytest.raises(AssertionError, match="VSpace"):
        test_util.check_equivalent(X, X[:2])
    with pytest.raises(AssertionError, match="Value"):
        test_util.check_equivalent(X, X + 1.0)
    assert test_util.TOL == autograd.test_util.TOL if hasattr(autograd, "test_util") else True
