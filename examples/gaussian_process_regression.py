"""Gaussian process regression: the length scale of every feature, learnt from the marginal likelihood.

How fast does the course of diabetes change with age, blood pressure, each of six serum measurements?  A short length
scale says fast, a long one that the feature hardly matters.  Twelve numbers are fitted by SciPy's L-BFGS on
scikit-learn's 442 patients, and tested by cross-validation.

    python examples/gaussian_process_regression.py --compare
"""

import sys

import numpy
from _gaussian_process import log_likelihood, predict
from _harness import Example, main
from scipy.optimize import minimize

from autograd_jit import value_and_grad
from autograd_jit.misc import flatten

try:
    from sklearn.datasets import load_diabetes
except ImportError:
    sys.exit("this example takes its data from scikit-learn: pip install scikit-learn")

FEATURES = "age sex bmi pressure s1 s2 s3 s4 s5 s6".split()


def load(count):
    """``count`` patients, everything standardised."""
    inputs, targets = load_diabetes(return_X_y=True)
    chosen = numpy.random.RandomState(0).permutation(len(inputs))[:count]
    inputs, targets = inputs[chosen], targets[chosen]
    return (inputs - inputs.mean(axis=0)) / inputs.std(axis=0), (targets - targets.mean()) / targets.std()


def work(run):
    """A step is a part left out: fit on the rest, predict it."""
    inputs, targets = load(run.pick(full=120, quick=60))
    parts, evaluations = run.pick(full=(6, 60), quick=(4, 10))
    start, unflatten = flatten({"log_amplitude": 0.0, "log_lengths": numpy.ones(10), "log_noise": -0.5})
    left_out = numpy.arange(len(targets)) % parts
    predictions, fitted = numpy.zeros(len(targets)), []
    for part in range(parts):
        train, test = left_out != part, left_out == part
        train_inputs, train_targets = inputs[train], targets[train]

        def loss(vector, inputs, targets):
            return -log_likelihood(unflatten(vector), inputs, targets)

        objective = run.watch(value_and_grad(loss, jit=run.jit))
        found = minimize(
            objective,
            start,
            (train_inputs, train_targets),
            jac=True,
            method="L-BFGS-B",
            options={"maxfun": evaluations},
        )
        fitted.append(unflatten(found.x))
        predictions[test], _ = predict(fitted[-1], train_inputs, train_targets, inputs[test])
        error = float(numpy.mean((predictions[test] - targets[test]) ** 2))
        run.tell(f"part {part}: minus log likelihood {found.fun:.3f}, squared error {error:.3f}")
        yield found.fun, error
    return targets, predictions, numpy.exp([each["log_lengths"] for each in fitted])


def picture(figure, result):
    """Predicted against measured, and the length scales."""
    targets, predictions, lengths = result
    left, right = figure.subplots(1, 2)
    left.plot(targets, predictions, ".", color="#1f5fa8")
    left.set(title="progression, each patient left out once", xlabel="measured", ylabel="predicted")
    right.boxplot(1.0 / lengths, tick_labels=FEATURES)
    right.set(title="how fast it changes with", ylabel="1 / length scale")


EXAMPLE = Example(__file__, __doc__, work, picture, size=(10, 4.5), step="part")

if __name__ == "__main__":
    main(EXAMPLE)
