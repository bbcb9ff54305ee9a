"""``scipy.signal.convolve`` with derivatives, and Autograd's version of it for stacks of images and filters.

A convolution is bilinear: each cotangent is again a convolution, of the result's cotangent with the other operand
reversed. One primitive has the layout ``(rows, inner, *space) x (columns, inner, *space) -> (rows, columns, *space)``.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as _np
import scipy.signal as _ss

from ..errors import ArgumentError
from ..numpy.arguments import is_traced, normalise_axis, shape_of
from ..numpy.shaping import flip, reshape, swapaxes, transpose
from ..numpy.solving import inexact
from ..trace.rules import general

#: above this many elements, windows are not laid out in memory; the FFT does the sum
_WINDOW_LIMIT = 50_000_000


def __getattr__(name: str) -> Any:
    """Names without a derivative are SciPy's."""
    try:
        return getattr(_ss, name)
    except AttributeError:
        raise AttributeError(
            f"module 'autograd_jit.scipy.signal' (like scipy.signal) has no attribute {name!r}"
        ) from None


def _is_single(a_shape: tuple, b_shape: tuple) -> bool:
    """Whether it is one image and one filter: SciPy's own function."""
    return a_shape[0] == b_shape[0] == a_shape[1] == 1


def _window_elements(a_shape: tuple, b_shape: tuple) -> int:
    """How many elements all windows of a padded ``a`` have."""
    out = [m - n + 1 for m, n in zip(a_shape[2:], b_shape[2:])]
    return math.prod([*a_shape[:2], *out, *b_shape[2:]])


def _takes_fft(a_shape: tuple, b_shape: tuple, mode: str) -> bool:
    """Whether ``_convolve`` of real arrays of these shapes uses the FFT."""
    if _is_single(a_shape, b_shape):
        shadows = [_np.broadcast_to(0.0, shape[2:]) for shape in (a_shape, b_shape)]
        return _ss.choose_conv_method(*shadows, mode) == "fft"
    if mode == "full":
        a_shape = (*a_shape[:2], *[m + 2 * (n - 1) for m, n in zip(a_shape[2:], b_shape[2:])])
    return _window_elements(a_shape, b_shape) > _WINDOW_LIMIT


def _raw_convolve(a: Any, b: Any, mode: str) -> Any:
    ndim = a.ndim - 2
    if _is_single(a.shape, b.shape):
        return _ss.convolve(a[0, 0], b[0, 0], mode)[None, None]
    if mode == "full":
        a = _np.pad(a, [(0, 0), (0, 0)] + [(size - 1, size - 1) for size in b.shape[2:]])
    space = tuple(range(2, a.ndim))
    if _window_elements(a.shape, b.shape) > _WINDOW_LIMIT:
        spaced = tuple(range(3, a.ndim + 1))
        return _ss.fftconvolve(a[:, None], b[None], "valid", axes=spaced).sum(axis=2)
    windows = _np.lib.stride_tricks.sliding_window_view(a, b.shape[2:], space)
    inner = [1, *range(2 + ndim, 2 + 2 * ndim)]
    product = _np.tensordot(windows, _np.flip(b, space), (inner, [1, *space]))
    return _np.moveaxis(product, -1, 1)


def _reversed(x: Any) -> Any:
    """An operand reversed in space, its two leading axes exchanged."""
    return swapaxes(flip(x, tuple(range(2, len(shape_of(x))))), 0, 1)


def _cotangent_of_a(ans: Any, a: Any, b: Any, mode: str) -> Any:
    return lambda g: _convolve(g, _reversed(b), "valid" if mode == "full" else "full")


def _cotangent_of_b(ans: Any, a: Any, b: Any, mode: str) -> Any:
    if mode == "full":
        return lambda g: _convolve(swapaxes(g, 0, 1), _reversed(a), "valid")
    space = tuple(range(2, len(shape_of(a))))
    # in "valid" mode the first operand is the larger one: slide the cotangent over it
    return lambda g: flip(swapaxes(_convolve(swapaxes(a, 0, 1), _reversed(g), "valid"), 0, 1), space)


def _samples() -> list:
    rng = _np.random.default_rng(6)
    a, b = rng.normal(size=(2, 3, 5, 4)), rng.normal(size=(4, 3, 2, 3))
    return [((a, b, "full"), {}), ((a, b, "valid"), {}), ((a[:1, :1, 0], b[:1, :1, 0] + 1j, "full"), {})]


#: ``(a, b, mode)``, mode "full" or, with no side of ``a`` shorter than that of ``b``, "valid"
_convolve = general(
    _raw_convolve,
    {0: _cotangent_of_a, 1: _cotangent_of_b},
    {0: "same", 1: "same"},
    name="convolve",
    samples=_samples,
)

