"""From tapes to graphs: what has a native form, what becomes a Python step, and guards."""

import numpy as np
import pytest

import autograd_jit.numpy as anp
from autograd_jit import grad, jit
from autograd_jit.lower.graph import Check, CopyStep, Gemm, Map, Reduce, verify
from autograd_jit.numpy import random


def graph_of(function, *args):
    compiled = jit(function)
    compiled(*args)
    program = compiled._handle.program(args, {})
    verify(program.stages.graph)
    return program.stages.graph


def ops(graph):
    return [getattr(node, "op", type(node).__name__) for node in graph.nodes if isinstance(node, (Map, Reduce))]


X = np.linspace(0.1, 2, 12).reshape(3, 4)


def test_views_cost_nothing():
    graph = graph_of(lambda x: anp.exp(x.T[::-1, 1:].reshape(4, 2, 1)), X)
    assert ops(graph) == ["exp"]


def test_a_reshape_that_numpy_would_copy_is_a_copy():
    assert ops(graph_of(lambda x: anp.exp(x.T.reshape(-1)), X)) == ["copy", "exp"]


def test_common_subexpressions_are_computed_once():
    graph = graph_of(grad(lambda x: anp.sum(anp.exp(x) * anp.exp(x))), X)
    assert ops(graph).count("exp") == 1


def test_dead_code_is_dropped():
    def function(x):
        anp.sin(x)
        return anp.exp(x)

    assert ops(graph_of(function, X)) == ["exp"]


def test_products_by_blas_and_by_loops(monkeypatch):
    monkeypatch.setattr("autograd_jit.lower.rules.products.pays", lambda *_: False)
    small, large = np.ones((4, 4)), np.ones((64, 64))
    assert not any(isinstance(node, Gemm) for node in graph_of(lambda x: x @ x, small).nodes)
    assert any(isinstance(node, Gemm) for node in graph_of(lambda x: x @ x, large).nodes)


def test_a_primitive_without_rule_is_a_python_step_that_says_why():
    graph = graph_of(lambda x: anp.exp(anp.i0(x)), X)
    reasons = [node.reason for node in graph.nodes if hasattr(node, "reason")]
    assert reasons and all(reasons)


@pytest.mark.parametrize("dtype", ["u1", "i2", "f2", "c8", "c16"])
@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.T.reshape(-1),
        lambda x: anp.roll(x.T, 1),
        lambda x: anp.real(x.T.reshape(-1)) + 1,
        lambda x: x[0] * 3 if x[1, 0] else x[0] * 2,
    ],
)
def test_dtypes_that_kernels_do_not_know(function, dtype):
    x = np.arange(6).reshape(2, 3).astype(dtype)
    compiled = jit(function)
    compiled(x)
    got, want = compiled(x), function(x)
    assert compiled.stats.replays == 1 and got.dtype == want.dtype
    np.testing.assert_array_equal(got, want)


def test_copies_of_foreign_dtypes_are_shown():
    graph = graph_of(lambda z: z.T.reshape(-1), X.astype(np.int16))
    copy, *_ = [node for node in graph.nodes if isinstance(node, CopyStep)]
    assert "python copy" in str(copy) and "int16" in str(copy)


def test_guards_become_checks_of_bytes():
    def function(x):
        return x * 2 if x[0, 0] > 0 else x

    graph = graph_of(function, X)
    (check,) = [node for node in graph.nodes if isinstance(node, Check)]
    assert check.expected == b"\x01" and check.number == 0


def test_int_of_a_small_negative_number_is_zero():
    """trunc(-0.3) is -0.0, whose bits are not those of 0."""
    compiled = jit(lambda x: x * int(x))
    for x in (-0.3, 0.2, -0.4, 0.0):
        assert compiled(x) == 0
    assert compiled.stats.traces == 1 and compiled.stats.guard_failures == 0


def test_comparisons_of_bools():
    pairs = np.array([False, False, True, True]), np.array([False, True, False, True])
    for function in (anp.less, anp.greater_equal):
        compiled = jit(function)
        compiled(*pairs)
        np.testing.assert_array_equal(compiled(*pairs), function(*pairs))
        assert compiled.stats.replays == 1


def test_remainders_of_integers_are_native():
    """Indices that wrap around: simulations on a periodic grid do little else."""
    wrapped = jit(lambda x, n: (x.astype(int) % n, x.astype(int) // n))
    at = np.linspace(-9.0, 9.0, 19)
    for n in (np.full(19, 4), np.full(19, -4), np.arange(19) - 9):
        with np.errstate(all="ignore"):
            want = at.astype(int) % n, at.astype(int) // n
        np.testing.assert_array_equal(wrapped(at, n), want)
    assert wrapped.stats.replays == 2 and wrapped.stats.python_steps == 0


@pytest.mark.parametrize(
    ("function", "is_input"),
    [
        (lambda x: anp.cumsum(x, axis=1), True),
        (lambda x: x @ x, True),
        (anp.linalg.inv, False),  # where it raises, nothing has been drawn
    ],
)
def test_draws_are_inputs_after_routines_that_cannot_stop(function, is_input):
    graph = graph_of(lambda x: function(x) + random.randn(30, 30), np.eye(30) + 1)
    assert bool(graph.draws) == is_input
