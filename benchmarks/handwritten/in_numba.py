"""Gradients derived by hand, each one function for Numba, as an expert would write it for that one job.

No ``fastmath``: it would change what happens to NaN and infinity, which no other column does.
"""

import math

import numba
import numpy as np

njit = numba.njit(error_model="numpy")

# ---------------------------------------------------------------- functions of one vector or number


@njit
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


@njit
def chain(x):
    gradient = np.empty_like(x)
    for i in range(x.shape[0]):
        v = x[i]
        bell, sine = math.exp(-v * v), math.sin(3.0 * v)
        y = bell * sine
        bend = math.tanh(v - y)
        root = math.sqrt(1.0 + v * v)
        dz, slope = 2.0 * (math.log1p(y * y) + bend), 1.0 - bend * bend
        dy = dz * (2.0 * y / (1.0 + y * y) - slope) + root
        gradient[i] = dz * slope + v * y / root + dy * bell * (3.0 * math.cos(3.0 * v) - 2.0 * v * sine)
    return gradient


@njit
def taylor_sine(x):
    total, term, slope, order = 1.0, x, 1.0, 1
    while abs(term) > 1e-12:
        scale = -1.0 / ((order + 1) * (order + 2))
        slope = scale * (slope * x * x + 2.0 * term * x)
        term = scale * term * x * x
        total += slope
        order += 2
    return total


@njit
def log_sum_exp(x):
    largest = -np.inf
    for i in range(x.shape[0]):
        largest = max(largest, x[i])
    gradient = np.empty_like(x)
    total = 0.0
    for i in range(x.shape[0]):
        gradient[i] = math.exp(x[i] - largest)
        total += gradient[i]
    for i in range(x.shape[0]):
        gradient[i] /= total
    return gradient


# ---------------------------------------------------------------- networks


@njit
def logistic_small(weights, inputs, targets):
    gradient = np.zeros_like(weights)
    for i in range(inputs.shape[0]):
        score = 0.0
        for j in range(weights.shape[0]):
            score += inputs[i, j] * weights[j]
        error = 0.5 * (math.tanh(0.5 * score) + 1.0) - targets[i]
        for j in range(weights.shape[0]):
            gradient[j] += error * inputs[i, j]
    return gradient


@njit
def mlp_loops(first, first_bias, second, second_bias, inputs, targets):
    d_first, d_first_bias = np.zeros_like(first), np.zeros_like(first_bias)
    d_second, d_second_bias = np.zeros_like(second), np.zeros_like(second_bias)
    hidden, back = np.empty_like(first_bias), np.empty_like(first_bias)
    scale = 2.0 / targets.size
    for row in range(inputs.shape[0]):
        for j in range(hidden.shape[0]):
            total = first_bias[j]
            for i in range(inputs.shape[1]):
                total += inputs[row, i] * first[i, j]
            hidden[j] = math.tanh(total)
            back[j] = 0.0
        for k in range(second_bias.shape[0]):
            total = second_bias[k] - targets[row, k]
            for j in range(hidden.shape[0]):
                total += hidden[j] * second[j, k]
            error = scale * total
            d_second_bias[k] += error
            for j in range(hidden.shape[0]):
                d_second[j, k] += error * hidden[j]
                back[j] += error * second[j, k]
        for j in range(hidden.shape[0]):
            slope = back[j] * (1.0 - hidden[j] * hidden[j])
            d_first_bias[j] += slope
            for i in range(inputs.shape[1]):
                d_first[i, j] += slope * inputs[row, i]
    return d_first, d_first_bias, d_second, d_second_bias


def mlp_small(params, inputs, targets):
    (first, first_bias), (second, second_bias) = params
    result = mlp_loops(first, first_bias, second, second_bias, inputs, targets)
    return [result[:2], result[2:]]


