"""Functions of one vector or number, and minimisations by SciPy."""

import numpy

from .workload import Workload, draws


def logistic_regression(np):
    """The loss of Autograd's tutorial."""

    def sigmoid(x):
        return 0.5 * (np.tanh(x / 2.0) + 1)

    def loss(weights, inputs, targets):
        predictions = sigmoid(np.dot(inputs, weights))
        label_probabilities = predictions * targets + (1 - predictions) * (1 - targets)
        return -np.sum(np.log(label_probabilities))

    return loss


def logistic_arguments(rows: int) -> tuple:
    """Weights, inputs, and targets as floats of 0 and 1."""
    return draws(3), draws(rows, 3, seed=1), (numpy.arange(rows) % 2).astype(float)


def rosenbrock(np):
    """Rosenbrock's function of n variables: shifted slices."""

    def loss(x):
        return np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)

    return loss


def elementwise_chain(np):
    """Ten elementwise functions of one array, then a sum."""

    def loss(x):
        y = np.exp(-x * x) * np.sin(3.0 * x)
        z = np.log1p(y * y) + np.tanh(x - y)
        return np.sum(z * z + np.sqrt(1.0 + x * x) * y)

    return loss


def taylor_sine(np):
    """Sine by its Taylor series, with a ``while`` loop that looks at the value."""

    def loss(x):
        total = term = x
        order = 1
        while np.abs(term) > 1e-12:
            term = -term * x * x / ((order + 1) * (order + 2))
            total = total + term
            order += 2
        return total

    return loss


# ---------------------------------------------------------------- complete minimisations


def minimise(method: str, **options):
    """A driver that hands value and gradient to ``scipy.optimize.minimize``; the result is the place found."""

    def drive(value_and_gradient, arguments):
        import scipy.optimize

        return scipy.optimize.minimize(value_and_gradient, *arguments, jac=True, method=method, options=options).x

    return drive


def near_minimum(size: int) -> tuple:
    """A start from which searches need tens of steps, not the valley's thousands, at any size."""
    return (1.0 + 0.1 * draws(size),)


def minimisation(size: int, method: str, quick=True, **options) -> Workload:
    # Searches stop within their own tolerance, not ours, of the minimum.
    return Workload(
        f"{method.lower()} rosenbrock {size:.0e}".replace("e+0", "e"),
        rosenbrock,
        lambda: near_minimum(size),
        lambda: near_minimum(4),
        quick=quick,
        drive=minimise(method, **options),
        tolerance=1e-4,
    )


def one_array(size: int) -> tuple:
    """A single argument of that many elements."""
    return (draws(size),)


def of_size(name: str, make_loss, size: int) -> Workload:
    title = f"{name} {size}" if size < 10 else f"{name} {size:.0e}".replace("e+0", "e")
    return Workload(
        title,
        make_loss,
        lambda: one_array(size),
        lambda: one_array(5),
        lambda: one_array(size + 1),
        quick=size < 1e6,
        memory_bound=size >= 1e5,
    )


WORKLOADS = (
    Workload(
        "logistic 4x3",
        logistic_regression,
        lambda: logistic_arguments(4),
        lambda: logistic_arguments(3),
        lambda: logistic_arguments(5),
    ),
    *(of_size("rosenbrock", rosenbrock, size) for size in (2, 10, 1000, 100_000, 1_000_000)),
    *(of_size("chain", elementwise_chain, size) for size in (100, 1000, 10_000, 100_000, 1_000_000)),
    Workload(
        "taylor sine",
        taylor_sine,
        lambda: (1.2,),
        lambda: (0.7,),
        loops=True,
        cannot_run={"jax": "jax.jit cannot trace a while loop that looks at the value"},
    ),
    minimisation(10, "BFGS"),
    minimisation(1000, "CG"),
    minimisation(1000, "L-BFGS-B"),
    minimisation(1_000_000, "L-BFGS-B", quick=False, maxiter=3),
)
