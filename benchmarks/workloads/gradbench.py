"""The functions of GradBench and ADBench, written from their mathematics."""

from functools import partial

import numpy

from .workload import Workload, draws, indices, uniform


def log_sum_exp(np, x, axis):
    """The logarithm of a sum of exponentials, shifted by the largest."""
    largest = np.max(x, axis=axis, keepdims=True)
    return np.log(np.sum(np.exp(x - largest), axis=axis)) + np.sum(largest, axis=axis)


# ---------------------------------------------------------------- mixture of Gaussians


def gaussian_mixture(np):
    """Negative log-likelihood under full covariances, each by the Cholesky factor of its inverse, and a Wishart prior.

    Factors are stored as the logarithms of the diagonal, followed by the entries below it.
    """

    def loss(params, points, where, below):
        weights, means, factors = params
        count, dimension = points.shape
        logarithms = factors[:, :dimension]
        lower = factors[:, where] * below
        centred = points[:, None, :] - means[None, :, :]
        scaled = np.exp(logarithms)[None, :, :] * centred + np.einsum("kij,nkj->nki", lower, centred)
        exponents = weights + np.sum(logarithms, axis=1) - 0.5 * np.sum(scaled**2, axis=2)
        likelihood = np.sum(log_sum_exp(np, exponents, 1)) - count * log_sum_exp(np, weights, 0)
        prior = 0.5 * (np.sum(np.exp(logarithms) ** 2) + np.sum(factors[:, dimension:] ** 2)) - np.sum(logarithms)
        return prior - likelihood

    return loss


def mixture_arguments(count: int, dimension: int, components: int) -> tuple:
    """Parameters, points, and where the entries below the diagonal lie in a stored factor."""
    rows, columns = numpy.tril_indices(dimension, -1)
    where = numpy.zeros((dimension, dimension), numpy.int64)
    where[rows, columns] = dimension + numpy.arange(len(rows))
    below = numpy.tril(numpy.ones((dimension, dimension)), -1)
    params = (
        draws(components),
        draws(components, dimension, seed=1),
        0.3 * draws(components, dimension + len(rows), seed=2),
    )
    return params, draws(count, dimension, seed=3), where, below


# ---------------------------------------------------------------- long short-term memory, diagonal weights


def lstm(np):
    """Cross-entropy of the next character under a stack of LSTM layers whose weights are diagonal, as in ADBench."""

    def sigmoid(x):
        return 1.0 / (1.0 + np.exp(-x))

    def step(weights, biases, hidden, cell, value):
        forget = sigmoid(value * weights[0] + biases[0])
        accept = sigmoid(hidden * weights[1] + biases[1])
        release = sigmoid(value * weights[2] + biases[2])
        change = np.tanh(hidden * weights[3] + biases[3])
        cell = cell * forget + accept * change
        return release * np.tanh(cell), cell

    def loss(params, states, sequence):
        main, extra = params
        layers = main.shape[0]
        hidden = [states[2 * layer] for layer in range(layers)]
        cells = [states[2 * layer + 1] for layer in range(layers)]
        total = 0.0
        for time in range(len(sequence) - 1):
            value = sequence[time] * extra[0]
            for layer in range(layers):
                hidden[layer], cells[layer] = step(main[layer, 0], main[layer, 1], hidden[layer], cells[layer], value)
                value = hidden[layer]
            prediction = value * extra[1] + extra[2]
            normaliser = np.log(2.0 + np.sum(np.exp(prediction)))
            total = total + np.sum(sequence[time + 1] * (prediction - normaliser))
        return -total / ((len(sequence) - 1) * sequence.shape[1])

    return loss


def lstm_arguments(layers: int, width: int, steps: int) -> tuple:
    """Weights and biases of four gates by layer, start states, and a sequence of one-hot rows."""
    params = (0.3 * draws(layers, 2, 4, width), 0.3 * draws(3, width, seed=1))
    sequence = numpy.eye(width)[indices(width, steps, seed=3)]
    return params, 0.3 * draws(2 * layers, width, seed=2), sequence


# ---------------------------------------------------------------- bundle adjustment


def bundle_adjustment(np):
    """Squared reprojection errors of points seen by cameras with two radial distortions."""

    def cross(a, b):
        return np.stack(
            [
                a[:, 1] * b[:, 2] - a[:, 2] * b[:, 1],
                a[:, 2] * b[:, 0] - a[:, 0] * b[:, 2],
                a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0],
            ],
            axis=1,
        )

    def rotate(vectors, points):
        """Rodrigues' formula: the direction is the axis, the length the angle."""
        angles = np.sqrt(np.sum(vectors**2, axis=1))[:, None]
        axes = vectors / angles
        along = np.sum(axes * points, axis=1)[:, None]
        return points * np.cos(angles) + cross(axes, points) * np.sin(angles) + axes * along * (1.0 - np.cos(angles))

    def loss(params, camera_numbers, point_numbers, observed):
        cameras, points, weights = params
        camera, point = cameras[camera_numbers], points[point_numbers]
        seen = rotate(camera[:, :3], point - camera[:, 3:6])
        flat = seen[:, :2] / seen[:, 2:3]
        radius = np.sum(flat**2, axis=1)[:, None]
        distortion = 1.0 + camera[:, 9:10] * radius + camera[:, 10:11] * radius**2
        projected = flat * distortion * camera[:, 6:7] + camera[:, 7:9]
        residuals = weights[:, None] * (projected - observed)
        return 0.5 * np.sum(residuals**2) + 0.5 * np.sum((1.0 - weights**2) ** 2)

    return loss


