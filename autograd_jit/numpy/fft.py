"""``numpy.fft``, with derivatives: three primitives, one axis each, and everything else in terms of them.

The discrete Fourier transform is a symmetric matrix, so that it is its own transpose (Re(g * t) pairs cotangents with
tangents, without conjugation). A real transform keeps half of the spectrum; its transpose is a complex transform of
the zero-padded cotangent. Padding and cropping are ordinary array operations.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as _np

from ..trace.rules import general, linear
from . import elementwise as _ew
from . import shaping as _shaping
from .arguments import is_traced, normalise_axis, refuse, shape_of
from .indexing import place
from .solving import inexact

#: the norm of the inverse transform that scales as the forward one does
_SWAPPED = {None: "forward", "backward": "forward", "ortho": "ortho", "forward": "backward"}


def __getattr__(name: str) -> Any:
    """Names without a derivative (``fftfreq``, ``rfftfreq``) are NumPy's."""
    try:
        return getattr(_np.fft, name)
    except AttributeError:
        raise AttributeError(f"module 'autograd_jit.numpy.fft' (like numpy.fft) has no attribute {name!r}") from None


# ---------------------------------------------------------------- primitives: one axis, no padding


def _samples(dtype: type) -> Any:
    def samples() -> list:
        rng = _np.random.default_rng(5)
        x = rng.normal(size=(3, 5)) + (1j * rng.normal(size=(3, 5)) if dtype is complex else 0)
        return [((x, axis, norm), {}) for axis in (0, 1) for norm in ("backward", "ortho", "forward")]

    return samples


complex_fft = linear(
    lambda x, axis, norm: _np.fft.fft(x, axis=axis, norm=norm),
    lambda g, shape, axis, norm: complex_fft(g, axis, norm),
    name="fft",
    samples=_samples(complex),
)
complex_ifft = linear(
    lambda x, axis, norm: _np.fft.ifft(x, axis=axis, norm=norm),
    lambda g, shape, axis, norm: complex_ifft(g, axis, norm),
    name="ifft",
    samples=_samples(complex),
)
real_fft = general(
    lambda x, axis, norm: _np.fft.rfft(x, axis=axis, norm=norm),
    {
        0: lambda ans, x, axis, norm: (
            lambda g: _ew.real(
                complex_fft(_resized(g, shape_of(x)[axis], axis), axis, norm),
            )
        )
    },
    {0: "same"},
    name="rfft",
    complex=False,
    samples=_samples(float),
)


def _real_ifft_transpose(g: Any, shape: tuple, n: int, axis: int, norm: Any) -> Any:
    """Twice the conjugate spectrum of ``g``, but for the coefficients that have no mirror image (0 and ``n / 2``)."""
    weights = _np.full(shape[axis], 2, g.dtype)
    weights[0] = 1
    if n % 2 == 0:
        weights[-1] = 1
    spectrum = _ew.conj(real_fft(g, axis, _SWAPPED[norm]))
    return _ew.multiply(spectrum, weights.reshape((-1,) + (1,) * (len(shape) - axis - 1)))


#: ``(x, n, axis, norm)`` with ``n // 2 + 1`` coefficients along ``axis``
real_ifft = linear(
    lambda x, n, axis, norm: _np.fft.irfft(x, n, axis, norm),
    _real_ifft_transpose,
    name="irfft",
    samples=lambda: [
        ((_np.arange(6.0).reshape(2, 3) * (1 + 2j) + 1, n, 1, norm), {})
        for n in (4, 5)
        for norm in ("backward", "ortho", "forward")
    ],
)

# ---------------------------------------------------------------- sizes and axes


def _resized(x: Any, n: int, axis: int) -> Any:
    """``x`` cropped or zero-padded at the end of ``axis`` to length ``n``."""
    size = x.shape[axis]
    if size == n:
        return x
    lead = (slice(None),) * axis
    if size > n:
        return x[(*lead, slice(n))]
    return place(x, (*lead, slice(size)), (*x.shape[:axis], n, *x.shape[axis + 1 :]))


