"""Rows of Jacobians under the recorder: one section where every row takes the same way, else row by row."""

import warnings

import numpy as np
import pytest

import autograd_jit.numpy as anp
from autograd_jit import grad, hessian, jacobian, jit, known_programs
from autograd_jit.extend import defjvp, defvjp, primitive
from autograd_jit.lower import row_batches
from autograd_jit.trace.linear_rows import linear_rows
from autograd_jit.trace.tape import Op, verify
from tests.jit_support import assert_same, compare


@pytest.fixture(autouse=True, params=["at once", "one by one"])
def how_rows_are_computed(request, monkeypatch):
    """Rows of these sizes are computed all at once: both ways are tested."""
    if request.param == "one by one":
        monkeypatch.setattr(row_batches, "MOST_ELEMENTS", dict.fromkeys(row_batches.MOST_ELEMENTS, -1))
    known_programs.registry.clear()


def rosenbrock(x):
    return anp.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def arguments(size, count=3):
    return [np.random.default_rng([size, number]).standard_normal(size) for number in range(count)]


def sections(jitted, *args):
    """The sections of the tape that these arguments replay."""
    tape = jitted.tape(*args)
    verify(tape)
    return [op for op in tape.ops if isinstance(op, Op) and op.prim is linear_rows]


FUNCTIONS = {
    "elementwise": lambda x: anp.sin(x) * anp.exp(-x),
    "identity": lambda x: x,
    "products": lambda x: anp.outer(x, x) @ anp.tanh(x),
    "reductions": lambda x: anp.stack([anp.sum(x), anp.max(x), x @ x, anp.prod(x)]),
    "softmax": lambda x: anp.exp(x - anp.max(x)) / anp.sum(anp.exp(x - anp.max(x))),
    "overlapping slices": lambda x: x[1:] * x[:-1],
    "gathered": lambda x: x[np.array([3, 0, 0, 2])] ** 2,
    "linear system": lambda x: anp.linalg.solve(anp.outer(x, x) + 9 * np.eye(len(x)), anp.cos(x)),
    "cumulative": lambda x: anp.cumsum(x) * anp.sort(x),
    "independent part": lambda x: (anp.sin(x), np.ones(4)),
    "two-dimensional": lambda x: anp.reshape(anp.outer(x, anp.sin(x)), (len(x), -1))[:2, 1:],
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_jacobians_are_one_section(name, dtype):
    calls = [(x.astype(dtype),) for x in arguments(5)]
    jitted = compare(FUNCTIONS[name], *calls, operator=jacobian)
    assert jitted.stats.replays == 2 and sections(jitted, *calls[0]), jitted.explain()


# ---------------------------------------------------------------- forward mode: more outputs than inputs


def test_columns_are_one_section_for_each_input():
    def function(p):
        waves = anp.outer(p["a"], anp.sin(p["b"])) * p["c"]
        return {"waves": waves, "more": [waves[0], 2.0 * waves, anp.cos(waves)], "none": "text"}

    def parameters(seed):
        rng = np.random.default_rng(seed)
        return {"a": rng.standard_normal((2, 3)).ravel(), "b": rng.standard_normal(5), "c": rng.standard_normal()}

    calls = [(parameters(seed),) for seed in range(3)]
    jitted = compare(function, *calls, operator=jacobian)
    assert jitted.stats.replays == 2 and len(sections(jitted, *calls[0])) == 2, jitted.explain()


TALL = {
    "elementwise": lambda x: anp.concatenate([anp.sin(x), anp.exp(-x), x]),
    "products": lambda x: anp.outer(x, anp.tanh(x)),
    "matrix": lambda x: anp.arange(30.0).reshape(15, 2).repeat(3, axis=1)[:, : len(x)] @ x,
    "linear system": lambda x: anp.linalg.inv(anp.outer(x, x) + 9 * np.eye(len(x))),
    "cumulative": lambda x: anp.cumsum(anp.outer(x, x), axis=1),
    "independent part": lambda x: (anp.outer(x, x), np.ones(4)),
    "identity": lambda x: anp.stack([x, x, x]),
    "guarded": lambda x: anp.outer(x, x) if anp.sum(x) > -50 else anp.outer(x, x * x),
    "shuffled axes": lambda x: anp.transpose(anp.outer(x, anp.cos(x)))[::-1, 1:],
}


@pytest.mark.parametrize("name", TALL)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_columns_have_the_interpreted_values_and_layout(name, dtype):
    calls = [(x.astype(dtype),) for x in arguments(5)]
    jitted = compare(TALL[name], *calls, operator=jacobian)
    assert jitted.stats.replays == 2, jitted.explain()
    assert len(sections(jitted, *calls[0])) == 1


@pytest.mark.parametrize("size", [0, 1, 2, 3])
@pytest.mark.parametrize("function", [lambda x: anp.outer(x, anp.ones(9)), lambda x: anp.ones((9, 9)) * anp.sum(x)])
def test_few_and_no_columns(size, function):
    compare(function, *[(x,) for x in arguments(size)], operator=jacobian)
    compare(function, *[(x,) for x in arguments(size)], operator=hessian)


def test_columns_of_several_dtypes():
    """A column's dtype is the output's, the block's that of the input."""
    compare(lambda x: anp.outer(x, x).astype(np.float32), *[(x,) for x in arguments(4)], operator=jacobian)
    singles = [(x.astype(np.float32),) for x in arguments(4)]
    compare(lambda x: anp.outer(x, x) * np.float64(2), *singles, operator=jacobian)
    compare(lambda x: anp.outer(x, x) * (1 + 2j), *[(x,) for x in arguments(4)], operator=jacobian)
    compare(lambda x: anp.outer(x, x), *[(x.astype(np.float16),) for x in arguments(4)], operator=jacobian)


@pytest.mark.parametrize("order", [2, 3])
def test_columns_of_columns(order):
    def operator(f, **options):
        for _ in range(order - 1):
            f = jacobian(f)
        return jacobian(f, **options)

    function = lambda x: anp.outer(anp.sin(x), anp.ones(7)) * anp.sum(x)
    jitted = compare(function, *[(x,) for x in arguments(3)], operator=operator)
    assert jitted.stats.replays == 2 and sections(jitted, *arguments(3)[:1])


def test_gradients_through_columns():
    inner = jacobian(lambda x: anp.outer(anp.sin(x), x) * x[0])
    compare(lambda x: anp.sum(inner(x) ** 2), *[(x,) for x in arguments(4)], operator=grad)


def test_a_path_that_depends_on_a_column_is_recorded_column_by_column():
    @primitive
    def repeated(x):
        return np.outer(x, np.ones(6))

    def tangent(g, ans, x):
        return anp.outer(g * 3.0 if anp.sum(g[:1]) > 0.5 else 3.0 * g + 0.0, np.ones(6))

    defvjp(repeated, lambda ans, x: lambda g: anp.sum(g, axis=1))
    defjvp(repeated, tangent)
    jitted = compare(lambda x: repeated(2.0 * x), *[(x,) for x in arguments(4)], operator=jacobian)
    assert jitted.stats.replays == 2 and not sections(jitted, *arguments(4)[:1])


def test_a_function_that_does_something_else_in_one_of_its_runs():
    """Neither the first nor the last column shows what the one between them is: all have the same value."""

    def function(x):
        runs = []

        def tall(y):
            runs.append(1)
            nothing = 7.0 * (y - x) if len(runs) == 3 else 0.0 * y
            return anp.outer(y + nothing, np.ones(6))

        return jacobian(tall)(x)

    jitted = jit(function)
    for x in arguments(4):
        want = function(x)
        assert len(np.unique(want)) == 3
        assert_same(jitted(x), want)
    assert not sections(jitted, x), jitted.explain()


def test_functions_that_draw_have_no_columns():
    def function(x):
        return anp.outer(x, x) * np.random.standard_normal(4)

    x = arguments(4)[0]
    jitted = jacobian(function, jit=True)
    for seed in range(3):
        np.random.seed(seed)
        want, after = jacobian(function)(x), np.random.standard_normal()
        np.random.seed(seed)
        assert_same(jitted(x), want)
        assert np.random.standard_normal() == after


# ---------------------------------------------------------------- Hessians


@pytest.mark.parametrize("name", FUNCTIONS)
def test_hessians_are_one_section(name):
    def loss(x):
        value = FUNCTIONS[name](x)
        leaves = [value["a"], *value["b"]] if isinstance(value, dict) else [value]
        leaves = list(value) if isinstance(value, tuple) else leaves
        return sum([anp.sum(anp.tanh(leaf) ** 2) for leaf in leaves])

    jitted = compare(loss, *[(x,) for x in arguments(6)], operator=hessian)
    assert jitted.stats.replays == 2 and len(sections(jitted, *arguments(6)[:1])) == 1, jitted.explain()


def test_containers_and_several_arguments():
    def model(p, scale):
        return anp.tanh(p["w"] @ p["b"]) * scale * p["c"], p["n"]

    def parameters(seed):
        rng = np.random.default_rng(seed)
        return {"w": rng.standard_normal((4, 3)), "b": rng.standard_normal(3), "c": rng.standard_normal(), "n": 3}

    calls = [(parameters(seed), 0.5 + seed) for seed in range(3)]
    jitted = compare(model, *calls, operator=lambda f, **options: jacobian(f, (0, 1), **options))
    assert jitted.stats.replays == 2 and len(sections(jitted, *calls[0])) == 1


@pytest.mark.cpu  # on a device the rows are not looped over
def test_length_and_kernels_do_not_depend_on_the_number_of_rows():
    lengths, compiled = [], []
    jitted = hessian(rosenbrock, jit=True)
    for size in (8, 16, 100):
        for x in arguments(size):
            assert_same(jitted(x), hessian(rosenbrock)(x))
        lengths.append(len(jitted.tape(x).ops))
        compiled.append(len(jitted.kernels(x)))
    assert len(set(lengths)) == 1 and len(set(compiled)) == 1
    assert jitted.stats.kernels_compiled + jitted.stats.kernels_loaded <= compiled[0], jitted.stats


def test_what_does_not_depend_on_the_seed_is_computed_once():
    jitted = jacobian(lambda x: anp.sin(anp.exp(x)), jit=True)
    (x, y, _) = arguments(6)
    jitted(x), jitted(y)
    (op,) = sections(jitted, x)
    assert [inner.prim.name for inner in op.args[0].ops] == ["multiply", "multiply"]
    assert "for each unit vector" in str(jitted.tape(x)) and "row of" in str(jitted.tape(x))


def test_the_function_of_a_section_gives_its_rows():
    jitted = jacobian(lambda x: anp.sin(x) * x[0], jit=True)
    x = arguments(5)[0]
    jitted(x)
    (op,) = sections(jitted, x)
    values = {}
    for earlier in jitted.tape(x).ops:
        if earlier.prim is linear_rows:
            break
        from autograd_jit.trace.aliases import evaluate

        values.update(evaluate(earlier, {jitted.tape(x).inputs[0].number: x, **values}))
    (rows,) = linear_rows.fun(op.args[0], *[values.get(var.number, x) for var in op.args[1:]])
    np.testing.assert_allclose(rows, jacobian(lambda x: anp.sin(x) * x[0])(x), rtol=1e-12)


# ---------------------------------------------------------------- what a section cannot hold


@primitive
def tripled(x):
    return 3.0 * x


@primitive
def doubled(x):
    return 2.0 * x


@primitive
def kept(x):
    return 1.0 * x


calls_of_rule = []


def _rule_that_branches(g):
    return g * 3.0 if anp.sum(g[:1]) > 0.5 else 3.0 * g + 0.0


def _rule_that_writes(g):
    out = np.zeros(g.shape)
    out[...] = 2.0 * g
    return out


def _rule_that_counts(g):
    calls_of_rule.append(1)
    return g * float(len(calls_of_rule) % 2 + 1)


defvjp(tripled, lambda ans, x: _rule_that_branches)
defvjp(doubled, lambda ans, x: _rule_that_writes)
defvjp(kept, lambda ans, x: _rule_that_counts)


@pytest.mark.parametrize("function", [tripled, doubled])
def test_rules_that_look_at_the_seed_are_recorded_row_by_row(function):
    jitted = compare(lambda x: function(anp.sin(x)), *[(x,) for x in arguments(4)], operator=jacobian)
    assert jitted.stats.replays == 2 and not sections(jitted, *arguments(4)[:1])


def test_a_rule_that_differs_from_call_to_call_stays_right():
    """The second pull is not the first one over again: the rule's own state says which it is."""
    x = arguments(6)[0]
    calls_of_rule.clear()
    want = jacobian(kept)(x)
    calls_of_rule.clear()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        np.testing.assert_array_equal(jacobian(kept, jit=True)(x), want)


def test_python_steps_inside_are_run_row_by_row():
    """A function without a lowering rule, applied to the cotangent: the section is taken apart."""

    def spectrum(x):
        return anp.real(anp.fft.fft(x * x)[: len(x)])

    jitted = compare(spectrum, *[(x,) for x in arguments(6)], operator=jacobian)
    assert jitted.stats.replays == 2, jitted.explain()


def test_singular_matrices_inside():
    def function(x):
        return anp.linalg.solve(anp.diag(x), anp.cos(x))

    x, y, z = arguments(4)
    compare(function, (x,), (y,), (np.array([1.0, 0.0, 2.0, 3.0]),), (z,), operator=jacobian)


@pytest.mark.parametrize(
    "operator",
    [
        lambda f, **options: hessian(f, **options),
        lambda f, **options: jacobian(jacobian(f), **options),
        lambda f, **options: jacobian(hessian(f), **options),
        lambda f, **options: grad(lambda x: anp.sum(jacobian(f)(x) ** 2), **options),
        lambda f, **options: hessian(lambda x: anp.sum(jacobian(f)(x) ** 2), **options),
    ],
    ids=["hessian", "jacobian of jacobian", "jacobian of hessian", "grad of jacobian", "hessian of jacobian"],
)
def test_nested_derivatives(operator):
    jitted = compare(lambda x: anp.sin(x) * anp.sum(x**2), *[(x,) for x in arguments(4)], operator=operator)
    assert jitted.stats.replays == 2


def test_a_jacobian_inside_of_a_function_that_is_differentiated_by_something_else():
    def outer(p, x):
        return anp.sum(jacobian(lambda y: anp.sin(p * y) * y[0])(x) ** 2)

    (a, b, c) = arguments(4)
    for argnum in (0, 1, (0, 1)):
        compare(outer, (a, b), (b, c), (c, a), operator=lambda f, argnum=argnum, **o: grad(f, argnum, **o))


def test_a_step_of_newtons_method():
    def step(x):
        return x - anp.linalg.solve(hessian(rosenbrock)(x) + 500 * np.eye(len(x)), grad(rosenbrock)(x))

    jitted = compare(step, *[(x,) for x in arguments(7)])
    assert jitted.stats.replays == 2 and len(sections(jitted, *arguments(7)[:1])) == 1


def test_two_sections_and_what_lies_around_them():
    def function(x):
        first = jacobian(lambda y: anp.sin(y) * y[0])(x)
        second = jacobian(lambda y: anp.cos(y) @ first * y)(x * 2)
        total = np.zeros(len(x))
        total = total + anp.sum(first, axis=0)
        return first + second, total, first, anp.sum(x)

    jitted = compare(jit(function), *[(x,) for x in arguments(5)])
    assert len(sections(jitted, *arguments(5)[:1])) == 2


@pytest.mark.parametrize("size", [0, 1, 2, 3])
def test_few_and_no_rows(size):
    compare(lambda x: anp.sin(x) * 2, *[(x,) for x in arguments(size)], operator=jacobian)
    compare(lambda x: anp.sum(anp.sin(x) ** 3), *[(x,) for x in arguments(size)], operator=hessian)


def test_complex_and_other_dtypes():
    z = np.array([1 + 2j, 0.5j, -1.0 + 0j, 2.0 - 1j])
    compare(lambda z: z**2 * z[0], (z,), (z * 2,), operator=jacobian)
    compare(lambda x: x * (1 + 2j), (arguments(4)[0],), (arguments(4)[1],), operator=jacobian)
    half = arguments(4)[0].astype(np.float16)
    compare(lambda x: x * x[0], (half,), (half * 2,), operator=jacobian)
    mixed = lambda x: x.astype(np.float32) * anp.sum(x)
    compare(mixed, *[(x,) for x in arguments(4)], operator=jacobian)


def test_results_belong_to_the_caller():
    jitted = jacobian(lambda x: (x, x * 2.0), jit=True)
    x = arguments(4)[0]
    jitted(x)
    first = jitted(x)
    first[0][...] = 7.0
    assert_same(jitted(x), jacobian(lambda x: (x, x * 2.0))(x))


def test_branches_outside_of_the_section_keep_their_paths():
    function = lambda x: anp.sin(x) * x[0] if x[1] > 0 else anp.cos(x) + x
    jitted = compare(function, *[(x,) for x in arguments(5, 12)], operator=jacobian)
    assert jitted.stats.traces == 2
