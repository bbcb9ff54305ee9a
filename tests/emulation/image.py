"""What the emulated device loads instead of machine code: an image that carries the kernel's IR.

Programs keep compiled kernels on disk as opaque bytes and load them in another process.  So the bytes themselves must
say what to run.  The layout is `ImageHeader` of c/code.c, then the kernel's name, then the compressed IR modules.
"""

from __future__ import annotations

import json
import struct
import zlib
from dataclasses import dataclass

from tests.emulation import host_ir

MAGIC = b"EMUCUBIN"
#: 4 kB of parameters of eight bytes: what every device takes
MOST_PARAMETERS = 512
_HEADER = struct.Struct(f"<8sQIi{MOST_PARAMETERS}s")
_POINTER = 0x80


@dataclass(frozen=True)
class KernelImage:
    modules: tuple[str, ...]  # IR as NVVM would get it
    entry: str
    fastmath: bool
    contract: bool  # whether a*b + c may be fused

    def pack(self) -> bytes:
        kinds = host_ir.parameters("\n".join(self.modules), self.entry)
        if len(kinds) > MOST_PARAMETERS:
            raise host_ir.NotEmulated(f"kernel {self.entry}: more than {MOST_PARAMETERS} parameters")
        sizes = bytes(
            host_ir.parameter_size(k) | (_POINTER if k.endswith("*") or k.startswith("ptr") else 0) for k in kinds
        )
        name = self.entry.encode()
        body = zlib.compress(json.dumps([self.fastmath, self.contract, *self.modules]).encode(), 1)
        size = _HEADER.size + len(name) + len(body)
        return _HEADER.pack(MAGIC, size, len(name), len(kinds), sizes) + name + body

    @classmethod
    def unpack(cls, data: bytes) -> KernelImage:
        magic, size, name_length, _, _ = _HEADER.unpack_from(data)
        if magic != MAGIC:
            raise ValueError("no image of an emulated kernel")
        start = _HEADER.size + name_length
        fastmath, contract, *modules = json.loads(zlib.decompress(data[start:size]))
        return cls(tuple(modules), data[_HEADER.size : start].decode(), fastmath, contract)
