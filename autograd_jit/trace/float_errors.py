"""NumPy's floating-point errors: replays run where they do no more than warn, and raise nothing themselves.

    >>> stops_on_errors()
    False
    >>> with numpy.errstate(divide="raise"):
    ...     stops_on_errors()
    True
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy

__all__ = ["CALM", "default_error_state", "error_state", "stops_on_errors", "warnings_raise"]

try:  # The object that np.errstate swaps; reading it costs 30 ns where np.geterr() costs 900.
    from numpy._core.umath import _extobj_contextvar

    error_state: Callable[[], Any] = _extobj_contextvar.get
    default_error_state = error_state()
except ImportError:  # pragma: no cover - another NumPy

    def error_state() -> Any:
        return None if not stops_on_errors() else numpy.geterr()

    default_error_state = None


def stops_on_errors() -> bool:
    """Whether an overflow, a division by zero and the like would now do more than warn."""
    return not {"ignore", "warn"}.issuperset(numpy.geterr().values())


#: the first filter of warnings and their number, when they were last seen to raise none of NumPy's
CALM: list[Any] = [None, -1]


def warnings_raise() -> bool:
    """Whether a filter makes an exception of NumPy's warnings, such as "divide by zero encountered".

    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("error")
    ...     warnings_raise()
    True
    """
    filters = warnings.filters
    for action, message, category, module, line in filters:
        if issubclass(RuntimeWarning, category):
            if action == "error":
                return True
            if message is None and module is None and not line:
                break  # what comes after it has no say
    CALM[:] = [filters[0] if filters else None, len(filters)]
    return False
