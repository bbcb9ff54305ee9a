"""A generative adversarial network: one network makes points, the other tries to tell them from real ones.

The real points lie on a ring of eight spots.  The generator turns noise into points and is rewarded for every one
that the discriminator takes for real; both are trained by Adam, in turns.

    python examples/generative_adversarial_network.py --compare
"""

from itertools import pairwise

import numpy
from _harness import Example, main

import autograd_jit.numpy as np
from autograd_jit import value_and_grad
from autograd_jit.misc import flatten
from autograd_jit.numpy import random as npr

SPOTS = 8
NOISE = 4


def network(params, inputs):
    """Layers of weights and biases with leaky rectifiers between them."""
    for weights, biases in params[:-1]:
        values = np.dot(inputs, weights) + biases
        inputs = np.maximum(values, 0.1 * values)
    weights, biases = params[-1]
    return np.dot(inputs, weights) + biases


def initial(sizes, random):
    return [(random.randn(m, n) * (1.5 / m) ** 0.5, numpy.zeros(n)) for m, n in pairwise(sizes)]


def discriminator_loss(discriminator, generator, real, noise):
    """Cross-entropy: real points should score high, made ones low; a small penalty keeps the slopes gentle."""
    made = network(generator, noise)
    right = np.mean(np.logaddexp(0.0, -network(discriminator, real)))
    wrong = np.mean(np.logaddexp(0.0, network(discriminator, made)))
    return right + wrong + 1e-3 * sum(np.sum(weights**2) for weights, _ in discriminator)


def generator_loss(generator, discriminator, noise):
    """Made points should score high."""
    return np.mean(np.logaddexp(0.0, -network(discriminator, network(generator, noise))))


def ring(count, random):
    """Real points: a spot each, and a little off its centre."""
    angles = 2 * np.pi * random.randint(SPOTS, size=count) / SPOTS
    return 2.0 * np.stack([np.cos(angles), np.sin(angles)], axis=1) + 0.1 * random.randn(count, 2)


class Adam:
    """Adam with the state of one player, on containers of arrays."""

    def __init__(self, params, rate):
        self.flat, self.unflatten = flatten(params)
        self.mean, self.square, self.rate, self.steps = 0.0, 0.0, rate, 0

    def step(self, slopes):
        """New parameters."""
        slope, self.steps = flatten(slopes)[0], self.steps + 1
        self.mean = 0.5 * self.mean + 0.5 * slope
        self.square = 0.99 * self.square + 0.01 * slope**2
        mean, square = self.mean / (1 - 0.5**self.steps), self.square / (1 - 0.99**self.steps)
        self.flat = self.flat - self.rate * mean / (numpy.sqrt(square) + 1e-8)
        return self.unflatten(self.flat)


def work(run):
    """A step is a move of each player."""
    hidden, batch = run.pick(full=(64, 128), quick=(16, 64))
    random = npr.RandomState(0)
    generator = initial((NOISE, hidden, hidden, 2), random)
    discriminator = initial((2, hidden, hidden, 1), random)
    criticise = run.watch(value_and_grad(discriminator_loss, jit=run.jit))
    improve = run.watch(value_and_grad(generator_loss, jit=run.jit))
    movers = Adam(discriminator, 2e-3), Adam(generator, 1e-3)
    for _ in range(run.pick(full=2000, quick=100)):
        noise = random.randn(batch, NOISE)
        critic_loss, slopes = criticise(discriminator, generator, ring(batch, random), noise)
        discriminator = movers[0].step(slopes)
        maker_loss, slopes = improve(generator, discriminator, noise)
        generator = movers[1].step(slopes)
        yield critic_loss, maker_loss
    run.tell(f"discriminator {critic_loss:.4f}, generator {maker_loss:.4f}")
    return generator, discriminator


def picture(figure, result):
    """Real and made points, over the discriminator's opinion."""
    generator, discriminator = result
    random = numpy.random.RandomState(1)
    grid = numpy.linspace(-3.5, 3.5, 150)
    places = numpy.stack(numpy.meshgrid(grid, grid), axis=-1)
    axis = figure.subplots()
    axis.contourf(grid, grid, network(discriminator, places)[..., 0], levels=20, cmap="Greys", alpha=0.5)
    axis.plot(*ring(500, random).T, ".", color="#1f5fa8", markersize=3, label="real")
    axis.plot(*network(generator, random.randn(500, NOISE)).T, ".", color="#d1495b", markersize=3, label="made")
    axis.set(aspect="equal", xlim=(-3.5, 3.5), ylim=(-3.5, 3.5))
    axis.legend(frameon=False)


EXAMPLE = Example(__file__, __doc__, work, picture, size=(6, 5.5))

if __name__ == "__main__":
    main(EXAMPLE)
