"""A recurrent network learns the Zen of Python by heart, a character at a time.

One tanh layer that reads a character and its own last state; the loss runs through 25 characters of text, and so
does its gradient.

    python examples/rnn.py --compare
"""

import numpy
from _data import Alphabet, windows, zen
from _harness import Example, adam, main

import autograd_jit.numpy as np
from autograd_jit import value_and_grad
from autograd_jit.scipy.special import logsumexp

LENGTH = 25
HIDDEN = 60


def start(characters, hidden, random):
    """Small random weights; the first state is learned, too."""
    return {
        "state": numpy.zeros(hidden),
        "bias": numpy.zeros(hidden),
        "from character": random.normal(size=(characters, hidden)) * 0.3,
        "from state": random.normal(size=(hidden, hidden)) / (2 * hidden**0.5),
        "to character": random.normal(size=(hidden, characters)) * 0.1,
        "character bias": numpy.zeros(characters),
    }


def predictions(params, characters):
    """Log probabilities of each next character; ``characters``: (time, piece, character)."""
    state = np.tile(params["state"], (characters.shape[1], 1))
    answers = []
    for character in characters:
        read = np.dot(character, params["from character"]) + np.dot(state, params["from state"])
        state = np.tanh(read + params["bias"])
        scores = np.dot(state, params["to character"]) + params["character bias"]
        answers.append(scores - logsumexp(scores, axis=1, keepdims=True))
    return answers


def loss(params, text):
    """Bits a character, on average."""
    answers = predictions(params, text[:-1])
    likelihood = sum(np.sum(answer * target) for answer, target in zip(answers, text[1:]))
    return -likelihood / (np.log(2.0) * len(answers) * text.shape[1])


def rate(step):
    """It falls: under a constant one Adam soon moves where each step amplifies rounding, and no two runs end alike."""
    return 0.003 / (1 + step / 50)


def work(run):
    """A step uses the whole text."""
    text = zen()
    alphabet = Alphabet(text)
    pieces = windows(alphabet, text, run.pick(full=LENGTH, quick=12))
    slope = run.watch(value_and_grad(loss, jit=run.jit))
    begin = start(len(alphabet), run.pick(full=HIDDEN, quick=20), numpy.random.default_rng(0))
    losses, steps = [], run.pick(full=600, quick=40)
    for value, params in adam(lambda p, _: slope(p, pieces), begin, steps, rate):
        losses.append(value)
        yield value
    guessed = alphabet.text(numpy.array(predictions(params, pieces[:-1]))[:, 3])
    run.tell(f"{losses[0]:.2f} to {losses[-1]:.2f} bits a character; it is read")
    run.tell(f"  {alphabet.text(pieces[1:, 3])!r}\nand guesses, each from those before,\n  {guessed!r}")
    return losses


def picture(figure, losses):
    """The descent."""
    axis = figure.subplots()
    axis.plot(losses)
    axis.set(title="bits a character", xlabel="step")


EXAMPLE = Example(__file__, __doc__, work, picture)

if __name__ == "__main__":
    main(EXAMPLE)
