"""A variational autoencoder: handwritten digits squeezed through two numbers, and dreamt up from any two.

The encoder says where on a plane an image may lie, and how surely; a draw from there goes to the decoder, which
paints the image again.  The objective takes its own minibatch and its own draws.  Images by scikit-learn.

    python examples/variational_autoencoder.py --compare
"""

import sys

import numpy
from _harness import Example, adam, main

import autograd_jit.numpy as np
from autograd_jit import value_and_grad
from autograd_jit.numpy import random as npr

try:
    from sklearn.datasets import load_digits
except ImportError:
    sys.exit("this example takes its data from scikit-learn: pip install scikit-learn")

LATENT = 2
BATCH = 128


def layer(rows, columns, random):
    return {"weights": random.randn(rows, columns) / rows**0.5, "biases": numpy.zeros(columns)}


def initial(pixels, hidden, random):
    """Two layers down, two layers up."""
    return {
        "encoder": [layer(pixels, hidden, random), layer(hidden, 2 * LATENT, random)],
        "decoder": [layer(LATENT, hidden, random), layer(hidden, pixels, random)],
    }


def network(layers, values):
    """Tanh layers, the last one linear."""
    for each in layers[:-1]:
        values = np.tanh(np.dot(values, each["weights"]) + each["biases"])
    return np.dot(values, layers[-1]["weights"]) + layers[-1]["biases"]


def make_loss(images, random):
    """Minus the evidence lower bound of one minibatch, an image."""
    batches = len(images) // BATCH

    def loss(params, step):
        at = step % batches * BATCH
        batch = images[at : at + BATCH]
        code = network(params["encoder"], batch)
        mean, log_scale = code[:, :LATENT], code[:, LATENT:]
        latent = mean + np.exp(log_scale) * random.randn(BATCH, LATENT)
        scores = network(params["decoder"], latent)
        misfit = np.sum(np.logaddexp(0.0, scores) - batch * scores)
        divergence = 0.5 * np.sum(mean**2 + np.exp(2 * log_scale) - 1.0 - 2 * log_scale)
        return (misfit + divergence) / BATCH

    return loss


def work(run):
    """A step is a step of Adam on one minibatch."""
    images, labels = load_digits(return_X_y=True)
    images = images / 16.0
    start = initial(images.shape[1], run.pick(full=128, quick=32), numpy.random.RandomState(1))
    gradient = run.watch(value_and_grad(make_loss(images, npr.RandomState(0)), jit=run.jit))
    for value, params in adam(gradient, start, run.pick(full=1500, quick=100), rate=0.003):
        yield value
    run.tell(f"final loss {value:.3f}")
    return params, images, labels


def picture(figure, result):
    """Where the digits lie, and what the decoder paints for a grid of places."""
    params, images, labels = result
    left, right = figure.subplots(1, 2)
    codes = network(params["encoder"], images)[:, :LATENT]
    shown = left.scatter(*codes.T, c=labels, cmap="tab10", s=5)
    figure.colorbar(shown, ax=left)
    left.set(title="codes of the digits")
    grid = numpy.linspace(-2.0, 2.0, 12)
    places = numpy.stack(numpy.meshgrid(grid, grid[::-1]), axis=-1).reshape(-1, 2)
    painted = 1.0 / (1.0 + numpy.exp(-network(params["decoder"], places)))
    right.imshow(painted.reshape(12, 12, 8, 8).swapaxes(1, 2).reshape(96, 96), cmap="gray_r", extent=(-2, 2, -2, 2))
    right.set(title="what lies where")
    right.grid(visible=False)


EXAMPLE = Example(__file__, __doc__, work, picture, size=(11, 5))

if __name__ == "__main__":
    main(EXAMPLE)
