"""Variational inference with a mixture: a dozen Gaussians share a density that no single one could follow.

The bound takes draws from each component in turn, weighted by the component's share, so that its gradient reaches the
shares without any draw of a discrete variable.

    python examples/mixture_variational_inference.py --compare
"""

import numpy
from _harness import Example, adam, main

import autograd_jit.numpy as np
from autograd_jit import value_and_grad
from autograd_jit.numpy import random as npr
from autograd_jit.scipy.special import logsumexp

DRAWS = 32
VIEW = (-4.0, 4.0)


def log_density(points):
    """A spiral arm and a half: the ridge's radius grows with the angle."""
    radius = np.sqrt(np.sum(points**2, axis=-1) + 1e-6)
    angle = np.arctan2(points[..., 1], points[..., 0])
    ridges = 1.4 + angle / 3.0
    return -0.5 * ((radius - ridges) / 0.25) ** 2 - 0.05 * radius**2


def log_mixture(params, points):
    """Log density of the mixture at ``points``, of shape (..., 2)."""
    shares = params["logits"] - logsumexp(params["logits"])
    apart = (points[..., None, :] - params["means"]) / np.exp(params["log_scales"])
    components = -0.5 * np.sum(apart**2, axis=-1) - np.sum(params["log_scales"], axis=-1) - np.log(2 * np.pi)
    return logsumexp(components + shares, axis=-1)


def make_loss(log_density, random):
    """Minus the evidence lower bound of the mixture."""

    def loss(params, step):
        means, scales = params["means"], np.exp(params["log_scales"])
        points = means + scales * random.randn(DRAWS, *means.shape)
        gains = np.mean(log_density(points) - log_mixture(params, points), axis=0)
        shares = np.exp(params["logits"] - logsumexp(params["logits"]))
        return -np.sum(shares * gains)

    return loss


def work(run):
    """A step is a step of Adam, with new draws for every component."""
    components = run.pick(full=12, quick=6)
    gradient = run.watch(value_and_grad(make_loss(log_density, npr.RandomState(1)), jit=run.jit))
    start = {
        "logits": numpy.zeros(components),
        "means": 2.0 * npr.RandomState(0).randn(components, 2),
        "log_scales": numpy.full((components, 2), -1.0),
    }
    for value, params in adam(gradient, start, run.pick(full=2500, quick=100), rate=0.02):
        yield value
    run.tell(
        f"bound {-value:.4f}, shares {numpy.sort(numpy.exp(params['logits'] - logsumexp(params['logits']))).round(3)}"
    )
    return params


def picture(figure, params):
    """The density, and the mixture beside it."""
    grid = numpy.linspace(*VIEW, 200)
    points = numpy.stack(numpy.meshgrid(grid, grid), axis=-1)
    for axis, title, log_values in zip(
        figure.subplots(1, 2), ["target", "mixture"], [log_density(points), log_mixture(params, points)]
    ):
        axis.contourf(grid, grid, numpy.exp(log_values), levels=12, cmap="Blues")
        axis.plot(*params["means"].T, "o", color="#d1495b", markersize=4)
        axis.set(title=title, aspect="equal")


EXAMPLE = Example(__file__, __doc__, work, picture, size=(10, 5))

if __name__ == "__main__":
    main(EXAMPLE)
