"""Train two classifiers on handwritten digits, interpreted and compiled, and compare.

The data are the 1,797 real images of 8x8 pixels that scikit-learn ships.  The two models, softmax
regression and a two-layer tanh network, are ordinary NumPy functions of a dict of parameters.  Each
is fitted twice: by SciPy's L-BFGS-B on all training images, and by minibatch Adam.  And all of that
twice over: with ``value_and_grad(loss)``, which runs the Python function at every call, and with
``value_and_grad(loss, jit=True)``, which compiles it at the first one.

    python examples/digits.py             # both ways; writes out/digits.png
    python examples/digits.py --jit       # compiled only
    python examples/digits.py --no-jit    # interpreted only
    python examples/digits.py --quick     # a few seconds
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy
from scipy.optimize import minimize
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import autograd_jit.numpy as np
from autograd_jit import value_and_grad
from autograd_jit.misc import flatten

CLASSES = 10
PENALTY = 3e-4
BATCH = 256
TOLERANCE = 1e-8
INTERPRETED, COMPILED = "interpreted", "compiled"


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


def accuracy(scores, params, images, labels):
    """Share of images whose highest score is their label's."""
    return float(numpy.mean(numpy.argmax(scores(params, images), axis=1) == labels))


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
    return [
        Model("softmax regression", softmax_scores, {"weights": (pixels, CLASSES), "bias": (CLASSES,)}),
        Model(
            "tanh network",
            network_scores,
            {
                "hidden weights": (pixels, hidden),
                "hidden bias": (hidden,),
                "weights": (hidden, CLASSES),
                "bias": (CLASSES,),
            },
        ),
    ]


# ---------------------------------------------------------------- the data


