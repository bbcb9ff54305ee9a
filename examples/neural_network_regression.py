"""Regression by a neural network: a curve through noisy points, and how it gets there.

Two hidden layers, a Gaussian prior on the weights, all points at every step.  The picture shows the curve early,
later and at the end.

    python examples/neural_network_regression.py --compare
"""

from itertools import pairwise

import numpy
from _harness import Example, adam, main

import autograd_jit.numpy as np
from autograd_jit import value_and_grad

LAYERS = (1, 24, 24, 1)
NOISE = 0.1
SHOWN = (50, 200, 600)


def predict(params, inputs):
    """The curve's heights at ``inputs``, a column."""
    for weights, biases in params[:-1]:
        inputs = np.tanh(np.dot(inputs, weights) + biases)
    weights, biases = params[-1]
    return np.dot(inputs, weights) + biases


def log_prior(params):
    return -0.5 * sum(np.sum(weights**2) + np.sum(biases**2) for weights, biases in params)


def log_fit(params, inputs, targets):
    return -0.5 * np.sum((predict(params, inputs) - targets) ** 2) / NOISE**2


def data():
    """Sixty points of a chirp."""
    random = numpy.random.RandomState(0)
    inputs = numpy.sort(random.uniform(-2.0, 2.0, (60, 1)), axis=0)
    return inputs, numpy.sin((inputs + 2.0) ** 1.7) * 0.8 + NOISE * random.randn(60, 1)


def initial(random):
    return [(1.5 * random.randn(m, n) / m**0.5, random.randn(n)) for m, n in pairwise(LAYERS)]


def work(run):
    """A step is a step of Adam."""
    inputs, targets = data()

    def loss(params, step):
        return -log_prior(params) - log_fit(params, inputs, targets)

    gradient = run.watch(value_and_grad(loss, jit=run.jit))
    stages = {}
    steps = run.pick(full=1500, quick=150)
    for step, (value, params) in enumerate(adam(gradient, initial(numpy.random.RandomState(1)), steps, rate=0.001)):
        if step in SHOWN or step == steps - 1:
            stages[step] = params
        yield value
    run.tell(f"final loss {value:.4f}")
    return inputs, targets, stages


def picture(figure, result):
    """The curve at some stages."""
    inputs, targets, stages = result
    axis = figure.subplots()
    grid = numpy.linspace(-2.3, 2.3, 400)[:, None]
    for share, (step, params) in enumerate(stages.items(), start=1):
        axis.plot(grid, predict(params, grid), alpha=share / len(stages), color="#1f5fa8", label=f"step {step}")
    axis.plot(inputs, targets, "o", color="#d1495b", markersize=4)
    axis.legend(frameon=False)


EXAMPLE = Example(__file__, __doc__, work, picture)

if __name__ == "__main__":
    main(EXAMPLE)
