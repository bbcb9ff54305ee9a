"""``scipy.ndimage``: ``convolve`` and ``correlate`` with derivatives in the image and in the weights.

Traced, the image is padded as the mode says and then convolved where the weights fit.
"""

from __future__ import annotations

from typing import Any

import scipy.ndimage as _sn

from .. import numpy as _anp
from ..errors import ArgumentError
from ..numpy.arguments import is_traced, shape_of
from ..numpy.shaping import flip
from ..numpy.solving import inexact, is_complex
from . import signal

#: SciPy's name of a boundary mode -> NumPy's
_PADDING = {
    "reflect": "symmetric",
    "grid-mirror": "symmetric",
    "mirror": "reflect",
    "nearest": "edge",
    "wrap": "wrap",
    "grid-wrap": "wrap",
    "constant": "constant",
    "grid-constant": "constant",
}


def __getattr__(name: str) -> Any:
    """Names without a derivative are SciPy's."""
    try:
        return getattr(_sn, name)
    except AttributeError:
        raise AttributeError(
            f"module 'autograd_jit.scipy.ndimage' (like scipy.ndimage) has no attribute {name!r}"
        ) from None


def _correlated(image: Any, weights: Any, mode: str, cval: float, origins: list) -> Any:
    """``out[i] = sum_j weights[j] * image[i + j - size // 2 - origin]``."""
    if mode not in _PADDING:
        raise RuntimeError("boundary mode not supported")
    before = [size // 2 + origin for size, origin in zip(shape_of(weights), origins)]
    widths = [(first, size - 1 - first) for first, size in zip(before, shape_of(weights))]
    if any(min(pair) < 0 for pair in widths):
        raise ValueError("invalid origin")
    options = {"constant_values": cval} if _PADDING[mode] == "constant" else {}
    padded = _anp.pad(image, widths, _PADDING[mode], **options)
    return signal.convolve(padded, flip(weights), mode="valid")


def _prepared(name: str, input: Any, weights: Any, output: Any, origin: Any, axes: Any) -> tuple[Any, Any, list]:
    for argument, value in (("output", output), ("axes", axes)):
        if value is not None:
            raise ArgumentError(f"{name}: {argument}= is not supported for traced arrays")
    image, weights = inexact(input), inexact(weights)
    ndim = len(shape_of(image))
    if len(shape_of(weights)) != ndim:
        raise RuntimeError("weights array must have the same number of dimensions as input")
    return image, weights, list(origin) if isinstance(origin, (tuple, list)) else [origin] * ndim


def correlate(input, weights, output=None, mode="reflect", cval=0.0, origin=0, *, axes=None):
    """As ``scipy.ndimage.correlate``; ``output`` and ``axes`` are refused for traced arrays."""
    if not is_traced(input, weights):
        return _sn.correlate(input, weights, output, mode, cval, origin, axes=axes)
    image, weights, origins = _prepared("correlate", input, weights, output, origin, axes)
    if is_complex(weights):
        weights = _anp.conj(weights)
    return _correlated(image, weights, mode, cval, origins)


def convolve(input, weights, output=None, mode="reflect", cval=0.0, origin=0, *, axes=None):
    """As ``scipy.ndimage.convolve``; ``output`` and ``axes`` are refused for traced arrays."""
    if not is_traced(input, weights):
        return _sn.convolve(input, weights, output, mode, cval, origin, axes=axes)
    image, weights, origins = _prepared("convolve", input, weights, output, origin, axes)
    # weights of even size are centred one element further on when they are reversed
    origins = [-origin - (size % 2 == 0) for origin, size in zip(origins, shape_of(weights))]
    return _correlated(image, flip(weights), mode, cval, origins)
