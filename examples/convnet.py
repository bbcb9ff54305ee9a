"""A convolutional network reads handwritten digits.

Six filters of 3x3 pixels, a maximum over 2x2 pixels, and a linear layer.  The convolution is SciPy's
``signal.convolve``, extended as in Autograd to stacks of images and filters by ``axes`` and ``dot_axes``.

    python examples/convnet.py --compare
"""

import numpy
from _data import digits
from _harness import Example, adam, main

import autograd_jit.numpy as np
from autograd_jit import value_and_grad
from autograd_jit.scipy.signal import convolve
from autograd_jit.scipy.special import logsumexp

FILTERS, SIDE = 6, 3
BATCH = 120
TEST = 357


def start(random):
    """Small random filters and weights, zero biases."""
    pooled = ((8 - SIDE + 1) // 2) ** 2 * FILTERS
    return {
        "filters": random.normal(size=(1, FILTERS, SIDE, SIDE)) / SIDE,
        "offsets": numpy.zeros((1, FILTERS, 1, 1)),
        "weights": random.normal(size=(pooled, 10)) / pooled**0.5,
        "bias": numpy.zeros(10),
    }


def pool(maps):
    """The largest of each 2x2 pixels."""
    images, channels, height, width = maps.shape
    return np.max(np.reshape(maps, (images, channels, height // 2, 2, width // 2, 2)), axis=(3, 5))


def log_probabilities(params, images):
    """``images``: (image, channel, row, column)."""
    maps = convolve(images, params["filters"], axes=([2, 3], [2, 3]), dot_axes=([1], [0]), mode="valid")
    features = pool(np.maximum(maps + params["offsets"], 0.0))
    outputs = np.dot(np.reshape(features, (len(images), -1)), params["weights"]) + params["bias"]
    return outputs - logsumexp(outputs, axis=1, keepdims=True)


def loss(params, images, targets):
    """Mean cross-entropy."""
    return -np.sum(targets * log_probabilities(params, images)) / len(images)


def work(run):
    """A step is a minibatch."""
    random = numpy.random.default_rng(0)
    images, targets = digits()
    images = images.reshape(-1, 1, 8, 8)
    order = random.permutation(len(images))
    test, train = order[:TEST], order[TEST:]
    slices = [train[first : first + BATCH] for first in range(0, len(train), BATCH)]
    slope = run.watch(value_and_grad(loss, jit=run.jit))

    def gradient(params, step):
        rows = slices[step % len(slices)]
        return slope(params, images[rows], targets[rows])

    losses, epochs = [], run.pick(full=60, quick=4)
    for value, params in adam(gradient, start(random), epochs * len(slices), rate=0.01):
        losses.append(value)
        yield value
    right = numpy.mean(log_probabilities(params, images[test]).argmax(axis=1) == targets[test].argmax(axis=1))
    run.tell(f"{epochs} epochs; {right:.1%} of {TEST} digits that it never saw read rightly")
    return losses, params["filters"]


def picture(figure, result):
    """The descent, and what the filters look for."""
    losses, filters = result
    left, right = figure.subfigures(1, 2)
    axis = left.subplots()
    axis.semilogy(losses)
    axis.set(title="training loss", xlabel="step")
    for axis, image in zip(right.subplots(2, 3).flat, filters[0]):
        axis.imshow(image, cmap="RdBu", vmin=-abs(filters).max(), vmax=abs(filters).max())
        axis.axis("off")
    right.suptitle("filters")


EXAMPLE = Example(__file__, __doc__, work, picture, prepare=digits)

if __name__ == "__main__":
    main(EXAMPLE)
