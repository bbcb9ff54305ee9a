"""A no-U-turn sampler on a hierarchical model: eight schools, and hundreds of thousands of small gradients.

Eight schools tried a coaching programme (Rubin 1981); how much of the difference between them is chance?  The
posterior of the schools' effects, their mean and their spread is explored by Hamiltonian trajectories that go on
until they turn back (Hoffman and Gelman, arXiv:1111.4246).  The model has ten numbers, so that all the time goes
where a loop of small gradients spends it.

    python examples/hierarchical_sampler.py --compare
"""

import numpy
from _harness import Example, main

import autograd_jit.numpy as np
from autograd_jit import value_and_grad

EFFECTS = numpy.array([28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0])
ERRORS = numpy.array([15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0])
MAX_DEPTH = 8
TARGET = 0.8
DIGITS = 6  # a chain multiplies a difference in the last bit by some factor with every sample; rounded, it forgets it


def log_posterior(position):
    """Mean, logarithm of the spread, and each school's effect in units of the spread, about the mean."""
    mean, log_spread, apart = position[0], position[1], position[2:]
    spread = np.exp(log_spread)
    fit = -0.5 * np.sum(((EFFECTS - mean - spread * apart) / ERRORS) ** 2)
    prior = -0.5 * np.sum(apart**2) - 0.5 * (mean / 20.0) ** 2 - np.log(1.0 + (spread / 10.0) ** 2)
    return fit + prior + log_spread


class Sampler:
    """The state of one chain: where it is, how long its steps are, its random stream."""

    def __init__(self, gradient, start, random):
        self.gradient, self.random = gradient, random
        self.position = start
        self.density, self.slope = gradient(start)
        self.gradients = 1
        self.log_step, self.log_step_mean, self.error, self.count = numpy.log(0.3), 0.0, 0.0, 0

    def leap(self, position, momentum, slope, step):
        """One leapfrog step."""
        momentum = momentum + 0.5 * step * slope
        position = position + step * momentum
        density, slope = self.gradient(position)
        self.gradients += 1
        return position, momentum + 0.5 * step * slope, density, slope

    def grow(self, state, direction, depth, energy, step):
        """A subtree of ``2**depth`` steps from ``state`` on.

        Gives (last state, first state, sample, log weight, whether to go on, sum of acceptances, number of steps).
        A state is (position, momentum, density, slope).
        """
        if depth == 0:
            new = self.leap(state[0], state[1], state[3], direction * step)
            weight = new[2] - 0.5 * numpy.dot(new[1], new[1]) - energy
            accepted = min(1.0, numpy.exp(weight)) if weight < 0 else 1.0
            return new, new, new, weight, weight > -1000.0, accepted, 1
        last, first, sample, weight, going, accepted, steps = self.grow(state, direction, depth - 1, energy, step)
        if not going:
            return last, first, sample, weight, going, accepted, steps
        last, _, other, other_weight, going, *counts = self.grow(last, direction, depth - 1, energy, step)
        total = numpy.logaddexp(weight, other_weight)
        if numpy.log(self.random.rand()) < other_weight - total:
            sample = other
        going = going and not turned(first, last, direction)
        return last, first, sample, total, going, accepted + counts[0], steps + counts[1]

    def sample(self, step):
        """A new position: the trajectory is doubled, forwards or backwards, until it turns."""
        momentum = self.random.randn(len(self.position))
        energy = self.density - 0.5 * numpy.dot(momentum, momentum)
        sample = state = self.position, momentum, self.density, self.slope
        ends = {1.0: state, -1.0: state}
        weight, acceptance, steps = 0.0, 0.0, 0
        for depth in range(MAX_DEPTH):
            direction = 1.0 if self.random.rand() < 0.5 else -1.0
            last, _, other, other_weight, going, accepted, count = self.grow(
                ends[direction], direction, depth, energy, step
            )
            ends[direction], acceptance, steps = last, acceptance + accepted, steps + count
            if going and numpy.log(self.random.rand()) < other_weight - weight:
                sample = other
            if not going or turned(ends[-1.0], ends[1.0], 1.0):
                break
            weight = numpy.logaddexp(weight, other_weight)
        self.position = numpy.round(sample[0], DIGITS)
        self.density, self.slope = self.gradient(self.position)
        self.gradients += 1
        return round(acceptance / steps, DIGITS)

    def adapt(self, acceptance):
        """Dual averaging of the step's length towards the target acceptance."""
        self.count += 1
        share = 1.0 / (self.count + 10.0)
        self.error = (1.0 - share) * self.error + share * (TARGET - acceptance)
        self.log_step = numpy.log(3.0) - self.error * self.count**0.5 / 0.05
        share = self.count**-0.75
        self.log_step_mean = share * self.log_step + (1.0 - share) * self.log_step_mean


def turned(first, last, direction):
    """Whether the ends of a trajectory have begun to come nearer to each other."""
    between = direction * (last[0] - first[0])
    return numpy.dot(between, first[1]) < 0 or numpy.dot(between, last[1]) < 0


def work(run):
    """A step is a sample; the first fifth adapts the step's length and is thrown away."""
    gradient = run.watch(value_and_grad(log_posterior, jit=run.jit))
    sampler = Sampler(gradient, numpy.zeros(2 + len(EFFECTS)), numpy.random.RandomState(0))
    samples = run.pick(full=5000, quick=100)
    warm_up = samples // 5
    draws = []
    for number in range(samples):
        step = numpy.exp(sampler.log_step if number < warm_up else sampler.log_step_mean)
        acceptance = sampler.sample(step)
        if number < warm_up:
            sampler.adapt(acceptance)
        else:
            draws.append(sampler.position)
        yield float(sampler.density), *sampler.position
    draws = numpy.array(draws)
    spread = numpy.exp(draws[:, 1])
    run.tell(
        f"{sampler.gradients} gradients, step {step:.3f}, "
        f"mean effect {draws[:, 0].mean():.2f}, spread {spread.mean():.2f}"
    )
    return draws[:, :1] + spread[:, None] * draws[:, 2:], draws


def picture(figure, result):
    """Effects beside what was measured, and the funnel."""
    effects, draws = result
    left, right = figure.subplots(1, 2)
    schools = numpy.arange(len(EFFECTS))
    left.errorbar(schools - 0.1, EFFECTS, ERRORS, fmt="o", label="measured")
    left.errorbar(schools + 0.1, effects.mean(axis=0), effects.std(axis=0), fmt="o", label="posterior")
    left.set_xticks(schools, "ABCDEFGH")
    left.set(title="effect of coaching in each school")
    left.legend(frameon=False)
    right.plot(effects[:, 0], draws[:, 1], ".", markersize=2, alpha=0.5)
    right.set(title="why it is hard", xlabel="effect in school A", ylabel="log spread")


EXAMPLE = Example(__file__, __doc__, work, picture, size=(10, 4.5), step="sample")

if __name__ == "__main__":
    main(EXAMPLE)
