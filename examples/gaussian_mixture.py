"""A mixture of Gaussians fitted by Newton's method with conjugate gradients, on Fisher's irises.

The mixture's likelihood is a hilly function of shares, means and covariances.  SciPy's Newton-CG follows it with
gradients and with products of the Hessian and a vector; neither the Hessian nor any formula for it is ever written
down.  Started from several places, because there are several maxima; no label is used.

    python examples/gaussian_mixture.py --compare
"""

import sys

import numpy
from _harness import Example, main
from scipy.optimize import minimize

import autograd_jit.numpy as np
from autograd_jit import grad, hessian_vector_product
from autograd_jit.misc import flatten
from autograd_jit.scipy.special import logsumexp

try:
    from sklearn.datasets import load_iris
except ImportError:
    sys.exit("this example takes its data from scikit-learn: pip install scikit-learn")

COMPONENTS = 3
LOWER = numpy.tri(4, k=-1)


def load():
    """The 150 flowers' four lengths, standardised, and their species."""
    points, species = load_iris(return_X_y=True)
    return (points - points.mean(axis=0)) / points.std(axis=0), species


def precision_factors(params):
    """Triangular factors of each component's inverse covariance."""
    return params["below"] * LOWER + np.exp(params["log_diagonal"])[:, :, None] * np.eye(4)


def log_components(params, points):
    """Log density of each point under each component, with the component's share: shape (points, components)."""
    shares = params["logits"] - logsumexp(params["logits"])
    apart = points[:, None, :] - params["means"]
    whitened = np.einsum("kij,nkj->nki", precision_factors(params), apart)
    densities = np.sum(params["log_diagonal"], axis=1) - 0.5 * np.sum(whitened**2, axis=2) - 2 * np.log(2 * np.pi)
    return shares + densities


def start(points, random):
    """Components of unit covariance on three of the points."""
    return {
        "logits": numpy.zeros(COMPONENTS),
        "means": points[random.permutation(len(points))[:COMPONENTS]],
        "log_diagonal": numpy.zeros((COMPONENTS, 4)),
        "below": numpy.zeros((COMPONENTS, 4, 4)),
    }


def work(run):
    """A step is a fit from one start."""
    points, species = load()
    random = numpy.random.RandomState(0)
    _, unflatten = flatten(start(points, random))

    def loss(vector):
        params = unflatten(vector)
        penalty = 0.02 * (np.sum(params["log_diagonal"] ** 2) + np.sum(params["below"] ** 2))
        penalty = penalty + 0.02 * np.sum(params["logits"] ** 2)
        return -np.mean(logsumexp(log_components(params, points), axis=1)) + penalty

    gradient = run.watch(grad(loss, jit=run.jit))
    product = run.watch(hessian_vector_product(loss, jit=run.jit))
    fits = []
    for number in range(run.pick(full=10, quick=3)):
        first, _ = flatten(start(points, random))
        options = {"maxiter": run.pick(full=50, quick=6)}
        found = minimize(loss, first, jac=gradient, hessp=product, method="Newton-CG", options=options)
        run.tell(
            f"start {number}: loss {found.fun:.6f} after {found.nit} steps, {found.nhev} products with the Hessian"
        )
        fits.append((found.fun, unflatten(found.x)))
        yield found.fun
    return points, species, min(fits, key=lambda fit: fit[0])[1]


def picture(figure, result):
    """Flowers as clustered, and as botanists have it."""
    points, species, params = result
    found = numpy.argmax(log_components(params, points), axis=1)
    for axis, colours, title in zip(figure.subplots(1, 2), [found, species], ["components found", "species"]):
        axis.scatter(points[:, 2], points[:, 1], c=colours, cmap="viridis", s=20)
        axis.set(title=title, xlabel="petal length", ylabel="sepal width")
    covariances = numpy.linalg.inv(numpy.einsum("kij,kil->kjl", *[precision_factors(params)] * 2))
    circle = numpy.stack([numpy.cos(numpy.linspace(0, 7, 100)), numpy.sin(numpy.linspace(0, 7, 100))])
    for mean, covariance in zip(params["means"], covariances):
        factor = numpy.linalg.cholesky(covariance[numpy.ix_([2, 1], [2, 1])])
        figure.axes[0].plot(*(mean[[2, 1], None] + 2 * factor @ circle), color="#d1495b", linewidth=1)


EXAMPLE = Example(__file__, __doc__, work, picture, size=(10, 4.5), step="fit")

if __name__ == "__main__":
    main(EXAMPLE)
