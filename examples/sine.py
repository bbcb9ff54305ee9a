"""The sine by its Taylor series, summed until the terms no longer count, and its derivatives.

How many times the loop goes round depends on the number that it is given.  A derivative does not mind, and neither
does a compiled one: it has seen how many terms some number took, checks that this one takes as many, and traces the
function again where it does not.

    python examples/sine.py --compare
"""

import numpy
from _harness import Example, main

from autograd_jit import grad, jit

SMALL = 1e-14


def sine(x):
    """Sum of x - x³/3! + x⁵/5! - ..., up to a term that is negligible."""
    term = total = x
    n = 1
    while abs(term) > SMALL:
        term = -term * x * x / ((n + 1) * (n + 2))
        total = total + term
        n += 2
    return total


def work(run):
    """A step is a point: the sine and its first two derivatives there."""
    functions = [sine, grad(sine), grad(grad(sine))]
    if run.jit:
        functions = [run.watch(jit(function)) for function in functions]
    xs = numpy.random.default_rng(0).uniform(0.5, 6.5, run.pick(full=4000, quick=150))
    rows = []
    for x in xs:
        rows.append([function(float(x)) for function in functions])
        yield tuple(rows[-1])
    error = abs(numpy.array(rows) - [[numpy.sin(x), numpy.cos(x), -numpy.sin(x)] for x in xs]).max()
    run.tell(f"{len(xs)} points; largest error of sine, cosine and minus sine: {error:.1e}")
    return xs, numpy.array(rows)


def picture(figure, result):
    """The three functions, each point a dot."""
    xs, rows = result
    axis = figure.subplots()
    for column, label in zip(rows.T, ("sine", "first derivative", "second derivative")):
        axis.plot(xs, column, ".", label=label)
    axis.set(title="Taylor series of the sine, differentiated twice", xlabel="x")
    axis.legend(frameon=False)


EXAMPLE = Example(__file__, __doc__, work, picture, step="point")

if __name__ == "__main__":
    main(EXAMPLE)
