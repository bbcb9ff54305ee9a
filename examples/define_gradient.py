"""Define a gradient: a function whose derivative the package is told rather than left to find.

``logsumexp`` subtracts the largest number before it exponentiates, so that nothing overflows.  Its derivative is known
in closed form: the softmax.  Told so by ``defvjp``, reverse mode need not follow the subtraction; derivatives of
higher order follow from the rule, because it is written in the same NumPy.  A softmax regression on some of
scikit-learn's digits then uses it.

    python examples/define_gradient.py --compare
"""

import numpy
from _data import digits
from _harness import Example, main

import autograd_jit.numpy as np
from autograd_jit import grad, value_and_grad
from autograd_jit.extend import defvjp, primitive
from autograd_jit.test_util import check_grads


@primitive
def logsumexp(x):
    """log(sum(exp(row))) of each row, whatever the size of its numbers."""
    largest = np.max(x, axis=1)
    return largest + np.log(np.sum(np.exp(x - largest[:, None]), axis=1))


def logsumexp_vjp(ans, x):
    """From the cotangent of the result to that of ``x``."""
    return lambda g: g[:, None] * np.exp(x - ans[:, None])


defvjp(logsumexp, logsumexp_vjp)


def naive(x):
    """The same for small numbers, its derivative found."""
    return np.log(np.sum(np.exp(x), axis=1))


def check(tell):
    """By finite differences, and against the derivative that is found without the rule."""
    x = numpy.random.default_rng(0).normal(size=(5, 4))
    check_grads(logsumexp, modes=["rev"])(x)
    apart = [grad(lambda x, f=f: np.sum(f(x) ** 2))(x) for f in (logsumexp, naive)]
    tell(f"by the rule and without it: {abs(apart[0] - apart[1]).max():.1e} apart")
    tell(f"at 1000, by the rule and without it: {logsumexp(numpy.full((1, 2), 1000.0))[0]:.3f}, inf")


def make_loss(images, targets):
    """Mean cross-entropy of a softmax regression."""

    def loss(weights):
        scores = np.dot(images, weights)
        return np.mean(logsumexp(scores) - np.sum(targets * scores, axis=1))

    return loss


def work(run):
    """A step of gradient descent uses 400 images."""
    check(run.tell)
    images, targets = (part[:400] for part in digits())
    slope = run.watch(value_and_grad(make_loss(images, targets), jit=run.jit))
    weights, losses = numpy.zeros((64, 10)), []
    for _ in range(run.pick(full=20_000, quick=50)):
        value, gradient = slope(weights)
        weights = weights - 0.5 * gradient
        losses.append(value)
        yield value
    right = numpy.mean((images @ weights).argmax(axis=1) == targets.argmax(axis=1))
    run.tell(f"loss {losses[0]:.3f} to {losses[-1]:.3f}; {right:.1%} of the digits read rightly")
    return losses, weights


def picture(figure, result):
    """The descent, and what each digit looks for."""
    losses, weights = result
    left, right = figure.subfigures(1, 2)
    axis = left.subplots()
    axis.loglog(losses)
    axis.set(title="loss, by a gradient of our own", xlabel="step")
    for digit, axis in enumerate(right.subplots(2, 5).flat):
        axis.imshow(weights[:, digit].reshape(8, 8), cmap="RdBu_r", vmin=-3, vmax=3)
        axis.set_title(digit)
        axis.axis("off")


EXAMPLE = Example(__file__, __doc__, work, picture, size=(10, 4.5), prepare=digits)

if __name__ == "__main__":
    main(EXAMPLE)
