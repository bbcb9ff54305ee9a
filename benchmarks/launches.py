"""Where a compiled gradient spends its time: ``python -m benchmarks.launches NAME [--source]``.

Each launch of the program is run many times over by the native executor, on the memory that the launches before it have
left, and its time set against that of the whole.  What launches do not account for is the call, and Python steps.
Times are of the processor, so that other work does not count; threads of BLAS do, all of them.
"""

import argparse
import statistics
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from . import measure
from .rivals import ours
from .workloads import BY_NAME

#: how long each kind of launch is repeated, at the least
SECONDS = 0.002
CLOCK = measure.CLOCKS["cpu"]


@dataclass(frozen=True)
class LaunchTime:
    """Launches of one kernel over one shape: what they are, how many, and the seconds of all of them in a run."""

    name: str
    count: int
    seconds: float
    kernel: int | None


def launch_times(target: Callable, arguments: tuple) -> list[LaunchTime]:
    """The launches of a compiled function's program, longest first. ``target`` is what ``grad(f, jit=True)`` gives."""
    from autograd_jit.lower.graph import Step
    from autograd_jit.trace import tree

    target(*arguments)
    listing = target.kernels(*arguments)  # type: ignore[attr-defined]
    program = listing.program
    frame = program.new_frame()
    inputs = tuple(tree.flatten((arguments, {}))[0])
    tape_inputs = inputs[: len(program.tape.inputs)]
    outputs = frame.run(tape_inputs)  # kept alive: the frame's slots point into them
    native = [not isinstance(group.nodes[0], Step) for group in program.stages.groups]
    lines = [line for line, is_native in zip(listing.schedule, native, strict=True) if is_native]
    found: dict[str, list[float]] = defaultdict(list)
    for position, (name, entry) in enumerate(zip(lines, program.table, strict=True)):
        if len(found[name]) >= 3:  # the others take as long
            found[name].append(statistics.median(found[name][:3]))
        else:
            found[name].append(seconds_of(frame, position, entry))
    del outputs
    kernels = {entry.name: number for number, entry in enumerate(listing)}
    times = [
        LaunchTime(name, len(each), sum(each), kernels.get(name.partition(" ")[0])) for name, each in found.items()
    ]
    return sorted(times, key=lambda launch: -launch.seconds)


def seconds_of(frame: Any, position: int, entry: tuple) -> float:
    """One launch, after those before it have filled the memory that it reads."""
    import numpy

    table = frame.table
    before = frame._caller(0, (0, position))
    try:
        if position:
            before()
        count = 1
        while True:
            frame.table = numpy.array([[entry[0], entry[1].ctypes.data]] * count, numpy.int64)
            repeated = frame._caller(0, (0, count))
            if measure.time_loop(repeated, 1, CLOCK) > SECONDS:
                return min(measure.time_loop(repeated, 1, CLOCK) for _ in range(3)) / count
            count *= 4
    finally:
        frame.table = table


def main(argv: Sequence[str] | None = None) -> None:
    """Print the launches of a workload's compiled gradient."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.launches", description=__doc__)
    parser.add_argument("name", choices=[workload.name for workload in BY_NAME.values()], metavar="NAME")
    parser.add_argument("--source", action="store_true", help="print the kernels, too")
    parser.add_argument("--most", metavar="N", type=int, default=12, help="launches to show")
    options = parser.parse_args(argv)
    workload = BY_NAME[options.name]
    target, arguments = ours()[1].target(workload), workload.arguments()
    assert target is not None
    times = launch_times(target, arguments)
    count = measure.repetitions(lambda: target(*arguments), 10 * SECONDS, CLOCK)
    whole = min(measure.time_loop(lambda: target(*arguments), count, CLOCK) for _ in range(5)) / count
    inside = sum(launch.seconds for launch in times)
    print(f"{workload.name}: {1e6 * whole:,.1f} us a gradient, {1e6 * inside:,.1f} of it in launches")
    for launch in times[: options.most]:
        share = launch.seconds / inside
        print(f"{1e6 * launch.seconds:>12,.2f} us {share:>5.0%}  {launch.count:>5} x {launch.name}")
    listing = target.kernels(*arguments)  # type: ignore[attr-defined]
    for step in listing.program.steps:
        print(f"{'Python step':>18}        {step}")
    if options.source:
        shown = list(dict.fromkeys(launch.kernel for launch in times[: options.most] if launch.kernel is not None))
        for number in shown:
            print(f"\n{listing[number]}")


if __name__ == "__main__":
    main()
