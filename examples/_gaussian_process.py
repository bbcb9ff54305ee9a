"""What the examples with Gaussian processes share: a kernel, the likelihood of data under it, predictions."""

import autograd_jit.numpy as np
from autograd_jit.numpy.linalg import cholesky, solve


def covariance(params, left, right):
    """Squared-exponential kernel between the rows of two matrices, with a length scale for each column.

    ``params``: dict with ``log_amplitude``, a number, and ``log_lengths``, one for each column.
    """
    lengths = np.exp(params["log_lengths"])
    apart = left[:, None, :] / lengths - right[None, :, :] / lengths
    return np.exp(2 * params["log_amplitude"] - 0.5 * np.sum(apart**2, axis=2))


def noisy_covariance(params, inputs):
    """Covariance of observations at ``inputs``: the kernel's, and noise of variance ``exp(2 log_noise)``."""
    return covariance(params, inputs, inputs) + (np.exp(2 * params["log_noise"]) + 1e-6) * np.eye(len(inputs))


def log_gaussian(factor, columns):
    """Log density of each column under a Gaussian of mean zero and covariance ``factor @ factor.T``, summed."""
    whitened = solve(factor, columns)
    count = columns.size // len(columns)
    return -0.5 * np.sum(whitened**2) - count * np.sum(np.log(np.diag(factor))) - 0.5 * columns.size * np.log(2 * np.pi)


def log_likelihood(params, inputs, targets):
    """Log marginal likelihood of ``targets``: a vector, or a matrix of independent columns."""
    return log_gaussian(cholesky(noisy_covariance(params, inputs)), targets)


def predict(params, inputs, targets, new):
    """Mean and standard deviation of the noiseless function at the rows of ``new``."""
    factor = cholesky(noisy_covariance(params, inputs))
    whitened = solve(factor, covariance(params, inputs, new))
    mean = np.dot(whitened.T, solve(factor, targets))
    variance = np.exp(2 * params["log_amplitude"]) - np.sum(whitened**2, axis=0)
    return mean, np.sqrt(np.maximum(variance, 1e-10))
