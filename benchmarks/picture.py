"""A picture of the ratios: one line a workload, one mark a rival, how many times slower it is than ours."""

from collections.abc import Sequence
from pathlib import Path

from .report import COMPARED
from .run import Row

MARKS = {"interpreted": "o", "autograd": "s", "jax": "^", "torch": "D", "by hand": "x", "njit": "+"}


def draw(rows: Sequence[Row], file: Path) -> None:
    """Write the picture in the format that the file's name says. Needs matplotlib."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(9, 1.5 + 0.22 * len(rows)), layout="constrained")
    for title, ratio in COMPARED:
        if title in MARKS:
            points = [(value, place) for place, row in enumerate(rows) if (value := ratio(row))]
            if points:
                axes.plot(*zip(*points), MARKS[title], label=title, markersize=5, alpha=0.8)
    axes.axvline(1.0, color="black", linewidth=0.8)
    axes.set_xscale("log")
    axes.set_yticks(range(len(rows)), [row.workload for row in rows], fontsize=8)
    axes.set_ylim(len(rows) - 0.3, -0.7)
    axes.grid(axis="x", alpha=0.3)
    axes.set_xlabel("time of a gradient, relative to the compiled one (right of 1: ours is faster)")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, 1.0 + 1.0 / (1.5 + 0.22 * len(rows))), ncols=len(MARKS))
    figure.savefig(file)
    pyplot.close(figure)
