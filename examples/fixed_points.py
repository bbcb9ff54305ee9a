"""Differentiate a fixed point without looking at the iteration that found it.

Newton's iteration for the square root, ``x -> (x + a / x) / 2``, ends where it no longer moves.  The implicit function
theorem gives the derivative there, from that one point; its own derivative follows the same way.

    python examples/fixed_points.py --compare
"""

import numpy
from _harness import Example, main

import autograd_jit.numpy as np
from autograd_jit import grad, jit
from autograd_jit.misc.fixed_points import fixed_point


def newton(a):
    """The iteration whose fixed point is the square root of ``a``."""
    return lambda x: 0.5 * (x + a / x)


def distance(x, y):
    """How far apart two iterates are."""
    return np.abs(x - y)


def root(a):
    """Square root, to the last digits."""
    return fixed_point(newton, a, 1.0, distance, 1e-13)


def work(run):
    """A step is a number: its root and that root's first two derivatives."""
    functions = [root, grad(root), grad(grad(root))]
    if run.jit:
        functions = [run.watch(jit(function)) for function in functions]
    numbers = numpy.random.default_rng(0).uniform(0.3, 5.0, run.pick(full=1500, quick=40))
    rows = []
    for a in numbers:
        rows.append([function(a) for function in functions])
        yield tuple(rows[-1])
    exact = numpy.array([numbers**0.5, 0.5 * numbers**-0.5, -0.25 * numbers**-1.5]).T
    run.tell(f"{len(numbers)} numbers; largest errors {abs(numpy.array(rows) - exact).max(axis=0)}")
    return numbers, numpy.array(rows)


def picture(figure, result):
    """Root and derivatives, each number a dot."""
    numbers, rows = result
    axis = figure.subplots()
    for column, label in zip(rows.T, ("root", "first derivative", "second derivative")):
        axis.plot(numbers, column, ".", label=label)
    axis.set(title="Newton's fixed point, differentiated implicitly", xlabel="a")
    axis.legend(frameon=False)


EXAMPLE = Example(__file__, __doc__, work, picture, step="number")

if __name__ == "__main__":
    main(EXAMPLE)
