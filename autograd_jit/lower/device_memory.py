"""The memory of a run on a device: where everything lies, the host's mirror of it, and what of the inputs is sent.

A run lies in one block of the device's memory and one of the host's, the *mirror*, laid out alike:

    inputs on the device | large inputs of the host | small ones | status | outputs | constants | intermediates | sums

Large inputs that lie on the device, and that kernels alone read, have no place here: they are read where they lie.

Behind the status is what a failed guard found, as far as there is room; both come back together, the *answer*.

Small inputs and the status go to the device in one copy. A large input goes there only where its contents differ from
what was sent last, which the mirror still holds: the arrays that a function captures, or the data that it is given at
every call. Comparing reads what copying into the mirror would read and write, and stops at the first difference.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np

from ..kernels.cuda_device import CudaDevice, HostMemory
from ..records import record
from .device_launch import REPORT_BYTES, STATUS_BYTES, partial_bytes
from .device_schedule import DeviceCall, DeviceGemm, DeviceLoop, Fetch, HostLoop, HostNode, Item, Send
from .graph import Graph, Value, View
from .program import Stages

__all__ = ["COMPARED_BYTES", "RUNNING", "Layout", "Mirror", "lay_out"]

ALIGNMENT: Final = 256
#: an input of so many bytes is compared before it is sent: sending less takes no longer than asking
COMPARED_BYTES: Final = 1 << 16
#: an input on the device of so many bytes is read where it lies. Copying a smaller one takes the device no longer than
#: the host takes to launch a kernel or two without a graph (reckoned, not measured)
IN_PLACE_BYTES: Final = 1 << 20
#: status of a run that nothing has ended
RUNNING: Final = -1


@record(frozen=True)
class Layout:
    """Where everything lies in a block, in bytes.

    ``uploaded``: the inputs of the host, and the status; ``compared``: those of them that are large, which come first;
    ``always_sent``: where the others begin; ``downloaded``: answer and outputs; ``mirrored``: what of the block the
    host has; ``in_place``: inputs that are read where the caller has them.
    """

    offsets: dict[Value, int]
    status: int
    uploaded: tuple[int, int]
    compared: tuple[Value, ...]
    always_sent: int
    downloaded: tuple[int, int]
    mirrored: tuple[int, int]
    partial_sums: int
    nbytes: int
    in_place: tuple[Value, ...] = ()

    @property
    def answer(self) -> tuple[int, int]:
        """Status and report."""
        return self.status, self.status + STATUS_BYTES + REPORT_BYTES

    def address_of(self, value: Value) -> tuple[int, int]:
        """As :meth:`Program.address_of`; there is one slot, the block."""
        return 0, self.offsets[value]


def lay_out(stages: Stages, items: Sequence[Item], stays: Sequence[bool]) -> Layout:
    """The layout of a program's runs. ``stays``: which inputs lie on the device; results then stay there, too."""
    graph = stages.graph
    offsets: dict[Value, int] = {}
    end = 0

    def place(values: Iterable[Value]) -> None:
        nonlocal end
        for value in values:
            if value not in offsets:
                offsets[value] = end
                end += _rounded(value.nbytes)

    given = [value for value, stay in zip(graph.inputs, stays, strict=True) if not stay]
    large = tuple([value for value in given if value.nbytes >= COMPARED_BYTES])
    staying = [value for value, stay in zip(graph.inputs, stays, strict=True) if stay]
    in_place = _read_in_place(staying, graph, items)
    place([value for value in staying if value not in in_place])
    uploaded = end
    place(large)
    always_sent = end
    place(given)
    status = end
    end += STATUS_BYTES + REPORT_BYTES
    place([out.value for out in graph.outputs if isinstance(out, View)])
    downloaded = status + STATUS_BYTES + REPORT_BYTES if any(stays) else end
    place(graph.constants)
    for value, offset in stages.plan.offsets.items():
        offsets[value] = end + offset
    end += _rounded(stages.plan.arena_bytes)
    sums = end
    end += max([partial_bytes(item) for item in items if isinstance(item, DeviceLoop)], default=0)
    has_host_steps = any([isinstance(item, (HostLoop, HostNode)) for item in items])
    mirrored = (0, end) if has_host_steps else (uploaded, downloaded)
    sent = (uploaded, status + STATUS_BYTES)
    return Layout(offsets, status, sent, large, always_sent, (status, downloaded), mirrored, sums, end, in_place)


