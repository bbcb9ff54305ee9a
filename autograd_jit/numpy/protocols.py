"""Plain NumPy functions applied to traced values (``__array_ufunc__``, ``__array_function__``).

``numpy.sin(box)`` becomes ``autograd_jit.numpy.sin(box)``. A function that has no counterpart here raises
TracedValueError naming it, rather than dropping the derivative.
"""

from __future__ import annotations

from typing import Any

import numpy as _np

from ..errors import TracedValueError

__all__ = ["apply_function", "apply_ufunc"]


def _counterpart(function: Any) -> Any:
    """The traced function of the same name, looked up in the namespace that NumPy's function lives in."""
    from .. import numpy as anp

    module = getattr(function, "__module__", "") or ""
    space: Any = anp
    for part in module.split(".")[1:]:
        if part in ("linalg", "fft", "random"):
            space = getattr(anp, part)
    name = {"abs": "absolute", "divide": "divide"}.get(function.__name__, function.__name__)
    found = vars(space).get(name)
    if found is None or found is function:
        raise TracedValueError(
            f"numpy.{function.__name__} was applied to a traced value, and autograd_jit has no derivative for it. "
            f"Wrap it with @primitive and defvjp, or use getval(x) if its result needs no derivative."
        )
    return found


def apply_ufunc(ufunc: Any, method: str, inputs: tuple, out: Any, kwargs: dict) -> Any:
    """``ufunc(*inputs)`` or a method of it. ``plain_array += traced`` gives a new traced array."""
    if method == "__call__":
        result = _counterpart(ufunc)(*inputs, **kwargs)
        if out is not None and out[0] is not inputs[0]:
            raise TracedValueError(
                f"numpy.{ufunc.__name__}(..., out=) with a traced value: its result cannot be written into a plain "
                f"array. Use the returned value instead."
            )
        return result
    if method == "reduce" and ufunc in _REDUCERS and out is None:
        from .. import numpy as anp

        kwargs.setdefault("axis", 0)
        return getattr(anp, _REDUCERS[ufunc])(*inputs, **kwargs)
    raise TracedValueError(f"numpy.{ufunc.__name__}.{method} of a traced value is not supported")


_REDUCERS = {
    _np.add: "sum",
    _np.multiply: "prod",
    _np.maximum: "max",
    _np.minimum: "min",
    _np.logical_and: "all",
    _np.logical_or: "any",
}


def apply_function(function: Any, args: tuple, kwargs: dict) -> Any:
    """A NumPy function with a traced value somewhere in its arguments."""
    return _counterpart(function)(*args, **kwargs)
