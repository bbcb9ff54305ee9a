"""Python's container types and type tests, under the names that Autograd programs import.

A traced container is a plain container of traced values here, so ``tuple``, ``list`` and ``dict`` are
Python's own; ``isinstance`` and ``type`` look at the value inside a box.
"""

from __future__ import annotations

import builtins
from typing import Any

from .trace.tracer import BOX_TYPES, Box, concrete
from .trace.vspace import ContainerVSpace

__all__ = ["DictBox", "SequenceBox", "dict", "isinstance", "list", "tuple", "type"]

dict = builtins.dict
list = builtins.list
tuple = builtins.tuple
DictVSpace = ListVSpace = NamedTupleVSpace = SequenceVSpace = TupleVSpace = ContainerVSpace


class SequenceBox(Box):
    """Never made: traced sequences are plain ones. Programs ask ``isinstance(x, SequenceBox)``."""

    __slots__ = ()


class DictBox(Box):
    """Never made: traced dictionaries are plain ones. Programs ask ``isinstance(x, DictBox)``."""

    __slots__ = ()


def isinstance(x: Any, class_or_tuple: Any) -> bool:
    """As Python's, for the value inside a box; a box is also an instance of its own class.

    >>> from autograd_jit import grad
    >>> import numpy
    >>> grad(lambda x: x[0] if isinstance(x, numpy.ndarray) else 0.0)(numpy.ones(2))
    array([1., 0.])
    """
    return builtins.isinstance(concrete(x), class_or_tuple) or builtins.isinstance(x, class_or_tuple)


def type(*args: Any, **kwargs: Any) -> Any:
    """As Python's, for the value inside a box.

    >>> from autograd_jit import grad
    >>> grad(lambda x: 2.0 * x if type(x) is float else x)(1.0)
    np.float64(2.0)
    """
    if len(args) == 1 and builtins.type(args[0]) in BOX_TYPES:
        return builtins.type(concrete(args[0]))
    return builtins.type(*args, **kwargs)
