"""Plain NumPy functions applied to traced values (``__array_ufunc__``, ``__array_function__``).

``numpy.sin(box)`` becomes ``autograd_jit.numpy.sin(box)``, and ``scipy.special.erf(box)`` ours of that name. A function
that has no counterpart here raises TracedValueError naming it, rather than dropping the derivative.
"""

from __future__ import annotations

from typing import Any

import numpy as _np

from ..errors import TracedValueError

__all__ = ["apply_function", "apply_ufunc"]


def _counterpart(function: Any) -> Any:
    """The traced function of the same name, looked up in the namespace that NumPy's function lives in."""
    from .. import numpy as anp

    space: Any = anp
    module = getattr(function, "__module__", None) or ""
    for part in module.split(".")[1:]:
        if part in ("linalg", "fft", "random", "_linalg", "_pocketfft"):
            name = {"_linalg": "linalg", "_pocketfft": "fft"}.get(part, part)
            space = getattr(anp, name)
    if isinstance(function, _np.ufunc) and getattr(_np, function.__name__, None) is not function:
        from ..scipy import special as space  # type: ignore[no-redef]
    found = vars(space).get(function.__name__)
    if found is None or found is function:
        raise TracedValueError(
            f"numpy.{function.__name__} was applied to a traced value, and autograd_jit has no derivative for it. "
            f"Wrap it with @primitive and defvjp, or use getval(x) if its result needs no derivative."
        )
    return found


def apply_ufunc(ufunc: Any, method: str, inputs: tuple, out: Any, kwargs: dict) -> Any:
    """``ufunc(*inputs)`` or a method of it. ``plain_array += traced`` gives a new traced array."""
    if method == "__call__":
        if out is None:
            return _counterpart(ufunc)(*inputs, **kwargs)
        return _in_place(ufunc, inputs, out, kwargs)
    if out is not None and out != (None,):
        raise TracedValueError(
            f"numpy.{ufunc.__name__}.{method}(..., out=) with a traced value: use the returned value instead"
        )
    found = _METHODS.get((ufunc, method))
    if found is not None:
        from .. import numpy as anp

        kwargs.setdefault("axis", 0)
        return getattr(anp, found)(*inputs, **kwargs)
    if method == "outer" and len(inputs) == 2:
        left, right = _outer_shapes(*inputs)
        return _counterpart(ufunc)(left, right, **kwargs)
    raise TracedValueError(f"numpy.{ufunc.__name__}.{method} of a traced value is not supported")


def _in_place(ufunc: Any, inputs: tuple, out: Any, kwargs: dict) -> Any:
    """``plain += traced``: the name is bound to a new traced array of the plain one's shape and dtype."""
    target = out[0]
    if len(out) != 1 or target is not inputs[0]:
        raise TracedValueError(
            f"numpy.{ufunc.__name__}(..., out=) with a traced value: its result cannot be written into a plain "
            f"array. Use the returned value instead."
        )
    result = _counterpart(ufunc)(*inputs, **kwargs)
    if result.shape != target.shape:
        raise ValueError(
            f"non-broadcastable output operand with shape {target.shape} doesn't match "
            f"the broadcast shape {result.shape}"
        )
    if result.dtype == target.dtype:
        return result
    if not _np.can_cast(result.dtype, target.dtype, "same_kind"):
        raise TypeError(
            f"Cannot cast ufunc {ufunc.__name__!r} output from {result.dtype!r} to {target.dtype!r} "
            f"with casting rule 'same_kind'"
        )
    from .shaping import astype

    return astype(result, target.dtype)


def _outer_shapes(left: Any, right: Any) -> tuple[Any, Any]:
    from .arguments import as_array
    from .shaping import reshape

    left, right = as_array(left), as_array(right)
    return reshape(left, left.shape + (1,) * right.ndim), right


_METHODS = {
    (_np.add, "reduce"): "sum",
    (_np.multiply, "reduce"): "prod",
    (_np.maximum, "reduce"): "max",
    (_np.minimum, "reduce"): "min",
    (_np.logical_and, "reduce"): "all",
    (_np.logical_or, "reduce"): "any",
    (_np.add, "accumulate"): "cumsum",
    (_np.multiply, "accumulate"): "cumprod",
}


def apply_function(function: Any, args: tuple, kwargs: dict) -> Any:
    """A NumPy function with a traced value somewhere in its arguments."""
    return _counterpart(function)(*args, **kwargs)
