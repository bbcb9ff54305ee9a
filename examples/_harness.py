"""What all examples share: the command line, timing, the comparison of both ways, pictures.

An example is a generator of the work's trajectory.  It makes its derivatives with ``jit=run.jit``, hands each to
``run.watch`` so that its ``explain()`` can be told, and yields once a step whatever describes that step: a loss, an
array, a tuple of numbers.  What it returns is drawn::

    def work(run):
        gradient = run.watch(value_and_grad(loss, jit=run.jit))
        for step in range(run.pick(full=1000, quick=50)):
            value, slope = gradient(x)
            x = x - 0.1 * slope
            yield value
        return x

    EXAMPLE = Example(__file__, __doc__, work, picture)

    if __name__ == "__main__":
        main(EXAMPLE)

Because the steps are yielded, ``--compare`` can let the two ways take turns: a busy machine slows them alike, and each
step's answers are compared.  Every run makes its own random generators, so both ways draw the same numbers.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy

INTERPRETED, COMPILED = "interpreted", "compiled"
TOLERANCE = 1e-8


@dataclass(frozen=True)
class Example:
    """A program of the gallery.

    ``file``, ``text``: the module's ``__file__`` and docstring.  ``work``: the generator (see the module).
    ``picture(figure, result)`` draws what ``work`` returned on a Matplotlib figure of ``size`` inches;
    ``files(folder, result)`` writes anything else and returns the paths.  ``step`` is what one yield is called.
    ``prepare()`` is called before any clock runs: it may import and read what both ways share.  ``compares``: without
    an option it runs both ways, as if by ``--compare``.
    """

    file: str
    text: str
    work: "Callable[[Run], Generator[Any, None, Any]]"
    picture: Callable[[Any, Any], None] | None = None
    files: Callable[[Path, Any], list[Path]] | None = None
    size: tuple[float, float] = (8, 4.5)
    step: str = "step"
    prepare: Callable[[], Any] = tuple
    compares: bool = False

    @property
    def name(self) -> str:
        return Path(self.file).stem

    @property
    def title(self) -> str:
        return self.text.strip().splitlines()[0]


@dataclass
class Run:
    """One run of an example in one way: what it may ask for, and what was seen of it."""

    jit: bool
    quick: bool
    speaks: bool = True
    watched: list[Callable] = field(default_factory=list)
    trajectory: list[numpy.ndarray] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    traces: list[int] = field(default_factory=list)
    result: Any = None

    # ---- for the example

    def watch(self, function: Callable) -> Callable:
        """``function``, remembered: what became of it is told at the end."""
        if hasattr(function, "explain"):
            self.watched.append(function)
        return function

    def pick(self, full: Any, quick: Any) -> Any:
        """``quick`` in a quick run, ``full`` in a whole one."""
        return quick if self.quick else full

    def tell(self, text: str) -> None:
        """Print a line; where both ways run, only one of them speaks."""
        if self.speaks:
            print(text, flush=True)

    # ---- for the harness

    @property
    def way(self) -> str:
        return COMPILED if self.jit else INTERPRETED

    def steps(self, example: Example) -> Iterator[None]:
        """Run the example, stopping after each step; the time between the stops is not counted."""
        work = example.work(self)
        running = True
        while running:
            began = time.perf_counter()
            try:
                value = next(work)
            except StopIteration as end:
                value, self.result, running = None, end.value, False
            self.seconds.append(time.perf_counter() - began)
            if running:
                self.trajectory.append(flat(value))
                self.traces.append(self.traces_so_far)
                yield

    @property
    def traces_so_far(self) -> int:
        return sum(function.stats.traces for function in self.watched)

    @property
    def total(self) -> float:
        """Seconds of the whole run: preparing, tracing and compiling included."""
        return sum(self.seconds)

    @property
    def per_step(self) -> float:
        """Median seconds of a step."""
        return statistics.median(self.seconds[: len(self.trajectory)])


def flat(value: Any) -> numpy.ndarray:
    """A step's description as one vector."""
    parts = value if isinstance(value, tuple) else (value,)
    return numpy.concatenate([numpy.ravel(numpy.asarray(part, dtype=float)) for part in parts])


