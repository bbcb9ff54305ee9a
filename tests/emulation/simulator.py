"""numba's own simulator, beside the real numba-cuda in one process: a second opinion on what a kernel's source means.

The simulator runs the Python function itself, a thread of the operating system per CUDA thread: thousands of times
slower than `execute`, float32 arithmetic only as NumPy's scalars have it, and lenient where the compiler is not.  So:
small sizes, one run per kind of kernel.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


def simulate(kernel: Callable[..., None], grid: Any, block: Any, *arguments: Any) -> None:
    """Run `kernel` on NumPy arrays, in place.  A pointer parameter is simply the array; two may share memory."""
    from numba.cuda.simulator.cudadrv.devicearray import FakeCUDAArray
    from numba.cuda.simulator.kernel import FakeCUDAKernel

    # Arrays as they are would be copied there and back, each by itself.
    arguments = tuple([FakeCUDAArray(a) if isinstance(a, np.ndarray) else a for a in arguments])
    with np.errstate(all="ignore"):
        FakeCUDAKernel(kernel, device=False)[grid, block](*arguments)
