"""Integer arguments: one program for all numbers of which nothing is made, one for each value of what is made."""

import math
import string
import threading
import warnings

import numpy as onp
import pytest

import autograd_jit.numpy as np
from autograd_jit import grad, hessian, jit, value_and_grad
from autograd_jit.errors import FallbackWarning
from autograd_jit.misc.optimizers import adam
from autograd_jit.trace.integers import MAX_SOURCES, IntegerFacts
from tests.jit_support import assert_same, compare

X = onp.array([0.5, 1.5, 2.5, 3.5])
M = X[:, None] + onp.arange(4.0) ** 2

#: what programs do with an integer that has come as an argument, for the values 0 to 3
USES = {
    "nothing": lambda x, n: x * 2,
    # arithmetic with arrays, numbers and other integers
    "array": lambda x, n: (
        x + n,
        n - x,
        x * n,
        x / (n + 1),
        x // (n + 1),
        x % (n + 1),
        x**n,
        (n + 1) ** x,
        n @ x if 0 else 1,
    ),
    "in place": lambda x, n: _in_place(x, n),
    "python float": lambda x, n: (n * 0.5, 0.5 - n, n / 2, 2.0**n, n**0.5),
    "traced float": lambda x, n, y=2.5: (y * n, n * y, n - y, y**n, y < n, n <= y),
    "integers": lambda x, n: (
        n + 1,
        7 - n,
        n * n,
        7 // (n + 1),
        n // 2,
        n % 2,
        7 % (n + 1),
        -n,
        +n,
        abs(-n),
        ~n,
        n**2,
        2**n,
    ),
    "bits": lambda x, n: (n & 1, n | 4, n ^ 3, n << 2, 9 >> n, 1 & n),
    "divmod": lambda x, n: (divmod(n, 2), divmod(7, n + 1), round(n), math.trunc(n), math.floor(n), math.ceil(n)),
    "large": lambda x, n: (n * 10**30) % 7 + (n + 2**70) // 2**68,
    "rolling": lambda x, n: sum((n + k) % 5 for k in range(60)),
    "python functions": lambda x, n: (
        int(n),
        float(n),
        complex(n),
        bool(n),
        str(n),
        f"{n:03d}",
        repr(n),
        hash(n),
        "%d" % n,  # noqa: UP031
    ),
    "math": lambda x, n: (
        math.factorial(n),
        math.sqrt(n),
        math.comb(5, n),
        n.bit_length(),
        n.real,
        n.imag,
        n.conjugate(),
    ),
    "min and max": lambda x, n: (max(n, 2), min(2, n), sorted([2, n, 1]), sum([n, n]), n in (1, 2), [1, 2, 3].count(n)),
    # decisions
    "comparisons": lambda x, n: (n < 2, n <= 2, n > 2, n >= 2, n == 2, n != 2, 0 < n < 3, n == None, n != "a"),  # noqa: E711
    "truth": lambda x, n: x * 2 if n else x * 3,
    "not": lambda x, n: (not n, n or 5, n and 6),
    "while": lambda x, n: _while(x, n),
    "match": lambda x, n: _match(x, n),
    "is": lambda x, n: x * 2 if n is None else x * 3,
    "isinstance": lambda x, n: (isinstance(n, int), isinstance(n, float), callable(n)),
    # indices, shapes, bounds
    "index": lambda x, n: (
        x[n],
        x[-n],
        x[n - 4],
        x[:n],
        x[n:],
        x[n : n + 1],
        x[:: n + 1],
        x[[n, 0]],
        x[(n,)],
        x[n, None],
    ),
    "plain sequences": lambda x, n: (
        [1, 2, 3, 4][n],
        "abcd"[n],
        (5, 6, 7, 8)[n:],
        {0: 1, 1: 2, 2: 3, 3: 4}[n],
        "ab" * n,
        [1] * n,
    ),
    "loop": lambda x, n: sum([x[i] * i for i in range(n)]),
    "shapes": lambda x, n: (
        np.reshape(x, (n % 2 + 1, -1)),
        x.reshape(-1, n % 2 + 1),
        np.zeros(n),
        np.ones((n, 2)),
        np.full(n, 2.0),
    ),
    "makers": lambda x, n: (
        np.eye(n),
        np.arange(n),
        np.linspace(0.0, 1.0, n),
        np.tri(4, k=n),
        np.array([n, 1.0]),
        np.array(n),
    ),
    "plain numpy": lambda x, n: (
        onp.zeros(n),
        onp.full((n, 2), 1.0) * n,
        onp.eye(4, k=n) * x,
        onp.array([n, 2]),
        onp.float64(n),
    ),
    "axes": lambda x, n: (
        np.sum(M * x, axis=n % 2),
        np.expand_dims(x, n % 2),
        np.moveaxis(M * x, 0, n % 2),
        np.stack([x, x], n % 2),
    ),
    "parameters": lambda x, n: (
        np.roll(x, n),
        np.tile(x, n),
        np.repeat(x, n),
        np.triu(M * x, n),
        np.trace(M * x, n),
        np.diag(x, n),
    ),
    "more": lambda x, n: (
        np.diff(x, n),
        np.pad(x, n),
        np.take(x, n),
        np.rot90(M * x, n),
        np.cumsum(M * x, axis=n % 2),
        np.clip(x, 0, n),
    ),
    "functions": lambda x, n: (
        np.maximum(x, n),
        np.where(x > n, x, n),
        np.dot(x, n * np.ones(4)),
        np.isnan(n),
        np.sqrt(n),
    ),
    "products": lambda x, n: (
        np.linalg.matrix_power(M * x, n),
        np.tensordot(M * x, M, axes=n % 3),
        np.linalg.norm(x, n + 1),
    ),
    # results
    "result": lambda x, n: (n, [n + 1], {"n": n * 2}, x),
    "key": lambda x, n: {n: x},
    "text": lambda x, n: {string.ascii_letters[n]: x},
}