# ---------------------------------------------------------------- what became of the compiled functions


@dataclass(frozen=True)
class Findings:
    """What ``explain()`` of the watched functions says that a user would rather not read."""

    python_steps: tuple[str, ...]
    fallbacks: tuple[str, ...]
    late_traces: int
    counts: str

    @property
    def is_clean(self) -> bool:
        return not (self.python_steps or self.fallbacks or self.late_traces)

    def __str__(self) -> str:
        lines = [self.counts]
        lines += [f"Python step: {step}" for step in self.python_steps]
        lines += [f"interpreted: {reason}" for reason in self.fallbacks]
        if self.late_traces:
            lines.append(f"traced again in the second half of the run: {self.late_traces} times")
        return "\n".join(lines)


def findings(run: Run) -> Findings:
    """Read the explanations of all functions that the run watched; fresh closures may share one."""
    lines = {line.strip(): None for function in run.watched for line in function.explain().splitlines()}
    stats = [function.stats for function in run.watched]
    count = {
        name: sum(getattr(each, name) for each in stats)
        for name in ("calls", "traces", "replays", "inlined", "fallbacks")
    }
    reasons = [line for line in lines if "runs interpreted: " in line or ": interpreted from now on: " in line]
    if count["fallbacks"] and not reasons:
        reasons = [f"{count['fallbacks']} calls"]
    middle = len(run.traces) // 2
    return Findings(
        python_steps=tuple(line.removeprefix("Python step: ") for line in lines if line.startswith("Python step: ")),
        fallbacks=tuple(reasons),
        late_traces=run.traces[-1] - run.traces[middle] if run.traces else 0,
        counts=", ".join(f"{number} {name}" for name, number in count.items() if number),
    )


# ---------------------------------------------------------------- one way, or both


@dataclass(frozen=True)
class Comparison:
    """Both ways of one example, run step by step in turns."""

    interpreted: Run
    compiled: Run

    @property
    def difference(self) -> float:
        """The largest relative difference of a step's answers; infinite where the runs differ in length."""
        ours, theirs = self.compiled.trajectory, self.interpreted.trajectory
        if [len(step) for step in ours] != [len(step) for step in theirs]:
            return float("inf")
        return max(relative_difference(a, b) for a, b in zip(ours, theirs))

    @property
    def speed_up(self) -> float:
        """How many times faster a compiled step is: the median of the ratios of steps that ran side by side."""
        pairs = zip(self.interpreted.seconds, self.compiled.seconds)
        steps = len(self.compiled.trajectory)
        return statistics.median([slow / fast for slow, fast in pairs][:steps])

    @property
    def total_speed_up(self) -> float:
        return self.interpreted.total / self.compiled.total


def relative_difference(a: numpy.ndarray, b: numpy.ndarray) -> float:
    """Largest difference over the largest magnitude; infinities and not-a-numbers must agree."""
    if not numpy.array_equal(numpy.isfinite(a), numpy.isfinite(b)):
        return float("inf")
    a, b = a[numpy.isfinite(a)], b[numpy.isfinite(b)]
    scale = numpy.max(abs(b), initial=0.0)
    return float(numpy.max(abs(a - b), initial=0.0) / scale) if scale else float(numpy.max(abs(a), initial=0.0))


def run_one(example: Example, jit: bool, quick: bool) -> Run:
    """The example in one way."""
    run = Run(jit, quick)
    example.prepare()
    with Progress(example) as progress:
        for _ in run.steps(example):
            progress.advance(run)
    return run