def _length(n: Any) -> int:
    n = operator.index(n)
    if n < 1:
        raise ValueError(f"Invalid number of FFT data points ({n}) specified.")
    return n


def _norm(norm: Any) -> Any:
    if norm not in _SWAPPED:
        raise ValueError(f'Invalid norm value {norm}; should be "backward", "ortho" or "forward".')
    return norm


def _one(a: Any, n: Any, axis: Any) -> tuple[Any, int]:
    """The operand as an array and its axis, resized where ``n`` is given."""
    a = inexact(a)
    axis = normalise_axis(axis, a.ndim)
    return _resized(a, _length(a.shape[axis] if n is None else n), axis), axis


def _sizes(a: Any, s: Any, axes: Any) -> tuple[list, list]:
    """``(sizes, axes)`` as NumPy resolves them; -1 in ``s`` is the size of the array."""
    if axes is None:
        axes = range(a.ndim) if s is None else range(-len(s), 0)
    axes = [normalise_axis(axis, a.ndim) for axis in axes]
    if s is None:
        return [None] * len(axes), axes
    if len(axes) != len(s):
        raise ValueError("Shape and axes have different lengths.")
    return [a.shape[axis] if size is None or size == -1 else size for size, axis in zip(s, axes)], axes


def _inverse_length(a: Any, n: Any, axis: int) -> int:
    return _length(2 * (a.shape[axis] - 1) if n is None else n)


# ---------------------------------------------------------------- one-dimensional


def fft(a, n=None, axis=-1, norm=None, out=None):
    """As ``numpy.fft.fft``; ``out`` is refused for traced arrays."""
    if not is_traced(a):
        return _np.fft.fft(a, n, axis, norm, out)
    refuse("fft", out=out)
    return complex_fft(*_one(a, n, axis), _norm(norm))


def ifft(a, n=None, axis=-1, norm=None, out=None):
    """As ``numpy.fft.ifft``; ``out`` is refused for traced arrays."""
    if not is_traced(a):
        return _np.fft.ifft(a, n, axis, norm, out)
    refuse("ifft", out=out)
    return complex_ifft(*_one(a, n, axis), _norm(norm))


def rfft(a, n=None, axis=-1, norm=None, out=None):
    """As ``numpy.fft.rfft``; ``out`` is refused for traced arrays."""
    if not is_traced(a):
        return _np.fft.rfft(a, n, axis, norm, out)
    refuse("rfft", out=out)
    a, axis = _one(a, n, axis)
    if a.dtype.kind == "c":
        raise TypeError("rfft of a complex array: take the real part first, or use fft")
    return real_fft(a, axis, _norm(norm))


