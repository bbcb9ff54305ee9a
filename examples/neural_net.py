"""A neural network with three layers learns to read handwritten digits.

Its parameters are a list of (weights, bias) pairs; minibatches of scikit-learn's 1,797 digits, Adam.

    python examples/neural_net.py --compare
"""

from itertools import pairwise

import numpy
from _data import digits
from _harness import Example, adam, main

import autograd_jit.numpy as np
from autograd_jit import value_and_grad
from autograd_jit.scipy.special import logsumexp

SIZES = [64, 100, 50, 10]
BATCH = 128
TEST = 360
PENALTY = 1e-4


def start(sizes, random):
    """Small random weights, zero biases."""
    return [
        (random.normal(size=(rows, columns)) / rows**0.5, numpy.zeros(columns)) for rows, columns in pairwise(sizes)
    ]


def log_probabilities(params, images):
    """tanh layers, then a softmax."""
    for weights, bias in params:
        outputs = np.dot(images, weights) + bias
        images = np.tanh(outputs)
    return outputs - logsumexp(outputs, axis=1, keepdims=True)


def loss(params, images, targets):
    """Mean cross-entropy, plus a small penalty on large parameters."""
    penalty = sum(np.sum(weights**2) + np.sum(bias**2) for weights, bias in params)
    return -np.sum(targets * log_probabilities(params, images)) / len(images) + PENALTY * penalty


def accuracy(params, images, targets):
    """Share of images whose likeliest digit is the right one."""
    return numpy.mean(log_probabilities(params, images).argmax(axis=1) == targets.argmax(axis=1))


def work(run):
    """A step is a minibatch; the last one of each epoch is short."""
    random = numpy.random.default_rng(0)
    images, targets = digits()
    order = random.permutation(len(images))
    test, train = order[:TEST], order[TEST:]
    slices = [train[first : first + BATCH] for first in range(0, len(train), BATCH)]
    slope = run.watch(value_and_grad(loss, jit=run.jit))

    def gradient(params, step):
        rows = slices[step % len(slices)]
        return slope(params, images[rows], targets[rows])

    epochs, losses, reached = run.pick(full=100, quick=5), [], []
    for value, params in adam(gradient, start(SIZES, random), epochs * len(slices), rate=0.003):
        losses.append(value)
        if len(losses) % len(slices) == 0:
            reached.append(accuracy(params, images[test], targets[test]))
        yield value
    run.tell(f"{epochs} epochs; {reached[-1]:.1%} of {TEST} digits that it never saw read rightly")
    return losses, reached


def picture(figure, result):
    """Loss by step, accuracy by epoch."""
    losses, reached = result
    left, right = figure.subplots(1, 2)
    left.semilogy(losses)
    left.set(title="training loss", xlabel="step")
    right.plot(reached)
    right.set(title="accuracy on test digits", xlabel="epoch")


EXAMPLE = Example(__file__, __doc__, work, picture, prepare=digits)

if __name__ == "__main__":
    main(EXAMPLE)
