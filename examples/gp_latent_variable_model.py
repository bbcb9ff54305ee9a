"""A Gaussian process latent variable model: handwritten digits laid out on a plane.

Each image gets two coordinates, every pixel is a smooth function of them, and the coordinates are what the gradient
is taken by.  No label is used; the picture colours them in afterwards.  Images by scikit-learn.

    python examples/gp_latent_variable_model.py --compare
"""

import sys

import numpy
from _gaussian_process import log_likelihood
from _harness import Example, adam, main

import autograd_jit.numpy as np
from autograd_jit import value_and_grad

try:
    from sklearn.datasets import load_digits
except ImportError:
    sys.exit("this example takes its data from scikit-learn: pip install scikit-learn")

CLASSES = 5


def load(count):
    """The first ``count`` images of the digits below five, pixels centred, and their labels."""
    images, labels = load_digits(return_X_y=True)
    chosen = numpy.flatnonzero(labels < CLASSES)[:count]
    images = images[chosen] / 16.0
    return images - images.mean(axis=0), labels[chosen]


def make_loss(images):
    """Minus the log density of pixels and places."""

    def loss(params, step):
        return -log_likelihood(params["kernel"], params["places"], images) + 0.5 * np.sum(params["places"] ** 2)

    return loss


def start(images):
    """The two principal components."""
    _, _, directions = numpy.linalg.svd(images, full_matrices=False)
    places = images @ directions[:2].T
    kernel = {"log_amplitude": -1.0, "log_lengths": numpy.zeros(2), "log_noise": -1.5}
    return {"places": places / places.std(axis=0), "kernel": kernel}


def work(run):
    """A step is a step of Adam."""
    images, labels = load(run.pick(full=100, quick=40))
    gradient = run.watch(value_and_grad(make_loss(images), jit=run.jit))
    first = start(images)
    for value, params in adam(gradient, first, run.pick(full=200, quick=30), rate=0.01):
        yield value
    run.tell(f"final loss {value:.2f}")
    return first["places"], params["places"], labels


def picture(figure, result):
    """Places at the start and at the end."""
    *both, labels = result
    for axis, places, title in zip(figure.subplots(1, 2), both, ["principal components", "latent variables"]):
        for digit in range(CLASSES):
            axis.plot(*places[labels == digit].T, "o", markersize=5, alpha=0.8, label=str(digit))
        axis.set(title=title)
    axis.legend(frameon=False)


EXAMPLE = Example(__file__, __doc__, work, picture, size=(10, 4.5))

if __name__ == "__main__":
    main(EXAMPLE)
