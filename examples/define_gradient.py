"""Define a gradient: a function whose derivative the package is told rather than left to find.

``logsumexp`` subtracts the largest number before it exponentiates, so that nothing overflows.  Its derivative is known
in closed form: the softmax.  Told so by ``defvjp``, reverse mode need not follow the subtraction; derivatives of
higher order follow from the rule, because it is written in the same NumPy.

    python examples/define_gradient.py --compare
"""

import numpy
from _harness import Example, main

import autograd_jit.numpy as np
from autograd_jit import grad, value_and_grad
from autograd_jit.extend import defvjp, primitive
from autograd_jit.test_util import check_grads


@primitive
def logsumexp(x):
    """log(sum(exp(x))), whatever the size of the numbers in ``x``."""
    largest = np.max(x)
    return largest + np.log(np.sum(np.exp(x - largest)))


def logsumexp_vjp(ans, x):
    """From the cotangent of the result to that of ``x``."""
    return lambda g: g * np.exp(x - ans)


defvjp(logsumexp, logsumexp_vjp)


def soft_maximum(y):
    """A smooth stand-in for the largest square."""
    return logsumexp(y**2)


def work(run):
    """A step down the smooth maximum, after checks by finite differences."""
    y = numpy.random.default_rng(0).normal(size=run.pick(full=1000, quick=50))
    check_grads(soft_maximum, modes=["rev"])(y[:6])
    naive = grad(lambda y: np.log(np.sum(np.exp(y**2))))(y[:6])
    run.tell(f"by the rule and without it, {abs(grad(soft_maximum)(y[:6]) - naive).max():.1e} apart")
    slope = run.watch(value_and_grad(soft_maximum, jit=run.jit))
    values = []
    for _ in range(run.pick(full=3000, quick=200)):
        value, gradient = slope(y)
        y = y - 0.05 * gradient
        values.append(value)
        yield value
    run.tell(f"from {values[0]:.3f} to {values[-1]:.3f}; log of {len(y)} is {numpy.log(len(y)):.3f}")
    return values


def picture(figure, values):
    """The descent."""
    axis = figure.subplots()
    axis.plot(values)
    axis.set(title="logsumexp of squares, by a gradient of our own", xlabel="step")


EXAMPLE = Example(__file__, __doc__, work, picture)

if __name__ == "__main__":
    main(EXAMPLE)
