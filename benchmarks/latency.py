"""What a user waits for: ``python -m benchmarks.latency [--only TEXT ...] [--json FILE]``.

Every gradient runs in a fresh process with an empty kernel cache, then in another with the cache that the first one
left. jax's calls, for its break-even, are timed in a third, where it is installed.

Columns: the import of ours beside numpy and scipy; the first call, cold, warm and interpreted; the goal of the cold one
(twice the interpreted one and 50 ms); seconds until the optimised code is in place; distinct kernels and milliseconds
of quick compiling for each; the number of calls, of the first twenty, after which ours has taken no longer in all than
interpreted calls (cold, warm). Later it may fall behind once more, while a program is compiled: the number after which
it is ahead for good, the same for jax's calls, and the most milliseconds by which it is ever behind interpreted calls
in all, cold; what ten calls take in all; memory of the process after its calls.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from .measure import timed
from .workloads import BY_NAME, SUITE, Workload

#: calls that are timed, one by one, and seconds that they take at least, if that is not too many calls
CALLS, SECONDS, MOST_CALLS = 40, 0.6, 4000
#: among so many ours are to have become no slower than interpreted ones
EARLY = 20
#: a process of slow calls stops after this many seconds of them, but not before ten
PATIENCE, FEWEST = 20.0, 10
COLUMNS = (
    ("import", "import_ms"), ("cold", "cold_ms"), ("warm", "warm_ms"), ("interpreted", "interpreted_ms"),
    ("goal", "goal_ms"), ("optimised s", "optimised_s"), ("kernels", "kernels"), ("ms/kernel", "ms_per_kernel"),
    ("even", "early"), ("even, warm", "early_warm"), ("for good", "break_even"), ("warm", "break_even_warm"),
    ("jax", "break_even_jax"), ("behind", "behind_ms"),
    ("10 cold", "ten_ms"), ("10 warm", "ten_warm_ms"), ("10 interpreted", "ten_interpreted_ms"), ("RSS MB", "rss_mb"),
)  # fmt: skip


def call_times(call: Callable[[], object]) -> list[float]:
    """Seconds of each of many calls in a row."""
    times: list[float] = []
    total = 0.0
    while len(times) < (MOST_CALLS if total < SECONDS else CALLS) and (len(times) < FEWEST or total < PATIENCE):
        times.append(timed(call)[1])
        total += times[-1]
    return times


def break_even(ours: list[float], theirs: list[float]) -> int | None:
    """The number of calls after which the sum of ``ours`` is no larger and stays so; None if there is none."""
    ahead, answer = 0.0, None
    for number, (one, other) in enumerate(zip(ours, theirs, strict=False), start=1):
        ahead += other - one
        if ahead < 0:
            answer = None
        elif answer is None:
            answer = number
    return answer


def most_behind(ours: list[float], theirs: list[float]) -> float:
    """The most seconds by which the sum of ``ours`` exceeds that of ``theirs`` after any number of calls."""
    return max([0.0, *itertools.accumulate([one - other for one, other in zip(ours, theirs, strict=False)])])


def resident_mb() -> float:
    """Memory of this process now, where the system tells."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE") / 2**20


def measure_ours(workload: Workload) -> dict[str, object]:
    """In a fresh process: the compiled gradient, from the import on."""
    import numpy  # noqa: F401 - both are the user's own imports

    _, importing = timed(_import_ours)
    from .rivals import COMPILED, ours

    target = {system.name: system for system in ours()}[COMPILED].target(workload)
    arguments = workload.arguments()
    times = call_times(lambda: target(*arguments))
    from autograd_jit.lower import promote
    from autograd_jit.lower.compile import compiled_kernels

    promote.wait(60)
    kernels = compiled_kernels()
    quick = sum(kernel.seconds for kernel in kernels)
    return {"import": importing, "times": times, "kernels": len(kernels), "quick": quick, "rss_mb": resident_mb()}


def _import_ours() -> None:
    import autograd_jit.numpy  # noqa: F401


def measure_optimised(workload: Workload) -> dict[str, object]:
    """In a fresh process: seconds of a tight loop from its first call on until it runs optimised code."""
    from .rivals import COMPILED, ours

    target = {system.name: system for system in ours()}[COMPILED].target(workload)
    arguments = workload.arguments()
    handle = getattr(target, "_handle", None)

    def is_optimised() -> bool:
        entries = list(handle.compiled.entries.values()) if handle is not None and handle.compiled is not None else []
        program = entries[0].last.program if entries and entries[0].last is not None else None
        return program is not None and program.is_lowered and {kernel.tier for kernel in program.kernels} <= {"full"}

    def reach_the_optimised_tier() -> None:
        started = time.perf_counter()
        while not is_optimised() and time.perf_counter() - started < PATIENCE:
            target(*arguments)

    return {"optimised": timed(reach_the_optimised_tier)[1]}


