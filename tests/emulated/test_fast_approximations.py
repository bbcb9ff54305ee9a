"""Approximate instructions in float32 kernels: none unless they are asked for; then which, and within what error.

The emulated device computes approximate instructions exactly, so of a function's error it shows what comes of its
arguments (`exp` is 2 to the power of a rounded product); the instructions' own errors are NVIDIA's figures.
"""

from __future__ import annotations

import functools
import re

import numpy as np
import pytest

import autograd_jit.numpy as anp
import autograd_jit.scipy.special as special
from autograd_jit import config, jit
from autograd_jit.errors import ArgumentError
from autograd_jit.kernels import cuda_math
from autograd_jit.options import options_of

pytest.importorskip("numba_cuda")

from autograd_jit.kernels.cuda_compiler import compile_source, kernel_library, python_kernel
from tests.emulated.test_machine_code import ARCHITECTURES, sources

pytestmark = [pytest.mark.emulated(keeps_memory=True), pytest.mark.usefixtures("compiler_packages")]

_CALL = re.compile(r"\b(\w+f)\(")
#: functions of libdevice with more than one argument
_ARITY = {"powf": 2, "fmodf": 2, "atan2f": 2, "hypotf": 2, "copysignf": 2, "fmaf": 3}
#: `ex2.approx.ftz.f32` less what it says of denormals and types
_APPROXIMATE = re.compile(r"\b(\w+\.(?:approx|full))\b[\w.]*")


def ptx(source: str, signature: tuple[str, ...], architecture: tuple[int, int], fast: bool) -> str:
    library, _ = kernel_library(python_kernel(source), signature, architecture, fast)
    return library.get_asm_str(cc=architecture)


@functools.cache
def inside(function: str, architecture: tuple[int, int]) -> set[str]:
    """Approximate instructions that a function of libdevice is made of, accurate or not."""
    arguments = ", ".join(["x[0]"] * _ARITY.get(function, 1))
    source = f"def kernel(x):\n    x[0] = {function}({arguments})\n"
    return set(_APPROXIMATE.findall(ptx(source, ("*float",), architecture, fast=False)))


def of_libdevice(source: str) -> set[str]:
    """Functions of libdevice that a kernel calls, by itself or by functions of our own."""
    found: set[str] = set()
    for name in {*_CALL.findall(source)}:
        own = cuda_math._source_of(name)
        if own is not None:
            found |= of_libdevice(own.partition("\n    ")[2])
        elif name in cuda_math._known_to_libdevice():
            found.add(name)
    return found


@pytest.mark.parametrize("part", range(2))
def test_no_approximate_instruction_outside_accurate_functions(emulated_device, part):
    seen: set[str] = set()
    for number, (source, signature) in enumerate([*sources(np.float32).items()][part::2]):
        architecture = ARCHITECTURES[(number + part) % len(ARCHITECTURES)]
        found = set(_APPROXIMATE.findall(ptx(source, signature, architecture, fast=False)))
        allowed = set().union(*[inside(name, architecture) for name in of_libdevice(source)])
        assert found <= allowed, f"sm_{architecture}: {found - allowed}\n{source}"
        assert not found & {"div.full", "div.approx", "sqrt.approx", "sin.approx", "cos.approx"}, source
        seen |= found
    assert seen  # exp is made of one: the pattern finds what there is


#: what a line of a kernel becomes: with and without approximations
INSTRUCTIONS = {
    "expf(v)": ("ex2.approx", None),  # the accurate one, too, after it has reduced the argument
    "logf(v)": ("lg2.approx", None),
    "log2f(v)": ("lg2.approx", None),
    "log10f(v)": ("lg2.approx", None),
    "sinf(v)": ("sin.approx", None),
    "cosf(v)": ("cos.approx", None),
    "v / w": ("div.full", "div.rn"),
    "sqrtf(v)": ("sqrt.approx", "sqrt.rn"),
    "expitf(v)": ("rcp.approx", "rcp.rn"),
    "entrf(v)": ("lg2.approx", None),
}


@pytest.mark.parametrize("expression", INSTRUCTIONS)
def test_instructions_on_request(emulated_device, expression):
    source = f"def kernel(x):\n    v, w = x[0], x[1]\n    x[0] = {expression}\n"
    with_them, without = INSTRUCTIONS[expression]
    fast = ptx(cuda_math.approximated(source), ("*float",), (8, 0), fast=True)
    exact = ptx(source, ("*float",), (8, 0), fast=False)
    assert with_them in fast, fast
    assert without is None or (without in exact and without not in fast)
    assert with_them == "ex2.approx" or with_them not in exact
    assert len(fast.splitlines()) <= len(exact.splitlines())
    assert ".ftz" not in fast.replace("approx.ftz", "")


@pytest.mark.parametrize("source", ["y = exp(x)", "y = x / sqrt(z)", "y = expm1f(x) + powf(x, z)"])
def test_what_has_no_approximation_stays(source):
    assert cuda_math.approximated(source) == source


def ulps(x: np.ndarray, exact: np.ndarray) -> np.ndarray:
    """Errors in units in the last place of the exact values rounded to float32."""
    return np.abs(x.astype(np.float64) - exact) / np.spacing(np.abs(exact).astype(np.float32)).astype(np.float64)