def _in_place(x, n):
    m = n
    m += 2
    m *= 3
    total = 0.0
    total += n
    return m, total, x * m


def _while(x, n):
    while n > 0:
        x = x * 2
        n -= 1
    return x


def _match(x, n):
    match n:
        case 0:
            return x
        case int() if n > 2:
            return x * 2
    return x * 3


@pytest.mark.parametrize("use", USES)
@pytest.mark.filterwarnings("ignore")
def test_every_use_of_an_integer_gives_what_it_gives_interpreted(use):
    """Each number twice, first as they come: a program for one number must not answer for another."""
    compare(USES[use], *[(X * k, n) for k in (1.0, 2.0) for n in (0, 1, 2, 3, 2, 0, 3, 1)])


@pytest.mark.parametrize("use", ["array", "index", "shapes", "parameters", "functions", "axes", "loop", "while"])
@pytest.mark.filterwarnings("ignore")
def test_derivatives_with_integers(use):
    def total(x, n):
        parts = USES[use](x, n)
        return sum([np.sum(part) for part in (parts if isinstance(parts, tuple) else (parts,))]) + np.sum(x**2)

    for operator in (grad, hessian):
        compare(total, *[(X * k, n) for k in (1.0, 2.0) for n in (0, 1, 2, 3, 2, 0)], operator=operator)


def test_an_integer_of_which_nothing_is_made_costs_no_trace():
    gradient = grad(lambda w, step: np.sum(np.tanh(w) ** 2), jit=True)
    plain = grad(lambda w: np.sum(np.tanh(w) ** 2))
    for step in range(600):
        assert_same(gradient(X * step, step), plain(X * step))
    assert (gradient.stats.traces, gradient.stats.replays) == (1, 599)


def test_an_objective_that_counts_its_steps_under_a_minimiser():
    def loss(w, step):
        return np.sum((w - 1.0) ** 2)

    gradient = grad(loss, jit=True)
    assert_same(adam(gradient, X, num_iters=400), adam(grad(loss), X, num_iters=400))
    assert (gradient.stats.traces, gradient.stats.fallbacks) == (1, 0)


