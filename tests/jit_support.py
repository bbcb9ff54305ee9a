"""Shared by the tests of jit: the same calls interpreted and compiled, compared in every respect."""

from __future__ import annotations

import copy
import dataclasses
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from autograd_jit import jit

_TOLERANCES = {np.dtype(t): 1e-4 for t in (np.float32, np.complex64)} | {np.dtype(np.float16): 1e-2}


def assert_same(got: Any, want: Any, where: str = "result", precision: float = 1e-9) -> None:
    """Equal types, structure, dtypes and shapes; values to ``precision`` (1e-4 for single precision)."""
    assert type(got) is type(want), f"{where}: {type(got)} instead of {type(want)}: {got!r} / {want!r}"
    if isinstance(want, (list, tuple)):
        assert len(got) == len(want), where
        for position, (g, w) in enumerate(zip(got, want, strict=True)):
            assert_same(g, w, f"{where}[{position}]", precision)
    elif isinstance(want, dict):
        assert list(map(repr, got)) == list(map(repr, want)), where
        assert_same(list(got.values()), list(want.values()), where, precision)
    elif dataclasses.is_dataclass(want):
        assert_same(vars(got), vars(want), where, precision)
    elif isinstance(want, (np.ndarray, np.generic)):
        assert got.dtype == want.dtype, f"{where}: {got.dtype} instead of {want.dtype}"
        assert got.shape == want.shape, f"{where}: {got.shape} instead of {want.shape}"
        if want.dtype.kind in "fc":
            tolerance = _TOLERANCES.get(want.dtype, precision)
            np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance, err_msg=where)
        else:
            np.testing.assert_array_equal(got, want, err_msg=where)
    elif isinstance(want, (float, complex)):
        np.testing.assert_allclose(got, want, rtol=precision, atol=precision, err_msg=where)
    else:
        assert got == want or (want != want and got != got), f"{where}: {got!r} instead of {want!r}"


def outcome(function: Callable, args: tuple, kwargs: dict | None = None) -> tuple[str, Any]:
    """What a call gives: ``("value", result)`` or ``("error", exception)``."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return "value", function(*args, **(kwargs or {}))
        except Exception as error:
            return "error", error


def assert_same_outcome(got: tuple[str, Any], want: tuple[str, Any], where: str = "", precision: float = 1e-9) -> None:
    assert got[0] == want[0], f"{where}: {got} instead of {want}"
    if want[0] == "error":
        assert type(got[1]) is type(want[1]), f"{where}: {got[1]!r} instead of {want[1]!r}"
        if isinstance(want[1], RecursionError):
            return  # Python says "in comparison", "while calling a Python object"... as the depth happens to end
        assert str(got[1]) == str(want[1]), where
    else:
        assert_same(got[1], want[1], where, precision)


def compare(function: Callable, *calls: tuple, operator: Callable | None = None, **options: Any) -> Any:
    """Make each call interpreted and compiled, on copies of its arguments, and compare; the jitted function.

    ``operator``: ``grad`` and the like; without it the function itself is compiled.
    """
    interpreted = operator(function) if operator else function
    jitted = operator(function, jit=True, **options) if operator else jit(function, **options)
    for number, args in enumerate(calls):
        theirs, ours = copy.deepcopy(args), copy.deepcopy(args)
        want = outcome(interpreted, theirs)
        got = outcome(jitted, ours)
        assert_same_outcome(got, want, f"call {number}")
        assert_same(ours, theirs, f"arguments after call {number}")
    return jitted


def assert_replayed(function: Callable, *calls: tuple, operator: Callable | None = None, **options: Any) -> Any:
    """As :func:`compare`, and each signature's calls after its first were native replays."""
    jitted = compare(function, *calls, operator=operator, **options)
    assert jitted.stats.fallbacks == 0, jitted.explain()
    assert jitted.stats.replays > 0, jitted.explain()
    assert jitted.stats.calls == len(calls)
    return jitted
