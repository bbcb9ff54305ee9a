"""A long short-term memory learns English from Python's manual, a character at a time.

Its text is what ``help()`` says about the language.  Minibatches of thirty pieces of thirty characters; what it has
learned in the end, it is let write.

    python examples/lstm.py --compare
"""

from itertools import pairwise

import numpy
from _data import Alphabet, manual, windows
from _harness import Example, adam, main

import autograd_jit.numpy as np
from autograd_jit import value_and_grad
from autograd_jit.scipy.special import logsumexp

GATES = ("forget", "ingate", "change", "outgate")
LENGTH, PIECES, HIDDEN = 30, 30, 64


def start(characters, hidden, random):
    """Weights of the four gates, of state and output."""
    inputs = characters + hidden + 1
    params = {gate: random.normal(size=(inputs, hidden)) / inputs**0.5 for gate in GATES}
    params["predict"] = random.normal(size=(hidden + 1, characters)) * 0.1
    params["output"], params["cell"] = random.normal(size=(1, hidden)) * 0.1, random.normal(size=(1, hidden)) * 0.1
    return params


def sigmoid(x):
    """Between 0 and 1, without overflow."""
    return 0.5 * (np.tanh(0.5 * x) + 1.0)


def affine(weights, *parts):
    """A linear layer over several inputs side by side and a constant."""
    return np.dot(np.hstack(parts + (np.ones((parts[0].shape[0], 1)),)), weights)


def advance(params, character, output, cell):
    """New output and cell state, having read a character."""
    gate = {name: affine(params[name], character, output) for name in GATES}
    cell = sigmoid(gate["forget"]) * cell + sigmoid(gate["ingate"]) * np.tanh(gate["change"])
    return sigmoid(gate["outgate"]) * np.tanh(cell), cell


def predict(params, output):
    """Log probabilities of the next character."""
    scores = affine(params["predict"], output)
    return scores - logsumexp(scores, axis=1, keepdims=True)


def loss(params, text):
    """Bits a character; ``text``: (time, piece, character)."""
    pieces = text.shape[1]
    output, cell = np.repeat(np.tanh(params["output"]), pieces, axis=0), np.repeat(params["cell"], pieces, axis=0)
    likelihood = 0.0
    for character, target in pairwise(text):
        output, cell = advance(params, character, output, cell)
        likelihood += np.sum(predict(params, output) * target)
    return -likelihood / (np.log(2.0) * pieces * (len(text) - 1))


def write(params, alphabet, length, random):
    """Text of the network's own, each character drawn as likely as it says."""
    output, cell, text = np.tanh(params["output"]), params["cell"], ""
    for _ in range(length):
        chances = numpy.exp(predict(params, output)[0])
        number = random.choice(len(alphabet), p=chances / chances.sum())
        text += alphabet.characters[number]
        output, cell = advance(params, numpy.eye(len(alphabet))[[number]], output, cell)
    return text


def work(run):
    """A step is a minibatch, in the text's order."""
    random = numpy.random.default_rng(0)
    text = manual()[: run.pick(full=40_000, quick=4_000)]
    alphabet = Alphabet(text)
    pieces = windows(alphabet, text, run.pick(full=LENGTH, quick=10))
    batches = pieces.shape[1] // PIECES
    slope = run.watch(value_and_grad(loss, jit=run.jit))

    def gradient(params, step):
        first = step % batches * PIECES
        return slope(params, pieces[:, first : first + PIECES])

    losses, steps = [], run.pick(full=600, quick=30)
    begin = start(len(alphabet), run.pick(full=HIDDEN, quick=24), random)
    for value, params in adam(gradient, begin, steps, rate=0.01):
        losses.append(value)
        yield value
    run.tell(f"{losses[0]:.2f} to {losses[-1]:.2f} bits a character; it writes\n")
    run.tell(write(params, alphabet, 300, random))
    return losses


def picture(figure, losses):
    """The descent."""
    axis = figure.subplots()
    axis.plot(losses)
    axis.set(title="bits a character", xlabel="step")


EXAMPLE = Example(__file__, __doc__, work, picture)

if __name__ == "__main__":
    main(EXAMPLE)
