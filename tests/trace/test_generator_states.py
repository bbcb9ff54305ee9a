"""Draws from the global random generators that the recorder does not see: the function stays interpreted."""

import random

import numpy as np
import pytest

from autograd_jit import jit
from autograd_jit.errors import FallbackWarning
from autograd_jit.trace import generator_states
from autograd_jit.trace.captures import scan
from autograd_jit.trace.generator_states import GeneratorStates
from autograd_jit.trace.recorder import Recorder


def plain(x):
    return x


@pytest.fixture(autouse=True)
def states_put_back():
    before = np.random.get_state(), random.getstate()
    np.random.seed(0), random.seed(0)
    yield
    np.random.set_state(before[0]), random.setstate(before[1])


def second_normal():
    """NumPy makes two normal numbers at a time: this one comes out of its pocket."""
    np.random.normal()
    states = GeneratorStates(scan(plain), [])
    np.random.normal()
    return states


DRAWS = {
    "numpy": lambda: np.random.uniform(),
    "numpy, normal": lambda: np.random.normal(),
    "random": lambda: random.random(),
    "random, gauss": lambda: random.gauss(0, 1),
}


@pytest.mark.parametrize("name", DRAWS)
def test_draws_are_noticed_and_taken_back(name):
    states = GeneratorStates(scan(plain), [])
    assert states.moved(Recorder("test")) is None
    first = DRAWS[name]()
    assert "random" in states.moved(Recorder("test"))
    states.restore()
    assert states.moved(Recorder("test")) is None
    assert DRAWS[name]() == first


def test_a_draw_that_leaves_the_words_of_the_generator_alone():
    assert "numpy" in second_normal().moved(Recorder("test"))


def test_a_state_that_differs_in_what_the_generator_has_in_its_pocket_alone():
    """The words are the same behind one normal number of a seed and behind two."""
    np.random.seed(5)
    np.random.normal(), np.random.normal()
    states = GeneratorStates(scan(plain), [])
    np.random.seed(5)
    np.random.normal()
    assert "numpy" in states.moved(Recorder("test"))


def test_a_second_gauss_of_python():
    random.gauss(0, 1)
    states = GeneratorStates(scan(plain), [])
    random.gauss(0, 1)  # kept from the call before
    assert "random module" in states.moved(Recorder("test"))


def test_another_bit_generator_is_looked_at_by_its_state():
    before = np.random.get_bit_generator()
    np.random.set_bit_generator(np.random.PCG64(3))
    try:
        assert generator_states._memory_of_global_ones() is None
        states = GeneratorStates(scan(plain), [])
        assert states.moved(Recorder("test")) is None
        np.random.uniform()
        assert "numpy" in states.moved(Recorder("test"))
    finally:
        np.random.set_bit_generator(before)


def test_the_memory_tells_in_this_python():
    """Where it does not, states are compared, which takes longer."""
    assert generator_states._memory_tells()


def test_a_function_that_draws_out_of_sight_runs_interpreted():
    draw = {"it": random.random}

    def noisy(x):
        return x * draw["it"]()

    function = jit(noisy)
    with pytest.warns(FallbackWarning):
        answers = [function(1.0) for _ in range(3)]
    random.seed(0)
    assert answers == [random.random() for _ in range(3)]
