"""The hyperbolic tangent, written with exp, and its derivatives up to the sixth.

The derivative of a derivative is a derivative like any other: ``f = grad(f)`` six times over.  The curves are drawn
point by point, each derivative called with single numbers, and more points are put where the curve bends.

    python examples/tanh.py --compare
"""

import numpy
from _harness import Example, main

import autograd_jit.numpy as np
from autograd_jit import grad, jit

ORDERS = 7
LEFT, RIGHT = -4.0, 4.0


def tanh(x):
    """Hyperbolic tangent; ``np.tanh`` would do, but then its derivatives were not ours to find."""
    y = np.exp(-2.0 * x)
    return (1.0 - y) / (1.0 + y)


def derivatives(run):
    """tanh and its first six derivatives, each ready to be called."""
    function, all_orders = tanh, []
    for _ in range(ORDERS):
        all_orders.append(run.watch(jit(function)) if run.jit else function)
        function = grad(function)
    return all_orders


def refine(xs, rows, tolerance):
    """Midpoints of the intervals beside which a curve turns by more than ``tolerance`` of its height."""
    height = numpy.ptp(rows, axis=0)
    slopes = numpy.diff(rows, axis=0) / numpy.diff(xs)[:, None]
    jumps = abs(numpy.diff(slopes, axis=0)) * numpy.diff(xs)[:-1, None] > tolerance * height
    turns = numpy.flatnonzero(jumps.any(axis=1))
    left = numpy.unique(numpy.concatenate([turns, turns + 1]))
    return (xs[left] + xs[left + 1]) / 2


def work(run):
    """A step is a point: all seven functions there."""
    functions = derivatives(run)
    tolerance = run.pick(full=0.003, quick=0.1)
    xs, rows = numpy.empty(0), numpy.empty((0, ORDERS))
    new = numpy.linspace(LEFT, RIGHT, run.pick(full=33, quick=17))
    while len(new):
        values = []
        for x in new:
            values.append([function(float(x)) for function in functions])
            yield tuple(values[-1])
        order = numpy.argsort(numpy.concatenate([xs, new]))
        xs, rows = numpy.concatenate([xs, new])[order], numpy.concatenate([rows, values])[order]
        new = refine(xs, rows, tolerance)
    run.tell(f"{len(xs)} points; extremes " + ", ".join(f"{top:.4g}" for top in rows.max(axis=0)))
    return xs, rows


def picture(figure, result):
    """All curves, each scaled to its own height, which the right side shows."""
    xs, rows = result
    axes = figure.subplots(1, 2, width_ratios=[3, 2])
    for order, curve in enumerate(rows.T):
        label = "tanh" if order == 0 else f"derivative {order}"
        axes[0].plot(xs, curve / abs(curve).max(), label=label)
    axes[0].set(title="tanh and six derivatives, scaled", xlabel="x")
    axes[0].legend(frameon=False, fontsize=8)
    axes[1].semilogy(abs(rows).max(axis=0), "o-")
    axes[1].set(title="largest magnitude", xlabel="order of derivative")


EXAMPLE = Example(__file__, __doc__, work, picture, size=(10, 4.5), step="point")

if __name__ == "__main__":
    main(EXAMPLE)
