"""Gradients on a CUDA device: ``python -m benchmarks.gpu [--json FILE] [--quick] [--emulated]``.

For fused chains of 1e4 to 1e8 elements, a softmax, a logistic regression and a small network, float32 and float64:

    graph       ours, one CUDA graph a call, arguments and results on the device
    launches    ours, every kernel launched by itself
    unfused     ours, one kernel an operation
    cupy        a hand-written gradient in CuPy, where it is installed
    jax         jax.jit(jax.grad) on the device, where jax finds one
    cpu         our compiled gradient on the CPU
    interpreted ours on the CPU without compiling, over NumPy

with the share of the measured copy bandwidth that the least traffic of a gradient (each argument read and each result
written once) comes to, kernels a call, seconds of the first call, and the largest error against float64 on the CPU,
relative to the largest element. Takes under eight minutes on a device.

``--emulated`` runs the same on the tests' emulated driver, at small sizes: its times are those of an emulation on the
CPU and say nothing about a device; the table says so.
"""

from __future__ import annotations

import argparse
import functools
import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any
from unittest import mock

import numpy as onp

import autograd_jit.numpy as np
from autograd_jit import grad
from autograd_jit.errors import BackendError

#: seconds that one measurement may take
BUDGET = 1.0
LEAST_CALLS, MOST_CALLS = 3, 200


@dataclass(frozen=True)
class Workload:
    """A scalar function of arrays, its arguments, and its gradient by hand for an array module ``xp``."""

    name: str
    function: Callable
    arguments: Callable[[onp.random.Generator, type], tuple]
    by_hand: Callable[[Any, tuple], Any] | None = None


@dataclass
class Row:
    workload: str
    dtype: str
    milliseconds: dict[str, float] = field(default_factory=dict)
    bandwidth_share: float | None = None
    kernels: int = 0
    first_call_seconds: float = 0.0
    error: float = 0.0


def chain(x):
    return np.sum(np.tanh(x) * np.exp(-x * x) + np.sqrt(1 + x * x))


def _chain_by_hand(xp: Any, arguments: tuple) -> Any:
    (x,) = arguments
    t, e = xp.tanh(x), xp.exp(-x * x)
    return (1 - t * t) * e - 2 * x * t * e + x / xp.sqrt(1 + x * x)


def softmax(x, y):
    shifted = x - np.max(x, axis=1, keepdims=True)
    return -np.sum(y * (shifted - np.log(np.sum(np.exp(shifted), axis=1, keepdims=True))))


def _softmax_by_hand(xp: Any, arguments: tuple) -> Any:
    x, y = arguments
    e = xp.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True) * y.sum(axis=1, keepdims=True) - y


def logistic(w, x, y):
    return np.sum(np.logaddexp(0.0, -y * np.dot(x, w)))


def _logistic_by_hand(xp: Any, arguments: tuple) -> Any:
    w, x, y = arguments
    return -(x.T @ (y / (1 + xp.exp(y * (x @ w)))))


def network(weights, x, y):
    hidden = np.tanh(np.dot(x, weights[0]) + weights[1])
    return np.mean((np.dot(hidden, weights[2]) - y) ** 2)


def _network_by_hand(xp: Any, arguments: tuple) -> Any:
    (first, shift, second), x, y = arguments
    hidden = xp.tanh(x @ first + shift)
    residual = hidden @ second - y
    slope = residual * (2 / residual.size)
    slope_hidden = slope @ second.T * (1 - hidden * hidden)
    return [x.T @ slope_hidden, slope_hidden.sum(axis=0), hidden.T @ slope]


def workloads(sizes: list[int], rows: int) -> list[Workload]:
    """Those of the table; ``rows`` of the softmax, the regression and the network."""

    def chain_of(size: int) -> Workload:
        return Workload(f"chain {size:.0e}", chain, lambda r, t: (r.standard_normal(size).astype(t),), _chain_by_hand)

    def softmax_arguments(r: onp.random.Generator, t: type) -> tuple:
        return r.standard_normal((rows, 128)).astype(t), onp.eye(128, dtype=t)[r.integers(0, 128, rows)]

    def logistic_arguments(r: onp.random.Generator, t: type) -> tuple:
        x = r.standard_normal((rows, 50)).astype(t)
        return onp.zeros(50, t), x, onp.sign(x[:, 0] + t(0.1)).astype(t)

    def network_arguments(r: onp.random.Generator, t: type) -> tuple:
        weights = [r.standard_normal((64, 100)), r.standard_normal(100), r.standard_normal((100, 10))]
        x, y = r.standard_normal((rows, 64)), r.standard_normal((rows, 10))
        return [w.astype(t) * t(0.1) for w in weights], x.astype(t), y.astype(t)

    return [
        *[chain_of(size) for size in sizes],
        Workload(f"softmax {rows}x128", softmax, softmax_arguments, _softmax_by_hand),
        Workload(f"logistic {rows}x50", logistic, logistic_arguments, _logistic_by_hand),
        Workload(f"network 64-100-10, batch {rows}", network, network_arguments, _network_by_hand),
    ]


