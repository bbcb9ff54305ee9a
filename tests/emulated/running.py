"""A function on the emulated device and on the CPU, both compiled."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from autograd_jit import jit
from tests.emulation.driver import EmulatedDevice


class Ran(NamedTuple):
    got: Any
    want: Any
    counts: dict[str, int]  # what a replay did on the device
    report: str


def on_device(emulated_device: EmulatedDevice, f: Callable, *args: Any) -> Ran:
    """A replay's answer on the device and that of the CPU's program. Nothing may run on the host or fall back."""
    compiled, on_cpu = jit(f, target="cuda"), jit(f, compile="eager")
    for _ in range(2):
        compiled(*args)
    with emulated_device.counting() as counts:
        got = compiled(*args)
    on_cpu(*args)
    stats, report = compiled.stats, str(compiled.explain())
    assert stats.replays >= 2 and stats.fallbacks == 0, stats
    assert not re.search(r"^\s*(host|Python step):", report, re.MULTILINE), report
    return Ran(got, on_cpu(*args), counts, report)


def assert_only_inputs_and_outputs_travel(ran: Ran) -> None:
    """The answer of guards, 256 bytes, comes with the results or by itself, behind each stretch that has guards."""
    results = re.findall(r"transfer to host: results, (\d+) bytes", ran.report)  # of each signature in the report
    assert ran.counts["h2d"] == 1, ran.counts
    assert ran.counts["d2h_bytes"] - 256 * max(ran.counts["d2h"] - 2, 0) in map(int, results), ran.counts
