"""What ``jitted.kernels(*args)`` returns for a program on a device: its CUDA kernels, and the schedule of a run."""

from __future__ import annotations

from collections.abc import Iterator

from ..records import record
from .device_program import DeviceKernel, DeviceProgram
from .device_schedule import DeviceLoop, Fetch, Send
from .fuse import Group

__all__ = ["DeviceListing"]


@record(frozen=True)
class DeviceEntry:
    """One distinct kernel and its launches. Prints its figures and its Python source."""

    name: str
    compiled: DeviceKernel
    launches: tuple[DeviceLoop, ...]

    @property
    def source(self) -> str:
        """The kernel as Python that Numba compiles for CUDA."""
        return self.compiled.source.strip().replace("def kernel(", f"def {self.name}(", 1) + "\n"

    @property
    def dims(self) -> list[tuple[int, ...]]:
        return [item.launch.dims for item in self.launches]

    def __str__(self) -> str:
        compiled = self.compiled
        how = "loaded from disk" if compiled.origin == "disk" else "compiled"
        mappings = ", ".join(sorted({item.sizes.mapping for item in self.launches}))
        by = f"; threads by {mappings}" if mappings else ""
        return f"# {self.name}: {how} in {compiled.seconds * 1e3:.1f} ms{by}\n{self.source}"


class DeviceListing:
    """The distinct kernels of a device program; as :class:`.listing.KernelListing`.

    ``schedule``: the steps of a run with their transfers; what lies between two steps of the host is one CUDA graph.
    ``groups``, as long: the operations of each; of a transfer none.
    """

    def __init__(self, program: DeviceProgram) -> None:
        self.program = program
        loops = [item for item in program.items if isinstance(item, DeviceLoop)]
        self.entries = [
            DeviceEntry(f"kernel{number}", compiled, tuple([i for i in loops if _is_of(i, compiled, program)]))
            for number, compiled in enumerate(program.kernels)
        ]
        self.schedule = [str(item) for item in program.items]
        made = program.stages.groups
        self.groups = [Group(None) if isinstance(item, Fetch | Send) else made[item.position] for item in program.items]

    @property
    def sources(self) -> list[str]:
        return [entry.source for entry in self.entries]

    def __iter__(self) -> Iterator[DeviceEntry]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, position: int) -> DeviceEntry:
        return self.entries[position]

    def __str__(self) -> str:
        head = f"# on {self.program.device.name}; {len(self.schedule)} steps in this order:"
        return "\n".join([*map(str, self.entries), head, *[f"#   {line}" for line in self.schedule]])

    __repr__ = __str__


def _is_of(item: DeviceLoop, compiled: DeviceKernel, program: DeviceProgram) -> bool:
    return program.codes.get((item.launch.kernel, item.sizes.mapping)) is compiled