def bundle_arguments(cameras: int, points: int, observations: int) -> tuple:
    """Cameras (rotation, centre, focal length, principal point, distortions), points, weights; what was seen."""
    camera = numpy.concatenate(
        [
            uniform(0.05, 0.3, cameras, 3),
            draws(cameras, 3, seed=1),
            uniform(1, 2, cameras, 1, seed=2),
            0.1 * draws(cameras, 4, seed=3),
        ],
        axis=1,
    )
    places = draws(points, 3, seed=4) + numpy.array([0.0, 0.0, 12.0])
    params = (camera, places, uniform(0.5, 1.0, observations, seed=5))
    numbers = indices(cameras, observations, seed=6), indices(points, observations, seed=7)
    return params, *numbers, draws(observations, 2, seed=8)


# ---------------------------------------------------------------- k-means


def k_means(np):
    """Squared distances of points to the nearest of the centres."""

    def loss(centres, points):
        distances = np.sum((points[:, None, :] - centres[None, :, :]) ** 2, axis=2)
        return np.sum(np.min(distances, axis=1))

    return loss


def k_means_arguments(points: int, centres: int, dimension: int) -> tuple:
    """Centres, points, and the direction that the Hessian is multiplied by: ones, as it is diagonal."""
    start = draws(centres, dimension)
    return start, draws(points, dimension, seed=1), numpy.ones_like(start)


# ---------------------------------------------------------------- functions of vectors and matrices


def log_sum_exp_loss(np):
    """The log-sum-exp of a vector."""
    return lambda x: log_sum_exp(np, x, 0)


def least_squares(np):
    """Half the squared residual of a linear system."""
    return lambda x, matrix, right: 0.5 * np.sum((np.dot(matrix, x) - right) ** 2)


def runge_kutta(np):
    """The last component of the chain y0' = x0, yi' = xi y(i-1), after steps of classical Runge-Kutta."""

    def slope(x, y):
        return np.concatenate([x[:1], x[1:] * y[:-1]])

    def loss(x, steps):
        size = 1.0 / steps
        y = 0.0 * x
        for _ in range(steps):
            first = slope(x, y)
            second = slope(x, y + 0.5 * size * first)
            third = slope(x, y + 0.5 * size * second)
            fourth = slope(x, y + size * third)
            y = y + size / 6.0 * (first + 2.0 * second + 2.0 * third + fourth)
        return np.sum(y)

    return loss


def determinant(np):
    """The determinant by minors along the first row, entry by entry, without reuse of equal minors."""

    def minors(matrix, row, columns):
        if len(columns) == 1:
            return matrix[row, columns[0]]
        total = 0.0
        for place, column in enumerate(columns):
            rest = minors(matrix, row + 1, columns[:place] + columns[place + 1 :])
            total = total + (-1.0) ** place * matrix[row, column] * rest
        return total

    return lambda matrix: minors(matrix, 0, tuple(range(len(matrix))))


WORKLOADS = (
    Workload(
        "gmm",
        gaussian_mixture,
        partial(mixture_arguments, 1000, 10, 5),
        partial(mixture_arguments, 7, 3, 2),
    ),
    Workload("lstm", lstm, partial(lstm_arguments, 2, 14, 20), partial(lstm_arguments, 2, 3, 4), loops=True),
    Workload(
        "bundle adjustment",
        bundle_adjustment,
        partial(bundle_arguments, 20, 500, 2000),
        partial(bundle_arguments, 2, 3, 5),
    ),
    Workload(
        "k-means hessian",
        k_means,
        partial(k_means_arguments, 1000, 10, 8),
        partial(k_means_arguments, 9, 3, 2),
        second_order=True,
    ),
    Workload("log-sum-exp 1e5", log_sum_exp_loss, lambda: (draws(100_000),), lambda: (draws(9),)),
    Workload(
        "least squares",
        least_squares,
        lambda: (draws(200), draws(1000, 200, seed=1), draws(1000, seed=2)),
        lambda: (draws(3), draws(5, 3, seed=1), draws(5, seed=2)),
    ),
    Workload(
        "ode rk4",
        lambda np: lambda x: runge_kutta(np)(x, 50),
        lambda: (uniform(0.5, 1.5, 50),),
        lambda: (uniform(0.5, 1.5, 4),),
        loops=True,
    ),
    Workload("det by minors", determinant, lambda: (draws(5, 5),), lambda: (draws(3, 3),), loops=True),
)
