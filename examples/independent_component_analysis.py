"""Independent component analysis: three sources told apart from three mixtures of them.

Unmixed signals are the ones that look least like sums of many things.  The unmixing matrix climbs the likelihood of
heavy-tailed sources by the relative gradient (Cardoso and Laheld 1996), which is the plain one times ``W.T @ W`` and
does not care how badly the sources were mixed.

    python examples/independent_component_analysis.py --compare
"""

import numpy
from _harness import Example, main

import autograd_jit.numpy as np
from autograd_jit import value_and_grad

MIXING = numpy.array([[1.0, 0.8, 0.4], [0.6, 1.0, 0.9], [0.9, 0.3, 1.0]])
RATE = 0.1


def sources(count):
    """Three signals of mean zero and unit variance, each mostly quiet: bursts, clicks and a decaying ring."""
    random = numpy.random.RandomState(0)
    time = numpy.arange(count)
    bursts = numpy.sin(time / 3.0) * numpy.exp(3.0 * numpy.sin(time / 50.0))
    clicks = random.laplace(size=count) ** 3
    rings = numpy.cos(time / 2.0) * numpy.exp(-(time % 120) / 15.0)
    signals = numpy.stack([bursts, clicks, rings])
    return (signals - signals.mean(axis=1, keepdims=True)) / signals.std(axis=1, keepdims=True)


def loss(unmixing, mixtures):
    """Minus the log likelihood of a sample, each source's density the reciprocal of a hyperbolic cosine."""
    estimates = np.dot(unmixing, mixtures)
    _, log_determinant = np.linalg.slogdet(unmixing)
    return np.mean(np.sum(np.log(np.cosh(estimates)), axis=0)) - log_determinant


def leakage(unmixing):
    """How much of the other sources is left in each estimate, the worst one; 0 is perfect."""
    product = abs(unmixing @ MIXING)
    product = product / product.max(axis=1, keepdims=True)
    return float(max(product.sum(axis=1) - 1.0))


def work(run):
    """A step is a step along the relative gradient."""
    signals = sources(run.pick(full=10000, quick=1000))
    mixtures = MIXING @ signals
    gradient = run.watch(value_and_grad(loss, jit=run.jit))
    unmixing = numpy.eye(3)
    for _ in range(run.pick(full=2000, quick=80)):
        value, slope = gradient(unmixing, mixtures)
        unmixing = unmixing - RATE * slope @ unmixing.T @ unmixing
        yield value
    run.tell(f"final loss {value:.6f}, leakage from {leakage(numpy.eye(3)):.3f} to {leakage(unmixing):.3f}")
    return signals, mixtures, unmixing @ mixtures


def picture(figure, result):
    """Sources, mixtures and what was made of them."""
    axes = figure.subplots(3, 3, sharex=True)
    for column, (signals, title) in enumerate(zip(result, ["sources", "mixtures", "unmixed"])):
        for axis, signal in zip(axes[:, column], signals):
            axis.plot(signal[:600], linewidth=0.8)
        axes[0, column].set_title(title)


EXAMPLE = Example(__file__, __doc__, work, picture, size=(11, 5))

if __name__ == "__main__":
    main(EXAMPLE)
