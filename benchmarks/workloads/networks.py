"""Neural networks, from a handful of units to scikit-learn's digits; softmax over rows."""

from functools import cache, partial
from itertools import pairwise

import numpy

from .workload import Workload, draws


def cross_entropy(np, scores, targets):
    """Mean negative log-probability of the targets under each row's softmax."""
    shifted = scores - np.max(scores, axis=1, keepdims=True)
    log_probabilities = shifted - np.log(np.sum(np.exp(shifted), axis=1, keepdims=True))
    return -np.sum(targets * log_probabilities) / len(scores)


def softmax_regression(np):
    """Cross-entropy of a linear classifier."""

    def loss(params, images, targets):
        scores = np.dot(images, params["weights"]) + params["bias"]
        return cross_entropy(np, scores, targets)

    return loss


def tanh_network(np):
    """Cross-entropy of a classifier with one tanh layer."""

    def loss(params, images, targets):
        hidden = np.tanh(np.dot(images, params["hidden weights"]) + params["hidden bias"])
        scores = np.dot(hidden, params["weights"]) + params["bias"]
        return cross_entropy(np, scores, targets)

    return loss


def rectified_network(np):
    """Cross-entropy after layers of rectifiers: a list of (weights, bias)."""

    def loss(layers, inputs, targets):
        for weights, bias in layers[:-1]:
            inputs = np.maximum(np.dot(inputs, weights) + bias, 0.0)
        weights, bias = layers[-1]
        return cross_entropy(np, np.dot(inputs, weights) + bias, targets)

    return loss


def small_network(np):
    """Squared error of a network of one tanh layer."""

    def loss(params, inputs, targets):
        (first, first_bias), (second, second_bias) = params
        hidden = np.tanh(np.dot(inputs, first) + first_bias)
        return np.mean((np.dot(hidden, second) + second_bias - targets) ** 2)

    return loss


def softmax_rows(np):
    """The softmax of every row, weighted and summed."""

    def loss(x, weights):
        powers = np.exp(x - np.max(x, axis=1, keepdims=True))
        return np.sum(weights * (powers / np.sum(powers, axis=1, keepdims=True)))

    return loss


def recurrent_network(np):
    """A tanh recurrence over 20 steps, with a read-out of the last state."""

    def loss(params, inputs, targets):
        state = params["start"]
        for step in range(20):
            drive = np.dot(inputs[step], params["in"])
            state = np.tanh(drive + np.dot(state, params["change"]) + params["bias"])
        return np.mean((np.dot(state, params["out"]) - targets) ** 2)

    return loss


# ---------------------------------------------------------------- arguments


@cache
def digits() -> tuple[numpy.ndarray, numpy.ndarray]:
    """scikit-learn's images, scaled to 0..1, and their labels as rows of the identity."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    return images / 16.0, numpy.eye(10)[labels]


def softmax_arguments(rows: int) -> tuple:
    """Parameters and the first rows of the data."""
    images, targets = digits()
    params = {"weights": 0.1 * draws(64, 10), "bias": draws(10, seed=1)}
    return params, images[:rows], targets[:rows]


def network_arguments(rows: int, hidden: int = 100) -> tuple:
    """Parameters and the first rows of the data."""
    images, targets = digits()
    params = {
        "hidden weights": 0.1 * draws(64, hidden),
        "hidden bias": draws(hidden, seed=1),
        "weights": 0.1 * draws(hidden, 10, seed=2),
        "bias": draws(10, seed=3),
    }
    return params, images[:rows], targets[:rows]


def layers_of(*widths: int) -> list:
    """Weights and biases of a network with these widths."""
    return [
        (draws(before, after, seed=2 * n) / numpy.sqrt(before), 0.1 * draws(after, seed=2 * n + 1))
        for n, (before, after) in enumerate(pairwise(widths))
    ]


def classes(rows: int, count: int) -> numpy.ndarray:
    """Rows of the identity, in turn."""
    return numpy.eye(count)[numpy.arange(rows) % count]


def recurrent_arguments(batch: int, inputs: int = 8, hidden: int = 16) -> tuple:
    """Parameters, 20 steps of inputs, and targets."""
    params = {
        "in": 0.3 * draws(inputs, hidden),
        "change": 0.3 * draws(hidden, hidden, seed=1),
        "bias": 0.1 * draws(hidden, seed=2),
        "out": 0.3 * draws(hidden, 1, seed=3),
        "start": 0.1 * draws(1, hidden, seed=4),
    }
    return params, draws(20, batch, inputs, seed=5), draws(batch, 1, seed=6)


WORKLOADS = (
    Workload(
        "digits softmax",
        softmax_regression,
        partial(softmax_arguments, 1437),
        partial(softmax_arguments, 9),
        partial(softmax_arguments, 1438),
    ),
    Workload(
        "digits network",
        tanh_network,
        partial(network_arguments, 256),
        partial(network_arguments, 9, 4),
        partial(network_arguments, 157),
    ),
    Workload(
        "mlp 4-8-3",
        small_network,
        lambda: (layers_of(4, 8, 3), draws(8, 4, seed=8), draws(8, 3, seed=9)),
        lambda: (layers_of(2, 3, 2), draws(4, 2, seed=8), draws(4, 2, seed=9)),
    ),
    Workload(
        "mlp 3 layers",
        rectified_network,
        lambda: (layers_of(64, 256, 128, 10), draws(128, 64, seed=8), classes(128, 10)),
        lambda: (layers_of(2, 3, 4, 3), draws(5, 2, seed=8), classes(5, 3)),
    ),
    Workload(
        "softmax rows 1e4",
        softmax_rows,
        lambda: (draws(100, 100), draws(100, 100, seed=1)),
        lambda: (draws(3, 4), draws(3, 4, seed=1)),
    ),
    Workload(
        "softmax rows 1e6",
        softmax_rows,
        lambda: (draws(1000, 1000), draws(1000, 1000, seed=1)),
        lambda: (draws(3, 4), draws(3, 4, seed=1)),
        quick=False,
        memory_bound=True,
    ),
    Workload(
        "rnn 20 steps",
        recurrent_network,
        partial(recurrent_arguments, 4),
        partial(recurrent_arguments, 2, 2, 3),
        partial(recurrent_arguments, 5),
        loops=True,
    ),
)
