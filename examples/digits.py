"""The main job: two classifiers of handwritten digits, softmax regression and a tanh network, fitted and compared.

The data are the 1,797 real images of 8x8 pixels that scikit-learn ships.  The models are ordinary NumPy functions of a
dict of parameters.  Softmax regression is fitted by SciPy's L-BFGS-B on all training images, then both models by Adam
on minibatches.  Unless told otherwise it all runs both ways: with ``value_and_grad(loss)``, which runs the Python
function at every call, and with ``value_and_grad(loss, jit=True)``, which compiles it at the first one.

    python examples/digits.py             # both ways, in turns
    python examples/digits.py --jit       # compiled only
    python examples/digits.py --no-jit    # interpreted only
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy
from _data import digits
from _harness import Example, adam, main

import autograd_jit.numpy as np
from autograd_jit import value_and_grad
from autograd_jit.misc import flatten

CLASSES = 10
PENALTY = 3e-4
BATCH = 256


# ---------------------------------------------------------------- the models: ordinary NumPy


def log_softmax(scores):
    """Logarithm of each row's softmax."""
    shifted = scores - np.max(scores, axis=1, keepdims=True)
    return shifted - np.log(np.sum(np.exp(shifted), axis=1, keepdims=True))


def softmax_scores(params, images):
    """One linear layer."""
    return np.dot(images, params["weights"]) + params["bias"]


def network_scores(params, images):
    """A tanh layer, then a linear one."""
    hidden = np.tanh(np.dot(images, params["hidden weights"]) + params["hidden bias"])
    return np.dot(hidden, params["weights"]) + params["bias"]


def make_loss(scores):
    """Mean cross-entropy of a model's scores, plus a small penalty on large parameters."""

    def loss(params, batch):
        images, targets = batch
        fit = -np.sum(targets * log_softmax(scores(params, images))) / len(images)
        return fit + PENALTY * sum(np.sum(value**2) for value in params.values())

    return loss


@dataclass(frozen=True)
class Model:
    """A named scoring function with the shapes of its parameters."""

    name: str
    scores: Callable
    shapes: dict[str, tuple[int, ...]]

    def start(self) -> dict[str, numpy.ndarray]:
        """Small random weights, zero biases; the same at every call."""
        random = numpy.random.default_rng(0)
        return {
            name: random.normal(size=shape) / shape[0] ** 0.5 if len(shape) == 2 else numpy.zeros(shape)
            for name, shape in self.shapes.items()
        }


def models(pixels: int, hidden: int) -> list[Model]:
    """The two classifiers."""
    layers = {"hidden weights": (pixels, hidden), "hidden bias": (hidden,)}
    return [
        Model("softmax regression", softmax_scores, {"weights": (pixels, CLASSES), "bias": (CLASSES,)}),
        Model("tanh network", network_scores, {**layers, "weights": (hidden, CLASSES), "bias": (CLASSES,)}),
    ]


# ---------------------------------------------------------------- the data