@njit
def softmax_rows(x, weights):
    gradient = np.empty_like(x)
    for i in range(x.shape[0]):
        largest = -np.inf
        for j in range(x.shape[1]):
            largest = max(largest, x[i, j])
        total = weighted = 0.0
        for j in range(x.shape[1]):
            power = math.exp(x[i, j] - largest)
            gradient[i, j] = power
            total += power
            weighted += power * weights[i, j]
        mean = weighted / total
        for j in range(x.shape[1]):
            gradient[i, j] *= (weights[i, j] - mean) / total
    return gradient


# ---------------------------------------------------------------- statistics


@njit
def logistic(weights, inputs, targets):
    gradient = weights.copy()
    for i in range(inputs.shape[0]):
        score = 0.0
        for j in range(weights.shape[0]):
            score += inputs[i, j] * weights[j]
        error = -targets[i] / (1.0 + math.exp(targets[i] * score))
        for j in range(weights.shape[0]):
            gradient[j] += error * inputs[i, j]
    return gradient


@njit
def weibull_loops(weights, intercept, log_shape, covariates, times, observed):
    rows = times.shape[0]
    shape = math.exp(log_shape)
    gradient = np.zeros_like(weights)
    by_intercept = by_shape = 0.0
    for i in range(rows):
        scaled = math.log(times[i]) - intercept
        for j in range(weights.shape[0]):
            scaled -= covariates[i, j] * weights[j]
        excess = shape * (observed[i] - math.exp(shape * scaled)) / rows
        for j in range(weights.shape[0]):
            gradient[j] += excess * covariates[i, j]
        by_intercept += excess
        by_shape -= excess * scaled + observed[i] / rows
    return gradient, by_intercept, by_shape


def weibull(params, covariates, times, observed):
    return weibull_loops(*params, covariates, times, observed)


@njit
def hierarchical(params, groups, inputs, targets):
    half = (params.shape[0] - 5) // 2
    spread, slope_spread, precision = math.exp(params[1]), math.exp(params[3]), math.exp(-params[4])
    gradient = params.copy()
    pulls, tilts = np.zeros(half), np.zeros(half)
    squares = 0.0
    for i in range(targets.shape[0]):
        group = groups[i]
        intercept = params[0] + spread * params[5 + group]
        slope = params[2] + slope_spread * params[5 + half + group]
        residual = (targets[i] - intercept - slope * inputs[i]) * precision
        squares += residual * residual
        pulls[group] -= precision * residual
        tilts[group] -= precision * residual * inputs[i]
    gradient[4] += targets.shape[0] - squares
    for group in range(half):
        gradient[0] += pulls[group]
        gradient[1] += spread * pulls[group] * params[5 + group]
        gradient[2] += tilts[group]
        gradient[3] += slope_spread * tilts[group] * params[5 + half + group]
        gradient[5 + group] += spread * pulls[group]
        gradient[5 + half + group] += slope_spread * tilts[group]
    return gradient


@njit
def k_means_hessian(centres, points, direction):
    counts = np.zeros(centres.shape[0])
    for i in range(points.shape[0]):
        nearest, least = 0, np.inf
        for k in range(centres.shape[0]):
            distance = 0.0
            for j in range(points.shape[1]):
                apart = points[i, j] - centres[k, j]
                distance += apart * apart
            if distance < least:
                nearest, least = k, distance
        counts[nearest] += 2.0
    result = np.empty_like(direction)
    for k in range(centres.shape[0]):
        for j in range(centres.shape[1]):
            result[k, j] = counts[k] * direction[k, j]
    return result


# ---------------------------------------------------------------- physics


@njit
def n_body(places, masses):
    gradient = np.zeros_like(places)
    for i in range(places.shape[0]):
        for j in range(i):
            x = places[i, 0] - places[j, 0]
            y = places[i, 1] - places[j, 1]
            z = places[i, 2] - places[j, 2]
            square = x * x + y * y + z * z + 0.01
            pull = masses[i] * masses[j] / (square * math.sqrt(square))
            gradient[i, 0] += pull * x
            gradient[i, 1] += pull * y
            gradient[i, 2] += pull * z
            gradient[j, 0] -= pull * x
            gradient[j, 1] -= pull * y
            gradient[j, 2] -= pull * z
    return gradient


