"""A Bayesian neural network: a distribution over networks, unsure where there are no data.

Every weight has a mean and a scale of its own.  The objective draws whole networks, runs them all on the data as one
batch of matrix products, and weighs their fit against the distance from the prior.

    python examples/bayesian_neural_network.py --compare
"""

from itertools import pairwise

import numpy
from _harness import Example, adam, main

import autograd_jit.numpy as np
from autograd_jit import value_and_grad
from autograd_jit.numpy import random as npr

LAYERS = (1, 20, 20, 1)
NETWORKS = 10
NOISE = 0.1
SIZE = sum((rows + 1) * columns for rows, columns in pairwise(LAYERS))


def layers(weights):
    """``(weights, biases)`` of each layer, out of vectors of all weights, one for each network."""
    networks, at = len(weights), 0
    for rows, columns in pairwise(LAYERS):
        matrices = weights[:, at : at + rows * columns].reshape(networks, rows, columns)
        at += rows * columns
        yield matrices, weights[:, at : at + columns].reshape(networks, 1, columns)
        at += columns


def predict(weights, inputs):
    """Outputs of every network for every input: shape (networks, inputs)."""
    values = np.array([inputs] * len(weights))
    for number, (matrices, biases) in enumerate(layers(weights)):
        values = np.matmul(values, matrices) + biases
        if number < len(LAYERS) - 2:
            values = np.tanh(values)
    return values[:, :, 0]


def make_loss(inputs, targets, random):
    """Minus the evidence lower bound; the divergence from the prior, standard normal, is known in closed form."""

    def loss(params, step):
        mean, log_scale = params
        weights = mean + np.exp(log_scale) * random.randn(NETWORKS, SIZE)
        misfit = np.mean(np.sum((predict(weights, inputs) - targets) ** 2, axis=1)) / (2 * NOISE**2)
        divergence = 0.5 * np.sum(np.exp(2 * log_scale) + mean**2 - 1.0 - 2 * log_scale)
        return misfit + divergence

    return loss


def data():
    """Noisy points of a curve, with a gap in the middle."""
    random = numpy.random.RandomState(0)
    x = numpy.concatenate([random.uniform(-3.0, -0.8, 40), random.uniform(0.9, 3.0, 40)])
    return x[:, None], numpy.sin(2.0 * x) * 0.5 + 0.3 * x + NOISE * random.randn(80)


def work(run):
    """A step is a step of Adam, with new networks."""
    inputs, targets = data()
    gradient = run.watch(value_and_grad(make_loss(inputs, targets, npr.RandomState(1)), jit=run.jit))
    start = 0.3 * numpy.random.RandomState(2).randn(SIZE), numpy.full(SIZE, -4.0)
    for value, params in adam(gradient, start, run.pick(full=2500, quick=100), rate=0.01):
        yield value
    run.tell(f"final loss {value:.2f}")
    return inputs, targets, params


def picture(figure, result):
    """Data and sampled networks."""
    inputs, targets, (mean, log_scale) = result
    axis = figure.subplots()
    grid = numpy.linspace(-5.0, 5.0, 300)[:, None]
    weights = mean + numpy.exp(log_scale) * numpy.random.RandomState(3).randn(60, SIZE)
    axis.plot(grid[:, 0], predict(weights, grid).T, color="#1f5fa8", alpha=0.15, linewidth=1)
    axis.plot(inputs[:, 0], targets, "o", color="#d1495b", markersize=4)
    axis.set(title="sixty networks from the posterior", xlim=(-5, 5), ylim=(-3, 3))


EXAMPLE = Example(__file__, __doc__, work, picture)

if __name__ == "__main__":
    main(EXAMPLE)
