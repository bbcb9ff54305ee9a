"""Logistic regression: is a tumour malignant?  Gradient descent with momentum on 569 patients.

The labels and thirty measurements of each patient are scikit-learn's breast cancer data.

    python examples/logistic_regression.py --compare
"""

import numpy
from _data import scikit_learn, standardised
from _harness import Example, main

import autograd_jit.numpy as np
from autograd_jit import value_and_grad

PENALTY = 1e-3


def probability(weights, features):
    """Of a benign tumour."""
    return 0.5 * (np.tanh(0.5 * np.dot(features, weights)) + 1.0)


def make_loss(features, labels):
    """Mean negative log-likelihood, plus a small penalty on large weights."""

    def loss(weights):
        chance = probability(weights, features)
        likelihood = chance * labels + (1.0 - chance) * (1.0 - labels)
        return -np.mean(np.log(likelihood)) + PENALTY * np.sum(weights**2)

    return loss


def work(run):
    """A step of momentum uses all patients."""
    features, labels = scikit_learn("breast_cancer")
    features = numpy.column_stack([numpy.ones(len(features)), standardised(features)])
    gradient = run.watch(value_and_grad(make_loss(features, labels.astype(float)), jit=run.jit))
    weights, velocity, losses = numpy.zeros(features.shape[1]), 0.0, []
    for _ in range(run.pick(full=5000, quick=200)):
        value, slope = gradient(weights)
        velocity = 0.9 * velocity - 0.1 * slope
        weights = weights + velocity
        losses.append(value)
        yield value
    right = numpy.mean((probability(weights, features) > 0.5) == labels)
    run.tell(f"loss {losses[0]:.4f} to {losses[-1]:.4f}; {right:.1%} of the patients classified rightly")
    return losses, weights


def picture(figure, result):
    """The descent, and the weights found."""
    losses, weights = result
    left, right = figure.subplots(1, 2)
    left.loglog(losses)
    left.set(title="loss", xlabel="step")
    right.bar(range(len(weights)), weights)
    right.set(title="weights", xlabel="measurement")


EXAMPLE = Example(__file__, __doc__, work, picture, prepare=lambda: scikit_learn("breast_cancer"))

if __name__ == "__main__":
    main(EXAMPLE)
