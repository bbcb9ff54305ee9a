"""The programs whose gradients are timed.

A workload is a function of a NumPy-like namespace that returns a scalar loss of ordinary code: the
same text runs under ``autograd_jit.numpy``, ``autograd.numpy`` and ``jax.numpy``.  Its gradient is
taken with respect to the loss's first argument.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, partial

import numpy


@dataclass(frozen=True)
class Workload:
    """A loss, its arguments, and arguments of the same structure at another shape."""

    name: str
    make_loss: Callable
    arguments: Callable[[], tuple]
    other_arguments: Callable[[], tuple] | None = None
    quick: bool = True
    cannot_run: Mapping[str, str] = field(default_factory=dict)


def draws(*shape: int, seed: int = 0) -> numpy.ndarray:
    """Normally distributed numbers, the same at every call."""
    return numpy.random.default_rng(seed).normal(size=shape)


# ---------------------------------------------------------------- logistic regression, 4 rows of 3


def logistic_regression(np):
    """The loss of Autograd's tutorial."""

    def sigmoid(x):
        return 0.5 * (np.tanh(x / 2.0) + 1)

    def loss(weights, inputs, targets):
        predictions = sigmoid(np.dot(inputs, weights))
        label_probabilities = predictions * targets + (1 - predictions) * (1 - targets)
        return -np.sum(np.log(label_probabilities))

    return loss


def logistic_arguments(rows: int) -> tuple:
    """Weights, inputs, and targets as floats of 0 and 1."""
    return draws(3), draws(rows, 3, seed=1), (numpy.arange(rows) % 2).astype(float)


# ---------------------------------------------------------------- digits


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


def cross_entropy(np, scores, targets):
    """Mean negative log-probability of the targets under each row's softmax."""
    shifted = scores - np.max(scores, axis=1, keepdims=True)
    log_probabilities = shifted - np.log(np.sum(np.exp(shifted), axis=1, keepdims=True))
    return -np.sum(targets * log_probabilities) / len(scores)


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


# ---------------------------------------------------------------- functions of one array


def rosenbrock(np):
    """Rosenbrock's function of n variables: shifted slices."""

    def loss(x):
        return np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)

    return loss


def elementwise_chain(np):
    """Ten elementwise functions of one array, then a sum."""

    def loss(x):
        y = np.exp(-x * x) * np.sin(3.0 * x)
        z = np.log1p(y * y) + np.tanh(x - y)
        return np.sum(z * z + np.sqrt(1.0 + x * x) * y)

    return loss


def one_array(size: int) -> tuple:
    """A single argument of that many elements."""
    return (draws(size),)


# ---------------------------------------------------------------- loops


def taylor_sine(np):
    """Sine by its Taylor series, with a ``while`` loop that looks at the value."""

    def loss(x):
        total = term = x
        order = 1
        while np.abs(term) > 1e-12:
            term = -term * x * x / ((order + 1) * (order + 2))
            total = total + term
            order += 2
        return total

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


# ---------------------------------------------------------------- the suite


def sized(name: str, make_loss: Callable, arguments: Callable, size: int, other: int, quick=True) -> Workload:
    """A workload whose arguments are made from one number."""
    return Workload(name, make_loss, partial(arguments, size), partial(arguments, other), quick)


def rosenbrock_of(exponent: int) -> Workload:
    size = 10**exponent
    return sized(f"rosenbrock 1e{exponent}", rosenbrock, one_array, size, size + 1, quick=size < 1e6)


def chain_of(exponent: int) -> Workload:
    size = 10**exponent
    return sized(f"chain 1e{exponent}", elementwise_chain, one_array, size, size + 1, quick=size < 1e6)


TAYLOR = Workload(
    "taylor sine",
    taylor_sine,
    lambda: (1.2,),
    cannot_run={"jax": "jax.jit cannot trace a while loop that looks at the value"},
)

SUITE = (
    sized("logistic 4x3", logistic_regression, logistic_arguments, 4, 5),
    sized("digits softmax", softmax_regression, softmax_arguments, 1437, 1438),
    sized("digits network", tanh_network, network_arguments, 256, 157),
    *map(rosenbrock_of, (1, 3, 6)),
    TAYLOR,
    sized("rnn 20 steps", recurrent_network, recurrent_arguments, 4, 5),
    *map(chain_of, range(2, 8)),
)
