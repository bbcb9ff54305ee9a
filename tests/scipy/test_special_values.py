"""Functions of the scipy package at special values: traced calls give SciPy's answers.

Registered functions are held to the last bit; distributions, whose formulas are compiled, to NaN, infinities, dtype,
shape and the sign of zeros, and to 1e-9.
"""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import scipy.special
import scipy.stats

import autograd_jit.scipy.signal
import autograd_jit.scipy.special
import autograd_jit.scipy.structured  # noqa: F401 - registers its functions
from autograd_jit import jit
from autograd_jit.scipy import special, stats
from tests.numpy.generator import cases
from tests.special_values import Call, differentiated, is_refused, outcome, problem, problems, recorded, replay_problems
from tests.special_values import salted as salted_calls

MODULES = tuple([f"autograd_jit.scipy.{name}" for name in ("special", "log_sums", "signal", "structured")])
REGISTERED: dict[str, list[Call]] = {}
for _case in cases(MODULES):
    if not _case.name.endswith(("-f32", "-strided", "-c128")):
        _call = Call(_case.name, _case.function, _case.reference or _case.function, _case.args, _case.kwargs)
        REGISTERED.setdefault(_case.name.split("-")[0].removeprefix("scipy."), []).append(_call)

POINTS = np.random.default_rng(1).normal(size=4)
SHAPES = {
    "norm": (), "t": (3.5,), "gamma": (2.5,), "beta": (1.5, 2.5), "chi2": (3.0,), "expon": (), "lognorm": (0.7,),
    "uniform": (), "laplace": (), "logistic": (), "weibull_min": (1.4,),
}  # fmt: skip
METHODS = ("pdf", "logpdf", "cdf", "sf", "logcdf", "logsf", "ppf")
#: salts with which SciPy computes by formulas of its own, so that no more can be asked than what is tested elsewhere
BEYOND = ("complex", "longdouble", "float16", "huge", "subnormal", "int", "uint", "bool")


@pytest.fixture(autouse=True)
def quiet():
    """What SciPy warns of at special values is no matter here."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.mark.parametrize("function", REGISTERED)
def test_traced_values_are_scipys(function):
    found = [p for call in REGISTERED[function] for p in problems(call)]
    assert not found, "\n".join(found[:20])


#: where compiled answers may differ: LAPACK multiplies by the reciprocals of pivots, which overflow for subnormal ones,
#: and the order of elimination decides the signs of zeros
ALLOWED_COMPILED = dict.fromkeys(["structured.solve_triangular"], frozenset(["value", "nan", "infinity", "zero"]))


@pytest.mark.parametrize("function", REGISTERED)
def test_compiled_values_are_the_traced_ones(function):
    check_compiled(function, share=12)


def check_compiled(function: str, share: int) -> None:
    allowed = ALLOWED_COMPILED.get(function, frozenset())
    found = [p for call in REGISTERED[function] for p in replay_problems(call, share, allowed)]
    assert not found, "\n".join(found[:20])


@pytest.mark.slow
@pytest.mark.parametrize("function", REGISTERED)
def test_all_compiled_values_are_the_traced_ones(function):
    check_compiled(function, share=1)


@pytest.mark.parametrize("name", SHAPES)
def test_distributions(name):
    found = []
    for method in METHODS:
        ours, theirs = getattr(getattr(stats, name), method), getattr(getattr(scipy.stats, name), method)
        for options in ({}, {"loc": 0.3, "scale": 1.7}):
            call = Call(
                method,
                lambda x, f=ours, o=options: f(x, *SHAPES[name], **o),
                lambda x, f=theirs, o=options: f(x, *SHAPES[name], **o),
                (POINTS,),
                {},
            )
            for label, args, kwargs in salted_calls(call):
                want = outcome(lambda a, f=call.reference: f(*a), args)
                for way in (differentiated, recorded):
                    got = outcome(way, call, args, kwargs)
                    word = "" if is_refused(got) or label.startswith(BEYOND) else problem(got, want, 1e-9)
                    if word:
                        found.append(f"{name}.{method}, {options}, {label}, {way.__name__}: {word}")
    assert not found, "\n".join(found[:20])


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_gammaln_is_infinite_where_scipys_is(dtype):
    """At subnormal numbers of double precision, whose reciprocal overflows; the true value is finite."""
    x = np.array([5e-324, -5e-324, 2.0**-1024, np.nextafter(2.0**-1024, 1), 1e-308, 0.0, -0.0, 1e-45, 2.5], dtype)
    compiled = jit(special.gammaln)
    for _ in range(2):
        np.testing.assert_allclose(compiled(x), scipy.special.gammaln(x), rtol=1e-6 if dtype is np.float32 else 1e-14)
    assert compiled.stats.replays == 1