def measure_interpreted(workload: Workload) -> dict[str, object]:
    """In a fresh process: interpreted calls; the first one imports nothing that the compiled gradient's did not."""
    from .rivals import INTERPRETED, ours

    target = {system.name: system for system in ours()}[INTERPRETED].target(workload)
    arguments = workload.arguments()
    return {"times": call_times(lambda: target(*arguments))}


def measure_jax(workload: Workload) -> dict[str, object]:
    """In a fresh process: jax's calls; none where it is not installed or cannot run the workload."""
    from .rivals import jax

    if "jax" in workload.cannot_run:
        return {"times": []}
    try:
        (system,) = jax()
    except ImportError:
        return {"times": []}
    target, arguments = system.target(workload), workload.arguments()
    return {"times": call_times(lambda: target(*arguments))}


PARTS = {
    "ours": measure_ours, "optimised": measure_optimised, "interpreted": measure_interpreted, "jax": measure_jax,
}  # fmt: skip


def installed(bytecode: str) -> dict[str, str]:
    """The environment of an installation, whose modules are compiled to bytecode: here, into that folder.

    A checkout where PYTHONDONTWRITEBYTECODE is set parses the package anew in every process, which takes 0.3 s.
    """
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPYCACHEPREFIX": bytecode}


def in_fresh_process(part: str, name: str, cache: str, bytecode: str) -> dict:
    """One part's figures, from a process of its own with its kernel cache in ``cache``."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.latency", "--part", part, "--only", name],
        env={**installed(bytecode), "AUTOGRAD_JIT_CACHE_DIR": cache}, stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    return json.loads(done.stdout.splitlines()[-1])


def row(name: str, bytecode: str, *, with_jax: bool = True) -> dict[str, object]:
    """All figures of one workload; milliseconds but where a name says otherwise."""
    with tempfile.TemporaryDirectory() as cache, tempfile.TemporaryDirectory() as other:
        cold = in_fresh_process("ours", name, cache, bytecode)
        warm = in_fresh_process("ours", name, cache, bytecode)
        optimised = in_fresh_process("optimised", name, other, bytecode)["optimised"]
        plain = in_fresh_process("interpreted", name, cache, bytecode)["times"]
        rival = in_fresh_process("jax", name, cache, bytecode)["times"] if with_jax else []
    interpreted = 1e3 * plain[0]
    return {
        "import_ms": 1e3 * warm["import"], "cold_ms": 1e3 * cold["times"][0], "warm_ms": 1e3 * warm["times"][0],
        "interpreted_ms": interpreted, "goal_ms": 2 * interpreted + 50, "optimised_s": optimised,
        "kernels": cold["kernels"], "ms_per_kernel": 1e3 * cold["quick"] / max(cold["kernels"], 1),
        "early": break_even(cold["times"][:EARLY], plain), "early_warm": break_even(warm["times"][:EARLY], plain),
        "break_even": break_even(cold["times"], plain), "break_even_warm": break_even(warm["times"], plain),
        "behind_ms": 1e3 * most_behind(cold["times"], plain),
        "break_even_jax": break_even(cold["times"], rival) if rival else None, "rss_mb": cold["rss_mb"],
        "ten_ms": 1e3 * sum(cold["times"][:10]), "ten_warm_ms": 1e3 * sum(warm["times"][:10]),
        "ten_interpreted_ms": 1e3 * sum(plain[:10]),
    }  # fmt: skip


def shown(value: object) -> str:
    return "-" if value is None else f"{value:.1f}" if isinstance(value, float) else str(value)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.latency", description=__doc__)
    add = parser.add_argument
    add("--only", metavar="TEXT", action="append", help="only workloads whose name contains this; repeatable")
    add("--json", metavar="FILE", type=Path, help="also write the figures there")
    add("--no-jax", action="store_true", help="leave jax out")
    add("--mode", help="config.compile of what is measured")
    add("--part", choices=PARTS, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.mode:
        os.environ["AUTOGRAD_JIT_COMPILE"] = options.mode  # of the processes that measure
    if options.part:
        print(json.dumps(PARTS[options.part](BY_NAME[options.only[0]])))
        return 0
    only = options.only or [""]
    # a complete job is many calls: its first gradient is the first call of the same loss
    names = [found.name for found in SUITE if found.drive is None and any(text in found.name for text in only)]
    width = max([8, *map(len, names)])
    print("  ".join(["workload".ljust(width), *[head for head, _ in COLUMNS]]))
    rows = {}
    with tempfile.TemporaryDirectory() as bytecode, tempfile.TemporaryDirectory() as cache:
        for part in ("ours", "jax") if names and not options.no_jax else ("ours",) if names else ():
            in_fresh_process(part, names[0], cache, bytecode)  # for the bytecode that it leaves
        for name in names:
            rows[name] = row(name, bytecode, with_jax=not options.no_jax)
            cells = [shown(rows[name][key]).rjust(len(head)) for head, key in COLUMNS]
            print("  ".join([name.ljust(width), *cells]), flush=True)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