def irfft(a, n=None, axis=-1, norm=None, out=None):
    """As ``numpy.fft.irfft``; ``out`` is refused for traced arrays."""
    if not is_traced(a):
        return _np.fft.irfft(a, n, axis, norm, out)
    refuse("irfft", out=out)
    a = inexact(a)
    axis = normalise_axis(axis, a.ndim)
    n = _inverse_length(a, n, axis)
    return real_ifft(_resized(a, n // 2 + 1, axis), n, axis, _norm(norm))


def hfft(a, n=None, axis=-1, norm=None, out=None):
    """As ``numpy.fft.hfft``; ``out`` is refused for traced arrays."""
    if not is_traced(a):
        return _np.fft.hfft(a, n, axis, norm, out)
    refuse("hfft", out=out)
    return irfft(_ew.conj(inexact(a)), n, axis, _SWAPPED[_norm(norm)])


def ihfft(a, n=None, axis=-1, norm=None, out=None):
    """As ``numpy.fft.ihfft``; ``out`` is refused for traced arrays."""
    if not is_traced(a):
        return _np.fft.ihfft(a, n, axis, norm, out)
    refuse("ihfft", out=out)
    return _ew.conj(rfft(a, n, axis, _SWAPPED[_norm(norm)]))


# ---------------------------------------------------------------- several axes


def _complex_nd(primitive: Any, a: Any, s: Any, axes: Any, norm: Any) -> Any:
    a = inexact(a)
    sizes, axes = _sizes(a, s, axes)
    for size, axis in reversed(list(zip(sizes, axes))):
        a = primitive(*_one(a, size, axis), _norm(norm))
    return a


def fftn(a, s=None, axes=None, norm=None, out=None):
    """As ``numpy.fft.fftn``; ``out`` is refused for traced arrays."""
    if not is_traced(a):
        return _np.fft.fftn(a, s, axes, norm, out)
    refuse("fftn", out=out)
    return _complex_nd(complex_fft, a, s, axes, norm)


def ifftn(a, s=None, axes=None, norm=None, out=None):
    """As ``numpy.fft.ifftn``; ``out`` is refused for traced arrays."""
    if not is_traced(a):
        return _np.fft.ifftn(a, s, axes, norm, out)
    refuse("ifftn", out=out)
    return _complex_nd(complex_ifft, a, s, axes, norm)


def rfftn(a, s=None, axes=None, norm=None, out=None):
    """As ``numpy.fft.rfftn``: real along the last axis; ``out`` is refused for traced arrays."""
    if not is_traced(a):
        return _np.fft.rfftn(a, s, axes, norm, out)
    refuse("rfftn", out=out)
    a = inexact(a)
    sizes, axes = _sizes(a, s, axes)
    a = rfft(a, sizes[-1], axes[-1], norm)
    for size, axis in reversed(list(zip(sizes[:-1], axes[:-1]))):
        a = complex_fft(*_one(a, size, axis), norm)
    return a


def irfftn(a, s=None, axes=None, norm=None, out=None):
    """As ``numpy.fft.irfftn``: real along the last axis; ``out`` is refused for traced arrays."""
    if not is_traced(a):
        return _np.fft.irfftn(a, s, axes, norm, out)
    refuse("irfftn", out=out)
    a = inexact(a)
    sizes, axes = _sizes(a, s, axes)
    for size, axis in zip(sizes[:-1], axes[:-1]):
        a = complex_ifft(*_one(a, size, axis), _norm(norm))
    return irfft(a, sizes[-1], axes[-1], norm)


def fft2(a, s=None, axes=(-2, -1), norm=None, out=None):
    """As ``numpy.fft.fft2``; ``out`` is refused for traced arrays."""
    return fftn(a, s, axes, norm, out)


def ifft2(a, s=None, axes=(-2, -1), norm=None, out=None):
    """As ``numpy.fft.ifft2``; ``out`` is refused for traced arrays."""
    return ifftn(a, s, axes, norm, out)


def rfft2(a, s=None, axes=(-2, -1), norm=None, out=None):
    """As ``numpy.fft.rfft2``; ``out`` is refused for traced arrays."""
    return rfftn(a, s, axes, norm, out)


def irfft2(a, s=None, axes=(-2, -1), norm=None, out=None):
    """As ``numpy.fft.irfft2``; ``out`` is refused for traced arrays."""
    return irfftn(a, s, axes, norm, out)


# ---------------------------------------------------------------- order of frequencies


def _shifted(x: Any, axes: Any, direction: int) -> Any:
    x = inexact(x)
    axes = tuple(range(x.ndim)) if axes is None else axes if isinstance(axes, (tuple, list)) else (axes,)
    shifts = tuple(x.shape[axis] // 2 if direction > 0 else -(x.shape[axis] // 2) for axis in axes)
    return _shaping.roll(x, shifts, tuple(axes))


def fftshift(x, axes=None):
    """As ``numpy.fft.fftshift``."""
    return _shifted(x, axes, 1) if is_traced(x) else _np.fft.fftshift(x, axes)


def ifftshift(x, axes=None):
    """As ``numpy.fft.ifftshift``."""
    return _shifted(x, axes, -1) if is_traced(x) else _np.fft.ifftshift(x, axes)