def compare(example: Example, quick: bool) -> Comparison:
    """The example in both ways, a step of the one, then a step of the other."""
    both = Comparison(Run(False, quick, speaks=False), Run(True, quick))
    example.prepare()
    with Progress(example) as progress:
        ways = [run.steps(example) for run in (both.interpreted, both.compiled)]
        while [next(way, "end") for way in ways].count("end") < len(ways):
            progress.advance(both.compiled)
    return both


class Progress:
    """The number of steps and the last value, on the terminal's last line; silent without a terminal."""

    EVERY = 0.1  # seconds: drawing costs more than many a step

    def __init__(self, example: Example):
        self.example, self.shown, self.drawn = example, sys.stderr.isatty(), 0.0

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *exception: object) -> None:
        if self.shown:
            print("\r\x1b[2K", end="", file=sys.stderr, flush=True)

    def advance(self, run: Run) -> None:
        """One step more."""
        now = time.perf_counter()
        if self.shown and now - self.drawn > self.EVERY and run.trajectory:
            text = f"{self.example.name}: {self.example.step} {len(run.trajectory)}, {run.trajectory[-1][0]:.6g}"
            print(f"\r\x1b[2K{text}", end="", file=sys.stderr, flush=True)
            self.drawn = now


# ---------------------------------------------------------------- telling about it


def duration(seconds: float) -> str:
    """Three digits and a unit."""
    scale, unit = next(((s, u) for s, u in ((1.0, "s"), (1e-3, "ms")) if seconds >= s), (1e-6, "us"))
    return f"{seconds / scale:.3g} {unit}"


def report(run: Run, step: str) -> str:
    """A line of figures for one run."""
    count = f"{len(run.trajectory)} {step}s" if len(run.trajectory) != 1 else f"1 {step}"
    included = ", compiling included" if run.jit else ""
    return f"{run.way:<12}{count}, {duration(run.per_step)} each, {duration(run.total)} in all{included}"


def report_comparison(both: Comparison, step: str) -> str:
    """Figures of both runs and how they compare."""
    return "\n".join(
        [
            report(both.interpreted, step),
            report(both.compiled, step),
            f"speed-up    {both.speed_up:.1f} a {step}, {both.total_speed_up:.1f} in all",
            f"difference  {both.difference:.1e} relative, the largest of all {step}s",
        ]
    )


def figures(both: Comparison, example: Example, quick: bool) -> dict[str, Any]:
    """What a comparison measured, for programs to read; times in seconds."""
    found = findings(both.compiled)
    return {
        "name": example.name,
        "title": example.title,
        "step": example.step,
        "quick": quick,
        "steps": len(both.compiled.trajectory),
        "per_step": {run.way: run.per_step for run in (both.interpreted, both.compiled)},
        "total": {run.way: run.total for run in (both.interpreted, both.compiled)},
        "speed_up": both.speed_up,
        "total_speed_up": both.total_speed_up,
        "difference": both.difference,
        "counts": found.counts,
        "findings": [] if found.is_clean else str(found).splitlines()[1:],
    }


def explained(run: Run) -> str:
    return "explain()   " + str(findings(run)).replace("\n", "\n" + 12 * " ")


STYLE = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.alpha": 0.25,
    "image.interpolation": "nearest",
}


def save_picture(example: Example, result: Any, folder: Path) -> Path | None:
    """Draw the result into ``folder``; without Matplotlib say so and do nothing."""
    try:
        import matplotlib
    except ImportError:
        print("no picture: it takes Matplotlib (pip install matplotlib)")
        return None
    matplotlib.use("Agg")
    from matplotlib import pyplot

    with pyplot.rc_context(STYLE):
        figure = pyplot.figure(figsize=example.size, layout="constrained")
        example.picture(figure, result)  # type: ignore[misc]
        path = folder / f"{example.name}.png"
        figure.savefig(path, dpi=110)
        pyplot.close(figure)
    return path