@dataclass(frozen=True)
class Digits:
    """Images in rows, scaled to 0..1, and rows with a single 1 for their labels, to train on and to test on."""

    train: tuple[numpy.ndarray, numpy.ndarray]
    test: tuple[numpy.ndarray, numpy.ndarray]

    @property
    def batches(self) -> int:
        """Minibatches in a round through the training data; the last one is short."""
        return -(-len(self.train[0]) // BATCH)

    def batch(self, step: int):
        """Minibatch number ``step``, round and round the training data."""
        step %= self.batches
        rows = slice(step * BATCH, (step + 1) * BATCH)
        return tuple(part[rows] for part in self.train)

    def misread(self, scores, params):
        """Which of the test images a model takes for another digit."""
        images, targets = self.test
        return numpy.flatnonzero(numpy.argmax(scores(params, images), axis=1) != numpy.argmax(targets, axis=1))


def load() -> Digits:
    """Every fifth image, after shuffling, is one to test on."""
    images, targets = digits()
    order = numpy.random.default_rng(0).permutation(len(images))
    tested, trained = order[::5], numpy.delete(order, numpy.s_[::5])
    return Digits((images[trained], targets[trained]), (images[tested], targets[tested]))


# ---------------------------------------------------------------- fitting


@dataclass
class Fit:
    """One minimisation: its parameters, and the losses on the way there."""

    name: str
    model: Model
    params: dict = field(default_factory=dict)
    losses: list[float] = field(default_factory=list)

    def told(self, data: Digits) -> str:
        count = len(data.test[0])
        right = 1 - len(data.misread(self.model.scores, self.params)) / count
        final = float(make_loss(self.model.scores)(self.params, data.train))
        return f"{self.name:<28}{right:>8.2%} of {count} test images right, final loss {final:.6f}"


def lbfgs(run, fit, data, steps):
    """SciPy's L-BFGS-B on all training images; the parameters travel as one flat vector. One step of the run."""
    from scipy.optimize import minimize

    loss = make_loss(fit.model.scores)
    start, unflatten = flatten(fit.model.start())
    objective = run.watch(value_and_grad(lambda vector: loss(unflatten(vector), data.train), jit=run.jit))

    def recorded(vector):
        value, gradient = objective(vector)
        fit.losses.append(float(value))
        return value, gradient

    found = minimize(recorded, start, jac=True, method="L-BFGS-B", options={"maxiter": steps, "maxfun": steps})
    fit.params = unflatten(found.x)
    yield found.fun


def minibatches(run, fit, data, steps):
    """Adam on minibatches; the parameters stay a dict."""
    gradient = run.watch(value_and_grad(make_loss(fit.model.scores), jit=run.jit))
    fitting = adam(lambda params, step: gradient(params, data.batch(step)), fit.model.start(), steps, rate=0.003)
    for value, fit.params in fitting:
        fit.losses.append(float(value))
        yield value


def work(run):
    """The first step is all of L-BFGS; the others take one minibatch each, for both models."""
    data = load()
    run.tell(f"{len(data.train[0])} training images, {len(data.test[0])} test images\n")
    softmax, network = models(data.train[0].shape[1], run.pick(full=100, quick=32))
    whole = Fit(f"{softmax.name}, L-BFGS", softmax)
    yield from lbfgs(run, whole, data, run.pick(full=200, quick=40))
    run.tell(whole.told(data))
    both = [Fit(f"{model.name}, Adam", model) for model in (softmax, network)]
    yield from zip(*[minibatches(run, fit, data, run.pick(full=1500, quick=240)) for fit in both])
    for fit in both:
        run.tell(fit.told(data))
    return data, [whole, *both]


# ---------------------------------------------------------------- the picture

MOST_SHOWN = 8


def picture(figure, result):
    """The losses on the way, and the images that the network takes for another digit."""
    data, fits = result
    left, right = figure.subfigures(1, 2, width_ratios=[1.3, 1])
    axis = left.subplots()
    for fit, colour in zip(fits, ["#e8a33d", "#d1495b", "#1f5fa8"]):
        rounds = data.batches if "Adam" in fit.name else 1  # batches differ: averaged over a round, the descent shows
        losses = numpy.convolve(fit.losses, numpy.ones(rounds) / rounds, "valid")
        axis.plot(losses, color=colour, label=fit.name)
    axis.set(xlabel="gradients", ylabel="training loss", yscale="log", title="Handwritten digits")
    axis.legend(frameon=False)
    wrong = data.misread(fits[-1].model.scores, fits[-1].params)[:MOST_SHOWN]
    right.suptitle("what the network misreads")
    for axis in right.subplots(2, 4).flat:
        axis.set_axis_off()
    for axis, row in zip(right.axes, wrong):
        image, target = data.test[0][row], data.test[1][row]
        read = numpy.argmax(fits[-1].model.scores(fits[-1].params, image[None]))
        axis.imshow(image.reshape(8, 8), cmap="gray_r")
        axis.set_title(f"{numpy.argmax(target)}, not {read}", fontsize=9)


EXAMPLE = Example(__file__, __doc__, work, picture, size=(11, 4.5), compares=True)

if __name__ == "__main__":
    main(EXAMPLE)
