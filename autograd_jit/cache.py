"""`python -m autograd_jit.cache [show|clear]`: look at, or empty, the folder of compiled kernels."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Final

from .lower.cache import default_cache


def show() -> str:
    found = default_cache().statistics()
    megabytes, limit = found.bytes / 2**20, found.limit_bytes / 2**20
    return f"{found.folder}: {found.entries} kernels, {megabytes:.1f} MB of at most {limit:.0f} MB"


def clear() -> str:
    cache = default_cache()
    return f"{cache.folder}: {cache.clear()} kernels removed"


COMMANDS: Final[dict[str, Callable[[], str]]] = {"show": show, "clear": clear}


def main(arguments: Sequence[str]) -> int:
    command = COMMANDS.get(arguments[0] if arguments else "show")
    if command is None or len(arguments) > 1:
        print(f"usage: python -m autograd_jit.cache [{'|'.join(COMMANDS)}]", file=sys.stderr)
        return 2
    print(command())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
