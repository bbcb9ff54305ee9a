"""A gradient with respect to a function: descent in a space of functions, with a type and a box of one's own.

In a reproducing kernel Hilbert space a function can be evaluated by an inner product:  ``f(x) = <f, k(x, .)>``.  So
the gradient of ``f(x)`` with respect to ``f`` itself is the function ``k(x, .)``, and the gradient of any loss of a
few values of ``f`` is a sum of kernels.  Below, functions become values that can be boxed, added and differentiated
by; what is then minimised is an ordinary expression in ``f``.

    python examples/function_gradient.py --compare
"""

import numpy
from _harness import Example, main

import autograd_jit.numpy as np
from autograd_jit import value_and_grad
from autograd_jit.extend import Box, VSpace, defvjp, primitive

WIDTH = 0.3
PENALTY = 1e-3
RATE = 4.0


def kernel(left, right):
    """Gaussian bumps: one row for each of ``left``, one column for each of ``right``."""
    return np.exp(-0.5 * ((left[:, None] - right[None, :]) / WIDTH) ** 2)


class Function:
    """A weighted sum of kernels around ``centres``."""

    def __init__(self, centres, weights):
        self.centres, self.weights = centres, weights

    def __call__(self, places):
        return evaluate(self, places)

    def __add__(self, other):
        return added(self, other)

    def __mul__(self, factor):
        return scaled(self, factor)

    __rmul__ = __mul__

    def __sub__(self, other):
        return self + other * -1.0


@primitive
def evaluate(function, places):
    """The function's values at ``places``."""
    return np.dot(kernel(places, function.centres), function.weights)


@primitive
def added(left, right):
    """The sum; kernels around the same centre are put together."""
    centres, which = numpy.unique(numpy.concatenate([left.centres, right.centres]), return_inverse=True)
    weights = numpy.bincount(which, numpy.concatenate([left.weights, right.weights]), len(centres))
    return Function(centres, weights)


@primitive
def scaled(function, factor):
    return Function(function.centres, factor * function.weights)


@primitive
def inner(left, right):
    """The inner product of the space."""
    return np.dot(left.weights, np.dot(kernel(left.centres, right.centres), right.weights))


class FunctionBox(Box):
    """A function under differentiation: what it can do."""

    __slots__ = ()
    __call__ = Function.__call__
    __add__ = Function.__add__
    __sub__ = Function.__sub__
    __mul__ = Function.__mul__
    __rmul__ = Function.__rmul__


class FunctionSpace(VSpace):
    """The vector space that gradients with respect to a function lie in."""

    def zeros(self):
        return Function(numpy.zeros(0), numpy.zeros(0))

    def _add(self, x, y):
        return added(x, y)

    def _mut_add(self, x, y):
        return added(x, y)

    def _scalar_mul(self, x, a):
        return scaled(x, a)

    def _inner_prod(self, x, y):
        return inner(x, y)


FunctionBox.register(Function)
FunctionSpace.register(Function)

# f(x) = <f, k(x, .)>: a cotangent g of the values is the function that has weights g around the places
defvjp(evaluate, lambda ans, function, places: lambda g: Function(places, g), None)
defvjp(added, lambda ans, left, right: lambda g: g, lambda ans, left, right: lambda g: g)
defvjp(
    scaled,
    lambda ans, function, factor: lambda g: scaled(g, factor),
    lambda ans, function, factor: lambda g: inner(g, function),
)
defvjp(
    inner,
    lambda ans, left, right: lambda g: scaled(right, g),
    lambda ans, left, right: lambda g: scaled(left, g),
)


def loss(function, places, heights):
    """Misfit, logistic in its tails so that outliers pull gently, and the function's squared norm."""
    apart = function(places) - heights
    return np.mean(np.log(np.cosh(4.0 * apart))) / 4.0 + PENALTY * inner(function, function)


def data():
    """Points of a curve, some far off."""
    random = numpy.random.RandomState(0)
    places = random.uniform(-3.0, 3.0, 120)
    heights = numpy.sin(3.0 * places) / (0.5 + abs(places)) + 0.1 * random.randn(120)
    heights[::12] += 1.5
    return places, heights


def work(run):
    """A step is a step of steepest descent in the space of functions."""
    places, heights = data()
    gradient = run.watch(value_and_grad(loss, jit=run.jit))
    function = Function(places[:1], numpy.zeros(1))
    for _ in range(run.pick(full=300, quick=30)):
        value, slope = gradient(function, places, heights)
        function = function - slope * RATE
        yield value
    run.tell(f"final loss {value:.6f}, norm {inner(function, function) ** 0.5:.4f}")
    return places, heights, function


def picture(figure, result):
    """The data and the function."""
    places, heights, function = result
    axis = figure.subplots()
    grid = numpy.linspace(-3.3, 3.3, 400)
    axis.plot(places, heights, "o", color="#d1495b", markersize=4)
    axis.plot(grid, function(grid), color="#1f5fa8")
    axis.set(title="found by following gradients that are functions")


EXAMPLE = Example(__file__, __doc__, work, picture)

if __name__ == "__main__":
    main(EXAMPLE)
