"""Every function of the numpy package at special values: traced calls give NumPy's answers to the last bit.

The cases are the samples of the registry and the calls of ``numpy.linalg`` and ``numpy.fft`` below, their arrays
replaced by the salts of ``tests/special_values.py``. Compiled answers may differ in their last bits, not in NaN,
infinities, signs of zero, dtype or shape.
"""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import autograd_jit.numpy as anp
from tests.numpy.generator import cases
from tests.special_values import Call, problems, replay_problems

RNG = np.random.default_rng(0)
SQUARE, TALL, VECTOR = RNG.normal(size=(3, 3)) + 3 * np.eye(3), RNG.normal(size=(4, 2)), RNG.normal(size=3)
STACK, SYMMETRIC, POSITIVE = np.stack([SQUARE, SQUARE.T]), SQUARE + SQUARE.T, SQUARE @ SQUARE.T

#: function of ``numpy.linalg`` -> calls ``(args, kwargs)``
LINALG: dict[str, list] = {
    **{name: [((SQUARE,), {}), ((STACK,), {})] for name in "inv det slogdet pinv eigvals svdvals matrix_rank".split()},
    **{name: [((SYMMETRIC,), {}), ((SYMMETRIC, "U"), {})] for name in ("eigh", "eigvalsh")},
    "eig": [((SQUARE,), {})],
    "solve": [((SQUARE, VECTOR), {}), ((STACK, TALL[:3]), {})],
    "lstsq": [
        ((TALL, np.ones(4)), {}),
        ((TALL, np.ones((4, 2))), {}),
        ((TALL.T, np.ones(2)), {}),
        ((SQUARE, VECTOR), {}),
    ],
    "cond": [
        *[((SQUARE, p), {}) for p in (None, 1, -1, 2, -2, np.inf, -np.inf, "fro", "nuc")],
        ((STACK, 1), {}),
        ((STACK,), {}),
    ],
    "norm": [
        *[((VECTOR, p), {}) for p in (None, 0, 1, -1, 2, 3, np.inf, -np.inf, "nuc")],
        *[((SQUARE, p), {}) for p in (None, "fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf)],
        ((SQUARE,), {"axis": 0}),
        ((STACK,), {"axis": (1, 2)}),
        ((STACK,), {}),
    ],
    "vector_norm": [*[((VECTOR,), {"ord": p}) for p in (0, 1, 2, 3)], ((SQUARE,), {"axis": 1, "keepdims": True})],
    "matrix_norm": [((SQUARE,), {}), *[((STACK,), {"ord": p}) for p in ("nuc", 2, 1)]],
    "matrix_power": [((SQUARE, n), {}) for n in (0, 1, 2, 3, 5, -1)],
    "multi_dot": [(([SQUARE, SQUARE, VECTOR],), {}), (([TALL.T, TALL, TALL.T],), {})],
    "trace": [((SQUARE,), {}), ((STACK,), {"offset": 1})],
    "diagonal": [((SQUARE,), {}), ((STACK,), {"offset": 1})],
    "outer": [((VECTOR, VECTOR), {})],
    "cross": [((VECTOR, VECTOR[::-1]), {})],
    "matmul": [((SQUARE, SQUARE), {})],
    "vecdot": [((SQUARE, VECTOR), {})],
    "matrix_transpose": [((TALL,), {})],
    "qr": [((SQUARE,), {}), ((TALL,), {}), ((TALL, "r"), {}), ((TALL, "complete"), {}), ((TALL.T,), {})],
    "svd": [((SQUARE,), {}), ((TALL,), {}), ((TALL, False), {}), ((TALL, True, False), {})],
    "cholesky": [((POSITIVE,), {}), ((POSITIVE,), {"upper": True})],
    "tensorsolve": [((SQUARE, VECTOR), {})],
}
FFT = "fft ifft fft2 ifft2 fftn ifftn rfft irfft rfft2 irfft2 rfftn irfftn hfft ihfft fftshift ifftshift".split()

ORDER = frozenset(["value", "nan", "infinity"])
#: function -> what may differ, and why
ALLOWED: dict[str, frozenset[str]] = {
    # NumPy adds the products of these one by one, where here one matrix product does it: another order of summation,
    # which shows in last bits, in overflow on the way, and in what becomes of complex infinities
    **dict.fromkeys(["dot", "inner", "tensordot", "einsum"], ORDER),
    # which of 0.0 and -0.0 comes first is left open by NumPy's sort, and by its extrema with the length of an array
    **dict.fromkeys(["sort", "nanmin", "nanmax"], frozenset(["zero"])),
    # writes into a plain argument, so that the plain call cannot be asked for its error
    # (into a read-only one it cannot write, where the traced call gives a new array)
    "put_along_axis": frozenset(["exception", "error"]),
    # at a knot whose value is -0.0 the line through it gives 0.0, which keeps the derivative
    "interp": frozenset(["zero"]),
    # sums of a broadcast array go in another order
    **dict.fromkeys(["norm", "vector_norm", "multi_dot"], frozenset(["value"])),
    **dict.fromkeys(FFT, frozenset(["type", "exception"])),  # scalars: NumPy's 0-d arrays, and IndexErrors
}
#: for compiled answers
ALLOWED_COMPILED: dict[str, frozenset[str]] = {
    # the sign of a zero among equals is not fixed by NumPy, whose vector code answers by position
    **dict.fromkeys(
        "maximum minimum fmax fmin max min nanmax nanmin clip reduce_max reduce_min".split(), frozenset(["zero"])
    ),
    **dict.fromkeys(["clip_one", "clip_both", "max_where", "min_where", "ptp"], frozenset(["zero"])),
    "svd": frozenset(["zero"]),
    # differences of equal numbers: nothing but rounding is left
    **dict.fromkeys("std var nanstd nanvar cov corrcoef mean nanmean average".split(), frozenset(["value"])),
    **dict.fromkeys(["dot", "inner", "tensordot", "einsum"], ORDER),
    "irfft": frozenset(["value"]),  # NumPy reads unset memory for an empty array
    # subnormal matrices are singular to rounding
    **dict.fromkeys("slogdet det inv solve pinv tensorsolve matrix_power".split(), ORDER | {"zero"}),
}
#: arguments without which a function has no meaning: interp needs knots in order
HELD = {"interp": (1,)}


def calls() -> dict[str, list[Call]]:
    """Function -> its calls."""
    found: dict[str, list[Call]] = {}
    for case in cases(("autograd_jit.numpy",)):
        if not case.name.endswith(("-f32", "-strided", "-c128")):
            reference = case.reference or case.function
            call = Call(case.name, case.function, reference, case.args, case.kwargs)
            found.setdefault(case.name.split("-")[0].removeprefix("numpy."), []).append(call)
    tables = {"linalg": (anp.linalg, np.linalg, LINALG), "fft": (anp.fft, np.fft, {f: [((TALL,), {})] for f in FFT})}
    for space, (ours, theirs, table) in tables.items():
        for name, samples in table.items():
            found[f"public {space}.{name}"] = [
                Call(f"{space}.{name}-{i}", getattr(ours, name), getattr(theirs, name), args, kwargs)
                for i, (args, kwargs) in enumerate(samples)
            ]
    return found


CALLS = calls()


def short(function: str) -> str:
    return function.removesuffix(".primitive").split(".")[-1]


@pytest.fixture(autouse=True)
def quiet():
    """What NumPy warns of at special values is no matter here."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.mark.parametrize("function", CALLS)
def test_traced_values_are_numpys(function):
    name = short(function)
    found = [p for call in CALLS[function] for p in problems(call, ALLOWED.get(name, frozenset()), HELD.get(name, ()))]
    assert not found, "\n".join(found[:20])


def check_compiled(function: str, share: int) -> None:
    name = short(function)
    found: list[str] = []
    for call in CALLS[function]:
        found += replay_problems(call, share, ALLOWED_COMPILED.get(name, frozenset()), HELD.get(name, ()))
    assert not found, "\n".join(found[:20])


@pytest.mark.parametrize("function", CALLS)
def test_compiled_values_are_the_traced_ones(function):
    check_compiled(function, share=12)


@pytest.mark.slow
@pytest.mark.parametrize("function", CALLS)
def test_all_compiled_values_are_the_traced_ones(function):
    check_compiled(function, share=1)


def test_every_public_function_of_linalg_is_here():
    public = {name for name, value in vars(anp.linalg).items() if not name.startswith("_") and callable(value)}
    own = {name for name in public if getattr(vars(anp.linalg)[name], "__module__", "") == "autograd_jit.numpy.linalg"}
    assert own - set(LINALG) - {"tensordot", "tensorinv", "euclidean", "sum"} == set()
