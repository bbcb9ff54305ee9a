"""Newton's method with an exact Hessian: logistic regression, at every strength of penalty and for every fold.

``hessian(loss, jit=True)`` is the whole matrix of second derivatives, so that each fit takes half a dozen steps to
machine precision.  Such speed is for fitting often: here forty strengths of penalty, each cross-validated five times,
on scikit-learn's 569 breast tumours.

    python examples/newton_method.py --compare
"""

import sys

import numpy
from _harness import Example, main

import autograd_jit.numpy as np
from autograd_jit import hessian, value_and_grad

try:
    from sklearn.datasets import load_breast_cancer
except ImportError:
    sys.exit("this example takes its data from scikit-learn: pip install scikit-learn")

FOLDS = 5


def load(features):
    """The first ``features`` features, standardised, after a column of ones; labels of plus and minus one."""
    inputs, labels = load_breast_cancer(return_X_y=True)
    inputs = inputs[:565, :features]
    inputs = (inputs - inputs.mean(axis=0)) / inputs.std(axis=0)
    return numpy.column_stack([numpy.ones(len(inputs)), inputs]), 2.0 * labels[:565] - 1.0


def misfit(weights, inputs, signs):
    """Mean logistic loss."""
    return np.mean(np.logaddexp(0.0, -signs * np.dot(inputs, weights)))


def loss(weights, penalty, inputs, signs):
    return misfit(weights, inputs, signs) + penalty * np.sum(weights[1:] ** 2)


def minimise(gradient, curvature, weights, *arguments):
    """Newton's method: full steps, halved as long as they do not lead downhill."""
    value, slope = gradient(weights, *arguments)
    steps = 0
    while steps < 50:
        steps += 1
        step = numpy.linalg.solve(curvature(weights, *arguments), slope)
        if slope @ step < 1e-12:
            break
        length = 1.0
        while (found := gradient(weights - length * step, *arguments))[0] > value:
            length /= 2
        weights, (value, slope) = weights - length * step, found
    return weights, value, steps


def work(run):
    """A step is a strength of penalty: a fit for each fold, starting from the fit at the strength before."""
    inputs, signs = load(run.pick(full=30, quick=8))
    gradient = run.watch(value_and_grad(loss, jit=run.jit))
    curvature = run.watch(hessian(loss, jit=run.jit))
    fold = numpy.arange(len(inputs)) % FOLDS
    parts = [(inputs[fold != k], signs[fold != k], inputs[fold == k], signs[fold == k]) for k in range(FOLDS)]
    weights = [numpy.zeros(inputs.shape[1])] * FOLDS
    penalties = numpy.geomspace(1.0, 1e-5, run.pick(full=40, quick=5))
    rows = []
    for penalty in penalties:
        values, errors, count = [], [], 0
        for k, (train, train_signs, test, test_signs) in enumerate(parts):
            weights[k], value, steps = minimise(gradient, curvature, weights[k], penalty, train, train_signs)
            values.append(value)
            errors.append(misfit(weights[k], test, test_signs))
            count += steps
        rows.append((numpy.mean(values), numpy.mean(errors)))
        run.tell(f"penalty {penalty:.1e}: loss {rows[-1][0]:.5f}, left out {rows[-1][1]:.5f}, {count} Newton steps")
        yield tuple(values)
    return penalties, numpy.array(rows), weights[0]


def picture(figure, result):
    """Loss on what was fitted and on what was left out."""
    penalties, rows, weights = result
    left, right = figure.subplots(1, 2)
    left.loglog(penalties, rows[:, 0], label="fitted, with penalty")
    left.loglog(penalties, rows[:, 1], label="left out")
    left.set(xlabel="penalty", title="five-fold cross-validation")
    left.legend(frameon=False)
    right.bar(numpy.arange(len(weights)), weights)
    right.set(title="weights at the weakest penalty", xlabel="feature")


EXAMPLE = Example(__file__, __doc__, work, picture, size=(10, 4.5), step="strength")

if __name__ == "__main__":
    main(EXAMPLE)