#: function, float64 function, arguments, largest error in ulps by NVIDIA or (None) absolute
BOUNDS = {
    "exp": (anp.exp, np.exp, (-80, 80), lambda x: 2.5 + np.floor(np.abs(1.173 * x))),
    "log": (anp.log, np.log, (2, 1e30), lambda x: 3.5),
    "log2": (anp.log2, np.log2, (2, 1e30), lambda x: 2.5),
    "log10": (anp.log10, np.log10, (2, 1e30), lambda x: 3.5),
    "sqrt": (anp.sqrt, np.sqrt, (0, 1e30), lambda x: 1.5),
    "quotient": (lambda x: anp.float32(1) / x, lambda x: 1 / x, (1e-30, 1e30), lambda x: 2.5),
    # One rounded exp of which the bound is above, a sum and a quotient.
    "expit": (special.expit, lambda x: 1 / (1 + np.exp(-x)), (-60, 60), lambda x: 5 + np.abs(1.173 * x)),
}
ABSOLUTE = {
    "log near 1": (anp.log, np.log, (0.5, 2), 2**-21.41),
    "log2 near 1": (anp.log2, np.log2, (0.5, 2), 2**-22),
    "log10 near 1": (anp.log10, np.log10, (0.5, 2), 2**-24),
    "sin": (anp.sin, np.sin, (-np.pi, np.pi), 2**-21.41),
    "cos": (anp.cos, np.cos, (-np.pi, np.pi), 2**-21.19),
}  # fmt: skip


def approximate(function, x):
    """A replay with approximations, on the device."""
    compiled = jit(lambda x: function(x), target="cuda", fast_approximations=True)
    for _ in range(2):
        compiled(x)
    found = compiled(x)
    assert compiled.stats.replays >= 2 and compiled.stats.fallbacks == 0, compiled.explain()
    assert found.dtype == np.float32
    return found, "\n".join([entry.source for entry in compiled.kernels(x)])


def points(low: float, high: float) -> np.ndarray:
    r = np.random.default_rng(0)
    inside = np.geomspace(low, high, 4001) if low > 0 else r.uniform(low, high, 4001)
    return inside.astype(np.float32).clip(np.nextafter(np.float32(low), np.float32(high)), np.float32(high))


@pytest.mark.parametrize("name", BOUNDS)
def test_relative_errors(emulated_device, name):
    function, exact, limits, bound = BOUNDS[name]
    x = points(*limits)
    found, _ = approximate(function, x)
    assert (ulps(found, exact(x.astype(np.float64))) <= bound(x.astype(np.float64))).all()


@pytest.mark.parametrize("name", ABSOLUTE)
def test_absolute_errors(emulated_device, name):
    function, exact, limits, bound = ABSOLUTE[name]
    x = points(*limits)
    found, source = approximate(function, x)
    assert (np.abs(found - exact(x.astype(np.float64))) <= bound).all()
    assert "fast_" in source


def test_infinities_and_nan_stay_what_they_are(emulated_device):
    x = np.array([np.inf, -np.inf, np.nan, 0.0, 1e-42, 3e38], np.float32)
    for function in (anp.exp, anp.sqrt, lambda x: anp.float32(1) / x, special.expit):
        with np.errstate(all="ignore"):
            found, want = approximate(function, x)[0], np.asarray(function(x))
        np.testing.assert_array_equal(np.isnan(found), np.isnan(want))
        np.testing.assert_array_equal(np.isinf(found), np.isinf(want))


def test_float64_is_as_before(emulated_device):
    """The same bits with the switch and without."""
    x = np.linspace(0.1, 9, 301)
    answers = set()
    for fast in (True, False):
        compiled = jit(lambda x: anp.exp(x) / anp.sqrt(x) + anp.sin(x), target="cuda", fast_approximations=fast)
        for _ in range(3):
            found = compiled(x)
        assert compiled.stats.replays >= 1
        answers.add(found.tobytes())
    assert len(answers) == 1


def test_a_function_that_is_jitted_again_is_prepared_anew(emulated_device):
    """Neither programs nor code on disk serve both; a function keeps what it was compiled with."""

    def f(x):
        return anp.exp(x) * 3.5

    x = np.linspace(-70, 70, 2001).astype(np.float32)
    exact, answers = np.exp(x.astype(np.float64)) * 3.5, []
    accurate = jit(f, target="cuda")
    with config(fast_approximations=True):
        fast = jit(f, target="cuda")
        overridden = jit(f, target="cuda", fast_approximations=False)
        for compiled in (accurate, fast, overridden, accurate):
            for _ in range(3):
                found = compiled(x)
            answers.append(ulps(found, exact).max())
    again = jit(f, target="cuda")
    for _ in range(3):
        answers[3] = ulps(again(x), exact).max()
    assert max(answers[0], answers[2], answers[3]) < 3 and answers[1] > 3, answers
    assert "fast_expf(" in str(fast.kernels(x)) and "fast_" not in str(accurate.kernels(x)) + str(again.kernels(x))


def test_code_on_disk_is_apart(emulated_device, monkeypatch, tmp_path):
    """A quotient's source is the same in both ways."""
    monkeypatch.setenv("AUTOGRAD_JIT_CACHE_DIR", str(tmp_path))
    source = "def kernel(x):\n    x[0] = x[0] / x[1]\n"
    origins = [compile_source(source, ("*float",), (8, 0), fast)[1] for fast in (False, True, False, True)]
    assert origins == ["compiled", "compiled", "disk", "disk"]


def test_options():
    assert options_of({}).fast_approximations is False
    assert options_of({"fast_approximations": True, "target": "cpu"}).fast_approximations is False
    with pytest.raises(ArgumentError, match="fast_approximations is True or False, not 1"):
        options_of({"fast_approximations": 1})
    with pytest.raises(ArgumentError, match="fast_approximations"):
        config(fast_approximations="yes")
