"""Maximum likelihood of a negative binomial distribution, and how sure of it one can be.

Two parameters, both found by SciPy's BFGS, for counts drawn from a known distribution; and again for hundreds of
samples drawn anew from the same counts (the bootstrap).  Every fit makes a new loss function over new data, as programs
do.

    python examples/negative_binomial.py --compare
"""

import numpy
from _harness import Example, main
from scipy.optimize import minimize

import autograd_jit.numpy as np
from autograd_jit import value_and_grad
from autograd_jit.scipy.special import gammaln

FAILURES, CHANCE = 5.0, 0.4


def log_likelihood(counts, r, p):
    """Sum over the counts; ``r`` failures of chance ``1 - p`` each end the counting."""
    combinations = gammaln(counts + r) - gammaln(counts + 1.0) - gammaln(r)
    return np.sum(combinations + counts * np.log(p) + r * np.log1p(-p))


def fit(counts, run):
    """The likeliest ``(r, p)``; both are positive, and the second below 1."""

    def loss(params):
        r, p = np.exp(params[0]), 1.0 / (1.0 + np.exp(-params[1]))
        return -log_likelihood(counts, r, p) / len(counts)

    objective = run.watch(value_and_grad(loss, jit=run.jit))
    found = minimize(objective, numpy.zeros(2), jac=True, method="BFGS", options={"gtol": 1e-7})
    return numpy.array([numpy.exp(found.x[0]), 1.0 / (1.0 + numpy.exp(-found.x[1]))])


def work(run):
    """A step is a fit: first the counts themselves, then samples of them."""
    random = numpy.random.default_rng(0)
    counts = random.negative_binomial(FAILURES, 1.0 - CHANCE, run.pick(full=2000, quick=500)).astype(float)
    fits = []
    for trial in range(run.pick(full=300, quick=12)):
        sample = counts if trial == 0 else random.choice(counts, len(counts))
        fits.append(fit(sample, run))
        yield fits[-1]
    spread = numpy.std(fits[1:], axis=0)
    run.tell(f"r = {fits[0][0]:.3f} ± {spread[0]:.3f} (drawn with {FAILURES})")
    run.tell(f"p = {fits[0][1]:.3f} ± {spread[1]:.3f} (drawn with {CHANCE})")
    return counts, numpy.array(fits)


def picture(figure, result):
    """The counts, and all fits."""
    counts, fits = result
    left, right = figure.subplots(1, 2)
    left.hist(counts, numpy.arange(counts.max() + 2) - 0.5)
    left.set(title="counts")
    right.plot(*fits[1:].T, ".", label="bootstrap")
    right.plot(*fits[0], "o", label="fit")
    right.plot(FAILURES, CHANCE, "k+", markersize=12, label="drawn with")
    right.set(title="maximum likelihood", xlabel="r", ylabel="p")
    right.legend(frameon=False)


EXAMPLE = Example(__file__, __doc__, work, picture, step="fit")

if __name__ == "__main__":
    main(EXAMPLE)
