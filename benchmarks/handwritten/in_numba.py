"""Gradients derived by hand, each one function for Numba."""

import numpy as np
from numba import njit


@njit(error_model="numpy")
def rosenbrock(x):
    gradient = np.empty_like(x)
    last = x.shape[0] - 1
    carried = 0.0
    for i in range(last):
        valley = x[i + 1] - x[i] * x[i]
        gradient[i] = carried - 400.0 * x[i] * valley - 2.0 * (1.0 - x[i])
        carried = 200.0 * valley
    gradient[last] = carried
    return gradient


NJIT = {f"rosenbrock {size}": rosenbrock for size in ("2", "1e1", "1e3", "1e5", "1e6")}
