"""Lowering rules, one file a family; importing this package fills the table."""

from __future__ import annotations

import functools
import importlib
import sys
from typing import Any, Final

from . import (
    elementwise,
    groups,
    indexing,
    joining,
    linalg,
    products,
    reductions,
    sequences,
    views,
)
from .complex_table import COMPLEX_RULES
from .table import RULES, Rule

__all__ = [
    "RULES",
    "elementwise",
    "find",
    "find_complex",
    "groups",
    "indexing",
    "joining",
    "linalg",
    "products",
    "reductions",
    "sequences",
    "views",
]

#: rules that are loaded for the first primitive without one, if the module is in use: those of SciPy import it, which
#: takes 0.4 s, Fourier transforms 3 ms of routines
_ON_DEMAND: Final = {
    "autograd_jit.numpy.fft": "fourier",
    "autograd_jit.scipy.special": "special",
    "autograd_jit.scipy.signal": "convolution",
    "autograd_jit.scipy.structured": "scipy_linalg",
}

#: rules for complex numbers: loaded when a program has one
_FOR_COMPLEX: Final = ("complex_elementwise", "complex_functions", "complex_parts", "complex_products", "fourier")


def find(prim: Any) -> Rule | None:
    """The rule of a primitive."""
    rule = RULES.get(prim)
    if rule is None:
        for module, rules in _ON_DEMAND.items():
            if module in sys.modules:
                importlib.import_module(f".{rules}", __name__)
        rule = RULES.get(prim)
    return rule


def find_complex(prim: Any) -> Rule | None:
    """The rule of a primitive for complex numbers."""
    _import_complex_rules()
    return COMPLEX_RULES.get(prim)


@functools.cache
def _import_complex_rules() -> None:
    """A tenth of what lowering imports, and most programs have no complex number."""
    for name in _FOR_COMPLEX:
        importlib.import_module(f".{name}", __name__)
