"""Memory sectors per warp request, counted from the kernel's Python source: no device and no compiler.

A device serves a warp's access in sectors of 32 bytes.  Thirty-two neighbouring float32 values make four sectors, the
least there can be; a stride makes up to thirty-two.  The threads of a warp are run one after the other on recording
arrays, and the k-th accesses of all of them are one request.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

SECTOR = 32
WARP = 32


class _Recorder:
    def __init__(self, position: int, data: np.ndarray, log: list[tuple[int, str, int]]):
        self.position, self.data, self.log = position, data, log

    def __getitem__(self, index: int) -> Any:
        self.log.append((self.position, "load", int(index)))
        return self.data[index]

    def __setitem__(self, index: int, value: Any) -> None:
        self.log.append((self.position, "store", int(index)))
        self.data[index] = value


def sectors_per_request(
    kernel: Callable[..., None],
    arrays: Sequence[np.ndarray],
    scalars: Sequence[Any],
    grid: int = 4,
    block: int = 64,
    warp: int = 1,
) -> dict[tuple[int, str], float]:
    """(array's position among all arguments, "load" or "store") to the worst ratio of sectors to the least possible:
    1 is ideal.

    `kernel(*arrays, *scalars)` uses flat indices, `cuda.grid(1)`, `cuda.gridsize(1)` and x components. Each thread has
    shared memory for itself and passes all barriers: its addresses must not depend on what others put there. Requests
    in which some lanes take no part (the end of the data) count only the lanes that do.
    """
    arguments = [*arrays, *scalars]
    logs = [_run_thread(kernel, arguments, grid, block, warp * WARP + lane) for lane in range(WARP)]
    worst: dict[tuple[int, str], float] = {}
    for request in range(max(map(len, logs))):
        lanes = [log[request] for log in logs if len(log) > request]
        for position, kind in {(array, operation) for array, operation, _ in lanes}:
            size = arguments[position].itemsize
            indices = {index for array, operation, index in lanes if (array, operation) == (position, kind)}
            touched = {index * size // SECTOR for index in indices}
            least = -(-len(indices) * size // SECTOR)
            ratio = len(touched) / least
            worst[position, kind] = max(worst.get((position, kind), 0.0), ratio)
    return worst


def _run_thread(
    kernel: Callable[..., None],
    arguments: Sequence[Any],
    grid: int,
    block: int,
    thread: int,
) -> list[tuple[int, str, int]]:
    log: list[tuple[int, str, int]] = []
    device = types.SimpleNamespace(
        grid=lambda _: thread,
        gridsize=lambda _: grid * block,
        threadIdx=types.SimpleNamespace(x=thread % block),
        blockIdx=types.SimpleNamespace(x=thread // block),
        blockDim=types.SimpleNamespace(x=block),
        gridDim=types.SimpleNamespace(x=grid),
        shared=types.SimpleNamespace(array=lambda size, kind: np.ones(size)),
        syncthreads=lambda: None,
    )
    function = types.FunctionType(
        kernel.__code__,
        {**kernel.__globals__, "cuda": device},
        kernel.__name__,
        kernel.__defaults__,
        kernel.__closure__,
    )
    function(*[_Recorder(i, x, log) if isinstance(x, np.ndarray) else x for i, x in enumerate(arguments)])
    return log
