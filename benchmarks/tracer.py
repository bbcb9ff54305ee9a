"""The interpreted tracer's own speed, against HIPS autograd: ``python -m benchmarks.tracer``."""

import argparse
import importlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from . import measure, report, rivals
from .rivals import INTERPRETED
from .workloads.functions import logistic_arguments, logistic_regression
from .workloads.networks import recurrent_arguments, recurrent_network
from .workloads.workload import draws

RIVAL = "autograd"


@dataclass(frozen=True)
class Micro:
    """A program that is all overhead, and what to count as one operation of it."""

    name: str
    make_loss: Callable
    arguments: Callable[[], tuple]


def one_operation(np):
    """The cost of a call of ``grad`` itself."""
    return np.sin


def chained(np):
    """Fifty operations, each on the last one's result."""

    def loss(x):
        for _ in range(50):
            x = np.sin(x)
        return x

    return loss


def fan(np):
    """One value used by 10,000 operations, whose results meet again."""
    return lambda x: sum(x * float(weight) for weight in range(10_000))


def perceptron(np):
    """Two tanh layers of 64 units."""

    def loss(params, inputs):
        for weights, bias in params:
            inputs = np.tanh(np.dot(inputs, weights) + bias)
        return np.sum(inputs**2)

    return loss


def perceptron_arguments() -> tuple:
    """Two layers as a list of tuples, and a batch of eight."""
    layers = [(0.1 * draws(64, 64, seed=seed), draws(64, seed=seed + 10)) for seed in range(2)]
    return layers, draws(8, 64)


def flattening(np):
    """A nest of parameters into one vector, and its gradient back."""
    flatten = importlib.import_module(np.__name__.removesuffix(".numpy") + ".misc").flatten
    return lambda params: np.sum(flatten(params)[0])


def nest() -> tuple:
    """Parameters in a dict of lists of tuples."""
    layers = [(draws(4, 4, seed=seed), draws(4, seed=seed)) for seed in range(8)]
    return ({"layers": layers, "scale": draws(3)},)


MICRO = (
    Micro("one operation", one_operation, lambda: (0.5,)),
    Micro("50 chained", chained, lambda: (0.5,)),
    Micro("fan of 10,000", fan, lambda: (0.5,)),
    Micro("mlp 64x64", perceptron, perceptron_arguments),
    Micro("logistic 4x3", logistic_regression, lambda: logistic_arguments(4)),
    Micro("flatten", flattening, nest),
    Micro("rnn 20 steps", recurrent_network, lambda: recurrent_arguments(4)),
)


def run(micro: Micro, systems: Sequence[rivals.System], effort: measure.Effort) -> dict[str, float]:
    """Compare the systems' gradients, then time them; microseconds."""
    arguments = micro.arguments()
    gradients = {system.name: system.gradient(micro.make_loss(system.namespace)) for system in systems}
    measure.check(micro.name, {name: gradient(*arguments) for name, gradient in gradients.items()}, INTERPRETED)
    calls = {name: measure.Call(partial(gradient, *arguments)) for name, gradient in gradients.items()}
    return {name: 1e6 * seconds for name, seconds in measure.interleaved_medians(calls, effort).items()}


def rival() -> list[rivals.System]:
    """HIPS autograd, if it is installed."""
    try:
        return rivals.hips_autograd()
    except ImportError:
        return []


def line(name: str, times: dict[str, float]) -> str:
    """One program."""
    theirs = times.get(RIVAL)
    share = f"{theirs / times[INTERPRETED]:>8.2f}x" if theirs else ""
    return f"{name:<16}{report.amount(times[INTERPRETED], 14)}{report.amount(theirs, 14)}{share}"


def main(argv: Sequence[str] | None = None) -> dict[str, dict[str, float]]:
    """Run every program and print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tracer", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="measure briefly")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the microseconds to this file")
    options = parser.parse_args(argv)
    systems = [rivals.ours()[0], *rival()]
    print(f"{'program':<16}{'autograd_jit, us':>14}{'autograd, us':>14}{'ratio':>9}")
    effort = measure.QUICK if options.quick else measure.FULL
    results = {}
    for micro in MICRO:
        results[micro.name] = run(micro, systems, effort)
        print(line(micro.name, results[micro.name]), flush=True)
    if options.json:
        document = {"environment": report.environment(), "microseconds": results}
        options.json.write_text(json.dumps(document, indent=2) + "\n")
    return results


if __name__ == "__main__":
    main()
