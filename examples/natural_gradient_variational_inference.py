"""Natural gradients: the posterior of a logistic regression, with and without the geometry of its approximation.

The approximation is a Gaussian with independent coordinates, whose Fisher matrix is diagonal and known: dividing the
gradient by it gives the steepest descent as measured by what happens to the distribution, not to its parameters
(Amari 1998).  The data are scikit-learn's 569 breast tumours, benign or malignant.

    python examples/natural_gradient_variational_inference.py --compare
"""

import sys

import numpy
from _harness import Example, main

import autograd_jit.numpy as np
from autograd_jit import value_and_grad
from autograd_jit.numpy import random as npr

try:
    from sklearn.datasets import load_breast_cancer
except ImportError:
    sys.exit("this example takes its data from scikit-learn: pip install scikit-learn")

DRAWS = 8
PRIOR_SCALE = 2.0
RATES = {"plain": 2e-4, "natural": 2e-2}


def load():
    """Standardised features with a column of ones, and labels of plus and minus one."""
    features, labels = load_breast_cancer(return_X_y=True)
    features = (features - features.mean(axis=0)) / features.std(axis=0)
    return numpy.column_stack([numpy.ones(len(features)), features]), 2.0 * labels - 1.0


def make_loss(features, signs, random):
    """Minus the evidence lower bound, by draws of the weights."""

    def log_joint(weights):
        fit = -np.sum(np.logaddexp(0.0, -signs * np.dot(weights, features.T)), axis=1)
        return fit - 0.5 * np.sum((weights / PRIOR_SCALE) ** 2, axis=1)

    def loss(params, step):
        mean, log_scale = params
        weights = mean + np.exp(log_scale) * random.randn(DRAWS, len(mean))
        return -np.mean(log_joint(weights)) - np.sum(log_scale)

    return loss


def fisher(params):
    """The diagonal of the Fisher matrix of a Gaussian, for its mean and for the logarithm of its scale."""
    _, log_scale = params
    return np.exp(-2.0 * log_scale), 2.0 * np.ones(len(log_scale))


def accuracy(features, signs, mean):
    return float(numpy.mean(numpy.sign(features @ mean) == signs))


def work(run):
    """A step is a gradient step of each kind."""
    features, signs = load()
    gradients, params = {}, {}
    for kind in RATES:
        gradients[kind] = run.watch(value_and_grad(make_loss(features, signs, npr.RandomState(0)), jit=run.jit))
        params[kind] = numpy.zeros(features.shape[1]), numpy.full(features.shape[1], -2.0)
    losses = []
    for step in range(run.pick(full=1500, quick=100)):
        values = {}
        for kind, rate in RATES.items():
            values[kind], slopes = gradients[kind](params[kind], step)
            metric = fisher(params[kind]) if kind == "natural" else (1.0, 1.0)
            params[kind] = tuple(p - rate * s / m for p, s, m in zip(params[kind], slopes, metric))
        losses.append(tuple(values.values()))
        yield losses[-1]
    for kind, found in params.items():
        run.tell(f"{kind:<8} loss {values[kind]:.2f}, accuracy {accuracy(features, signs, found[0]):.1%}")
    return losses, params


def picture(figure, result):
    """Both descents, and the weights that came out."""
    losses, params = result
    left, right = figure.subplots(1, 2)
    for kind, curve in zip(RATES, zip(*losses)):
        left.plot(curve, label=f"{kind} gradient", linewidth=1)
        mean, log_scale = params[kind]
        right.errorbar(numpy.arange(len(mean)), mean, 2 * numpy.exp(log_scale), fmt="o", markersize=3, label=kind)
    left.set(title="minus the bound", xlabel="step", yscale="log")
    right.set(title="weights, two standard deviations", xlabel="feature")
    left.legend(frameon=False)


EXAMPLE = Example(__file__, __doc__, work, picture, size=(10, 4.5))

if __name__ == "__main__":
    main(EXAMPLE)
