"""Lowering rules, one file a family; importing this package fills the table."""

from __future__ import annotations

import importlib
import sys
from typing import Any, Final

from . import (
    complex_elementwise,
    complex_functions,
    complex_parts,
    complex_products,
    elementwise,
    fourier,
    groups,
    indexing,
    joining,
    linalg,
    products,
    reductions,
    sequences,
    views,
)
from .table import RULES, Rule

__all__ = [
    "RULES",
    "complex_elementwise",
    "complex_functions",
    "complex_parts",
    "complex_products",
    "elementwise",
    "find",
    "fourier",
    "groups",
    "indexing",
    "joining",
    "linalg",
    "products",
    "reductions",
    "sequences",
    "views",
]

#: rules for modules that import SciPy, which takes 0.4 s: loaded when the module is in use
_ON_DEMAND: Final = {
    "autograd_jit.scipy.special": "special",
    "autograd_jit.scipy.signal": "convolution",
    "autograd_jit.scipy.structured": "scipy_linalg",
}


def find(prim: Any) -> Rule | None:
    """The rule of a primitive."""
    rule = RULES.get(prim)
    if rule is None:
        for module, rules in _ON_DEMAND.items():
            if module in sys.modules:
                importlib.import_module(f".{rules}", __name__)
        rule = RULES.get(prim)
    return rule