def test_minibatches_by_number_are_traced_once_each():
    data = onp.random.RandomState(0).randn(50, 4)

    def loss(w, step):
        start = step % 5 * 10
        return np.sum(np.dot(data[start : start + 10], w) ** 2)

    gradient = value_and_grad(loss, jit=True)
    for step in range(300):
        assert_same(gradient(X, step), value_and_grad(loss)(X, step))
    assert (gradient.stats.traces, gradient.stats.replays) == (5, 295)
    assert "((i0 % 5) * 10) == 40" in gradient.explain()


def test_a_condition_on_an_integer_has_two_programs():
    f = jit(lambda x, n: x * 2.0 if n % 10 == 0 else x * 3.0)
    for n in range(100):
        assert_same(f(X, n), X * (2.0 if n % 10 == 0 else 3.0))
    assert f.stats.traces == 2


def test_integers_that_matter_on_one_path_only():
    def f(x, n, m):
        return x * n if x[0] > 1.0 else x + 1.0

    jitted = compare(f, *[(X * k, n, m) for k in (1.0, 4.0) for n in range(3) for m in range(4)])
    # One for the path that ignores both; with it, and when it is known that n may matter, one for each path and n.
    assert jitted.stats.traces <= 7
    before = jitted.stats.traces
    for m in range(100, 200):
        jitted(X * 4.0, 2, m)
    assert jitted.stats.traces == before


def test_integers_in_containers_and_by_keyword():
    def f(p, *, count=1):
        return p["x"] * p["n"] + count

    compare(f, *[({"x": X, "n": n, "unused": k},) for n in (1, 2, 1) for k in range(3)])
    jitted = jit(f)
    for count in (1, 2, 1, 2):
        assert_same(jitted({"x": X, "n": 2, "unused": count}, count=count), X * 2 + count)
    assert jitted.stats.traces == 2


def test_numbers_that_do_not_fit():
    """Beyond 64 bits, and where an expression would grow without end."""
    f = lambda x, n: x * float(n % 1000)
    compare(f, *[(X, n) for n in (3, 2**63 + 3, 2**64 + 5, -(10**30), 10**30)])

    def grown(x, n):
        for k in range(500):
            n = n * 3 + k
        return x * float(n % 11)

    compare(grown, *[(X, n) for n in range(4)])


