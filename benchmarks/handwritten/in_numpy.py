"""Gradients derived by hand, in plain NumPy."""

import numpy as np

# ---------------------------------------------------------------- functions of one vector or number


def rosenbrock(x):
    valley = x[1:] - x[:-1] ** 2
    gradient = np.zeros_like(x)
    gradient[1:] = 200.0 * valley
    gradient[:-1] -= 400.0 * x[:-1] * valley + 2.0 * (1.0 - x[:-1])
    return gradient


def chain(x):
    bell, sine = np.exp(-x * x), np.sin(3.0 * x)
    y = bell * sine
    bend = np.tanh(x - y)
    z = np.log1p(y * y) + bend
    root = np.sqrt(1.0 + x * x)
    dz, slope = 2.0 * z, 1.0 - bend * bend
    dy = dz * (2.0 * y / (1.0 + y * y) - slope) + root
    return dz * slope + x * y / root + dy * bell * (3.0 * np.cos(3.0 * x) - 2.0 * x * sine)


def taylor_sine(x):
    total, term, order = 1.0, x, 1
    slope = 1.0
    while abs(term) > 1e-12:
        scale = -1.0 / ((order + 1) * (order + 2))
        slope = scale * (slope * x * x + 2.0 * term * x)
        term = scale * term * x * x
        total += slope
        order += 2
    return total


def log_sum_exp(x):
    powers = np.exp(x - np.max(x))
    return powers / np.sum(powers)


def least_squares(x, matrix, right):
    return matrix.T @ (matrix @ x - right)


# ---------------------------------------------------------------- networks


def logistic_small(weights, inputs, targets):
    predictions = 0.5 * (np.tanh(0.5 * (inputs @ weights)) + 1.0)
    return inputs.T @ (predictions - targets)


def softmax_errors(scores, targets):
    """The slope of the mean cross-entropy by score; targets are one-hot rows."""
    powers = np.exp(scores - np.max(scores, axis=1, keepdims=True))
    return (powers / np.sum(powers, axis=1, keepdims=True) - targets) / len(scores)


def digits_softmax(params, images, targets):
    errors = softmax_errors(images @ params["weights"] + params["bias"], targets)
    return {"weights": images.T @ errors, "bias": np.sum(errors, axis=0)}


def digits_network(params, images, targets):
    hidden = np.tanh(images @ params["hidden weights"] + params["hidden bias"])
    errors = softmax_errors(hidden @ params["weights"] + params["bias"], targets)
    back = (errors @ params["weights"].T) * (1.0 - hidden * hidden)
    return {
        "hidden weights": images.T @ back,
        "hidden bias": np.sum(back, axis=0),
        "weights": hidden.T @ errors,
        "bias": np.sum(errors, axis=0),
    }


def mlp_small(params, inputs, targets):
    (first, first_bias), (second, second_bias) = params
    hidden = np.tanh(inputs @ first + first_bias)
    errors = (2.0 / targets.size) * (hidden @ second + second_bias - targets)
    back = (errors @ second.T) * (1.0 - hidden * hidden)
    return [(inputs.T @ back, np.sum(back, axis=0)), (hidden.T @ errors, np.sum(errors, axis=0))]


def mlp_rectified(layers, inputs, targets):
    activations = [inputs]
    for weights, bias in layers[:-1]:
        activations.append(np.maximum(activations[-1] @ weights + bias, 0.0))
    weights, bias = layers[-1]
    errors = softmax_errors(activations[-1] @ weights + bias, targets)
    gradient = []
    for (weights, _), activation in zip(layers[::-1], activations[::-1]):
        gradient.append((activation.T @ errors, np.sum(errors, axis=0)))
        errors = (errors @ weights.T) * (activation > 0.0)
    return gradient[::-1]


def softmax_rows(x, weights):
    powers = np.exp(x - np.max(x, axis=1, keepdims=True))
    powers /= np.sum(powers, axis=1, keepdims=True)
    return powers * (weights - np.sum(powers * weights, axis=1, keepdims=True))


# ---------------------------------------------------------------- statistics


def logistic(weights, inputs, targets):
    return inputs.T @ (-targets / (1.0 + np.exp(targets * (inputs @ weights)))) + weights


def weibull(params, covariates, times, observed):
    weights, intercept, log_shape = params
    shape = np.exp(log_shape)
    scaled = np.log(times) - intercept - covariates @ weights
    excess = (observed - np.exp(shape * scaled)) / len(times)
    return (
        covariates.T @ (shape * excess),
        shape * np.sum(excess),
        -shape * np.sum(excess * scaled) - np.mean(observed),
    )


