"""Put an ELF object of our own making into executable memory, without LLVM.

LLVM's own linkers were measured first (a 20-operation kernel, a 2 kB object, one core):

    linker                               ms a kernel   kB a kernel   freed with the last reference
    ORC, one instance for all                0.24          11         no: 11 kB a kernel stay (llvmlite 0.50)
    ORC, an instance a kernel                0.85          70         yes
    MCJIT, an engine a kernel                0.65          64         yes; aborts on an undefined symbol
    this module                              0.06           4         yes

and a second process, which finds all its objects in the disk cache, saves the 65 ms and 60 MB of importing
llvmlite.  Our objects are simple: position-dependent code in LLVM's large code model, whose only
relocations are 64-bit addresses.  Whatever is not so simple (another file format, another relocation)
raises UnsupportedObject, and `llvm.load_object` leaves it to LLVM.

Code is written into fresh pages and made executable afterwards: no page is ever writable and executable.
"""

from __future__ import annotations

import ctypes
import mmap
import struct
import sys
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

_MACHINES: Final = {"x86_64": 62}
_ALLOCATED = 0x2
_PROGBITS, _SYMTAB, _RELA, _NOBITS = 1, 2, 4, 8
_ABSOLUTE_64, _RELATIVE_32, _PLT_32 = 1, 2, 4  # R_X86_64_*
_RELATIVE = (_RELATIVE_32, _PLT_32)
_UNDEFINED, _ABSOLUTE = 0, 0xFFF1
_PAGE = mmap.PAGESIZE


class UnsupportedObject(ValueError):
    """An object of a kind that this loader leaves to LLVM, or no object at all."""


class LoadedObject:
    """Executable pages of one object; unmapped when the last reference goes."""

    def __init__(self, object_code: bytes, resolve: Callable[[str], int]) -> None:
        try:
            elf = _Elf(object_code)
            self._place(elf, resolve)
        except (struct.error, IndexError, KeyError, UnicodeDecodeError) as error:
            raise UnsupportedObject(f"damaged object code: {error}") from error

    def _place(self, elf: _Elf, resolve: Callable[[str], int]) -> None:
        offsets, size = _layout(elf.sections)
        if not elf.symbols or not size:
            raise UnsupportedObject("damaged object code: it defines nothing")
        self.size = -(-size // _PAGE) * _PAGE
        self._pages = mmap.mmap(-1, self.size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self._anchor = ctypes.c_char.from_buffer(self._pages)
        base = ctypes.addressof(self._anchor)
        for index, offset in offsets.items():
            content = elf.content(elf.sections[index])
            self._pages[offset : offset + len(content)] = content
        symbols = _symbol_addresses(elf, {index: base + offset for index, offset in offsets.items()}, resolve)
        for section, place, kind, symbol, addend in elf.relocations():
            if section in offsets:
                self._relocate(base, offsets[section] + place, kind, symbols[symbol] + addend)
        self._addresses = {elf.symbols[i].name: at for i, at in symbols.items() if elf.symbols[i].section}
        _make_executable(base, self.size)

    def _relocate(self, base: int, place: int, kind: int, target: int) -> None:
        if kind == _ABSOLUTE_64:
            struct.pack_into("<Q", self._pages, place, target)
        elif kind in _RELATIVE and -(2**31) <= target - base - place < 2**31:
            struct.pack_into("<i", self._pages, place, target - base - place)
        else:
            raise UnsupportedObject(f"relocation of kind {kind} is not one of ours")

    def address(self, symbol: str) -> int:
        return self._addresses[symbol]


class _Section(NamedTuple):
    name: int
    kind: int
    flags: int
    offset: int
    size: int
    link: int
    info: int
    alignment: int


class _Symbol(NamedTuple):
    name: str
    section: int
    value: int


class _Elf:
    """The tables of a relocatable ELF file that a loader needs."""

    def __init__(self, code: bytes) -> None:
        self.code = code
        if code[:6] != b"\x7fELF\x02\x01" or struct.unpack_from("<HH", code, 16) != (1, _MACHINES["x86_64"]):
            raise UnsupportedObject("not a relocatable x86-64 ELF object")
        (table,) = struct.unpack_from("<Q", code, 40)
        entry_size, count, _ = struct.unpack_from("<HHH", code, 58)
        self.sections = [self._section(table + i * entry_size) for i in range(count)]
        tables = [section for section in self.sections if section.kind == _SYMTAB]
        self.symbols = self._symbols(tables[0]) if tables else []

    def content(self, section: _Section) -> bytes:
        content = self.code[section.offset : section.offset + section.size]
        if section.kind == _NOBITS:
            return bytes(section.size)
        if len(content) != section.size:
            raise UnsupportedObject("truncated object code")
        return content

    def relocations(self) -> Iterator[tuple[int, int, int, int, int]]:
        """(section, place in it, kind, symbol number, addend) of each relocation."""
        for section in self.sections:
            if section.kind == _RELA:
                for place, info, addend in struct.iter_unpack("<QQq", self.content(section)):
                    yield section.info, place, info & 0xFFFFFFFF, info >> 32, addend

    def _section(self, at: int) -> _Section:
        fields = struct.unpack_from("<IIQQQQIIQQ", self.code, at)
        name, kind, flags, _, offset, size, link, info, alignment, _ = fields
        return _Section(name, kind, flags, offset, size, link, info, max(1, alignment))

    def _symbols(self, table: _Section) -> list[_Symbol]:
        strings = self.content(self.sections[table.link])
        return [
            _Symbol(strings[name : strings.index(b"\0", name)].decode("ascii"), section, value)
            for name, _, _, section, value, _ in struct.iter_unpack("<IBBHQQ", self.content(table))
        ]


def _layout(sections: list[_Section]) -> tuple[dict[int, int], int]:
    """Where each section that must be in memory goes, and the bytes in all."""
    offsets, end = {}, 0
    for index, section in enumerate(sections):
        if section.flags & _ALLOCATED and section.kind in (_PROGBITS, _NOBITS):
            start = -(-end // section.alignment) * section.alignment
            offsets[index], end = start, start + section.size
    return offsets, end


def _symbol_addresses(elf: _Elf, bases: dict[int, int], resolve: Callable[[str], int]) -> dict[int, int]:
    addresses = {}
    for number, symbol in enumerate(elf.symbols):
        if symbol.section == _UNDEFINED and symbol.name:
            addresses[number] = resolve(symbol.name)
        elif symbol.section in bases:
            addresses[number] = bases[symbol.section] + symbol.value
    return addresses


def _make_executable(address: int, size: int) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    protect = library.mprotect
    protect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    if protect(address, size, mmap.PROT_READ | mmap.PROT_EXEC):
        raise OSError(ctypes.get_errno(), "this system forbids executable memory")


def supported() -> bool:
    """Whether this platform's objects are ours to load: x86-64 and ELF."""
    import platform

    return sys.platform.startswith("linux") and platform.machine() == "x86_64"
