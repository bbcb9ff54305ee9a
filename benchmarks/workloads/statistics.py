"""Likelihoods of statistical models, and a sampler that uses one."""

import numpy

from .workload import Workload, draws, indices, uniform


def logistic_likelihood(np):
    """Negative log-likelihood of logistic regression, with a ridge; targets are -1 and 1."""

    def loss(weights, inputs, targets):
        margins = targets * np.dot(inputs, weights)
        return np.sum(np.logaddexp(0.0, -margins)) + 0.5 * np.sum(weights**2)

    return loss


def logistic_arguments(rows: int, columns: int) -> tuple:
    inputs = draws(rows, columns, seed=1)
    return 0.3 * draws(columns), inputs, numpy.sign(inputs[:, 0] + draws(rows, seed=2))


def weibull_survival(np):
    """Negative log-likelihood of Weibull survival times with censoring; the scale is log-linear in the covariates."""

    def loss(params, covariates, times, observed):
        weights, intercept, log_shape = params
        shape = np.exp(log_shape)
        scaled = np.log(times) - intercept - np.dot(covariates, weights)
        hazard = log_shape + shape * scaled - np.log(times)
        return -np.sum(observed * hazard - np.exp(shape * scaled)) / times.shape[0]

    return loss


def survival_arguments(rows: int, columns: int = 5) -> tuple:
    """Parameters, covariates, positive times, and 1.0 where the end was observed."""
    params = (0.1 * draws(columns), 0.2, 0.1)
    observed = (uniform(0, 1, rows, seed=3) < 0.7).astype(float)
    return params, draws(rows, columns, seed=1), uniform(0.1, 3.0, rows, seed=2), observed


def gaussian_process(np):
    """Negative log marginal likelihood of a Gaussian process with a squared exponential kernel."""

    def loss(params, inputs, targets):
        scale, width, noise = np.exp(params[0]), np.exp(params[1]), np.exp(params[2])
        squares = np.sum((inputs[:, None, :] - inputs[None, :, :]) ** 2, axis=2)
        covariance = scale * np.exp(-0.5 * squares / width**2) + (noise + 1e-6) * np.eye(len(targets))
        _, logarithm = np.linalg.slogdet(covariance)
        return 0.5 * np.dot(targets, np.linalg.solve(covariance, targets)) + 0.5 * logarithm

    return loss


def kalman_filter(np):
    """Negative log-likelihood of a linear state-space model by the Kalman filter, one measurement a step."""

    def loss(params, transition, measured, observations):
        logarithms, mixing = params
        drift = 0.5 * np.eye(3) + mixing
        noise = np.exp(logarithms[0]) * np.eye(3)
        variance = np.exp(logarithms[1])
        mean, covariance, total = np.zeros(3), np.eye(3), 0.0
        for time in range(observations.shape[0]):
            mean = np.dot(drift, mean)
            covariance = np.dot(np.dot(drift, covariance), drift.T) + noise
            spread = np.dot(covariance, measured)
            innovation = observations[time] - np.dot(measured, mean)
            scale = np.dot(measured, spread) + variance
            gain = spread / scale
            mean = mean + gain * innovation
            covariance = covariance - np.outer(gain, spread)
            total = total + 0.5 * (np.log(scale) + innovation**2 / scale)
        return total + 0.5 * np.sum((mixing - transition) ** 2)

    return loss


def kalman_arguments(steps: int) -> tuple:
    """Log noises and the transition, its prior mean, the measurement's weights, and observations."""
    params = (numpy.array([-1.0, -0.5]), 0.2 * draws(3, 3))
    return params, 0.1 * draws(3, 3, seed=1), numpy.array([1.0, 0.5, 0.25]), draws(steps, seed=2)


# ---------------------------------------------------------------- hierarchical regression


def hierarchical_regression(np):
    """Negative log-posterior of a regression whose intercepts and slopes vary by group, around common means."""

    def loss(params, groups, inputs, targets):
        """``params``: four common numbers and the log noise, then a standardised intercept and slope by group."""
        common, rest = params[:5], params[5:]
        half = rest.shape[0] // 2
        intercepts = common[0] + np.exp(common[1]) * rest[:half]
        slopes = common[2] + np.exp(common[3]) * rest[half:]
        residuals = (targets - intercepts[groups] - slopes[groups] * inputs) * np.exp(-common[4])
        likelihood = -0.5 * np.sum(residuals**2) - targets.shape[0] * common[4]
        return -likelihood + 0.5 * np.sum(common**2) + 0.5 * np.sum(rest**2)

    return loss


def hierarchy_arguments(groups: int, rows: int) -> tuple:
    numbers = indices(groups, rows, seed=1)
    inputs = draws(rows, seed=2)
    targets = 1.0 + 0.5 * inputs + 0.3 * draws(groups, seed=3)[numbers] + 0.5 * draws(rows, seed=4)
    return 0.1 * draws(5 + 2 * groups), numbers, inputs, targets


def hamiltonian_chain(value_and_gradient, arguments, samples=20, leaps=16, size=0.01):
    """The states of a Hamiltonian Monte Carlo chain: leapfrog steps, then Metropolis' choice."""
    place, *data = arguments
    random = numpy.random.default_rng(7)
    energy, slope = value_and_gradient(place, *data)
    chain = []
    for _ in range(samples):
        momentum = random.normal(size=place.shape)
        before = energy + 0.5 * numpy.dot(momentum, momentum)
        new = place
        new_slope = slope
        for _ in range(leaps):
            momentum = momentum - 0.5 * size * new_slope
            new = new + size * momentum
            new_energy, new_slope = value_and_gradient(new, *data)
            momentum = momentum - 0.5 * size * new_slope
        after = new_energy + 0.5 * numpy.dot(momentum, momentum)
        if random.uniform() < numpy.exp(min(0.0, before - after)):
            place, energy, slope = new, new_energy, new_slope
        chain.append(place)
    return numpy.stack(chain)


WORKLOADS = (
    Workload(
        "logistic 1e3x20", logistic_likelihood, lambda: logistic_arguments(1000, 20), lambda: logistic_arguments(5, 2)
    ),
    Workload(
        "logistic 1e5x50",
        logistic_likelihood,
        lambda: logistic_arguments(100_000, 50),
        lambda: logistic_arguments(5, 2),
        quick=False,
        memory_bound=True,
    ),
    Workload("weibull survival", weibull_survival, lambda: survival_arguments(2000), lambda: survival_arguments(5, 2)),
    Workload(
        "gp likelihood 80",
        gaussian_process,
        lambda: (numpy.array([0.1, 0.2, -1.0]), draws(80, 2), draws(80, seed=1)),
        lambda: (numpy.array([0.1, 0.2, -1.0]), draws(4, 2), draws(4, seed=1)),
    ),
    Workload("kalman filter", kalman_filter, lambda: kalman_arguments(60), lambda: kalman_arguments(3), loops=True),
    Workload(
        "hierarchical",
        hierarchical_regression,
        lambda: hierarchy_arguments(85, 900),
        lambda: hierarchy_arguments(3, 7),
    ),
    Workload(
        "hmc hierarchical",
        hierarchical_regression,
        lambda: hierarchy_arguments(85, 900),
        lambda: hierarchy_arguments(3, 7),
        drive=hamiltonian_chain,
        tolerance=1e-6,  # 320 leapfrog steps enlarge rounding
    ),
)
