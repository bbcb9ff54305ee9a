"""SciPy, with derivatives: ``special``, ``stats``, ``linalg``, ``signal``, ``integrate``, ``interpolate``,
``ndimage``, ``sparse``.

Submodules are imported when first used, as SciPy's are (``scipy.stats`` alone takes half a second); every other
name is SciPy's own.
"""

from __future__ import annotations

import importlib
from typing import Any

import scipy as _scipy

_SUBMODULES = ("integrate", "interpolate", "linalg", "ndimage", "signal", "sparse", "special", "stats")


def __getattr__(name: str) -> Any:
    if name in _SUBMODULES:
        return importlib.import_module(f"{__name__}.{name}")
    try:
        return getattr(_scipy, name)
    except AttributeError:
        raise AttributeError(f"module 'autograd_jit.scipy' (like scipy) has no attribute {name!r}") from None


def __dir__() -> list[str]:
    return sorted({*_SUBMODULES, *dir(_scipy)})
