"""The results on the screen and as JSON."""

import json
import math
import os
import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from importlib import metadata
from pathlib import Path

from .rivals import BY_HAND, COMPILED, INTERPRETED, NJIT, TORCH, TORCH_COMPILE
from .run import Row

PACKAGES = ("numpy", "scipy", "numba", "llvmlite", "autograd", "jax", "torch")


def geometric_mean(values: Iterable[float]) -> float:
    """The mean that treats twice as fast and twice as slow alike."""
    logarithms = [math.log(value) for value in values]
    return math.exp(sum(logarithms) / len(logarithms)) if logarithms else math.nan


def amount(value: float | None, width: int) -> str:
    """A number with three significant digits at the least, thousands separated; a dash for none."""
    if value is None:
        return f"{'-':>{width}}"
    if value == 0:
        return f"{'0':>{width}}"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:>{width},.{min(digits, 3)}f}"


# ---------------------------------------------------------------- the table

EITHER_TORCH = (TORCH, TORCH_COMPILE)

#: title, unit, width, and what a row shows there
COLUMNS: tuple[tuple[str, str, int, Callable[[Row], float | int | None]], ...] = (
    ("interp.", "us", 10, lambda row: row.microseconds[INTERPRETED]),
    ("autograd", "us", 10, lambda row: row.microseconds.get("autograd")),
    ("jax", "us", 9, lambda row: row.microseconds.get("jax")),
    ("torch", "us", 9, lambda row: fastest(row, EITHER_TORCH)),
    ("by hand", "us", 9, lambda row: row.microseconds.get(BY_HAND)),
    ("njit", "us", 9, lambda row: row.microseconds.get(NJIT)),
    ("OURS", "us", 9, lambda row: row.microseconds[COMPILED]),
    ("interp.", "x", 8, lambda row: row.ratio(INTERPRETED)),
    ("autograd", "x", 9, lambda row: row.ratio("autograd")),
    ("jax", "x", 7, lambda row: row.ratio("jax")),
    ("torch", "x", 7, lambda row: row.ratio(*EITHER_TORCH)),
    ("by hand", "x", 8, lambda row: row.ratio(BY_HAND)),
    ("njit", "x", 7, lambda row: row.ratio(NJIT)),
    ("grad/f", "x", 7, lambda row: row.cheap_gradient),
    ("copy", "%", 6, lambda row: None if row.bandwidth_share is None else 100 * row.bandwidth_share),
    ("peak", "x", 7, lambda row: memory_ratio(row)),
    ("1st", "s", 7, lambda row: row.first_call_seconds[COMPILED]),
    ("jax 1st", "s", 8, lambda row: row.first_call_seconds.get("jax")),
    ("launches", "", 9, lambda row: row.profile.get("launches")),
    ("kernels", "", 8, lambda row: row.profile.get("kernels")),
    ("python", "steps", 7, lambda row: row.profile.get("python_steps")),
)
NAME_WIDTH = 23


def fastest(row: Row, names: Sequence[str]) -> float | None:
    """The least of these times."""
    return min((row.microseconds[name] for name in names if name in row.microseconds), default=None)


def memory_ratio(row: Row) -> float | None:
    """Peak memory of the interpreted gradient over that of the compiled one."""
    ours = row.peak_bytes.get(COMPILED)
    return row.peak_bytes[INTERPRETED] / ours if ours else None


def header() -> str:
    """Column titles and units for ``line``."""
    titles = f"{'workload':<{NAME_WIDTH}}" + "".join(f"{title:>{width}}" for title, _, width, _ in COLUMNS)
    units = " " * NAME_WIDTH + "".join(f"{unit:>{width}}" for _, unit, width, _ in COLUMNS)
    return f"{titles}\n{units}"


def line(row: Row) -> str:
    """One workload."""
    shown = "".join(cell(value(row), width) for _, _, width, value in COLUMNS)
    return f"{row.workload:<{NAME_WIDTH}}{shown}"


def cell(value: float | int | None, width: int) -> str:
    """Counts as they are, measurements by their size."""
    return f"{value:>{width},}" if isinstance(value, int) else amount(value, width)


# ---------------------------------------------------------------- means and shortfalls

