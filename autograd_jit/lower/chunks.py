"""Where long streams of operations are cut, so that what repeats in a program repeats in its kernels.

A long stream of operations over one shape fills one loop nest after another up to its limit. Counted from the start,
the cuts would fall elsewhere in each turn of a loop, and a path of one more turn would end in kernels that nobody has
compiled: 30 ms for a series that stops one term later. So cuts are found in the content of the stream: an operation
may begin a chunk where the hash of it and of those before it is the smallest far and wide, which is once (at least)
in each turn.
"""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable

import numpy as np

from .graph import Map, Node, Piece, Reduce

__all__ = ["chunk_starts"]

#: shorter streams stay whole: they fit into one loop nest
SHORTEST = 64
#: operations on either side that the hash of a cut is compared with: loops whose body is longer have several cuts
REACH = 24

_STREAMED = frozenset([Map, Reduce, Piece])


def chunk_starts(nodes: Iterable[Node], domain_of: Callable) -> set[Node]:
    """The nodes that should begin a loop nest if what comes before them over the same shape has filled much of one."""
    streams: dict[tuple[int, ...], list[Node]] = defaultdict(list)
    for node in nodes:
        if type(node) in _STREAMED:
            streams[domain_of(node)].append(node)
    long = [stream for stream in streams.values() if len(stream) > SHORTEST]
    return {stream[place] for stream in long for place in _cuts([_content(node) for node in stream])}


def _content(node: Node) -> tuple:
    """What an operation is, the same in every turn of a loop and, printed, in every process."""
    if type(node) is Map:
        return node.op, node.out.dtype, len(node.args)
    return ("reduce", node.op, node.axes) if type(node) is Reduce else ("piece",)


def _cuts(contents: list[tuple]) -> list[int]:
    """Positions at which a stream may be cut."""
    known = {content: zlib.crc32(repr(content).encode()) for content in set(contents)}
    single = np.array([known[content] for content in contents], np.uint64)
    hashes = _mixed(single)
    for distance in (1, 2):
        hashes[distance:] = _mixed(hashes[distance:] * np.uint64(3) + single[:-distance])
    around = np.pad(hashes, REACH, constant_values=np.iinfo(np.uint64).max)
    least = np.lib.stride_tricks.sliding_window_view(around, 2 * REACH + 1).min(axis=1)
    return np.flatnonzero(hashes == least).tolist()


def _mixed(numbers: np.ndarray) -> np.ndarray:
    """Multiplied by the golden ratio, high bits folded in: similar numbers become dissimilar ones."""
    numbers = numbers * np.uint64(0x9E3779B97F4A7C15)
    return numbers ^ (numbers >> np.uint64(29))