@njit
def arc_distance(start, end):
    by_latitude, by_longitude = np.empty_like(start[0]), np.empty_like(start[0])
    for i in range(start[0].shape[0]):
        latitude, other = start[0][i], end[0][i]
        up, turn = 0.5 * (other - latitude), 0.5 * (end[1][i] - start[1][i])
        sin_up, sin_turn = math.sin(up), math.sin(turn)
        cos, cos_other = math.cos(latitude), math.cos(other)
        square = sin_up * sin_up + cos * cos_other * sin_turn * sin_turn
        slope = 1.0 / math.sqrt(square * (1.0 - square))
        by_latitude[i] = -slope * (sin_up * math.cos(up) + math.sin(latitude) * cos_other * sin_turn * sin_turn)
        by_longitude[i] = -slope * cos * cos_other * sin_turn * math.cos(turn)
    return by_latitude, by_longitude


@njit
def great_circle(start, end):
    by_latitude, by_longitude = np.empty_like(start[0]), np.empty_like(start[0])
    for i in range(start[0].shape[0]):
        turn = end[1][i] - start[1][i]
        sin, cos = math.sin(start[0][i]), math.cos(start[0][i])
        sin_other, cos_other = math.sin(end[0][i]), math.cos(end[0][i])
        sin_turn, cos_turn = math.sin(turn), math.cos(turn)
        east = cos_other * sin_turn
        north = cos * sin_other - sin * cos_other * cos_turn
        along = sin * sin_other + cos * cos_other * cos_turn
        across = math.sqrt(east * east + north * north)
        # With across^2 + along^2 = 1, the arc's slope is along * d(across) - across * d(along).
        by_latitude[i] = -along * along * north / across - across * north
        d_across = (east * cos_other * cos_turn + north * sin * cos_other * sin_turn) / across
        by_longitude[i] = -along * d_across - across * cos * cos_other * sin_turn
    return by_latitude, by_longitude


