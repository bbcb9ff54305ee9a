"""`python -m autograd_jit.cache [show|clear|warm]`: look at, empty, or fill the folder of compiled kernels.

``warm`` compiles both tiers of the kernels of common programs, so that the first call of a program that is made of the
same kernels compiles nothing. Kernels are known by their fused structure: a program whose loops fuse in another way
still compiles those.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any, Final

from .lower.cache import default_cache


def show() -> str:
    found = default_cache().statistics()
    megabytes, limit = found.bytes / 2**20, found.limit_bytes / 2**20
    return f"{found.folder}: {found.entries} kernels, {megabytes:.1f} MB of at most {limit:.0f} MB"


def clear() -> str:
    cache = default_cache()
    return f"{cache.folder}: {cache.clear()} kernels removed"


def warm() -> str:
    """Run the gradients of common programs, so that their kernels are on disk in both tiers."""
    from . import grad
    from .config import config

    for mode in ("never", "eager"):
        with config(compile=mode):
            for loss, *arguments in _programs():
                grad(loss, jit=True, compile=mode)(*arguments)
    return show()


def _programs() -> list[tuple[Any, ...]]:
    """Losses with arguments: each common function alone, then regression and a network."""
    import numpy

    from . import numpy as np

    vector, matrix = numpy.linspace(0.1, 0.9, 7), numpy.linspace(0.1, 0.9, 15).reshape(5, 3)
    targets = (numpy.arange(5) % 2).astype(float)
    alone = [np.exp, np.log, np.sin, np.cos, np.tanh, np.sqrt, np.log1p, np.expm1, np.square, np.abs]

    def logistic(weights: Any, inputs: Any, labels: Any) -> Any:
        predictions = 0.5 * (np.tanh(np.dot(inputs, weights) / 2.0) + 1)
        return -np.sum(np.log(predictions * labels + (1 - predictions) * (1 - labels)))

    def squares(weights: Any, inputs: Any, labels: Any) -> Any:
        return np.mean((np.dot(inputs, weights) - labels) ** 2)

    def network(weights: Any, inputs: Any, labels: Any) -> Any:
        hidden = np.tanh(np.dot(inputs, weights[0]) + weights[1])
        return np.mean((np.dot(hidden, weights[2]) - labels) ** 2)

    regressions = [(loss, vector[:3], matrix, targets) for loss in (logistic, squares)]
    layers = (numpy.ones((3, 4)), numpy.ones(4), numpy.ones(4))
    chains = [(lambda x, function=function: np.sum(function(x)), x) for function in alone for x in (vector, 0.5)]
    return [*chains, *regressions, (network, layers, matrix, targets)]


COMMANDS: Final[dict[str, Callable[[], str]]] = {"show": show, "clear": clear, "warm": warm}


def main(arguments: Sequence[str]) -> int:
    command = COMMANDS.get(arguments[0] if arguments else "show")
    if command is None or len(arguments) > 1:
        print(f"usage: python -m autograd_jit.cache [{'|'.join(COMMANDS)}]", file=sys.stderr)
        return 2
    print(command())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