def save(example: Example, result: Any, folder: Path) -> list[Path]:
    """Everything that the example writes."""
    folder.mkdir(parents=True, exist_ok=True)
    picture = save_picture(example, result, folder) if example.picture else None
    return [path for path in [picture] if path] + (example.files(folder, result) if example.files else [])


# ---------------------------------------------------------------- the command line


def arguments(example: Example, given: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=example.title)
    add = parser.add_argument
    otherwise = "both" if example.compares else "compile"
    add("--jit", action=argparse.BooleanOptionalAction, help=f"compile or interpret (default: {otherwise})")
    add("--compare", action="store_true", help="run both ways; compare times and answers")
    add("--quick", action="store_true", help="a few seconds' worth of it")
    add("--explain", action="store_true", help="print all that the compiled functions have to say")
    add("--out", type=Path, default=Path("out"), help="folder for pictures (default: out)")
    add("--figures", type=Path, help="with --compare: write the figures to this file, as JSON")
    options = parser.parse_args(given)
    options.compare |= example.compares and options.jit is None
    options.jit = options.jit is not False
    if options.figures and not options.compare:
        parser.error("--figures are of both ways: give --compare, too")
    return options


def main(example: Example, given: list[str] | None = None) -> None:
    """Run, tell, draw; exits with an error where both ways ran and do not agree."""
    options = arguments(example, given)
    print(f"{example.title}\n", flush=True)
    if options.compare:
        with cold_cache():
            both = compare(example, options.quick)
        run, told = both.compiled, report_comparison(both, example.step)
        if options.figures:
            options.figures.write_text(json.dumps(figures(both, example, options.quick), indent=1))
    else:
        run = run_one(example, options.jit, options.quick)
        told = report(run, example.step)
    print(f"\n{told}")
    if run.jit:
        print(explained(run))
    if options.explain:
        print("\n".join(function.explain() for function in run.watched))
    for path in save(example, run.result, options.out):
        print(f"written     {path}")
    if options.compare and not both.difference <= TOLERANCE:
        sys.exit(f"the two ways differ by {both.difference:.1e}, more than {TOLERANCE}")


class cold_cache:
    """A folder of its own for kernels, so that a comparison pays for all its compiling."""

    VARIABLE = "AUTOGRAD_JIT_CACHE_DIR"

    def __enter__(self) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="autograd_jit-", ignore_cleanup_errors=True)
        self.before = os.environ.get(self.VARIABLE)
        os.environ[self.VARIABLE] = self.folder.name

    def __exit__(self, *exception: object) -> None:
        del os.environ[self.VARIABLE]
        if self.before is not None:
            os.environ[self.VARIABLE] = self.before
        self.folder.cleanup()


# ---------------------------------------------------------------- minimisers that take a step at a time


def adam(gradient: Callable, params: Any, steps: int, rate: Any = 0.001, decay: tuple = (0.9, 0.999)) -> Iterator:
    """Adam (Kingma and Ba, arXiv:1412.6980) on arrays in any container.

    ``gradient(params, step)`` gives value and gradient; ``rate`` is a number or a function of the step.  Yields
    ``(value, params)`` once a step: the value before the update, the parameters after it.
    """
    from autograd_jit.misc import flatten

    x, unflatten = flatten(params)
    mean, square = numpy.zeros_like(x), numpy.zeros_like(x)
    for step in range(steps):
        value, slope = gradient(params, step)
        flat_slope = flatten(slope)[0]
        mean = decay[0] * mean + (1 - decay[0]) * flat_slope
        square = decay[1] * square + (1 - decay[1]) * flat_slope**2
        unbiased_mean, unbiased_square = mean / (1 - decay[0] ** (step + 1)), square / (1 - decay[1] ** (step + 1))
        x = x - (rate(step) if callable(rate) else rate) * unbiased_mean / (numpy.sqrt(unbiased_square) + 1e-8)
        params = unflatten(x)
        yield value, params
