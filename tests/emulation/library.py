"""The device library of the emulated device: NumPy and SciPy on views of its memory."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import scipy.linalg


class EmulatedLibrary:
    """A `device_library.Library`. `fetched` counts the values that it took to the host."""

    xp = np
    linalg = scipy.linalg

    def __init__(self) -> None:
        self.fetched = 0

    def view(
        self, device: Any, memory: Any, offset: int, shape: tuple[int, ...], dtype: np.dtype, strides: tuple[int, ...]
    ) -> np.ndarray:
        block = (ctypes.c_char * memory.nbytes).from_address(memory.address)
        return np.ndarray(shape, dtype, block, offset, strides)

    @contextmanager
    def running(self, device: Any) -> Iterator[None]:
        device.synchronize()  # NumPy does not wait for a stream
        with np.errstate(all="ignore"):
            yield

    def host(self, array: np.ndarray) -> np.ndarray:
        self.fetched += 1
        return np.array(array)
