"""The segments of a run on a device: its steps gathered to graphs, cut where the host has to know how guards ended."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..kernels.cuda_device import Launchable
from .device_schedule import DeviceCall, DeviceCheck

__all__ = ["Segment", "Stretches"]

Segment = Callable[[], None]


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
