"""Plain arrays before a call that might write into them, and after it."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import tree

__all__ = ["plain_copies", "restored", "same_contents"]


def plain_copies(value: Any) -> list[tuple[np.ndarray, np.ndarray]]:
    """Each plain array among arguments, with a copy of it."""
    arrays = [leaf for leaf in tree.flatten(value, opened=True)[0] if type(leaf) is np.ndarray]
    return [(array, array.copy()) for array in arrays]


def restored(watched: list[tuple[np.ndarray, np.ndarray]]) -> bool:
    """Undo all changes of the arrays; whether there were any."""
    changed = [(array, copy) for array, copy in watched if not same_contents(array, copy)]
    for array, copy in changed:
        array[...] = copy
    return bool(changed)


def same_contents(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two arrays agree in dtype, shape and bytes."""
    return (
        a.dtype == b.dtype
        and a.shape == b.shape
        and (a is b or np.ascontiguousarray(a).tobytes() == np.ascontiguousarray(b).tobytes())
    )
