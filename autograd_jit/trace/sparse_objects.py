"""``SparseObject``: a cotangent that a user's own rule gives as "how to add me to an array".

Autograd's interface for rules such as that of an indexing function: ``SparseObject(vspace(x), mut_add)``,
where ``mut_add(array)`` adds the cotangent to a dense array in place and returns it. It is made dense where
it arrives.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .tracer import Box, primitive
from .vspace import VSpace

__all__ = ["SparseBox", "SparseObject", "densify"]


class SparseObject:
    """A cotangent in the space ``vs``, by the function that adds it to a dense one.

    >>> import numpy as np
    >>> from autograd_jit.extend import SparseObject, vspace
    >>> def at_first(array):
    ...     array[0] += 5.0
    ...     return array
    >>> SparseObject(vspace(np.ones(3)), at_first).mut_add(np.zeros(3))
    array([5., 0., 0.])
    """

    __slots__ = ("mut_add", "vs")

    def __init__(self, vs: Any, mut_add: Callable) -> None:
        self.vs = vs
        self.mut_add = mut_add


class SparseBox(Box):
    """A traced :class:`SparseObject`: what a rule's own primitive returns under a second derivative."""

    __slots__ = ()


#: the dense array of a sparse object, itself differentiable: cotangents and tangents pass as they are
densify = primitive(lambda sparse: sparse.mut_add(sparse.vs.zeros()))
densify.primitive.name = densify.__name__ = "densify"  # type: ignore[attr-defined]
densify.primitive.vjps = {0: lambda ans, sparse: lambda g: g}  # type: ignore[attr-defined]
densify.primitive.jvps = {0: lambda g, ans, sparse: _dense(g)}  # type: ignore[attr-defined]


def _dense(g: Any) -> Any:
    return densify(g) if isinstance(g, (SparseObject, SparseBox)) else g


SparseBox.register(SparseObject)
VSpace.register(SparseObject, lambda sparse: sparse.vs)