# ---------------------------------------------------------------- measuring


def milliseconds(call: Callable[[], Any], budget: float = BUDGET, least: int = LEAST_CALLS) -> float:
    """The median time of a call that waits for its result."""
    call()
    times: list[float] = []
    started = time.perf_counter()
    while len(times) < least or (len(times) < MOST_CALLS and time.perf_counter() - started < budget):
        before = time.perf_counter()
        call()
        times.append(time.perf_counter() - before)
    return statistics.median(times) * 1e3


def copy_bandwidth(device: Any, nbytes: int) -> float:
    """Bytes a second that a copy on the device reads and writes."""
    source, target = device.allocate(nbytes), device.allocate(nbytes)

    def copy() -> None:
        device.copy(target.address, source.address, nbytes)
        device.synchronize()

    return 2 * nbytes / (milliseconds(copy) * 1e-3)


def measure(workload: Workload, dtype: type, bandwidth: float, budget: float) -> Row:
    from autograd_jit.device_array import to_device
    from autograd_jit.lower import device_program, fuse
    from autograd_jit.trace import tree

    row = Row(workload.name, onp.dtype(dtype).name)
    arguments = workload.arguments(onp.random.default_rng(0), dtype)
    exact = grad(workload.function)(*tree.map_leaves(lambda a: a.astype(onp.float64), arguments))
    on_device = tree.map_leaves(to_device, arguments)

    def ours() -> Callable:
        return grad(workload.function, jit=True, target="cuda")

    graph = ours()
    started = time.perf_counter()
    graph(*on_device)
    row.first_call_seconds = time.perf_counter() - started
    found = tree.map_leaves(lambda a: a.to_host(), graph(*on_device))
    pairs = zip(_leaves(found), _leaves(exact), strict=True)
    row.error = max([float(onp.max(onp.abs(a - b)) / onp.max(onp.abs(b))) for a, b in pairs])
    of_device = ("kernel", "product", "guard", "routine", "device library")
    row.kernels = sum([line.startswith(of_device) for line in graph.kernels(*on_device).schedule])
    _time(row, "graph", graph, on_device, budget)
    with mock.patch.object(device_program, "USES_GRAPHS", False):
        launches = ours()
        launches.clear()
        launches(*on_device)
        _time(row, "launches", launches, on_device, budget)
    with mock.patch.object(fuse, "MAX_OPERATIONS", 1):
        unfused = ours()
        unfused.clear()
        unfused(*on_device)
        _time(row, "unfused", unfused, on_device, budget)
        unfused.clear()
    if "graph" in row.milliseconds:
        traffic = sum(a.nbytes for a in [*_leaves(arguments), *_leaves(found)])
        row.bandwidth_share = traffic / (row.milliseconds["graph"] * 1e-3) / bandwidth
    _rivals(workload, arguments, row, budget)
    cpu = grad(workload.function, jit=True, target="cpu")
    _time(row, "cpu", cpu, arguments, budget)
    interpreted = grad(workload.function)  # of 1e8 elements it takes many seconds
    row.milliseconds["interpreted"] = milliseconds(lambda: interpreted(*arguments), budget, least=1)
    return row


def _time(row: Row, column: str, function: Callable, arguments: tuple, budget: float) -> None:
    """A column of ours; none where calls ran interpreted, for want of memory on the device."""
    taken = milliseconds(lambda: function(*arguments), budget)
    if function.stats.fallbacks:  # type: ignore[attr-defined]
        _note_once(f"no {column} column for {row.workload}, {row.dtype}: it ran interpreted")
    else:
        row.milliseconds[column] = taken


