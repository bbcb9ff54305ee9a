"""The results on the screen and as JSON."""

import json
import math
import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from importlib import metadata
from pathlib import Path

from .rivals import COMPILED, INTERPRETED
from .run import Row

PACKAGES = ("numpy", "scipy", "numba", "llvmlite", "autograd", "jax")


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


# ---------------------------------------------------------------- the table of the compiler


def header(rivals: Sequence[str]) -> str:
    """Column titles for ``line``."""
    columns = [
        f"{'workload':<16}",
        f"{INTERPRETED:>12}",
        f"{COMPILED:>11}",
        f"{'ratio':>8}",
        f"{'1st call':>9}",
    ]
    columns += [f"{name:>11}" for name in rivals]
    columns += [f"{'jax 1st':>8}"] if "jax" in rivals else []
    columns += [f"{'kernels':>8}", f"{'2nd shape':>10}", f"{'difference':>11}"]
    units = f"{'':<16}{'us':>12}{'us':>11}{'':>8}{'s':>9}" + f"{'us':>11}" * len(rivals)
    units += f"{'s':>8}" if "jax" in rivals else ""
    return "".join(columns) + "\n" + units


def line(row: Row, rivals: Sequence[str]) -> str:
    """One workload."""
    times, first = row.microseconds, row.first_call_seconds
    text = f"{row.workload:<16}{amount(times[INTERPRETED], 12)}{amount(times[COMPILED], 11)}"
    text += f"{amount(row.ratio, 7)}x{amount(first[COMPILED], 9)}"
    text += "".join(amount(times.get(name), 11) for name in rivals)
    text += amount(first.get("jax"), 8) if "jax" in rivals else ""
    other = row.kernels_compiled_at_other_shape
    text += f"{row.kernels_compiled:>8}{'-' if other is None else other:>10}"
    return text + f"{max(row.differences.values()):>11.1e}"


def closing(rows: Sequence[Row], rivals: Sequence[str]) -> str:
    """Geometric means and notes."""
    lines = [f"geometric mean, {INTERPRETED} / {COMPILED}: {geometric_mean(row.ratio for row in rows):.1f}x"]
    for name in rivals:
        ratios = [
            row.microseconds[name] / row.microseconds[COMPILED] for row in rows if name in row.microseconds
        ]
        lines.append(f"geometric mean, {name} / {COMPILED}: {geometric_mean(ratios):.1f}x over {len(ratios)}")
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


def as_json(rows: Sequence[Row]) -> str:
    """Everything measured."""
    workloads = [asdict(row) | {"ratio": row.ratio} for row in rows]
    return json.dumps({"environment": environment(), "workloads": workloads}, indent=2)