def _read_in_place(staying: Sequence[Value], graph: Graph, items: Sequence[Item]) -> tuple[Value, ...]:
    """Large inputs that only kernels read. Others take an address in the block: the device library, copies to the
    host, results, and guards, of which the host may ask what they found."""
    by_others: set[Value] = {out.value for out in graph.outputs if isinstance(out, View)}
    for item in items:
        if isinstance(item, (Fetch, HostLoop)):
            values = [item.value] if isinstance(item, Fetch) else [place.value for place in item.launch.placements]
            by_others.update(values)
        elif not isinstance(item, (DeviceLoop, DeviceGemm, DeviceCall)):
            operands = [] if isinstance(item, Send) else item.node.operands()
            by_others.update([operand.value for operand in operands if isinstance(operand, View)])
    large = [value for value in staying if value.nbytes >= IN_PLACE_BYTES and value not in by_others]
    return tuple(dict.fromkeys(large))


def _rounded(nbytes: int) -> int:
    return -(-max(nbytes, 1) // ALIGNMENT) * ALIGNMENT


class Mirror:
    """The host's side of a block, in page-locked memory. Offsets are those of the layout."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.first, stop = layout.mirrored
        self._memory = HostMemory(stop - self.first)
        self.bytes = self._memory.bytes
        #: address of offset 0, whether or not that is mirrored
        self.address = self._memory.address - self.first
        #: large inputs of which the device has what is here
        self._sent: set[Value] = set()

    def of(self, value: Value) -> np.ndarray:
        """A value's bytes."""
        start = self.layout.offsets[value] - self.first
        return self.bytes[start : start + value.nbytes]

    @property
    def status(self) -> np.ndarray:
        """The status, as an array of one."""
        start = self.layout.status - self.first
        return self.bytes[start : start + STATUS_BYTES].view(np.int64)

    @property
    def report(self) -> np.ndarray:
        """What a failed guard found, as far as there is room."""
        start = self.layout.status + STATUS_BYTES - self.first
        return self.bytes[start : start + REPORT_BYTES]

    def stays_in_use(self, device: CudaDevice) -> None:
        """Copies on the device may be under way when it is given back."""
        self._memory.used_by = device

    def put(self, value: Value, array: np.ndarray) -> None:
        """What an input is now."""
        held = self.of(value).view(value.dtype).reshape(value.shape)
        if value in self._sent:
            if _same_bits(array, held):
                return
            self._sent.remove(value)
        held[...] = array

    def send(self, device: CudaDevice, block: int) -> None:
        """Bring the device's block at that address up to date: status, small inputs, and the large ones that changed.

        What lies side by side goes in one copy."""
        layout = self.layout
        changed = [value for value in layout.compared if value not in self._sent]
        starts = [layout.offsets[value] for value in changed]
        stops = [start + value.nbytes for start, value in zip(starts, changed)]
        starts.append(layout.always_sent)
        stops.append(layout.uploaded[1])
        first = starts[0]
        for stop, following in zip(stops, [*starts[1:], None], strict=True):
            if following is None or _rounded(stop - first) + first != following:
                device.copy_in(block + first, self.address + first, stop - first)
                first = following if following is not None else 0
        self._sent.update(changed)


_memcmp = ctypes.CDLL(None).memcmp
_memcmp.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)


def _same_bits(array: np.ndarray, held: np.ndarray) -> bool:
    """Whether two arrays of one dtype and shape hold the same bits; ``held`` is contiguous.

    May say no of layouts and dtypes that cannot be compared without a copy."""
    if array.flags.c_contiguous:
        return not _memcmp(array.ctypes.data, held.ctypes.data, held.nbytes)
    if array.itemsize > 8:
        return False
    bits = f"u{array.itemsize}"
    return np.array_equal(array.view(bits), held.view(bits))