@njit
def sea_water_loops(salts, temperatures, pressures):
    by_salt, by_t, by_p = np.empty_like(salts), np.empty_like(salts), np.empty_like(salts)
    for i in range(salts.shape[0]):
        s, t, p = salts[i], temperatures[i], pressures[i]
        half = math.sqrt(s)
        root, d_root = s * half, 1.5 * half
        a = 8.24493e-1 + t * (-4.0899e-3 + t * (7.6438e-5 + t * (-8.2467e-7 + t * 5.3875e-9)))
        da = -4.0899e-3 + t * (2 * 7.6438e-5 + t * (-3 * 8.2467e-7 + t * 4 * 5.3875e-9))
        b, db = -5.72466e-3 + t * (1.0227e-4 - t * 1.6546e-6), 1.0227e-4 - t * 2 * 1.6546e-6
        w = -9.09529e-3 + t * (1.001685e-4 + t * (-1.120083e-6 + t * 6.536332e-9))
        w = 999.842594 + t * (6.793952e-2 + t * w)
        dw = 6.793952e-2 + t * (-2 * 9.09529e-3 + t * (3 * 1.001685e-4 + t * (-4 * 1.120083e-6 + t * 5 * 6.536332e-9)))
        surface = w + s * a + root * b + 4.8314e-4 * s * s
        surface_s, surface_t = a + d_root * b + 2 * 4.8314e-4 * s, dw + s * da + root * db
        k = 19652.21 + t * (148.4206 + t * (-2.327105 + t * (1.360477e-2 - t * 5.155288e-5)))
        dk = 148.4206 + t * (-2 * 2.327105 + t * (3 * 1.360477e-2 - t * 4 * 5.155288e-5))
        ks = 54.6746 + t * (-0.603459 + t * (1.09987e-2 - t * 6.167e-5))
        dks = -0.603459 + t * (2 * 1.09987e-2 - t * 3 * 6.167e-5)
        kr, dkr = 7.944e-2 + t * (1.6483e-2 - t * 5.3009e-4), 1.6483e-2 - t * 2 * 5.3009e-4
        c = 3.239908 + t * (1.43713e-3 + t * (1.16092e-4 - t * 5.77905e-7))
        dc = 1.43713e-3 + t * (2 * 1.16092e-4 - t * 3 * 5.77905e-7)
        cs, dcs = 2.2838e-3 + t * (-1.0981e-5 - t * 1.6078e-6), -1.0981e-5 - t * 2 * 1.6078e-6
        q, dq = 8.50935e-5 + t * (-6.12293e-6 + t * 5.2787e-8), -6.12293e-6 + t * 2 * 5.2787e-8
        qs, dqs = -9.9348e-7 + t * (2.0816e-8 + t * 9.1697e-10), 2.0816e-8 + t * 2 * 9.1697e-10
        linear, square = c + s * cs + 1.91075e-4 * root, q + s * qs
        modulus = k + s * ks + root * kr + p * (linear + p * square)
        modulus_s = ks + d_root * kr + p * (cs + 1.91075e-4 * d_root + p * qs)
        modulus_t = dk + s * dks + root * dkr + p * (dc + s * dcs + p * (dq + s * dqs))
        modulus_p = linear + 2 * p * square
        scale = 1.0 / (1.0 - p / modulus)
        by_modulus = -surface * scale * scale * p / (modulus * modulus)
        by_salt[i] = surface_s * scale + by_modulus * modulus_s
        by_t[i] = surface_t * scale + by_modulus * modulus_t
        by_p[i] = surface * scale * scale / modulus + by_modulus * modulus_p
    return by_salt, by_t, by_p


def sea_water(state):
    return sea_water_loops(*state)


@njit
def go_fast(matrix):
    trace = 0.0
    for i in range(matrix.shape[0]):
        trace += math.tanh(matrix[i, i])
    gradient = np.empty_like(matrix)
    scale, total = 2.0 / matrix.size, 0.0
    for i in range(matrix.shape[0]):
        for j in range(matrix.shape[1]):
            gradient[i, j] = scale * (matrix[i, j] + trace)
            total += gradient[i, j]
    for i in range(matrix.shape[0]):
        gradient[i, i] += total * (1.0 - math.tanh(matrix[i, i]) ** 2)
    return gradient


# ---------------------------------------------------------------- grids and recurrences


@njit
def jacobi_2d(grid):
    rows, columns = grid.shape
    now, new = grid.copy(), grid.copy()
    for _ in range(10):
        for i in range(1, rows - 1):
            for j in range(1, columns - 1):
                new[i, j] = 0.2 * (now[i, j] + now[i, j - 1] + now[i, j + 1] + now[i + 1, j] + now[i - 1, j])
        now, new = new, now
    for i in range(rows):
        for j in range(columns):
            now[i, j] *= 2.0
    for _ in range(10):  # the adjoint of an average with a fixed border gathers from the inner points alone
        for i in range(rows):
            for j in range(columns):
                inner = 0 < i < rows - 1 and 0 < j < columns - 1
                total = 0.2 * now[i, j] if inner else now[i, j]
                if 0 < i < rows - 1:
                    if j > 1:
                        total += 0.2 * now[i, j - 1]
                    if j < columns - 2:
                        total += 0.2 * now[i, j + 1]
                if 0 < j < columns - 1:
                    if i > 1:
                        total += 0.2 * now[i - 1, j]
                    if i < rows - 2:
                        total += 0.2 * now[i + 1, j]
                new[i, j] = total
        now, new = new, now
    return now


