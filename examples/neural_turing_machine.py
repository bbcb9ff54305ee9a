"""A neural Turing machine learns to copy: a memory addressed by content and by place, trained by its gradient.

It reads a few random words of bits, and then has to say them again.  A small tanh network steers a head that reads
and writes the memory: it looks for a key, blends what it finds with where it was, shifts and sharpens (A. Graves,
G. Wayne, I. Danihelka, arXiv:1410.5401).

    python examples/neural_turing_machine.py --compare
"""

import numpy
from _harness import Example, adam, main

import autograd_jit.numpy as np
from autograd_jit import value_and_grad

BITS, WORDS = 4, 4
PLACES, WIDTH, HIDDEN, BATCH = 12, 8, 40, 20

#: what the network says at each step, and how many numbers that takes
OUTPUTS = {
    "key": WIDTH,
    "erase": WIDTH,
    "add": WIDTH,
    "strength": 1,
    "gate": 1,
    "shift": 3,
    "sharpness": 1,
    "bits": BITS,
}


def start(random):
    """Small random weights, the first reading and the first address."""
    inputs = BITS + 1 + WIDTH
    params = {name: random.normal(size=(HIDDEN + 1, size)) * 0.1 for name, size in OUTPUTS.items()}
    params["hidden"] = random.normal(size=(inputs + 1, HIDDEN)) / inputs**0.5
    params["memory"] = random.normal(size=(PLACES, WIDTH)) * 0.1
    params["reading"] = random.normal(size=WIDTH) * 0.1
    params["address"] = random.normal(size=PLACES)
    return params


def sigmoid(x):
    """Between 0 and 1, without overflow."""
    return 0.5 * (np.tanh(0.5 * x) + 1.0)


def softplus(x):
    """Positive."""
    return np.logaddexp(0.0, x)


def softmax(x):
    """Positive, with sum 1 in each row."""
    powers = np.exp(x - np.max(x, axis=1, keepdims=True))
    return powers / np.sum(powers, axis=1, keepdims=True)


def affine(weights, *parts):
    """A linear layer over several inputs side by side and a constant."""
    return np.dot(np.concatenate(parts + (np.ones((parts[0].shape[0], 1)),), axis=1), weights)


def similarity(memory, key):
    """Cosine of the angle between the key and each place."""
    product = np.sum(memory * key[:, None, :], axis=2)
    return product / (np.sqrt(np.sum(memory**2, axis=2) * np.sum(key**2, axis=1, keepdims=True)) + 1e-6)


def turn(address, shift):
    """The address moved one place back, not at all or one place on, in those shares."""
    return sum(shift[:, k : k + 1] * np.roll(address, k - 1, axis=1) for k in range(3))


def move(memory, address, said):
    """The head's new address: a weight for each place."""
    found = softmax(softplus(said["strength"]) * similarity(memory, np.tanh(said["key"])))
    gate = sigmoid(said["gate"])
    blend = turn(gate * found + (1.0 - gate) * address, softmax(said["shift"]))
    sharp = (blend + 1e-9) ** (1.0 + softplus(said["sharpness"]))
    return sharp / np.sum(sharp, axis=1, keepdims=True)


def advance(params, memory, address, reading, word):
    """One step: steer, move, write, read."""
    hidden = np.tanh(affine(params["hidden"], word, reading))
    said = {name: affine(params[name], hidden) for name in OUTPUTS}
    address = move(memory, address, said)
    weight = address[:, :, None]
    memory = memory * (1.0 - weight * sigmoid(said["erase"])[:, None, :]) + weight * np.tanh(said["add"])[:, None, :]
    return memory, address, np.sum(weight * memory, axis=1), said["bits"]


def scores(params, words):
    """Logits of the bits said while no words come in; ``words``: (time, sequence, bits + 1)."""
    batch = words.shape[1]
    memory = np.tile(params["memory"], (batch, 1, 1))
    reading = np.tile(params["reading"], (batch, 1))
    address = np.tile(softmax(params["address"][None, :]), (batch, 1))
    answers = []
    for word in words:
        memory, address, reading, bits = advance(params, memory, address, reading, word)
        answers.append(bits)
    return np.stack(answers[len(words) // 2 :])


def loss(params, words, targets):
    """Bits missed for each bit asked."""
    answers = scores(params, words)
    return np.mean(softplus(answers) - targets * answers) / np.log(2.0)


def task(random, length):
    """Random words, a mark that asks for them, and silence in which to say them."""
    targets = random.integers(0, 2, (length, BATCH, BITS)).astype(float)
    words = numpy.zeros((2 * length, BATCH, BITS + 1))
    words[:length, :, :BITS] = targets
    words[length:, :, BITS] = 1.0
    return words, targets


def rate(step):
    """It falls; a constant one ends where each step amplifies rounding."""
    return 0.01 / (1 + step / 200)


def work(run):
    """A step is a minibatch of sequences never seen before."""
    random = numpy.random.default_rng(0)
    length = run.pick(full=WORDS, quick=3)
    slope = run.watch(value_and_grad(loss, jit=run.jit))
    losses, steps = [], run.pick(full=1500, quick=30)
    for value, params in adam(lambda p, _: slope(p, *task(random, length)), start(random), steps, rate):
        losses.append(value)
        yield value
    words, targets = task(random, length)
    answers = scores(params, words)
    run.tell(f"{numpy.mean((answers > 0) == targets):.1%} of the bits copied rightly")
    return losses, targets[:, 0], sigmoid(answers[:, 0])


def picture(figure, result):
    """The descent, and one sequence."""
    losses, targets, answers = result
    left, middle, right = figure.subplots(1, 3)
    left.plot(losses)
    left.set(title="loss a bit, in bits", xlabel="step")
    for axis, words, title in ((middle, targets, "words heard"), (right, answers, "words said")):
        axis.imshow(words.T, cmap="gray", vmin=0, vmax=1)
        axis.set(title=title, xlabel="time")
        axis.grid(False)


EXAMPLE = Example(__file__, __doc__, work, picture, size=(11, 4))

if __name__ == "__main__":
    main(EXAMPLE)
