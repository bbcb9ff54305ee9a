"""A deep Gaussian process: one process's output is the next one's input, and together they make a sharp step.

A single process with a smooth kernel has one length scale everywhere: it either rounds a step off or rings around it.
Each layer here is known by its values at a dozen inducing points; the values between them are drawn, with draws fixed
in advance, and all is fitted by gradient.

    python examples/deep_gaussian_process.py --compare
"""

import numpy
from _gaussian_process import covariance, log_gaussian
from _harness import Example, adam, main

import autograd_jit.numpy as np
from autograd_jit import value_and_grad
from autograd_jit.numpy.linalg import cholesky, solve
from autograd_jit.scipy.special import logsumexp

INDUCING = 12
DRAWS = 8
LAYERS = 2
NOISE = 0.1


def inducing_factor(layer):
    """Cholesky factor of the layer's covariance at its inducing points."""
    points = layer["points"]
    return cholesky(covariance(layer, points, points) + 1e-3 * np.eye(len(points)))


def pass_through(layer, values):
    """Mean and standard deviation of a layer's output for each of the values, a vector."""
    factor = inducing_factor(layer)
    whitened = solve(factor, covariance(layer, layer["points"], values[:, None]))
    mean = np.dot(solve(factor, layer["values"]), whitened)
    variance = np.exp(2 * layer["log_amplitude"]) - np.sum(whitened**2, axis=0)
    return mean, np.sqrt(np.maximum(variance, 1e-8))


def propagate(params, inputs, noise):
    """Mean and deviation of the last layer, for each draw: shapes (draws, inputs)."""
    means = np.array([inputs] * len(noise[0]))
    deviations = 0.0 * means
    for layer, draws in zip(params["layers"], noise):
        values = np.ravel(means + deviations * draws)
        means, deviations = [np.reshape(each, means.shape) for each in pass_through(layer, values)]
    return means, deviations


def make_loss(inputs, targets, noise):
    """Minus the log joint density of data and inducing values, averaged over the draws."""

    def loss(params, step):
        means, deviations = propagate(params, inputs, noise)
        variance = deviations**2 + NOISE**2
        fits = np.sum(-0.5 * (targets - means) ** 2 / variance - 0.5 * np.log(2 * np.pi * variance), axis=1)
        prior = sum(log_gaussian(inducing_factor(layer), layer["values"]) for layer in params["layers"])
        return -(logsumexp(fits) - np.log(len(fits))) - prior

    return loss


def start():
    """Each layer begins as roughly the identity."""
    points = numpy.linspace(-1.5, 1.5, INDUCING)
    layer = {"points": points[:, None], "values": points, "log_amplitude": 0.0, "log_lengths": numpy.array([-0.5])}
    return {"layers": [dict(layer) for _ in range(LAYERS)]}


def data():
    """A step, slightly noisy."""
    random = numpy.random.RandomState(0)
    inputs = numpy.sort(random.uniform(-1.5, 1.5, 40))
    return inputs, (inputs > 0.1) * 1.6 - 0.8 + NOISE * random.randn(40)


def work(run):
    """A step is a step of Adam."""
    inputs, targets = data()
    noise = numpy.random.RandomState(1).randn(LAYERS, DRAWS, len(inputs))
    gradient = run.watch(value_and_grad(make_loss(inputs, targets, noise), jit=run.jit))
    for value, params in adam(gradient, start(), run.pick(full=400, quick=60), rate=0.003):
        yield value
    run.tell(f"final loss {value:.3f}")
    return inputs, targets, params


def picture(figure, result):
    """The whole, and its layers."""
    inputs, targets, params = result
    axes = figure.subplots(1, 3)
    grid = numpy.linspace(-1.6, 1.6, 200)
    means, _ = propagate(params, grid, numpy.random.RandomState(2).randn(LAYERS, 20, len(grid)))
    axes[0].plot(grid, means.T, color="#1f5fa8", alpha=0.3, linewidth=1)
    axes[0].plot(inputs, targets, ".", color="#d1495b")
    axes[0].set(title="two layers: draws and data")
    for axis, layer, name in zip(axes[1:], params["layers"], ["first", "second"]):
        mean, deviation = pass_through(layer, grid)
        axis.fill_between(grid, mean - 2 * deviation, mean + 2 * deviation, alpha=0.3)
        axis.plot(grid, mean)
        axis.plot(layer["points"][:, 0], layer["values"], "o", markersize=4)
        axis.set(title=f"{name} layer", xlim=(-1.6, 1.6))


EXAMPLE = Example(__file__, __doc__, work, picture, size=(12, 4))

if __name__ == "__main__":
    main(EXAMPLE)