@njit
def seidel_2d(grid):
    rows, columns = grid.shape
    a = grid.copy()
    for _ in range(2):
        for i in range(1, rows - 1):
            for j in range(1, columns - 1):
                total = a[i - 1, j - 1] + a[i - 1, j] + a[i - 1, j + 1] + a[i, j - 1] + a[i, j]
                a[i, j] = (total + a[i, j + 1] + a[i + 1, j - 1] + a[i + 1, j] + a[i + 1, j + 1]) / 9.0
    for i in range(rows):
        for j in range(columns):
            a[i, j] *= 2.0
    for _ in range(2):
        for i in range(rows - 2, 0, -1):
            for j in range(columns - 2, 0, -1):
                share = a[i, j] / 9.0
                a[i, j] = share
                for di in range(-1, 2):
                    for dj in range(-1, 2):
                        if di != 0 or dj != 0:
                            a[i + di, j + dj] += share
    return a


@njit
def runge_kutta(x):
    count, steps = x.shape[0], 50
    size = 1.0 / steps
    states = np.zeros((steps + 1, count))
    stages = np.empty((4, count))
    factors = (0.0, 0.5 * size, 0.5 * size, size)
    shares = (size / 6.0, size / 3.0, size / 3.0, size / 6.0)
    points = np.empty((steps, 4, count))
    for step in range(steps):
        for i in range(count):
            states[step + 1, i] = states[step, i]
        for stage in range(4):
            for i in range(count):
                points[step, stage, i] = states[step, i] + (factors[stage] * stages[stage - 1, i] if stage else 0.0)
            for i in range(count):
                stages[stage, i] = x[i] * points[step, stage, i - 1] if i else x[0]
                states[step + 1, i] += shares[stage] * stages[stage, i]
    gradient, slope = np.zeros_like(x), np.ones(count)
    back, total = np.empty(count), np.empty(count)
    for step in range(steps - 1, -1, -1):
        for i in range(count):
            total[i], back[i] = slope[i], 0.0
        for stage in range(3, -1, -1):
            following = factors[stage + 1] if stage < 3 else 0.0
            for i in range(count):
                stages[stage, i] = shares[stage] * slope[i] + following * back[i]
            gradient[0] += stages[stage, 0]
            for i in range(count):
                back[i] = x[i + 1] * stages[stage, i + 1] if i + 1 < count else 0.0
                total[i] += back[i]
                if i:
                    gradient[i] += points[step, stage, i - 1] * stages[stage, i]
        for i in range(count):
            slope[i] = total[i]
    return gradient


@njit
def triangular_solve(right, lower):
    size = right.shape[0]
    x = np.empty_like(right)
    for i in range(size):
        total = right[i]
        for j in range(i):
            total -= lower[i, j] * x[j]
        x[i] = total / lower[i, i]
    x *= 2.0
    for i in range(size - 1, -1, -1):
        x[i] /= lower[i, i]
        for j in range(i):
            x[j] -= lower[i, j] * x[i]
    return x


NJIT = {
    **{f"rosenbrock {size}": rosenbrock for size in ("2", "1e1", "1e3", "1e5", "1e6")},
    **{f"chain {size}": chain for size in ("1e2", "1e3", "1e4", "1e5", "1e6")},
    "logistic 4x3": logistic_small,
    "taylor sine": taylor_sine,
    "mlp 4-8-3": mlp_small,
    "softmax rows 1e4": softmax_rows,
    "softmax rows 1e6": softmax_rows,
    "log-sum-exp 1e5": log_sum_exp,
    "logistic 1e3x20": logistic,
    "logistic 1e5x50": logistic,
    "weibull survival": weibull,
    "hierarchical": hierarchical,
    "k-means hessian": k_means_hessian,
    "n-body 120": n_body,
    "arc_distance 1e4": arc_distance,
    "great circle 250k": great_circle,
    "equation of state": sea_water,
    "go_fast": go_fast,
    "jacobi_2d": jacobi_2d,
    "seidel_2d": seidel_2d,
    "ode rk4": runge_kutta,
    "trisolv": triangular_solve,
}