def _leaves(value: Any) -> list:
    from autograd_jit.trace import tree

    return tree.flatten(value)[0]


def _rivals(workload: Workload, arguments: tuple, row: Row, budget: float) -> None:
    """CuPy and jax, where they are installed and find a device."""
    from autograd_jit.trace import tree

    try:
        import cupy

        cupy.cuda.runtime.getDeviceCount()
    except Exception as reason:
        _note_once(f"no cupy column: {type(reason).__name__}: {str(reason)[:80]}")
    else:
        if workload.by_hand is not None:
            theirs = tree.map_leaves(cupy.asarray, arguments)
            by_hand = workload.by_hand

            def run_cupy() -> None:
                by_hand(cupy, theirs)
                cupy.cuda.Device().synchronize()

            row.milliseconds["cupy"] = milliseconds(run_cupy, budget)
    try:
        import jax

        jax.config.update("jax_enable_x64", True)
        device = jax.devices("gpu")[0]
    except Exception as reason:
        _note_once(f"no jax column: {type(reason).__name__}: {str(reason)[:80]}")
        return
    import jax.numpy as jnp

    with mock.patch.dict(workload.function.__globals__, {"np": jnp}):
        gradient = jax.jit(jax.grad(workload.function))
        put = jax.device_put(arguments, device)
        row.milliseconds["jax"] = milliseconds(lambda: jax.block_until_ready(gradient(*put)), budget)


@functools.cache
def _note_once(text: str) -> None:
    print(f"\r\x1b[K# {text}", file=sys.stderr)


# ---------------------------------------------------------------- the table

COLUMNS = ("graph", "launches", "unfused", "cupy", "jax", "cpu", "interpreted")


def table(rows: list[Row]) -> str:
    head = f"{'workload':28} {'dtype':8}" + "".join([f"{name:>12}" for name in COLUMNS])
    lines = [head + f"{'share':>8}{'kernels':>8}{'first s':>9}{'error':>9}", "milliseconds a gradient:"]
    for row in rows:
        times = "".join([f"{row.milliseconds[n]:12.3f}" if n in row.milliseconds else f"{'-':>12}" for n in COLUMNS])
        share = f"{row.bandwidth_share:8.2f}" if row.bandwidth_share is not None else f"{'-':>8}"
        lines.append(
            f"{row.workload:28} {row.dtype:8}{times}{share}{row.kernels:8}{row.first_call_seconds:9.2f}{row.error:9.1e}"
        )
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", metavar="FILE", help="write the figures there, too")
    parser.add_argument("--quick", action="store_true", help="small sizes and short measurements")
    parser.add_argument("--emulated", action="store_true", help="on the emulated driver of the tests")
    options = parser.parse_args(argv)
    if options.emulated:
        from tests.emulation import driver

        driver.install()
    from autograd_jit.kernels.cuda_compiler import versions
    from autograd_jit.kernels.cuda_device import current_device

    device = current_device()
    small = options.quick or options.emulated
    sizes = [1000, 10_000] if options.emulated else [10**4, 10**5] if small else [10**4, 10**5, 10**6, 10**7, 10**8]
    budget = 0.05 if small else BUDGET
    label = "EMULATED ON THE CPU: these times say nothing about a device\n" if options.emulated else ""
    print(f"{label}{device.name}, compute capability {device.capability}, {versions()}")
    bandwidth = copy_bandwidth(device, 2**20 if small else 2**28)
    print(f"copy bandwidth {bandwidth / 1e9:.0f} GB/s")
    rows = []
    for workload in workloads(sizes, 64 if options.emulated else 4096):
        for dtype in (onp.float32, onp.float64):
            try:
                rows.append(measure(workload, dtype, bandwidth, budget))
            except (BackendError, MemoryError) as reason:  # the largest take gigabytes on both sides
                _note_once(f"no row for {workload.name}, {onp.dtype(dtype).name}: {reason}")
            print(f"\r\x1b[K{len(rows)} rows", end="", file=sys.stderr, flush=True)
    print("\r\x1b[K", end="", file=sys.stderr)
    print(table(rows))
    if options.json:
        figures = {
            "emulated": options.emulated,
            "device": device.name,
            "capability": device.capability,
            "versions": versions(),
            "copy_bandwidth": bandwidth,
            "rows": [asdict(row) for row in rows],
        }
        with open(options.json, "w") as file:
            json.dump(figures, file, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
