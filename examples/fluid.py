"""Back-propagation through a fluid: which way must smoke be blown so that it becomes a ring?

A bar of smoke lies in a square of fluid that wraps around at its sides.  Each time step carries velocity and smoke
along the flow (J. Stam, "Stable fluids", 1999) and takes out of the velocity what compresses the fluid.  The loss
compares the smoke at the end with a picture; its gradient runs back through all time steps to the velocity at the
beginning.

    python examples/fluid.py --compare
"""

import numpy
from _harness import Example, adam, main

import autograd_jit.numpy as np
from autograd_jit import value_and_grad

ROUNDS = 10


def divergence_free(vx, vy):
    """The velocity without its compressing part, by some rounds of Jacobi's method for the pressure."""
    flux = -0.5 * (np.roll(vx, -1, axis=1) - np.roll(vx, 1, axis=1) + np.roll(vy, -1, axis=0) - np.roll(vy, 1, axis=0))
    pressure = np.zeros(flux.shape)
    for _ in range(ROUNDS):
        beside = np.roll(pressure, 1, axis=1) + np.roll(pressure, -1, axis=1)
        above = np.roll(pressure, 1, axis=0) + np.roll(pressure, -1, axis=0)
        pressure = (flux + beside + above) / 4.0
    vx = vx - 0.5 * (np.roll(pressure, -1, axis=1) - np.roll(pressure, 1, axis=1))
    vy = vy - 0.5 * (np.roll(pressure, -1, axis=0) - np.roll(pressure, 1, axis=0))
    return vx, vy


def advect(field, vx, vy):
    """The field carried along: at each cell what was upstream of it, interpolated between four cells."""
    rows, columns = field.shape
    y, x = np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij")
    from_x, from_y = np.ravel(x - vx), np.ravel(y - vy)
    left, top = np.floor(from_x), np.floor(from_y)
    right_share, bottom_share = from_x - left, from_y - top
    left, top = np.mod(left.astype(int), columns), np.mod(top.astype(int), rows)
    right, bottom = np.mod(left + 1, columns), np.mod(top + 1, rows)
    upper = (1.0 - right_share) * field[top, left] + right_share * field[top, right]
    lower = (1.0 - right_share) * field[bottom, left] + right_share * field[bottom, right]
    return np.reshape((1.0 - bottom_share) * upper + bottom_share * lower, (rows, columns))


def simulate(vx, vy, smoke, steps):
    """All pictures of the smoke, the first before anything has moved."""
    pictures = [smoke]
    for _ in range(steps):
        vx, vy = advect(vx, vx, vy), advect(vy, vx, vy)
        vx, vy = divergence_free(vx, vy)
        smoke = advect(smoke, vx, vy)
        pictures.append(smoke)
    return pictures


def bar(size):
    """Smoke to begin with: a horizontal bar."""
    y, x = numpy.mgrid[:size, :size] / size - 0.5
    return 1.0 / (1.0 + numpy.exp(60.0 * (abs(y) - 0.12))) / (1.0 + numpy.exp(60.0 * (abs(x) - 0.35)))


def ring(size):
    """Smoke wished for."""
    y, x = numpy.mgrid[:size, :size] / size - 0.5
    return numpy.exp(-(((numpy.hypot(x, y) - 0.25) / 0.07) ** 2))


def work(run):
    """A step of Adam on the velocity at the beginning."""
    size, steps = run.pick(full=(40, 20), quick=(16, 6))
    smoke, target = bar(size), ring(size)

    def loss(velocity):
        vx, vy = divergence_free(*velocity)
        return np.mean((simulate(vx, vy, smoke, steps)[-1] - target) ** 2)

    gradient = run.watch(value_and_grad(loss, jit=run.jit))
    start = 0.01 * numpy.random.default_rng(0).normal(size=(2, size, size))
    losses = []
    for value, velocity in adam(lambda v, _: gradient(v), start, run.pick(full=150, quick=10), rate=0.02):
        losses.append(value)
        yield value
    run.tell(f"mean squared difference {losses[0]:.5f} to {losses[-1]:.5f}")
    return velocity, simulate(*divergence_free(*velocity), smoke, steps), target


def picture(figure, result):
    """The velocity found, five moments, and the ring."""
    velocity, pictures, target = result
    axes = figure.subplots(1, 7)
    axes[0].quiver(*(part[::2, ::2] for part in velocity), angles="xy")
    axes[0].invert_yaxis()
    axes[0].set(title="velocity", aspect="equal")
    moments = [round(place * (len(pictures) - 1) / 4) for place in range(5)]
    for axis, moment in zip(axes[1:], moments):
        axis.imshow(pictures[moment], vmin=0, vmax=1, cmap="magma")
        axis.set_title(f"after {moment}")
    axes[-1].imshow(target, vmin=0, vmax=1, cmap="magma")
    axes[-1].set_title("wished for")
    for axis in axes:
        axis.axis("off")


EXAMPLE = Example(__file__, __doc__, work, picture, size=(14, 2.4))

if __name__ == "__main__":
    main(EXAMPLE)