@dataclass(frozen=True)
class Digits:
    """Images in rows, scaled to 0..1, and their labels, in a training and a test part."""

    train_images: numpy.ndarray
    train_targets: numpy.ndarray
    test_images: numpy.ndarray
    test_labels: numpy.ndarray

    @property
    def train(self):
        return self.train_images, self.train_targets

    @property
    def batches(self) -> int:
        """Minibatches in a round through the training data; the last one is short."""
        return -(-len(self.train_images) // BATCH)

    def batch(self, step: int):
        """Minibatch number ``step``, round and round the training data."""
        step %= self.batches
        rows = slice(step * BATCH, (step + 1) * BATCH)
        return self.train_images[rows], self.train_targets[rows]


def load() -> Digits:
    """Read and split scikit-learn's digits: four fifths to train on, one fifth to test on."""
    images, labels = load_digits(return_X_y=True)
    train_images, test_images, train_labels, test_labels = train_test_split(
        images / 16.0, labels, test_size=0.2, stratify=labels, random_state=0
    )
    return Digits(train_images, numpy.eye(CLASSES)[train_labels], test_images, test_labels)


# ---------------------------------------------------------------- the two minimisers


@dataclass
class Fit:
    """What one minimisation did, and the call of its first gradient, to be repeated and timed."""

    params: dict
    losses: list[float]
    first_gradient: Callable[[], tuple]
    batches: int = 1
    final_loss: float = float("nan")
    accuracy: float = float("nan")
    seconds: float = float("nan")
    seconds_per_gradient: float = float("nan")


def lbfgs(model: Model, digits: Digits, jit: bool, steps: int, tick: Callable[[], None]) -> Fit:
    """SciPy's L-BFGS-B on all training images; the parameters travel as one flat vector."""
    loss = make_loss(model.scores)
    start, unflatten = flatten(model.start())
    objective = value_and_grad(lambda vector: loss(unflatten(vector), digits.train), jit=jit)
    losses = []

    def recorded(vector):
        value, gradient = objective(vector)
        losses.append(float(value))
        tick()
        return value, gradient

    options = {"maxiter": steps, "maxfun": steps}
    result = minimize(recorded, start, jac=True, method="L-BFGS-B", options=options)
    return Fit(unflatten(result.x), losses, lambda: objective(start))


def adam(model: Model, digits: Digits, jit: bool, steps: int, tick: Callable[[], None]) -> Fit:
    """Adam on minibatches; the parameters stay a dict."""
    gradient = value_and_grad(make_loss(model.scores), jit=jit)
    start = params = model.start()
    mean = {name: numpy.zeros_like(value) for name, value in params.items()}
    square = {name: numpy.zeros_like(value) for name, value in params.items()}
    losses = []
    for step in range(steps):
        value, slope = gradient(params, digits.batch(step))
        params = adam_step(params, slope, mean, square, step)
        losses.append(float(value))
        tick()
    return Fit(params, losses, lambda: gradient(start, digits.batch(0)), digits.batches)


def adam_step(params, slope, mean, square, step, rate=0.003, decay=(0.9, 0.999)):
    """New parameters after one step; the running averages ``mean`` and ``square`` are updated in place."""
    new = {}
    for name, value in params.items():
        mean[name] = decay[0] * mean[name] + (1 - decay[0]) * slope[name]
        square[name] = decay[1] * square[name] + (1 - decay[1]) * slope[name] ** 2
        unbiased_mean = mean[name] / (1 - decay[0] ** (step + 1))
        unbiased_square = square[name] / (1 - decay[1] ** (step + 1))
        new[name] = value - rate * unbiased_mean / (numpy.sqrt(unbiased_square) + 1e-8)
    return new


MINIMISERS = {"L-BFGS": lbfgs, "Adam": adam}


# ---------------------------------------------------------------- running it


@dataclass(frozen=True)
class Size:
    """How much work to do."""

    hidden: int
    steps: dict[str, int]
    repeats: int


FULL = Size(hidden=100, steps={"L-BFGS": 200, "Adam": 1500}, repeats=30)
QUICK = Size(hidden=32, steps={"L-BFGS": 40, "Adam": 240}, repeats=5)


@dataclass(frozen=True)
class Run:
    """One model under one minimiser, fitted in one or both ways."""

    model: Model
    minimiser: str
    fits: dict[str, Fit]

    @property
    def name(self) -> str:
        return f"{self.model.name}, {self.minimiser}"

    @property
    def speed_up(self) -> float:
        return self.fits[INTERPRETED].seconds_per_gradient / self.fits[COMPILED].seconds_per_gradient

    @property
    def gradients_differ(self) -> float:
        """Relative difference of the two ways' first value and gradient; only rounding is allowed."""
        return self.difference(lambda fit: flatten(fit.first_gradient())[0])

    @property
    def losses_differ(self) -> float:
        """Relative difference of the final losses, to which hundreds of steps may amplify rounding."""
        return self.difference(lambda fit: fit.final_loss)

    def difference(self, quantity: Callable[[Fit], numpy.ndarray]) -> float:
        interpreted, compiled = (quantity(self.fits[way]) for way in (INTERPRETED, COMPILED))
        return float(numpy.max(abs(interpreted - compiled)) / numpy.max(abs(interpreted)))


def run(model: Model, minimiser: str, digits: Digits, ways: list[str], size: Size) -> Run:
    """Fit in each way, then time single gradients."""
    fits = {way: fit(model, minimiser, digits, way, size.steps[minimiser]) for way in ways}
    time_gradients(fits, size.repeats)
    return Run(model, minimiser, fits)


def fit(model: Model, minimiser: str, digits: Digits, way: str, steps: int) -> Fit:
    """Fit once, by the wall clock: everything from making the gradient function on counts."""
    with Progress(f"{model.name}, {minimiser}, {way}", steps) as progress:
        began = time.perf_counter()
        result = MINIMISERS[minimiser](model, digits, way == COMPILED, steps, progress.advance)
        result.seconds = time.perf_counter() - began
    result.final_loss = float(make_loss(model.scores)(result.params, digits.train))
    result.accuracy = accuracy(model.scores, result.params, digits.test_images, digits.test_labels)
    return result


def time_gradients(fits: dict[str, Fit], repeats: int) -> None:
    """Median time of a gradient; the ways take turns, so that a busy machine slows them alike."""
    times: dict[str, list[float]] = {way: [] for way in fits}
    for _ in range(repeats):
        for way, fit in fits.items():
            began = time.perf_counter()
            fit.first_gradient()
            times[way].append(time.perf_counter() - began)
    for way, fit in fits.items():
        fit.seconds_per_gradient = statistics.median(times[way])


class Progress:
    """A bar on the terminal's last line; silent when the output is not a terminal."""

    WIDTH = 30

    def __init__(self, title: str, total: int):
        self.title, self.total, self.done = title, total, 0
        self.shown = sys.stderr.isatty()

    def __enter__(self):
        self.draw()
        return self

    def __exit__(self, *exception):
        if self.shown:
            print("\r\x1b[2K", end="", file=sys.stderr, flush=True)

    def advance(self):
        """One step more."""
        self.done += 1
        self.draw()

    def draw(self):
        """Draw the bar; a minimiser that stops early or overshoots by a step does no harm."""
        if self.shown:
            filled = min(self.WIDTH, self.WIDTH * self.done // self.total)
            bar = "█" * filled + "░" * (self.WIDTH - filled)
            print(f"\r{self.title:<42} {bar} {self.done:>4}", end="", file=sys.stderr, flush=True)


# ---------------------------------------------------------------- telling about it

HEADER = f"{'':<29}{'':<13}{'test accuracy':>14}{'final loss':>13}{'one gradient':>15}{'whole fit':>12}"


def report(run: Run) -> str:
    """A line for each way, and one that compares them."""
    lines = [
        f"{run.name:<29}{way:<13}{fit.accuracy:>13.2%} {fit.final_loss:>13.8f}"
        f"{1e6 * fit.seconds_per_gradient:>12,.0f} us{fit.seconds:>10.2f} s"
        for way, fit in run.fits.items()
    ]
    if len(run.fits) == 2:
        differ = f"gradients differ by {run.gradients_differ:.1e}, final losses by {run.losses_differ:.1e}"
        lines.append(f"{'':<29}speed-up {run.speed_up:.1f}x; {differ}")
    return "\n".join(lines)


def summary(runs: list[Run], ways: list[str]) -> str:
    """Total wall time of all fits."""
    totals = {way: sum(run.fits[way].seconds for run in runs) for way in ways}
    note = {COMPILED: ", compiling included", INTERPRETED: ""}
    return "\n".join(f"all fits {way}: {total:.2f} s{note[way]}" for way, total in totals.items())


COLOURS = {INTERPRETED: "#e8a33d", COMPILED: "#1f5fa8"}
STYLE = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.alpha": 0.25,
}
LINES = {INTERPRETED: {"linewidth": 5, "alpha": 0.6}, COMPILED: {"linewidth": 1.2}}


def draw(runs: list[Run], ways: list[str], path: Path) -> None:
    """Loss curves above, times below."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    with pyplot.rc_context(STYLE):
        figure, axes = pyplot.subplots(2, 4, sharey="row", figsize=(15, 7.5), layout="constrained")
        for axis, run in zip(axes[0], runs, strict=True):
            draw_losses(axis, run)
        for axis in axes[1]:
            axis.remove()
        grid = axes[0, 0].get_gridspec()
        gradients = [[1e3 * run.fits[way].seconds_per_gradient for run in runs] for way in ways]
        fits = [[run.fits[way].seconds for run in runs] for way in ways]
        draw_bars(figure.add_subplot(grid[1, :2]), runs, ways, gradients, "one gradient, ms")
        draw_bars(figure.add_subplot(grid[1, 2:]), runs, ways, fits, "whole fit, s (compiling included)")
        figure.suptitle("Handwritten digits: the same NumPy loss, interpreted and compiled", fontsize=15)
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=110)
        pyplot.close(figure)


def draw_losses(axis, run: Run) -> None:
    """The loss over the gradients computed; the interpreted curve is wide, so that both can be seen."""
    for way, fit in run.fits.items():
        # Batches differ from one another: averaged over a round, the descent can be seen.
        losses = numpy.convolve(fit.losses, numpy.ones(fit.batches) / fit.batches, "valid")
        axis.plot(losses, color=COLOURS[way], label=way, **LINES[way])
    best = max(fit.accuracy for fit in run.fits.values())
    axis.set(title=f"{run.name}\ntest accuracy {best:.1%}", xlabel="gradients", yscale="log")
    axis.title.set_fontsize(11)
    if axis.get_subplotspec().is_first_col():
        axis.set_ylabel("training loss")
        axis.legend(frameon=False)


def draw_bars(axis, runs: list[Run], ways: list[str], heights: list[list[float]], title: str) -> None:
    """A group of bars for each run, a bar for each way, its height written above it."""
    width = 0.8 / len(ways)
    for index, way in enumerate(ways):
        places = [place + (index - (len(ways) - 1) / 2) * width for place in range(len(runs))]
        bars = axis.bar(places, heights[index], width * 0.95, color=COLOURS[way], label=way)
        axis.bar_label(bars, fmt="{:.3g}", fontsize=9, padding=2)
    axis.set_xticks(range(len(runs)), [run.name.replace(", ", "\n") for run in runs])
    axis.grid(axis="x", visible=False)
    axis.margins(y=0.12)
    axis.set_title(title, fontsize=11)
    axis.legend(frameon=False)


# ---------------------------------------------------------------- the command line


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--quick", action="store_true", help="a smaller network, fewer steps")
    add("--jit", action=argparse.BooleanOptionalAction, help="only that way (default: both)")
    add("--out", type=Path, default=Path("out"), help="folder for the picture (default: out)")
    return parser.parse_args()


def main() -> None:
    """Fit everything, print the table, write the picture."""
    options = arguments()
    size = QUICK if options.quick else FULL
    ways = {None: [INTERPRETED, COMPILED], True: [COMPILED], False: [INTERPRETED]}[options.jit]
    digits = load()
    print(f"{len(digits.train_images)} training images, {len(digits.test_images)} test images\n\n{HEADER}")
    runs = []
    for model in models(digits.train_images.shape[1], size.hidden):
        for minimiser in MINIMISERS:
            runs.append(run(model, minimiser, digits, ways, size))
            print(report(runs[-1]), end="\n\n", flush=True)
    picture = options.out / "digits.png"
    draw(runs, ways, picture)
    print(f"{summary(runs, ways)}\nloss curves and timings: {picture}")
    if len(ways) == 2 and max(run.gradients_differ for run in runs) > TOLERANCE:
        sys.exit(f"the compiled gradients differ from the interpreted ones by more than {TOLERANCE}")


if __name__ == "__main__":
    main()
