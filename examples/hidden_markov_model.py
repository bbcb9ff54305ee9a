"""A hidden Markov model that tells vowels from consonants by itself: expectation-maximisation through gradients.

The log of the probability of a text, summed over all ways in which hidden states could have produced it, is one
forward recursion.  Its gradient with respect to the logarithms of the model's probabilities is how often each is
expected to have been used; normalise those counts, and that is a step of expectation-maximisation.  No backward
recursion is written.  The text is Python's own documentation, out of the standard library.

    python examples/hidden_markov_model.py --compare
"""

import string
from pydoc_data import topics

import numpy
from _harness import Example, main

import autograd_jit.numpy as np
from autograd_jit import value_and_grad
from autograd_jit.scipy.special import logsumexp

SYMBOLS = string.ascii_lowercase + " "
STATES = 2
LENGTH = 60


def load(pieces):
    """``pieces`` pieces of text as numbers of letters, everything between words as one space."""
    text = " ".join(topics.topics.values()).lower()
    words = "".join(letter if letter in SYMBOLS else " " for letter in text).split()
    letters = " ".join(words)[: pieces * LENGTH]
    return numpy.array([SYMBOLS.index(letter) for letter in letters]).reshape(pieces, LENGTH)


def log_probability(model, letters):
    """Log probability of all pieces; ``model`` holds the logarithms of start, transition and emission."""
    start, transition, emission = model
    messages = start + emission[:, letters[:, 0]].T
    for place in range(1, LENGTH):
        messages = logsumexp(messages[:, :, None] + transition, axis=1) + emission[:, letters[:, place]].T
    return np.sum(logsumexp(messages, axis=1))


def normalised(counts):
    """Logarithms of the shares in each row."""
    return numpy.log(counts / counts.sum(axis=-1, keepdims=True))


def first_model():
    """Nearly uniform probabilities. There are several maxima; this start leads to the best one of eight tried."""
    random = numpy.random.RandomState(3)
    shapes = (STATES,), (STATES, STATES), (STATES, len(SYMBOLS))
    return tuple(normalised(1.0 + random.rand(*shape)) for shape in shapes)


def work(run):
    """A step is one of expectation-maximisation."""
    letters = load(run.pick(full=200, quick=30))
    expected_counts = run.watch(value_and_grad(log_probability, jit=run.jit))
    model = first_model()
    for _ in range(run.pick(full=200, quick=15)):
        value, counts = expected_counts(model, letters)
        model = tuple(normalised(each + 1e-10) for each in counts)
        yield value / letters.size
    emission = model[2]
    for state in range(STATES):
        likely = [letter for letter, other in zip(SYMBOLS, emission.T) if letter != " " and other.argmax() == state]
        run.tell(f"state {state}: {''.join(likely)}")
    return model


def picture(figure, model):
    """How likely each letter is in each state."""
    axis = figure.subplots()
    places = numpy.arange(len(SYMBOLS))
    for state, row in enumerate(numpy.exp(model[2])):
        axis.bar(places + 0.4 * state - 0.2, row, 0.4, label=f"state {state}")
    axis.set_xticks(places, list(SYMBOLS[:-1]) + ["␣"])
    axis.set(title="share of each letter in each hidden state")
    axis.legend(frameon=False)


EXAMPLE = Example(__file__, __doc__, work, picture)

if __name__ == "__main__":
    main(EXAMPLE)
