"""Gradients derived by hand: in NumPy, and as one function for Numba, as an expert would write them.

Tables by the name of the workload; the functions take its arguments.
"""

from collections.abc import Callable

from .in_numpy import NUMPY

__all__ = ["NUMPY", "compiled"]


def compiled() -> dict[str, Callable]:
    """The functions for Numba; importing it takes a second."""
    from .in_numba import NJIT

    return NJIT
