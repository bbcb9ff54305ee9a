"""Rows of Jacobians that are computed all at once are the interpreted ones, whatever the rows consist of."""

import numpy as np
import pytest

import autograd_jit.numpy as anp
from autograd_jit import hessian, jacobian, known_programs
from autograd_jit.lower import row_batches
from autograd_jit.lower.expand import expand
from autograd_jit.lower.graph import Call, Gemm, Reduce, RowsStart
from autograd_jit.lower.simplify import drop_dead_nodes
from tests.jit_support import compare

RNG = np.random.default_rng(7)
M, TALL, CUBE = RNG.standard_normal((6, 6)), RNG.standard_normal((40, 6)), RNG.standard_normal((3, 6, 6))
PLACES = np.array([3, 0, 0, 5, 2])

#: of a vector of six elements, to another vector
STEPS = {
    "elementwise": lambda x: anp.sin(x) * anp.exp(-0.1 * x * x),
    "matrix": lambda x: M @ x,
    "matrix from the left": lambda x: x @ M,
    "transposed": lambda x: M.T[::-1] @ x,
    "tall": lambda x: TALL.T @ anp.tanh(TALL @ x),
    "strided": lambda x: TALL[::2, ::-1].T @ (TALL[::2] @ x),
    "own matrix": lambda x: anp.outer(x, anp.cos(x)) @ x,
    "batch": lambda x: anp.sum(CUBE @ x, axis=0) + anp.sum(x @ CUBE, 0),
    "einsum": lambda x: anp.einsum("abc,b,c->b", CUBE, x, anp.sin(x)),
    "slices": lambda x: anp.concatenate([x[1:] * x[:-1], x[:1]]),
    "reversed": lambda x: x[::-1] * x,
    "gathered": lambda x: anp.concatenate([x[PLACES] * x[:5], x[2:3]]),
    "masked": lambda x: anp.where(x > 0.1, x, 0.3 * x * x),
    "rolled": lambda x: anp.roll(x, 2) - anp.roll(x, -1),
    "padded": lambda x: anp.pad(x[1:-1] ** 2, 1),
    "softmax": lambda x: anp.exp(x - anp.max(x)) / anp.sum(anp.exp(x - anp.max(x))),
    "sums": lambda x: x * anp.sum(x) + anp.mean(x**2) - anp.prod(0.5 * x),
    "axes": lambda x: anp.sum(anp.reshape(anp.outer(x, x), (6, 2, 3)) ** 2, axis=(1, 2)),
    "distances": lambda x: anp.sum((x[:, None] - x[None, :]) ** 2, axis=1),
    "cumulative": lambda x: anp.cumsum(x) * 0.3,
    "sorted": lambda x: anp.sort(x) + x,
    "system": lambda x: anp.linalg.solve(M + 9 * np.eye(6), x * x),
    "stacked": lambda x: anp.sum(anp.stack([x, x**2, anp.sin(x)]), axis=0),
    "one element": lambda x: x[2] * x + x[-1],
}


@pytest.fixture(autouse=True)
def nothing_is_known():
    known_programs.registry.clear()


@pytest.fixture(params=[-1, 1 << 40], ids=["one by one", "at once"])
def most(request, monkeypatch):
    monkeypatch.setattr(row_batches, "MOST_ELEMENTS", dict.fromkeys(row_batches.MOST_ELEMENTS, request.param))


def nodes(jitted, *args, for_device=False):
    return drop_dead_nodes(expand(jitted.tape(*args), for_device)).nodes


def vectors(count=3):
    return [(RNG.standard_normal(6),) for _ in range(count)]


@pytest.mark.parametrize("operator", [jacobian, hessian])
@pytest.mark.parametrize("name", STEPS)
def test_each_operation(name, operator, most):
    function = STEPS[name] if operator is jacobian else lambda x: anp.sum(anp.sin(STEPS[name](x)))
    compare(function, *vectors(), operator=operator)


@pytest.mark.parametrize("number", range(30))
def test_random_compositions(number, most):
    chosen = np.random.default_rng(number).choice(list(STEPS), 4)

    def function(x):
        for name in chosen:
            x = anp.tanh(STEPS[name](x)) + 0.1 * x
        return x

    compare(function, *vectors(2), operator=jacobian)
    compare(lambda x: anp.sum(function(x) ** 2), *vectors(2), operator=hessian)


def test_single_precision(most):
    for name in ("tall", "batch", "softmax", "gathered"):
        calls = [(x.astype(np.float32),) for (x,) in vectors()]
        compare(lambda x, name=name: STEPS[name](x) * x, *calls, operator=jacobian)


def test_matrices_as_arguments_and_results(most):
    calls = [(RNG.standard_normal((3, 4)),) for _ in range(3)]
    compare(lambda x: anp.tanh(x) @ x.T, *calls, operator=jacobian)
    compare(lambda x: anp.sum((x.T @ anp.exp(x)) ** 2), *calls, operator=hessian)
    compare(lambda x: {"a": x @ x.T, "b": x[0], "c": anp.sum(x)}, *calls, operator=jacobian)


def test_special_values(most):
    """A zero of a unit vector times infinity is NaN in every form."""
    x = np.array([0.0, np.inf, -0.0, np.nan, 1e308, 5e-324])
    with np.errstate(all="ignore"):
        compare(lambda x: (M @ x) * x, (x,), (x[::-1].copy(),), operator=jacobian)
        compare(lambda x: anp.sum(anp.sqrt(anp.abs(x))) * x, (x,), (x[::-1].copy(),), operator=jacobian)


def test_short_rows_are_computed_at_once_and_long_ones_in_a_loop():
    jitted = jacobian(lambda x: anp.sin(x) * anp.sum(x), jit=True)
    short, long = np.linspace(0, 1, 16), np.linspace(0, 1, 200)
    assert not any(isinstance(node, RowsStart) for node in nodes(jitted, short))
    assert any(isinstance(node, RowsStart) for node in nodes(jitted, long))


def test_vectors_times_a_matrix_are_one_product():
    weights = RNG.standard_normal((200, 20))
    jitted = hessian(lambda x: anp.sum(anp.tanh(weights @ x)), jit=True)
    x = RNG.standard_normal(20)
    products = [node for node in nodes(jitted, x) if isinstance(node, (Gemm, Call))]
    assert len(products) == 2  # one for the tangents of weights @ x, one back
    assert {node.outs[0].size for node in products} == {20 * 200, 20 * 20}
    summed = [node.arg.size for node in nodes(jitted, x) if isinstance(node, Reduce)]
    assert max(summed) == 200 * 20  # of one row, for all: the gradient's
    compare(lambda x: anp.sum(anp.tanh(weights @ x)), (x,), (x + 1,), operator=hessian)


def test_on_a_device_too_there_are_as_many_nodes_as_one_row_has():
    lengths = []
    for size in (8, 40):
        jitted = hessian(lambda x: anp.sum(anp.sin(x[1:]) * x[:-1] ** 2), jit=True)
        lengths.append(len(nodes(jitted, np.linspace(0.1, 1, size), for_device=True)))
    assert lengths[0] == lengths[1]