CLASSES: tuple[tuple[str, Callable[[Row], bool]], ...] = (
    ("all", lambda row: True),
    ("small", lambda row: row.small),
    ("loops", lambda row: row.loops),
    ("small or loops", lambda row: row.small or row.loops),
    ("complete jobs", lambda row: row.complete),
)

#: what is compared with ours: title, and its ratio in a row
COMPARED: tuple[tuple[str, Callable[[Row], float | None]], ...] = (
    ("interpreted", lambda row: row.ratio(INTERPRETED)),
    ("autograd", lambda row: row.ratio("autograd")),
    ("jax", lambda row: row.ratio("jax")),
    ("torch", lambda row: row.ratio(*EITHER_TORCH)),
    ("by hand", lambda row: row.ratio(BY_HAND)),
    ("njit", lambda row: row.ratio(NJIT)),
    ("grad/f", lambda row: row.cheap_gradient),
    ("peak memory", memory_ratio),
)

#: rows worth a look: a ratio to our time below (for grad/f: above) this
TARGETS = {"interpreted": 15.0, "jax": 0.9, "njit": 0.75, "grad/f": 3.0, "peak memory": 1.0}


def means(rows: Sequence[Row]) -> dict[str, dict[str, float]]:
    """Geometric means of the ratios by class of workload."""
    found: dict[str, dict[str, float]] = {}
    for name, belongs in CLASSES:
        members = [row for row in rows if belongs(row)]
        ratios = {title: [value for row in members if (value := ratio(row))] for title, ratio in COMPARED}
        found[name] = {title: geometric_mean(values) for title, values in ratios.items() if values}
        found[name]["rows"] = len(members)
    return found


def means_table(rows: Sequence[Row]) -> str:
    """The geometric means, a class a line."""
    titles = [title for title, _ in COMPARED]
    lines = [f"{'geometric mean, x':<{NAME_WIDTH}}" + "".join(f"{title:>13}" for title in titles) + f"{'rows':>6}"]
    for name, values in means(rows).items():
        if values["rows"]:
            shown = "".join(amount(values.get(title), 13) for title in titles)
            lines.append(f"{name:<{NAME_WIDTH}}{shown}{values['rows']:>6.0f}")
    return "\n".join(lines)


def shortfalls(rows: Sequence[Row]) -> dict[str, list[str]]:
    """For each target, the rows that miss it, worst first."""
    found = {}
    for title, ratio in COMPARED:
        if title not in TARGETS:
            continue
        sign = -1 if title == "grad/f" else 1
        missed = [(sign * value, value, row.workload) for row in rows if (value := ratio(row)) is not None]
        missed = [entry for entry in missed if entry[0] < sign * TARGETS[title]]
        found[title] = [f"{workload} {value:.2f}" for _, value, workload in sorted(missed)]
    return found


def closing(rows: Sequence[Row], unavailable: Mapping[str, str]) -> str:
    """Geometric means, the rows that fall short, and notes."""
    lines = [means_table(rows), ""]
    for title, names in shortfalls(rows).items():
        bound = f"{'above' if title == 'grad/f' else 'below'} {TARGETS[title]:g}"
        lines.append(f"{title} {bound}: {', '.join(names) or 'none'}")
    lines += ["", *(f"no {family}: {why}" for family, why in unavailable.items())]
    lines += [f"{row.workload}: {note}" for row in rows for note in row.notes]
    return "\n".join(lines)


# ---------------------------------------------------------------- JSON


def environment() -> dict[str, object]:
    """What the figures depend on."""
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "processor": processor(),
        "cores": os.cpu_count(),
        "packages": {name: version for name in PACKAGES if (version := installed_version(name))},
    }


def processor() -> str:
    """The processor's name where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())


def installed_version(package: str) -> str | None:
    """The version of an installed package."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def as_json(rows: Sequence[Row], unavailable: Mapping[str, str]) -> str:
    """Everything measured."""
    workloads = [
        asdict(row) | {"small": row.small, "ratios": {title: ratio(row) for title, ratio in COMPARED}} for row in rows
    ]
    document = {"environment": environment(), "unavailable": dict(unavailable), "means": means(rows)}
    return json.dumps(document | {"workloads": workloads}, indent=2)
