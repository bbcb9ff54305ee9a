"""Gradients derived by hand, in plain NumPy."""

import numpy as np


def rosenbrock(x):
    valley = x[1:] - x[:-1] ** 2
    gradient = np.zeros_like(x)
    gradient[1:] = 200.0 * valley
    gradient[:-1] -= 400.0 * x[:-1] * valley + 2.0 * (1.0 - x[:-1])
    return gradient


NUMPY = {f"rosenbrock {size}": rosenbrock for size in ("2", "1e1", "1e3", "1e5", "1e6")}
