"""What a user waits for: ``python -m benchmarks.latency [name ...]``.

Every workload runs in a fresh process with an empty kernel cache, then in another with the cache that the first one
left. jax's break-even is measured in a third one, where jax is installed.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

from .measure import timed
from .rivals import COMPILED, INTERPRETED, installed, ours
from .workloads import SUITE, Workload

#: calls in which a program is to break even with interpreted, and those that a table looks at
BREAK_EVEN_GOAL, CALLS = 20, 60
COLUMNS = (
    ("cold", "cold_ms"), ("warm", "warm_ms"), ("interpreted", "interpreted_ms"), ("goal", "goal_ms"),
    ("optimised s", "optimised_s"), ("kernels", "kernels"), ("ms/kernel", "ms_per_kernel"),
    ("even", "break_even"), ("even, warm", "break_even_warm"), ("even with jax", "break_even_jax"),
    ("total of 10", "ten_ms"), ("interpreted 10", "ten_interpreted_ms"), ("RSS MB", "rss_mb"),
)  # fmt: skip


def call_times(call: Callable[[], object], count: int) -> list[float]:
    """Seconds of each of so many calls in a row, the first one included."""
    return [timed(call)[1] for _ in range(count)]


def break_even(ours: list[float], theirs: list[float]) -> int | None:
    """The number of calls after which the sum of ``ours`` is no larger and stays so; None if there is none."""
    ahead, answer = 0.0, None
    for number, (one, other) in enumerate(zip(ours, theirs, strict=True), start=1):
        ahead += other - one
        if ahead < 0:
            answer = None
        elif answer is None:
            answer = number
    return answer


def workload_named(name: str) -> Workload:
    return next(workload for workload in SUITE if workload.name == name)


def measure_ours(name: str) -> dict[str, object]:
    """In a fresh process: the compiled gradient first, so that nothing is warm, then the interpreted one."""
    workload = workload_named(name)
    systems = {system.name: system for system in ours()}
    arguments = workload.arguments()
    system = systems[COMPILED]
    gradient = system.gradient(workload.make_loss(system.namespace))
    began = time.perf_counter()
    times = call_times(lambda: gradient(*arguments), 2)  # the second one makes the program hot
    from autograd_jit.lower import promote
    from autograd_jit.lower.compile import compiled_kernels

    quick_ms = 1e3 * sum(kernel.seconds for kernel in compiled_kernels())
    promote.wait(60)
    optimised = time.perf_counter() - began
    times += call_times(lambda: gradient(*arguments), CALLS - 2)
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    system = systems[INTERPRETED]
    plain = system.gradient(workload.make_loss(system.namespace))
    theirs = call_times(lambda: plain(*arguments), CALLS)
    kernels = len(compiled_kernels())
    return {
        "times": times, "interpreted": theirs, "optimised_s": optimised, "kernels": kernels, "rss_mb": rss,
        "ms_per_kernel": quick_ms / max(kernels, 1), "even": break_even(times, theirs),
    }  # fmt: skip


def measure_jax(name: str) -> dict[str, object]:
    """In a fresh process: the times of jax's calls; empty where it is not installed or cannot run it."""
    workload = workload_named(name)
    if "jax" in workload.cannot_run or not (found := installed(("jax",))):
        return {"times": []}
    gradient = found[0].gradient(workload.make_loss(found[0].namespace))
    arguments = workload.arguments()
    return {"times": call_times(lambda: gradient(*arguments), CALLS)}


PARTS = {"ours": measure_ours, "jax": measure_jax}


def in_fresh_process(part: str, name: str, folder: str) -> dict:
    """One part's figures, from a process of its own with its cache in ``folder``."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.latency", "--part", part, name],
        env={**os.environ, "AUTOGRAD_JIT_CACHE_DIR": folder}, stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    return json.loads(done.stdout.splitlines()[-1])


def row(name: str) -> dict[str, object]:
    """All figures of one workload; milliseconds but where a name says otherwise."""
    with tempfile.TemporaryDirectory() as folder:
        cold = in_fresh_process("ours", name, folder)
        warm = in_fresh_process("ours", name, folder)
        rival = in_fresh_process("jax", name, folder)["times"]
    interpreted = 1e3 * cold["interpreted"][0]
    return {
        "cold_ms": 1e3 * cold["times"][0], "warm_ms": 1e3 * warm["times"][0], "interpreted_ms": interpreted,
        "goal_ms": 2 * interpreted + 50, "optimised_s": cold["optimised_s"], "kernels": cold["kernels"],
        "ms_per_kernel": cold["ms_per_kernel"], "break_even": cold["even"], "break_even_warm": warm["even"],
        "break_even_jax": break_even(cold["times"], rival) if rival else None, "rss_mb": cold["rss_mb"],
        "ten_ms": 1e3 * sum(cold["times"][:10]), "ten_interpreted_ms": 1e3 * sum(cold["interpreted"][:10]),
    }  # fmt: skip


def shown(value: object) -> str:
    return "-" if value is None else f"{value:.2f}" if isinstance(value, float) else str(value)


def main(arguments: list[str]) -> int:
    if arguments[:1] == ["--part"]:
        print(json.dumps(PARTS[arguments[1]](arguments[2])))
        return 0
    print(" | ".join(["workload".ljust(16), *[head for head, _ in COLUMNS]]))
    for workload in SUITE:
        if not arguments or workload.name in arguments:
            found = row(workload.name)
            cells = [shown(found[key]).rjust(len(head)) for head, key in COLUMNS]
            print(" | ".join([workload.name.ljust(16), *cells]), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
