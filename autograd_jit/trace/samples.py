"""Test inputs, kept beside the functions they belong to.

A registration's ``samples`` is a function without arguments that returns a list of :class:`Sample`. Nothing is
computed before a test asks. All numbers are fixed, smooth and away from ties, so that numerical derivatives exist.
"""

from __future__ import annotations

import zlib
from typing import Any, NamedTuple

import numpy as np

__all__ = ["Sample", "call", "complexes", "mask", "normals", "positives"]


class Sample(NamedTuple):
    """One call, and which of its positional arguments to differentiate (None: all that hold floats)."""

    args: tuple
    kwargs: dict
    argnums: tuple[int, ...] | None = None


def call(*args: Any, argnums: tuple[int, ...] | None = None, **kwargs: Any) -> Sample:
    """The sample ``f(*args, **kwargs)``."""
    return Sample(args, kwargs, argnums)


def _generator(kind: str, shape: tuple, seed: int) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(f"{kind}{shape}{seed}".encode()))


def normals(*shape: int, seed: int = 0) -> Any:
    """Real numbers of both signs, spread out: no two are closer than about 1 / size."""
    rng = _generator("normals", shape, seed)
    size = int(np.prod(shape))
    return rng.permutation(np.linspace(-1.9, 1.7, size) + rng.uniform(-0.2, 0.2, size) / (size + 1)).reshape(shape)


def positives(*shape: int, seed: int = 0) -> Any:
    """Real numbers in (0.2, 2)."""
    return _generator("positives", shape, seed).uniform(0.2, 2.0, shape)


def complexes(*shape: int, seed: int = 0) -> Any:
    """Complex numbers of modulus around one."""
    return normals(*shape, seed=seed) + 1j * normals(*shape, seed=seed + 1000)


def mask(*shape: int, seed: int = 0) -> Any:
    """A boolean array with some true and, from three elements on, some false."""
    chosen = _generator("mask", shape, seed).uniform(size=shape) < 0.6
    flat = chosen.reshape(-1)
    flat[:1], flat[2:3] = True, False
    return chosen
