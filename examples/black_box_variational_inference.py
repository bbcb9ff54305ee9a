"""Black-box variational inference: a Gaussian fitted to a density that is known only up to a constant.

The bound on the log evidence is estimated with random draws inside the objective, and its gradient goes through the
draws: each is the mean plus a scaled standard normal (Kingma and Welling, arXiv:1312.6114).  Nothing is asked of the
density but that NumPy can compute its logarithm.

    python examples/black_box_variational_inference.py --compare
"""

import numpy
from _harness import Example, adam, main

import autograd_jit.numpy as np
from autograd_jit import value_and_grad
from autograd_jit.numpy import random as npr

DRAWS = 256
VIEW = (-4.0, 4.0, -3.5, 5.5)


def log_density(points):
    """A bent density: the second coordinate follows half the square of the first, the closer the nearer to zero."""
    first, second = points[:, 0], points[:, 1]
    width = 0.4 + 0.2 * np.sqrt(1.0 + first**2)
    return -0.5 * (first / 1.3) ** 2 - 0.5 * ((second - 0.5 * first**2 + 1.0) / width) ** 2 - np.log(width)


def make_loss(log_density, random):
    """Minus the evidence lower bound of a Gaussian with independent coordinates."""

    def loss(params, step):
        mean, log_scale = params
        points = mean + np.exp(log_scale) * random.randn(DRAWS, len(mean))
        entropy = 0.5 * len(mean) * (1.0 + np.log(2 * np.pi)) + np.sum(log_scale)
        return -np.mean(log_density(points)) - entropy

    return loss


def work(run):
    """A step is a step of Adam, with new draws."""
    gradient = run.watch(value_and_grad(make_loss(log_density, npr.RandomState(0)), jit=run.jit))
    start = numpy.array([-2.0, 3.0]), numpy.array([-1.0, -1.0])
    path = [start]
    for value, params in adam(gradient, start, run.pick(full=2000, quick=150), rate=0.02):
        path.append(params)
        yield value
    run.tell(f"mean {params[0].round(3)}, scales {numpy.exp(params[1]).round(3)}, bound {-value:.4f}")
    return path


def picture(figure, path):
    """The density, and the Gaussian on its way."""
    from matplotlib.patches import Ellipse

    axis = figure.subplots()
    x, y = numpy.meshgrid(numpy.linspace(*VIEW[:2], 200), numpy.linspace(*VIEW[2:], 200))
    density = numpy.exp(log_density(numpy.column_stack([x.ravel(), y.ravel()]))).reshape(x.shape)
    axis.contourf(x, y, density, levels=12, cmap="Blues")
    for number in numpy.geomspace(1, len(path), 9).astype(int) - 1:
        mean, log_scale = path[number]
        share = number / (len(path) - 1)
        for scales in (1, 2):
            width, height = 2 * scales * numpy.exp(log_scale)
            axis.add_patch(Ellipse(mean, width, height, fill=False, color="#d1495b", alpha=0.15 + 0.85 * share))
    axis.plot(*numpy.array([mean for mean, _ in path]).T, color="#d1495b", linewidth=1)
    axis.set(title="the fit on its way: one and two standard deviations", xlim=VIEW[:2], ylim=VIEW[2:])


EXAMPLE = Example(__file__, __doc__, work, picture)

if __name__ == "__main__":
    main(EXAMPLE)
