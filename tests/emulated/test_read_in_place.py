"""Large arguments on the device are read where they lie: not copied, and right wherever they lie."""

from __future__ import annotations

import contextlib
import ctypes

import numpy as np
import pytest

import autograd_jit.numpy as anp
from autograd_jit import grad, jit, value_and_grad
from autograd_jit.device_array import to_device
from autograd_jit.lower import device_memory, device_stretches
from autograd_jit.lower.device_schedule import DeviceLoop
from tests.emulated.programs import PROGRAMS
from tests.emulated.test_device_array import Foreign

pytestmark = pytest.mark.emulated(keeps_memory=True)

LARGE = device_memory.IN_PLACE_BYTES // 8


@pytest.fixture
def always(monkeypatch):
    """However small arguments are."""
    monkeypatch.setattr(device_memory, "IN_PLACE_BYTES", 0)


def fresh(function, **options):
    """Compiled anew: other tests have programs of it that copy."""
    compiled = value_and_grad(function, jit=True, target="cuda", **options)
    compiled.clear()
    return compiled


@pytest.mark.parametrize("deferred", [False, True])
@pytest.mark.parametrize("name", [name for name in PROGRAMS if name != "long chain"])
def test_answers_wherever_arguments_lie(emulated_device, always, name, deferred):
    """Other addresses in every call, the same ones again, and addresses that others had before."""
    program = PROGRAMS[name]
    compiled, plain = fresh(program.function), value_and_grad(program.function)
    calls = [program.arguments(seed) for seed in range(3)]
    held = [[to_device(a) for a in call] for call in calls]
    with emulated_device.deferred() if deferred else contextlib.nullcontext():
        for number in (0, 1, 2, 2, 2, 0, 0, 1, 1, 2):
            value, slope = compiled(*held[number])
            for found, expected in zip((value, slope), plain(*calls[number])):
                np.testing.assert_allclose(found.to_host(), expected, rtol=1e-11, atol=1e-12)
        for number in range(3):  # each is given back, perhaps for the next to lie there, before its call has run
            there = [to_device(a) for a in calls[number]]
            value, slope = compiled(*there)
            del there
            np.testing.assert_allclose(slope.to_host(), plain(*calls[number])[1], rtol=1e-11, atol=1e-12)
    assert compiled.stats.fallbacks == 0 and compiled.stats.replays >= 9, compiled.explain()
    assert name != "chain" or "read where they lie on the device: x0" in compiled.explain()
    compiled.clear()


def loss(w, x):
    return anp.sum(anp.tanh(x * w) ** 2)


def test_transfers_and_graphs(emulated_device):
    """Large data stays, small weights change: nothing large is copied, and the data's address has a graph."""
    x, weights = np.linspace(0, 1, LARGE), [np.array([value]) for value in (0.5, 1.0, 1.5, 2.0)]
    gradient, there = grad(loss, jit=True, target="cuda"), to_device(x)
    for w in weights[:3]:
        gradient(to_device(w), there)
    w = to_device(weights[3])
    with emulated_device.counting() as counts:
        found = gradient(w, there)
    np.testing.assert_allclose(found.to_host(), grad(loss)(weights[3], x), rtol=1e-10)
    assert counts["d2d_bytes"] == 16 and counts["graph_launches"] == 1  # the weight, and its slope
    assert "read where they lie on the device: x1" in gradient.explain()
    elsewhere = to_device(x * 2)
    with emulated_device.counting() as counts:
        found = gradient(w, elsewhere)
    np.testing.assert_allclose(found.to_host(), grad(loss)(weights[3], x * 2), rtol=1e-10)
    assert counts["graph_launches"] == 0 and counts["launches"] > 0 and counts["d2d_bytes"] == 16
    gradient.clear()


def test_small_arguments_are_copied(emulated_device):
    compiled = fresh(PROGRAMS["chain"].function)
    x = to_device(PROGRAMS["chain"].arguments(0)[0])
    for _ in range(3):
        compiled(x)
    assert "read where" not in str(compiled.explain())


def test_few_graphs_are_kept(emulated_device, always, monkeypatch):
    made = []
    monkeypatch.setattr(device_stretches, "MOST_GRAPHS", 2)
    compiled = fresh(PROGRAMS["chain"].function)
    calls = [PROGRAMS["chain"].arguments(seed)[0] for seed in range(4)]
    held = [to_device(x) for x in calls]
    for x, there in zip(calls * 2, held * 2):
        for _ in range(3):
            found = compiled(there)
        made.append(emulated_device.counters()["live_graphs"])
        np.testing.assert_allclose(found[1].to_host(), grad(PROGRAMS["chain"].function)(x), rtol=1e-12)
    assert made[-1] == made[-4]
    compiled.clear()


@pytest.mark.parametrize("kind", ["result", "guard", "host"])
def test_what_others_read_is_copied(emulated_device, always, kind):
    functions = {
        "result": lambda x: (x, anp.sum(x)),
        "guard": lambda x: anp.sum(x) if x[0] > 0 else x[1],
        "host": lambda x: anp.sum(anp.sort(x) * x),
    }
    compiled = jit(functions[kind], target="cuda")
    for shift in (1.0, 2.0, -5.0, 3.0, -7.0):
        x = np.linspace(0, 1, 40) + shift
        want = functions[kind](x)
        found = compiled(to_device(x))
        for got, expected in zip(found, want) if kind == "result" else [(found, want)]:
            np.testing.assert_allclose(got.to_host(), expected, rtol=1e-12)
    assert compiled.stats.fallbacks == 0
    compiled.clear()


def test_arrays_of_others_are_read_before_the_call_returns(emulated_device, always):
    """Their libraries may write to them then, on streams of their own."""
    compiled = fresh(PROGRAMS["chain"].function)
    x = PROGRAMS["chain"].arguments(0)[0]
    for _ in range(3):
        compiled(Foreign(to_device(x)))
    with emulated_device.deferred():
        there, zeros = to_device(x), np.zeros_like(x)
        found = compiled(Foreign(there))
        ctypes.memmove(there.address, zeros.ctypes.data, zeros.nbytes)
        np.testing.assert_allclose(found[1].to_host(), grad(PROGRAMS["chain"].function)(x), rtol=1e-12)
    compiled.clear()


def test_products_and_windows_read_in_place(emulated_device, always):
    """Addresses with offsets: operands that are parts of arguments."""

    def f(a, b):
        return anp.sum(anp.dot(a[1:, 2:], b[:-2]) ** 2) + anp.sum(a[::-1, 1] * a[:, 0])

    a, b = np.random.default_rng(0).standard_normal((7, 9)), np.random.default_rng(1).standard_normal((9, 4))
    compiled = fresh(f)
    for scale in (1.0, 1.0, 2.0, 2.0, 3.0):
        value, slope = compiled(to_device(a * scale), to_device(b))
        want = value_and_grad(f)(a * scale, b)
        np.testing.assert_allclose(value.to_host(), want[0], rtol=1e-12)
        np.testing.assert_allclose(slope.to_host(), want[1], rtol=1e-12)
    program = compiled._handle.program((to_device(a), to_device(b)), {})
    assert program.layout.in_place and any([isinstance(item, DeviceLoop) for item in program.items])
    compiled.clear()
