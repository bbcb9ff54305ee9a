"""NumPy, with derivatives: ``import autograd_jit.numpy as np``.

Functions with derivatives are defined in the modules of this package; every other name is NumPy's own.
"""

from __future__ import annotations

from typing import Any

import numpy as _np

from . import fft, linalg, numpy_boxes, numpy_jvps, numpy_vjps, numpy_vspaces, numpy_wrapper, random
from .array_box import ArrayBox
from .construction import *
from .cumulative import *
from .elementwise import *
from .indexing import *
from .indexing import getitem
from .joining import *
from .metadata import *
from .nan_functions import *
from .ordering import *
from .padding import *
from .polynomials import *
from .products import *
from .reductions import *
from .shaping import *
from .sorting import *
from .special_elementwise import *
from .statistics import *


def __getattr__(name: str) -> Any:
    """Names without a derivative are NumPy's."""
    try:
        return getattr(_np, name)
    except AttributeError:
        raise AttributeError(f"module 'autograd_jit.numpy' (like numpy) has no attribute {name!r}") from None


def __dir__() -> list[str]:
    return sorted({*globals(), *dir(_np)})
