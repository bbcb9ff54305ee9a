"""Functions with captured state, and their scans."""

from __future__ import annotations

import itertools
import sys
import textwrap
import types
from typing import Any

import numpy as np

from autograd_jit.trace import captures as captures_module
from autograd_jit.trace.captures import Captures, scan

modules = itertools.count()


def program(source: str, **names: object) -> Any:
    """A user's module, made of `source`; attributes are its globals, and setting them rebinds them."""
    module = types.ModuleType(f"user_module_{next(modules)}")
    vars(module).update(np=np, **names)
    sys.modules[module.__name__] = module  # dataclasses look their module up
    exec(compile(textwrap.dedent(source), "user.py", "exec"), vars(module))
    return module


def fresh(fn: object) -> Captures:
    """A scan that reuses nothing known."""
    captures_module._recent.clear()
    return scan(fn)


def paths(captures: Captures) -> list[tuple[str, ...]]:
    return [array.paths for array in captures.arrays]


def close_over(value: object):
    return lambda x: (value, x)


def make_loss(data, n, helper=None):
    def loss(p):
        return np.sum(p * data) * n if helper is None else helper(p * data)

    return loss