def hierarchical(params, groups, inputs, targets):
    common, rest = params[:5], params[5:]
    half = len(rest) // 2
    spread, slope_spread, precision = np.exp(common[1]), np.exp(common[3]), np.exp(-common[4])
    intercepts, slopes = common[0] + spread * rest[:half], common[2] + slope_spread * rest[half:]
    residuals = (targets - intercepts[groups] - slopes[groups] * inputs) * precision
    pulls = np.bincount(groups, -precision * residuals, half)
    tilts = np.bincount(groups, -precision * residuals * inputs, half)
    gradient = params.copy()
    gradient[0] += np.sum(pulls)
    gradient[1] += spread * np.dot(pulls, rest[:half])
    gradient[2] += np.sum(tilts)
    gradient[3] += slope_spread * np.dot(tilts, rest[half:])
    gradient[4] += len(targets) - np.dot(residuals, residuals)
    gradient[5 : 5 + half] += spread * pulls
    gradient[5 + half :] += slope_spread * tilts
    return gradient


def gaussian_process(params, inputs, targets):
    scale, width, noise = np.exp(params)
    squares = np.sum((inputs[:, None, :] - inputs[None, :, :]) ** 2, axis=2)
    kernel = scale * np.exp(-0.5 * squares / width**2)
    inverse = np.linalg.inv(kernel + (noise + 1e-6) * np.eye(len(targets)))
    weights = inverse @ targets
    slope = 0.5 * (inverse - np.outer(weights, weights))
    shared = slope * kernel
    return np.array([np.sum(shared), np.sum(shared * squares) / width**2, noise * np.trace(slope)])


def k_means_hessian(centres, points, direction):
    distances = np.sum((points[:, None, :] - centres[None, :, :]) ** 2, axis=2)
    counts = np.bincount(np.argmin(distances, axis=1), minlength=len(centres))
    return 2.0 * counts[:, None] * direction


# ---------------------------------------------------------------- physics and grids


def n_body(places, masses):
    apart = places[:, None, :] - places[None, :, :]
    squares = np.sum(apart**2, axis=2) + 0.01
    pulls = masses[:, None] * masses[None, :] / (squares * np.sqrt(squares))
    return np.sum(pulls[:, :, None] * apart, axis=1)


def arc_distance(start, end):
    (latitude, longitude), (other, other_longitude) = start, end
    up, turn = 0.5 * (other - latitude), 0.5 * (other_longitude - longitude)
    sin_up, sin_turn = np.sin(up), np.sin(turn)
    cos, cos_other = np.cos(latitude), np.cos(other)
    square = sin_up**2 + cos * cos_other * sin_turn**2
    slope = 1.0 / np.sqrt(square * (1.0 - square))
    by_latitude = -sin_up * np.cos(up) - np.sin(latitude) * cos_other * sin_turn**2
    return slope * by_latitude, -slope * cos * cos_other * sin_turn * np.cos(turn)


def go_fast(matrix):
    diagonal = np.tanh(np.diag(matrix))
    gradient = (2.0 / matrix.size) * (matrix + np.sum(diagonal))
    gradient[np.diag_indices(len(matrix))] += np.sum(gradient) * (1.0 - diagonal**2)
    return gradient


def jacobi_2d(grid):
    grids = [grid]
    for _ in range(10):
        new = grids[-1].copy()
        old = grids[-1]
        new[1:-1, 1:-1] = 0.2 * (old[1:-1, 1:-1] + old[1:-1, :-2] + old[1:-1, 2:] + old[2:, 1:-1] + old[:-2, 1:-1])
        grids.append(new)
    slope = 2.0 * grids[-1]
    for _ in range(10):
        inner = 0.2 * slope[1:-1, 1:-1]
        slope[1:-1, 1:-1] = inner
        slope[1:-1, :-2] += inner
        slope[1:-1, 2:] += inner
        slope[2:, 1:-1] += inner
        slope[:-2, 1:-1] += inner
    return slope


def triangular_solve(right, lower):
    from scipy.linalg import solve_triangular

    solution = solve_triangular(lower, right, lower=True)
    return solve_triangular(lower, 2.0 * solution, lower=True, trans=1)


NUMPY = {
    **{f"rosenbrock {size}": rosenbrock for size in ("2", "1e1", "1e3", "1e5", "1e6")},
    **{f"chain {size}": chain for size in ("1e2", "1e3", "1e4", "1e5", "1e6")},
    "logistic 4x3": logistic_small,
    "taylor sine": taylor_sine,
    "digits softmax": digits_softmax,
    "digits network": digits_network,
    "mlp 4-8-3": mlp_small,
    "mlp 3 layers": mlp_rectified,
    "softmax rows 1e4": softmax_rows,
    "softmax rows 1e6": softmax_rows,
    "log-sum-exp 1e5": log_sum_exp,
    "least squares": least_squares,
    "logistic 1e3x20": logistic,
    "logistic 1e5x50": logistic,
    "weibull survival": weibull,
    "hierarchical": hierarchical,
    "gp likelihood 80": gaussian_process,
    "k-means hessian": k_means_hessian,
    "n-body 120": n_body,
    "arc_distance 1e4": arc_distance,
    "go_fast": go_fast,
    "jacobi_2d": jacobi_2d,
    "trisolv": triangular_solve,
}
