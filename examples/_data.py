"""Data that the examples learn from: only what installed packages ship."""

import contextlib
import functools
import io
import sys

import numpy


@functools.cache
def scikit_learn(name):
    """``(features, labels)`` of one of scikit-learn's small data sets: ``digits``, ``breast_cancer``, ..."""
    try:
        from sklearn import datasets
    except ImportError:
        sys.exit(f"this example learns from the {name} data that scikit-learn ships (pip install scikit-learn)")
    return getattr(datasets, f"load_{name}")(return_X_y=True)


def digits():
    """The 1,797 images of 8x8 pixels, scaled to 0..1, as rows, and their labels as rows with a single 1."""
    images, labels = scikit_learn("digits")
    return images / 16.0, numpy.eye(10)[labels]


def standardised(features):
    """Columns with mean 0 and standard deviation 1."""
    return (features - features.mean(axis=0)) / features.std(axis=0)


def zen():
    """The twenty lines that ``import this`` prints."""
    with contextlib.redirect_stdout(io.StringIO()):
        import this
    return "".join(this.d.get(letter, letter) for letter in this.s)


def manual():
    """English prose: what Python's ``help()`` says about the language."""
    from pydoc_data.topics import topics

    return "\n".join(topics[name] for name in sorted(topics))


class Alphabet:
    """The characters of a text, numbered."""

    def __init__(self, text):
        self.characters = sorted(set(text))
        self.numbers = {character: number for number, character in enumerate(self.characters)}

    def __len__(self):
        return len(self.characters)

    def one_hot(self, text):
        """A row for each character, with a single 1."""
        return numpy.eye(len(self))[[self.numbers[character] for character in text]]

    def text(self, rows):
        """The likeliest character of each row."""
        return "".join(self.characters[number] for number in numpy.argmax(rows, axis=-1))


def windows(alphabet, text, length):
    """The text cut into pieces of ``length + 1`` characters, one-hot: (time, piece, character)."""
    pieces = [text[start : start + length + 1] for start in range(0, len(text) - length, length)]
    return numpy.stack([alphabet.one_hot(piece) for piece in pieces], axis=1)
