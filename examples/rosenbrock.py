"""Rosenbrock's banana valley, followed to its end by BFGS from many starts.

SciPy minimises; value and gradient come from one function.

    python examples/rosenbrock.py --compare
"""

import numpy
from _harness import Example, main
from scipy.optimize import minimize

import autograd_jit.numpy as np
from autograd_jit import value_and_grad


def rosenbrock(x):
    """0 at (1, 1, ...), at the end of a curved valley with steep walls (H. Rosenbrock, 1960)."""
    return np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


def work(run):
    """A step is one start."""
    objective = run.watch(value_and_grad(rosenbrock, jit=run.jit))
    random = numpy.random.default_rng(0)
    paths = []
    for _ in range(run.pick(full=300, quick=10)):
        path = [random.uniform(-1.5, 1.5, 2)]
        found = minimize(objective, path[0], jac=True, method="BFGS", callback=path.append, options={"gtol": 1e-8})
        paths.append(numpy.array(path))
        yield found.x
    run.tell(f"{len(paths)} starts; the last ends at {found.x} after {found.nit} iterations")
    return paths


def picture(figure, paths):
    """The valley and the ways through it."""
    axis = figure.subplots()
    x, y = numpy.meshgrid(numpy.linspace(-1.6, 1.6, 200), numpy.linspace(-1.6, 2.6, 200))
    height = 100.0 * (y - x**2) ** 2 + (1.0 - x) ** 2
    axis.contourf(x, y, numpy.log10(height + 1e-3), 30, cmap="bone")
    for path in paths[:12]:
        axis.plot(*path.T, ".-", linewidth=1)
    axis.plot(1, 1, "w*", markersize=14)
    axis.set(title="BFGS on Rosenbrock's function", xlim=(-1.6, 1.6), ylim=(-1.6, 2.6))


EXAMPLE = Example(__file__, __doc__, work, picture, size=(7, 6), step="start")

if __name__ == "__main__":
    main(EXAMPLE)