# ---------------------------------------------------------------- public


def convolve(A, B, axes=None, dot_axes=((), ()), mode="full", method="auto"):
    """N-dimensional convolution.

    As ``scipy.signal.convolve(A, B, mode, method)``; and as Autograd's: ``axes = (axes of A, axes of B)`` are
    convolved, ``dot_axes`` summed over, and the others kept, those of ``A`` first.
    ``method`` chooses SciPy's algorithm for plain values.
    """
    if isinstance(axes, str):
        mode, method = axes, dot_axes if isinstance(dot_axes, str) else method
        axes, dot_axes = None, ((), ())
    if mode not in ("full", "valid", "same"):
        raise ValueError("acceptable mode flags are 'valid', 'same', or 'full'")
    simple = axes is None and not any(len(part) for part in dot_axes)
    if simple and not is_traced(A, B):
        return _ss.convolve(A, B, mode, method)
    A, B = inexact(A), inexact(B)
    a_axes, a_dot, a_kept = _roles(len(shape_of(A)), axes, dot_axes, 0)
    b_axes, b_dot, b_kept = _roles(len(shape_of(B)), axes, dot_axes, 1)
    if len(a_axes) != len(b_axes):
        raise ValueError("in1 and in2 should have the same dimensionality")
    a_sizes, b_sizes = _sizes(A, a_axes), _sizes(B, b_axes)
    if _sizes(A, a_dot) != _sizes(B, b_dot):
        raise ValueError(f"convolve: dot_axes have different sizes, {_sizes(A, a_dot)} and {_sizes(B, b_dot)}")
    if not a_axes and simple:
        return A * B
    inner = int(_np.prod(_sizes(A, a_dot)))
    left = reshape(transpose(A, a_kept + a_dot + a_axes), (-1, inner, *a_sizes))
    right = reshape(transpose(B, b_kept + b_dot + b_axes), (-1, inner, *b_sizes))
    result = _in_mode(left, right, mode)
    return reshape(result, _sizes(A, a_kept) + _sizes(B, b_kept) + shape_of(result)[2:])


def _sizes(x: Any, axes: tuple) -> tuple:
    return tuple(shape_of(x)[axis] for axis in axes)


def _roles(ndim: int, axes: Any, dot_axes: Any, which: int) -> tuple[tuple, tuple, tuple]:
    """``(convolved, summed, kept)`` axes of one operand."""
    summed = tuple(normalise_axis(axis, ndim) for axis in dot_axes[which])
    if axes is None:
        convolved = tuple(axis for axis in range(ndim) if axis not in summed)
    else:
        convolved = tuple(normalise_axis(axis, ndim) for axis in axes[which])
    if set(summed) & set(convolved):
        raise ArgumentError("convolve: an axis is both in axes= and in dot_axes=")
    return convolved, summed, tuple(axis for axis in range(ndim) if axis not in summed + convolved)


def _in_mode(left: Any, right: Any, mode: str) -> Any:
    a_sizes, b_sizes = shape_of(left)[2:], shape_of(right)[2:]
    if mode == "valid":
        if all(m >= n for m, n in zip(a_sizes, b_sizes)):
            return _convolve(left, right, "valid")
        if all(m <= n for m, n in zip(a_sizes, b_sizes)):
            return swapaxes(_convolve(right, left, "valid"), 0, 1)
        raise ValueError("For 'valid' mode, one must be at least as large as the other in every dimension")
    result = _convolve(left, right, "full")
    if mode == "full":
        return result
    starts = [(n - 1) // 2 for n in b_sizes]
    return result[(slice(None), slice(None), *[slice(s, s + m) for s, m in zip(starts, a_sizes)])]


def correlate(in1, in2, mode="full", method="auto"):
    """As ``scipy.signal.correlate``: convolution with the second operand reversed and conjugated."""
    if not is_traced(in1, in2):
        return _ss.correlate(in1, in2, mode, method)
    from ..numpy.elementwise import conj
    from ..numpy.solving import is_complex

    in1, in2 = inexact(in1), inexact(in2)
    other = flip(conj(in2) if is_complex(in2) else in2)
    return convolve(in1, other, mode, method)


def fftconvolve(in1, in2, mode="full", axes=None):
    """As ``scipy.signal.fftconvolve`` over all axes; ``axes`` is refused for traced arrays."""
    if not is_traced(in1, in2):
        return _ss.fftconvolve(in1, in2, mode, axes)
    if axes is not None:
        raise ArgumentError("fftconvolve: axes= is not supported for traced arrays; use convolve(A, B, axes=...)")
    return convolve(in1, in2, mode)


oaconvolve = fftconvolve
