"""Bayesian optimization: find the lowest point of an expensive function in two dozen looks.

After each look a Gaussian process is fitted to what has been seen, and the next point is where the expected
improvement over the best so far is largest.  Both are found by following gradients: one with respect to the process's
parameters, one with respect to the place to look.  The data grow with every look, and so do all shapes.

    python examples/bayesian_optimization.py --compare
"""

import numpy
from _gaussian_process import log_likelihood, predict
from _harness import Example, main
from scipy.optimize import minimize

import autograd_jit.numpy as np
from autograd_jit import value_and_grad
from autograd_jit.misc import flatten
from autograd_jit.scipy.stats import norm

BOX = [(0.0, 1.0), (0.0, 1.0)]


def expensive(place):
    """Branin's function on the unit square, three equal minima, its logarithm for a gentler scale."""
    x, y = 15.0 * place[0] - 5.0, 15.0 * place[1]
    height = (y - 5.1 / (4 * np.pi**2) * x**2 + 5 / np.pi * x - 6) ** 2 + 10 * (1 - 1 / (8 * np.pi)) * np.cos(x) + 10
    return np.log(height)


def expected_improvement(places, best, params, inputs, targets):
    """How far below ``best`` the function is expected to be at the places, counting only what is below."""
    mean, deviation = predict(params, inputs, targets, places)
    score = (best - mean) / deviation
    return deviation * (score * norm.cdf(score) + norm.pdf(score))


def fit(objective, start, unflatten, inputs, targets):
    """Parameters of the process, by maximum likelihood with a weak prior."""
    bounds = [(-1.0, 2.0), (-3.0, 1.0), (-3.0, 1.0), (-5.0, 0.0)]
    found = minimize(
        objective, start, (inputs, targets), jac=True, bounds=bounds, method="L-BFGS-B", options={"maxiter": 20}
    )
    return unflatten(found.x)


def next_place(objective, candidates, arguments):
    """The best of several climbs, to the three digits that the instrument can be set to."""
    climbs = [
        minimize(objective, start, arguments, jac=True, bounds=BOX, method="L-BFGS-B", options={"maxiter": 20})
        for start in candidates
    ]
    return numpy.round(min(climbs, key=lambda climb: climb.fun).x, 3)


def work(run):
    """A step is a look."""
    random = numpy.random.RandomState(1)
    start, unflatten = flatten({"log_amplitude": 0.5, "log_lengths": -numpy.ones(2), "log_noise": -4.0})

    def loss(vector, inputs, targets):
        return -log_likelihood(unflatten(vector), inputs, targets) + 0.05 * np.sum(vector**2)

    def regret(place, *arguments):
        return -np.log(expected_improvement(place[None, :], *arguments)[0] + 1e-12)

    fitting = run.watch(value_and_grad(loss, jit=run.jit))
    seeking = run.watch(value_and_grad(regret, jit=run.jit))
    inputs = random.rand(4, 2)
    heights = numpy.array([expensive(place) for place in inputs])
    for look in range(run.pick(full=24, quick=3)):
        targets = (heights - heights.mean()) / heights.std()
        params = fit(fitting, start, unflatten, inputs, targets)
        place = next_place(seeking, random.rand(8, 2), (targets.min(), params, inputs, targets))
        inputs, heights = numpy.vstack([inputs, place]), numpy.append(heights, expensive(place))
        run.tell(f"look {look + 1:>2} at ({place[0]:.3f}, {place[1]:.3f}): {heights[-1]:.4f}, best {heights.min():.4f}")
        yield float(heights[-1])
    return inputs, heights


def picture(figure, result):
    """Where it looked, and how the best one fell."""
    inputs, heights = result
    left, right = figure.subplots(1, 2)
    grid = numpy.linspace(0.0, 1.0, 100)
    left.contourf(grid, grid, expensive(numpy.stack(numpy.meshgrid(grid, grid))), levels=20, cmap="Blues_r")
    left.scatter(*inputs.T, c=numpy.arange(len(inputs)), cmap="autumn", s=25, edgecolors="black", linewidths=0.5)
    left.set(title="looks, from red to yellow", xlim=(0, 1), ylim=(0, 1))
    right.plot(numpy.minimum.accumulate(heights), drawstyle="steps-post")
    right.set(title="best so far", xlabel="looks")


EXAMPLE = Example(__file__, __doc__, work, picture, size=(10, 4.5), step="look")

if __name__ == "__main__":
    main(EXAMPLE)
