"""An ODE net: a neural network as the right-hand side of a differential equation, fitted to a trajectory.

The data are a spiral, the solution of ``y' = A y³``, seen at some moments.  The network has to say how fast the state
moves anywhere; SciPy's ``odeint`` solves for where it gets.  The gradient solves the adjoint equation backwards
(R. Chen, Y. Rubanova, J. Bettencourt, D. Duvenaud, "Neural ordinary differential equations", 2018).

    python examples/ode_net.py --compare
"""

import numpy
from _harness import Example, adam, main

import autograd_jit.numpy as np
from autograd_jit import value_and_grad
from autograd_jit.misc import flatten
from autograd_jit.scipy.integrate import odeint

HIDDEN = 30
MATRIX = numpy.array([[-0.1, 2.0], [-2.0, -0.1]])
START = numpy.array([2.0, 0.0])


def spiral(y, t):
    """The truth."""
    return np.dot(y**3, MATRIX)


def start_params(random):
    """Small random weights of two layers."""
    return [
        (random.normal(size=(rows, columns)) * 0.1, numpy.zeros(columns))
        for rows, columns in ((2, HIDDEN), (HIDDEN, 2))
    ]


def network(y, params):
    """How fast the state moves at ``y``."""
    (hidden_weights, hidden_bias), (weights, bias) = params
    return np.dot(np.tanh(np.dot(y**3, hidden_weights) + hidden_bias), weights) + bias


def work(run):
    """A step is a piece of the trajectory, from one of its points on."""
    random = numpy.random.default_rng(0)
    times = numpy.linspace(0.0, 10.0, run.pick(full=400, quick=100))
    truth = odeint(spiral, START, times, rtol=1e-10, atol=1e-10)
    length = 8
    start, unflatten = flatten(start_params(random))

    def solve(vector, y, times):
        dynamics = lambda y, t, vector: network(y, unflatten(vector))
        return odeint(dynamics, y, times, (vector,), rtol=1e-10, atol=1e-10)

    def loss(vector, y, times, seen):
        return np.mean((solve(vector, y, times) - seen) ** 2)

    slope = run.watch(value_and_grad(loss, jit=run.jit))

    def gradient(vector, step):
        first = random.integers(len(times) - length)
        return slope(vector, truth[first], times[:length], truth[first : first + length])

    losses = []
    for value, vector in adam(gradient, start, run.pick(full=200, quick=5), rate=0.01):
        losses.append(value)
        yield value
    found = solve(vector, START, times)
    run.tell(f"mean square {losses[0]:.4f} to {losses[-1]:.4f}")
    return losses, truth, found


def picture(figure, result):
    """The spiral, seen and found."""
    losses, truth, found = result
    left, right = figure.subplots(1, 2)
    left.semilogy(losses)
    left.set(title="loss", xlabel="step")
    right.plot(*truth.T, ".", label="seen")
    right.plot(*found.T, label="network")
    right.set(title="the trajectory", aspect="equal")
    right.legend(frameon=False)


EXAMPLE = Example(__file__, __doc__, work, picture)

if __name__ == "__main__":
    main(EXAMPLE)
