"""The systems compared: how each makes a gradient of a loss, NumPy arrays in and out.

A *family* shares one process (:mod:`benchmarks.worker`); families that cannot be imported are left out with a reason.
"""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from . import handwritten
from .workloads import Workload

INTERPRETED, COMPILED, PRIMAL = "interpreted", "compiled", "primal"
BY_HAND, NJIT = "by hand", "njit"
TORCH, TORCH_COMPILE = "torch", "torch.compile"


@dataclass(frozen=True)
class System:
    """A namespace that programs are written in, and operators on losses.

    ``value_and_gradient`` makes what is called and timed; ``gradient`` likewise where it can save work;
    ``differentiate`` is the plain operator, for use inside of another loss.
    """

    name: str
    namespace: Any
    gradient: Callable[[Callable], Callable]
    value_and_gradient: Callable[[Callable], Callable]
    differentiate: Callable[[Callable], Callable]

    def loss(self, workload: Workload) -> Callable:
        """The scalar to differentiate: for second order, the gradient's product with the last argument."""
        loss = workload.make_loss(self.namespace)
        if not workload.second_order:
            return loss
        slope, np = self.differentiate(loss), self.namespace
        return lambda first, *rest: np.sum(slope(first, *rest[:-1]) * rest[-1])

    def target(self, workload: Workload) -> Callable | None:
        """What is called with the workload's arguments, or by its driver."""
        operator = self.value_and_gradient if workload.drive else self.gradient
        return operator(self.loss(workload))


@dataclass(frozen=True)
class ByHand:
    """Gradients derived by hand, as a table of functions by workload."""

    name: str
    table: Mapping[str, Callable]

    def target(self, workload: Workload) -> Callable | None:
        return None if workload.drive else self.table.get(workload.name)


@dataclass(frozen=True)
class Primal:
    """Our compiled loss, without its gradient: the measure of the cheap-gradient bound."""

    system: System
    name: str = PRIMAL

    def target(self, workload: Workload) -> Callable | None:
        from autograd_jit import jit

        return None if workload.drive else jit(self.system.loss(workload))


def mapped(function: Callable, tree):
    """``function`` of every leaf of a nest of dicts, lists and tuples."""
    if isinstance(tree, Mapping):
        return {key: mapped(function, part) for key, part in tree.items()}
    if isinstance(tree, list | tuple):
        return type(tree)(mapped(function, part) for part in tree)
    return function(tree)


# ---------------------------------------------------------------- ours


def ours() -> list[System]:
    """autograd_jit without and with ``jit=True``."""
    import autograd_jit.numpy as namespace
    from autograd_jit import grad, value_and_grad

    return [
        System(INTERPRETED, namespace, grad, value_and_grad, grad),
        System(
            COMPILED,
            namespace,
            lambda loss: grad(loss, jit=True),
            lambda loss: value_and_grad(loss, jit=True),
            grad,
        ),
    ]


def ours_and_by_hand() -> list:
    """Both of ours, the compiled loss, and the gradients that were derived by hand."""
    interpreted, compiled = ours()
    by_hand = [ByHand(BY_HAND, handwritten.NUMPY), ByHand(NJIT, handwritten.compiled())]
    return [interpreted, compiled, Primal(compiled), *by_hand]


# ---------------------------------------------------------------- others


def hips_autograd() -> list[System]:
    """HIPS autograd, whose users we address."""
    import autograd
    import autograd.numpy as namespace

    return [System("autograd", namespace, autograd.grad, autograd.value_and_grad, autograd.grad)]


def jax() -> list[System]:
    """jax.jit on the CPU in double precision; NumPy arrays in and out, as a NumPy user would call it."""
    import jax as library
    import numpy

    library.config.update("jax_enable_x64", True)
    library.config.update("jax_platforms", "cpu")

    def compiled(operator: Callable) -> Callable:
        def make(loss: Callable) -> Callable:
            function = library.jit(operator(loss))
            return lambda *arguments: library.tree_util.tree_map(numpy.asarray, function(*arguments))

        return make

    namespace = importlib.import_module("jax.numpy")
    return [System("jax", namespace, compiled(library.grad), compiled(library.value_and_grad), library.grad)]


def torch() -> list[System]:
    """torch, eager and through ``torch.compile``; NumPy arrays in and out without a copy."""
    import torch as library

    from . import torch_names

    def tensor(leaf):
        if isinstance(leaf, float):
            return library.tensor(leaf, dtype=library.float64)
        return library.from_numpy(leaf)

    def with_value(loss: Callable) -> Callable:
        def evaluate(first, *rest):
            leaves = []

            def variable(leaf):
                leaves.append(tensor(leaf).requires_grad_())
                return leaves[-1]

            value = loss(mapped(variable, first), *mapped(tensor, rest))
            slopes = iter(library.autograd.grad(value, leaves))
            return float(value.detach()), mapped(lambda _: next(slopes).numpy(), first)

        return evaluate

    def gradient_of(evaluate: Callable) -> Callable:
        return lambda *arguments: evaluate(*arguments)[1]

    def differentiate(loss: Callable) -> Callable:
        return lambda x, *rest: library.autograd.grad(loss(x, *rest), x, create_graph=True)[0]

    def compiled(loss: Callable) -> Callable:
        # Otherwise the next size of a program is compiled for sizes unknown, and after a few not at all.
        library.compiler.reset()
        return with_value(library.compile(loss, dynamic=False))

    return [
        System(TORCH, torch_names, lambda loss: gradient_of(with_value(loss)), with_value, differentiate),
        System(TORCH_COMPILE, torch_names, lambda loss: gradient_of(compiled(loss)), compiled, differentiate),
    ]


OURS = "autograd_jit"
FAMILIES: dict[str, Callable[[], list]] = {
    OURS: ours_and_by_hand,
    "autograd": hips_autograd,
    "jax": jax,
    "torch": torch,
}
