"""Linear algebra written as loops over rows or columns (NPBench)."""

import numpy

from .workload import Workload, draws


def triangular_solve(np):
    """Forward substitution, row by row."""

    def loss(right, lower):
        solution = [right[0] / lower[0, 0]]
        for i in range(1, right.shape[0]):
            solution.append((right[i] - np.dot(lower[i, :i], np.stack(solution))) / lower[i, i])
        return np.sum(np.stack(solution) ** 2)

    return loss


def gram_schmidt(np):
    """Orthogonal columns by the modified Gram-Schmidt process, weighted and summed."""

    def loss(matrix, weights):
        total = 0.0
        for k in range(weights.shape[1]):
            column = matrix[:, 0] / np.sqrt(np.sum(matrix[:, 0] ** 2))
            total = total + np.sum(column * weights[:, k])
            matrix = matrix[:, 1:] - np.outer(column, np.dot(column, matrix[:, 1:]))
        return total

    return loss


def triangular_arguments(size: int) -> tuple:
    return draws(size), numpy.tril(0.1 * draws(size, size, seed=1)) + 2.0 * numpy.eye(size)


WORKLOADS = (
    Workload(
        "trisolv", triangular_solve, lambda: triangular_arguments(40), lambda: triangular_arguments(4), loops=True
    ),
    Workload(
        "gramschmidt",
        gram_schmidt,
        lambda: (draws(40, 20), draws(40, 20, seed=1)),
        lambda: (draws(5, 3), draws(5, 3, seed=1)),
        loops=True,
    ),
)
