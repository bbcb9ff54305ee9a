"""Lowering rules, one file a family; importing this package fills the table."""

from __future__ import annotations

import sys
from typing import Any

from . import elementwise, indexing, joining, products, reductions, views
from .table import RULES, Rule

__all__ = ["RULES", "elementwise", "find", "indexing", "joining", "products", "reductions", "views"]


def find(prim: Any) -> Rule | None:
    """The rule of a primitive; those of ``scipy.special`` are loaded when that module is in use."""
    rule = RULES.get(prim)
    if rule is None and "autograd_jit.scipy.special" in sys.modules:
        from . import special

        rule = RULES.get(prim)
    return rule
