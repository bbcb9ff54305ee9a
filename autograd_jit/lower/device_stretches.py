"""The segments of a run on a device: its steps gathered to graphs, cut where the host has to know how guards ended.

A graph holds addresses. Kernels that read arguments where they lie have another graph for each set of addresses that
comes twice in a row; else they are launched one by one. Giving a graph's nodes other parameters would take the host a
call for each kernel, too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from ..kernels.cuda_device import CudaDevice, Launchable
from ..records import record
from .device_schedule import DeviceCall, DeviceCheck

__all__ = ["Moved", "MovingLaunches", "Segment", "Stretches", "moves"]

Segment = Callable[[], None]

#: sets of addresses of which a stretch keeps graphs: an allocator that gives memory back soon gives it out again
MOST_GRAPHS: Final = 4


@record(frozen=True)
class Moved:
    """An address that is another in every run: the argument's, by its number among those that are read in place."""

    argument: int
    offset: int = 0

    def __add__(self, nbytes: int) -> Moved:
        return Moved(self.argument, self.offset + nbytes)


def moves(launches: Sequence[Launchable]) -> bool:
    """Whether some kernel reads an argument in place."""
    return any([isinstance(value, Moved) for launch in launches for value in launch.arguments])


class MovingLaunches:
    """A segment of kernels that read arguments in place.

    ``addresses``: where those of the run lie; ``captures``: whether graphs are made at all."""

    def __init__(
        self,
        device: CudaDevice,
        launches: Sequence[Launchable],
        addresses: Callable[[], tuple[int, ...]],
        captures: bool,
    ) -> None:
        self._device, self._launches, self._addresses = device, launches, addresses
        self._captures = captures
        self._graphs: dict[tuple[int, ...], Segment] = {}
        self._last: tuple[int, ...] = ()

    def __call__(self) -> None:
        addresses = self._addresses()
        graph = self._graphs.get(addresses)
        if graph is None and addresses == self._last and self._captures:
            graph = self._device.capture(self._placed(addresses))
            if len(self._graphs) == MOST_GRAPHS:
                self._graphs.pop(next(iter(self._graphs)))
            self._graphs[addresses] = graph
        self._last = addresses
        if graph is None:
            self._device.launch(self._placed(addresses))
        else:
            graph()

    def _placed(self, addresses: tuple[int, ...]) -> list[Launchable]:
        def placed(value: Any) -> Any:
            return addresses[value.argument] + value.offset if isinstance(value, Moved) else value

        return [launch._replace(arguments=tuple(map(placed, launch.arguments))) for launch in self._launches]


class Stretches:
    """Gathers steps of the device, which become one segment where a step of the host comes.

    A stretch with a guard, or with a routine that may stop, is cut behind the last of them, and the answer is asked for
    there: what follows on the device runs while the answer is on its way, and while the host waits for it.

    ``launches``: the kernels of a step; ``ready``: a segment that runs kernels; ``ask``: one that asks for the answer.
    """

    def __init__(
        self, launches: Callable[[Any], list[Launchable]], ready: Callable[[list[Launchable]], Segment], ask: Segment
    ) -> None:
        self.segments: list[Segment] = []
        #: whether an answer was asked for and not taken, and whether one ever was asked for
        self.is_asked = self.has_asked = False
        self._launches, self._ready, self._ask = launches, ready, ask
        self._pending: list[Launchable] = []
        self._cut = 0  # behind the last launch that may end the run

    @property
    def ends_with_guard(self) -> bool:
        """Whether the stretch has a guard and nothing behind it."""
        return 0 < self._cut == len(self._pending)

    def add(self, item: Any) -> None:
        """A step of the device."""
        self._pending += self._launches(item)
        if isinstance(item, DeviceCheck) or (isinstance(item, DeviceCall) and item.node.may_stop):
            self._cut = len(self._pending)

    def then(self, segment: Segment, takes_answer: bool = False) -> None:
        """A step of the host, behind what was flushed. ``takes_answer``: it waits for what was asked for."""
        self.segments.append(segment)
        if takes_answer:
            self.is_asked = False

    def flush(self, asks: bool = True) -> None:
        """End the stretch. ``asks``: whether its answer is asked for by itself."""
        cut = self._cut if asks else 0
        before, behind = self._pending[:cut], self._pending[cut:]
        if before:
            self.segments += [self._ready(before), self._ask]
            self.is_asked = self.has_asked = True
        if behind:
            self.segments.append(self._ready(behind))
        self._pending, self._cut = [], 0
