"""The systems compared: ours in its two ways, and those others that are installed."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

INTERPRETED, COMPILED = "interpreted", "compiled"


@dataclass(frozen=True)
class System:
    """A name, the namespace that programs are written in, and a way to differentiate them."""

    name: str
    namespace: ModuleType
    gradient: Callable[[Callable], Callable]


def ours() -> list[System]:
    """autograd_jit without and with ``jit=True``."""
    import autograd_jit.numpy as namespace
    from autograd_jit import grad

    return [
        System(INTERPRETED, namespace, grad),
        System(COMPILED, namespace, lambda loss: grad(loss, jit=True)),
    ]


def hips_autograd() -> System:
    """HIPS autograd, whose users we address."""
    import autograd
    import autograd.numpy as namespace

    return System("autograd", namespace, autograd.grad)


def jax() -> System:
    """jax.jit on the CPU in double precision; NumPy arrays in and out, as a NumPy user would call it."""
    import jax as library
    import numpy

    library.config.update("jax_enable_x64", True)
    library.config.update("jax_platforms", "cpu")

    def gradient(loss: Callable) -> Callable:
        compiled = library.jit(library.grad(loss))
        return lambda *arguments: library.tree_util.tree_map(numpy.asarray, compiled(*arguments))

    return System("jax", importlib.import_module("jax.numpy"), gradient)


OTHERS = {"autograd": hips_autograd, "jax": jax}


def installed(names=tuple(OTHERS)) -> list[System]:
    """Those of the named other systems that can be imported."""
    found = []
    for name in names:
        try:
            found.append(OTHERS[name]())
        except ImportError:
            continue
    return found
