"""The wing: an obstacle in a wind tunnel, shaped by its gradient until it lifts much and drags little.

The fluid of ``fluid.py`` with something in its way: each cell is solid to a degree between 0 and 1, and solid cells
stop the flow.  Lift and drag are the momentum that the flow loses downwards and forwards; their ratio is maximised over
the solidity of all cells in a box in the middle.

    python examples/wing.py --compare
"""

import numpy
from _harness import Example, adam, main
from fluid import advect

import autograd_jit.numpy as np
from autograd_jit import value_and_grad

WIND = 1.0


def incompressible(vx, vy, solid, rounds):
    """The velocity without its compressing part; none inside the obstacle."""
    flux = -0.5 * (np.roll(vx, -1, axis=1) - np.roll(vx, 1, axis=1) + np.roll(vy, -1, axis=0) - np.roll(vy, 1, axis=0))
    pressure = np.zeros(flux.shape)
    for _ in range(rounds):
        beside = np.roll(pressure, 1, axis=1) + np.roll(pressure, -1, axis=1)
        above = np.roll(pressure, 1, axis=0) + np.roll(pressure, -1, axis=0)
        pressure = (flux + beside + above) / 4.0
    vx = vx - 0.5 * (np.roll(pressure, -1, axis=1) - np.roll(pressure, 1, axis=1))
    vy = vy - 0.5 * (np.roll(pressure, -1, axis=0) - np.roll(pressure, 1, axis=0))
    return vx * (1.0 - solid), vy * (1.0 - solid)


def with_wind(vx, vy):
    """The wind blows in at the left, whatever the flow does there."""
    inlet = np.arange(vx.shape[1]) < 1
    return np.where(inlet, WIND, vx), np.where(inlet, 0.0, vy)


def simulate(flow, smoke, solid, steps, rounds):
    """The flow after some time steps, and the smoke lines that it draws; ``smoke`` comes in at the left."""
    vx, vy = flow
    stripes, upstream = smoke, np.arange(smoke.shape[1]) < 2
    vx, vy = vx * (1.0 - solid), vy * (1.0 - solid)
    for _ in range(steps):
        vx, vy = advect(vx, vx, vy), advect(vy, vx, vy)
        vx, vy = with_wind(*incompressible(vx, vy, solid, rounds))
        smoke = np.where(upstream, stripes, advect(smoke, vx, vy))
    return vx, vy, smoke


def solidity(params, box):
    """Between 0 and 1 in the box, 0 outside."""
    inside = 0.5 * (np.tanh(0.5 * params) + 1.0)
    return np.pad(inside, box)


def lift_and_drag(vx, vy):
    """Momentum pushed down and held back, a cell."""
    return np.mean(vy), np.mean(WIND - vx)


def work(run):
    """A step of Adam on the solidity."""
    rows, columns, steps, rounds = run.pick(full=(24, 44, 20, 10), quick=(12, 20, 5, 4))
    box = ((rows // 3, rows - 2 * (rows // 3)), (columns // 4, columns // 4))
    shape = (rows - sum(box[0]), columns - sum(box[1]))
    flow = numpy.stack([numpy.full((rows, columns), WIND), numpy.zeros((rows, columns))])
    smoke = numpy.repeat(numpy.arange(rows)[:, None] // 2 % 2, columns, axis=1).astype(float)

    def loss(params):
        solid = solidity(params, box)
        vx, vy, _ = simulate(flow, smoke, solid, steps, rounds)
        lift, drag = lift_and_drag(vx, vy)
        return -lift / (drag + 0.01)

    gradient = run.watch(value_and_grad(loss, jit=run.jit))
    start = -2.0 + 0.1 * numpy.random.default_rng(0).normal(size=shape)
    losses = []
    for value, params in adam(lambda p, _: gradient(p), start, run.pick(full=150, quick=10), rate=0.05):
        losses.append(value)
        yield value
    run.tell(f"lift over drag {-losses[0]:.3f} to {-losses[-1]:.3f}")
    solid = solidity(params, box)
    return losses, solid, simulate(flow, smoke, solid, steps, rounds)


def picture(figure, result):
    """The wing, the flow around it, the ascent."""
    losses, solid, (vx, vy, smoke) = result
    left, middle, right = figure.subplots(1, 3)
    left.imshow(solid, cmap="gray_r", vmin=0, vmax=1)
    left.set_title("solidity")
    middle.imshow(smoke * (1.0 - solid), cmap="magma")
    middle.quiver(
        *(part[::2, ::2] for part in (*numpy.meshgrid(*map(numpy.arange, vx.shape[::-1])), vx, -vy)), color="w"
    )
    middle.set_title("smoke and velocity")
    for axis in (left, middle):
        axis.axis("off")
    right.plot([-value for value in losses])
    right.set(title="lift over drag", xlabel="step")


EXAMPLE = Example(__file__, __doc__, work, picture, size=(13, 3.2))

if __name__ == "__main__":
    main(EXAMPLE)
