"""``logsumexp``, ``softmax`` and ``log_softmax`` as primitives: they are the inner loop of most classifiers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as _np
import scipy.special as _sp

from ..numpy import reductions as _red
from ..numpy import shaping as _shaping
from ..numpy.arguments import is_traced, normalise_axes, reduced_shape, shape_of
from ..numpy.elementwise import absolute, exp, less, log, where
from ..numpy.solving import inexact, is_complex
from ..trace.rules import general
from ..trace.tracer import getval


def _unreduced(g: Any, shape: tuple, axes: tuple, keepdims: bool) -> Any:
    return g if keepdims or not axes else _shaping.reshape(g, reduced_shape(shape, axes))


def _shift(a: Any, axes: tuple) -> Any:
    """The largest real part, for stability; 0 where it is infinite. Results do not depend on it."""
    largest = _np.max(_np.real(a), axis=axes, keepdims=True, initial=-_np.inf)
    return _np.where(_np.isfinite(largest), largest, _np.zeros((), largest.dtype))


def _raw_logsumexp(a: Any, axes: tuple, keepdims: bool) -> Any:
    shift = _shift(a, axes)
    with _np.errstate(divide="ignore"):
        total = _np.log(_np.sum(_np.exp(a - shift), axis=axes, keepdims=True)) + shift
    return total if keepdims else _np.squeeze(total, axes)[()]


def _weights(ans: Any, a: Any, axes: tuple, keepdims: bool) -> Any:
    """``softmax(a)``. Where the sum is infinite its infinite terms share; where every term is ``-inf``, zero."""
    total = _unreduced(ans, shape_of(a), axes, keepdims)
    finite = _np.isfinite(getval(total))
    if _np.all(finite):
        return exp(a - total)
    infinite = _np.real(getval(a)) == _np.inf
    shared = infinite / _np.maximum(1, _np.sum(infinite, axis=axes, keepdims=True))
    difference = where(finite, a, 0.0) - where(finite, total, 0.0)
    return where(finite, exp(difference), shared)


def _logsumexp_vjp(ans: Any, a: Any, axes: tuple, keepdims: bool) -> Callable:
    return lambda g: _unreduced(g, shape_of(a), axes, keepdims) * _weights(ans, a, axes, keepdims)


def _samples() -> list:
    x = _np.arange(6.0).reshape(2, 3) / 2
    return [((x, (1,), False), {}), ((x, (0, 1), True), {}), ((x * (1 + 0.3j), (0,), False), {})]


_logsumexp = general(
    _raw_logsumexp,
    {0: _logsumexp_vjp},
    {0: lambda t, ans, a, axes, keepdims: _red.sum(t * _weights(ans, a, axes, keepdims), axis=axes, keepdims=keepdims)},
    name="logsumexp",
    samples=_samples,
)


def logsumexp(a, axis=None, b=None, keepdims=False, return_sign=False):
    """As ``scipy.special.logsumexp``, with derivatives in ``a`` and in the weights ``b``."""
    if not is_traced(a, b):
        return _sp.logsumexp(a, axis, b, keepdims, return_sign)
    a = inexact(a)
    if b is None and not return_sign:
        return _logsumexp(a, normalise_axes(axis, len(shape_of(a))), bool(keepdims))
    b = 1.0 if b is None else inexact(b)
    shape = _np.broadcast_shapes(shape_of(a), shape_of(b))
    axes = normalise_axes(axis, len(shape))
    a = _shaping.broadcast_to(a, shape)
    unused = _np.broadcast_to(_np.equal(getval(b), 0), shape)  # a weight of 0 hides even an infinite term
    shift = _shift(_np.where(unused, -_np.inf, getval(a)), axes)
    total = _red.sum(b * exp(where(unused, shift, a) - shift), axis=axes, keepdims=True)
    result, sign = _logarithm(total, shift, return_sign)
    if not keepdims:
        result, sign = _shaping.squeeze(result, axes), _shaping.squeeze(sign, axes)
    return (result, sign) if return_sign else result


def _logarithm(total: Any, shift: Any, signed: bool) -> tuple[Any, Any]:
    """``log(total) + shift`` and the sign that was taken out; NaN for a negative sum whose sign is not asked for."""
    zero = _np.equal(getval(total), 0)
    safe = where(zero, 1.0, total)
    if signed:
        size = absolute(safe)
        return where(zero, -_np.inf, log(size) + shift), where(zero, 0.0, safe / size)
    if not is_complex(total):
        safe = where(less(safe, 0), _np.nan, safe)
    return where(zero, -_np.inf, log(safe) + shift), total


def _raw_softmax(x: Any, axes: tuple) -> Any:
    powers = _np.exp(x - _np.max(x, axis=axes, keepdims=True))
    return powers / _np.sum(powers, axis=axes, keepdims=True)


def _softmax_rule(g: Any, ans: Any, x: Any, axes: tuple) -> Any:
    """Symmetric, so that it serves both modes."""
    product = g * ans
    return product - ans * _red.sum(product, axis=axes, keepdims=True)


_softmax = general(
    _raw_softmax,
    {0: lambda ans, x, axes: lambda g: _softmax_rule(g, ans, x, axes)},
    {0: _softmax_rule},
    name="softmax",
    complex=False,
    samples=lambda: [((_np.arange(6.0).reshape(2, 3), (1,)), {}), ((_np.arange(3.0), (0,)), {})],
)
_log_softmax = general(
    lambda x, axes: x - _raw_logsumexp(x, axes, True),
    {0: lambda ans, x, axes: lambda g: g - exp(ans) * _red.sum(g, axis=axes, keepdims=True)},
    {0: lambda t, ans, x, axes: t - _red.sum(exp(ans) * t, axis=axes, keepdims=True)},
    name="log_softmax",
    complex=False,
    samples=lambda: [((_np.arange(6.0).reshape(2, 3), (1,)), {}), ((_np.arange(3.0), (0,)), {})],
)


def softmax(x, axis=None):
    """As ``scipy.special.softmax``."""
    if not is_traced(x):
        return _sp.softmax(x, axis)
    x = inexact(x)
    return _softmax(x, normalise_axes(axis, len(shape_of(x))))


def log_softmax(x, axis=None):
    """As ``scipy.special.log_softmax``."""
    if not is_traced(x):
        return _sp.log_softmax(x, axis)
    x = inexact(x)
    return _log_softmax(x, normalise_axes(axis, len(shape_of(x))))