def test_division_by_an_integer_that_may_be_zero():
    compare(lambda x, n: x * (10 // n), (X, 1), (X, 2), (X, 0), (X, 5))
    compare(lambda x, n: x * (10 % n + n % 3), (X, 4), (X, 0), (X, 3))


def test_a_number_kept_by_the_function_is_the_number():
    kept = []

    def f(x, n):
        kept.append(n)
        return x * 2.0

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FallbackWarning)
        jitted = jit(f)
        for n in (3, 4):
            jitted(X, n)
    assert [type(n) for n in kept] == [int, int]
    assert kept == [3, 4]


def test_identity_of_numbers():
    compare(lambda x, n, m: x * 2.0 if n is m else x, *[(X, n, m) for n in (1, 2) for m in (1, 2, 1)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)
        five = eval("lambda x, n: x * 2.0 if n is 5 else x * 3.0")
    compare(five, (X, 5), (X, 6), (X, 5))


def test_functions_that_accept_nothing_but_an_integer():
    """A box is refused by some functions of C: from then on the function sees plain integers."""
    import datetime

    def f(x, n):
        return x * datetime.timedelta(days=n).total_seconds()

    jitted = compare(f, *[(X, n) for n in (1, 2, 1, 2, 1)])
    assert jitted.stats.replays == 2


def test_a_trace_inside_a_trace():
    inner = jit(lambda x, n: x * n)
    compare(lambda x, n: inner(x, n + 1) + inner(x, 3), *[(X, n) for n in (0, 1, 0)])
    compare(lambda x, n: jit(grad(lambda y: np.sum(y**n)))(x), *[(X, n) for n in (1, 2, 1)])


def test_too_many_expressions_are_the_integers_themselves():
    facts = IntegerFacts(2)
    facts.add({f"(i0 % {k})": 5 % k for k in range(1, MAX_SOURCES + 1)}, {})
    assert facts.boxes
    assert facts.key([5, 7])[1][2] == 5 % 3
    facts.add({"(i1 + 1)": 8}, {})
    assert not facts.boxes
    assert facts.key([5, 7]) == (("i0", "i1"), (5, 7))


def test_keys_of_other_expressions_are_other_keys():
    first, second = IntegerFacts(1), IntegerFacts(1)
    first.add({"(i0 % 2)": 1}, {})
    second.add({"i0": 1}, {})
    assert first.key([1]) != second.key([1])


def test_draws_with_integers_and_minibatches_keep_the_stream():
    """The number of draws may be an argument; calls that take turns draw what the interpreted ones draw."""

    def make(random):
        def loss(w, step, count):
            start = step % 3
            noise = random.randn(count, 4)
            picked = noise[0] if np.sum(noise) > 0.0 else noise[-1]  # two paths, taken by what was drawn
            return np.sum(w[start:] ** 2) + np.sum(w * picked)

        return loss

    compiled = value_and_grad(make(np.random.RandomState(3)), jit=True)
    plain = value_and_grad(make(np.random.RandomState(3)))
    for step in range(60):
        assert_same(compiled(X, step, step % 2 + 1), plain(X, step, step % 2 + 1))
    assert compiled.stats.fallbacks == 0
    assert compiled.stats.traces <= 12  # three batches, two sizes, two paths


# ---------------------------------------------------------------- integers in formulas

FORMULAS = {
    "rate": lambda x, n: x * (0.1 * n),
    "decay": lambda x, n: x * 0.9**n,
    "inverse": lambda x, n: x / (1 + n),
    "share": lambda x, n: x * (n / 10) + (3 * n) / (n + 7),
    "schedule": lambda x, n: x / (1.0 + n) ** 0.5,
    "from the left": lambda x, n: n * x + n - x,
    "from the right": lambda x, n: x * n - n + x,
    "both numbers": lambda x, n: x * n / (n + 1) + 2.5 * n,
    "annealed": lambda x, n: x * min(1.0, n / 5),
    "a branch": lambda x, n: x * n if 0.5 * n > 2.0 else x + n,
    "batch and number": lambda x, n: x[n % 3] * n + np.sum(x[: n % 2]) / (n + 1),
    "whole part": lambda x, n: x * int(0.5 * n),
    "whole part of a sum": lambda x, n: np.sum(x) * (0.1 * n) + x[int(n * 0.2) % 3],
    "whole base": lambda x, n: x * 2**n,
    "whole exponent": lambda x, n: x**n,
    "whole division": lambda x, n: x * (n // 2) + n % 3,
    "result": lambda x, n: (0.5 * n, n / 4, n * 1.0, x[0] * n, n),
    "complex": lambda x, n: np.real(x * (n * 1j)) + n,
    "function": lambda x, n: x * np.sqrt(n) + np.exp(-0.1 * n),
    "functions": lambda x, n: (
        x / np.sqrt(n + 8)
        + np.log(n + 9.0) * np.exp(-n / 10)
        + sum([f(n + 8) for f in (np.sqrt, np.log1p, np.log2, np.tanh, np.arctan, np.cbrt, np.square, np.reciprocal)])
    ),
    "roots": lambda x, n: x / np.sqrt(n + 1) + np.exp(-0.1 * n) * np.log(1 + n),
    "squared": lambda x, n: x * (n * n) / 7.0 - (n - 3) * 0.5,
}


@pytest.mark.parametrize("name", FORMULAS)
@pytest.mark.parametrize("dtype", [float, onp.float32, int])
def test_formulas_of_an_integer_give_what_they_give_interpreted(name, dtype):
    x = (X * 2).astype(dtype)
    large = () if "whole base" in name else (2**53, 2**53 + 1, 2**70)
    compare(FORMULAS[name], *[(x, n) for n in (0, 1, 2, 3, 4, 5, 6, -1, 3, 40, 12, -7, 0, *large, 5)])


@pytest.mark.parametrize(
    "name", ["rate", "decay", "inverse", "share", "schedule", "from the left", "both numbers", "roots"]
)
def test_a_step_counter_in_a_formula_is_an_input(name):
    def loss(x, n):
        return np.sum(FORMULAS[name](x, n) ** 2)

    compiled, plain = value_and_grad(loss, jit=True), value_and_grad(loss)
    for step in range(400):
        assert_same(compiled(X, step), plain(X, step))
    assert compiled.stats.traces <= 3  # two numbers, and all others
    assert compiled.stats.fallbacks == 0
    assert compiled.stats.replays >= 397


def test_steps_that_choose_a_batch_and_a_rate():
    def loss(x, step):
        return np.sum((x[step % 4] * (step / 100)) ** 2)

    compiled, plain = value_and_grad(loss, jit=True), value_and_grad(loss)
    for step in range(100):
        assert_same(compiled(M, step), plain(M, step))
    assert compiled.stats.traces <= 2 + 4  # one for each batch
    assert compiled.stats.fallbacks == 0


def test_numbers_that_are_taken_out_of_the_tape_stay_constants():
    """As an input, each would be a path of its own."""
    plain = lambda x, n: x * int(0.5 * n)  # code of its own: what is known of a code, other tests may have taught
    compiled = jit(plain)
    for _ in range(2):
        for n in range(40):
            assert_same(compiled(X, n), plain(X, n))
    assert compiled.stats.fallbacks == 0
    assert compiled.stats.traces == 42, compiled.explain()  # 0 and 1 once more: by then it was known what 2 showed
    assert compiled.stats.replays == 38


def test_other_values_that_are_taken_leave_a_step_an_input():
    compiled = jit(lambda x, n: x * (0.1 * n) + x[int(x[0])])
    for n in range(30):
        assert_same(compiled(X, n), X * (0.1 * n) + X[0])
    assert compiled.stats.traces <= 3


def test_threads_that_step_on():
    """Each thread counts for itself; which numbers are constants is decided between them."""
    compiled = jit(lambda x, n: x * (0.1 * n) + n / (n + 1))
    wrong = []

    def run(first):
        for n in range(first, first + 60):
            if not onp.allclose(compiled(X, n), X * (0.1 * n) + n / (n + 1), rtol=1e-12):
                wrong.append(n)

    threads = [threading.Thread(target=run, args=(first,)) for first in (0, 3, 50, 51)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert compiled.stats.fallbacks == 0


def test_division_by_a_step_that_becomes_zero():
    compiled = jit(lambda x, n: x * (1.0 / n))
    for n in (1, 2, 3, 4, 5):
        assert_same(compiled(X, n), X * (1.0 / n))
    with pytest.raises(ZeroDivisionError, match="float division by zero"):
        compiled(X, 0)
    assert_same(compiled(X, 6), X * (1.0 / 6))


def test_numbers_that_are_no_exact_floats():
    for n in (2**53 + 1, -(2**53) - 1, 10**30):
        compiled = jit(lambda x, n: (x * n, n / 3))
        for k in range(5):
            compiled(X, k)
        assert_same(compiled(X, n), (X * n, n / 3))
        assert_same(compiled(X, n), (X * n, n / 3))


def test_tapes_of_numbers_print_them_as_inputs():
    compiled = jit(FORMULAS["rate"])
    for n in range(5):
        compiled(X, n)
    assert "number0" in str(compiled.tape(X, 5))
    assert "integer: (abs(i0) <= 9007199254740992) == True" in compiled.explain()
