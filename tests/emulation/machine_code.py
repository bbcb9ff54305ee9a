"""What the real tool chain makes of a kernel: PTX for one architecture, assembled, and the assembler's own report.

Needs no driver and no device.  Registers and spills come from `ptxas -v`; instructions are counted in the PTX, and in
the machine code where nvdisasm is installed.
"""

from __future__ import annotations

import functools
import re
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ARCHITECTURES = ((7, 5), (8, 0), (9, 0), (10, 0), (12, 0))


@dataclass(frozen=True)
class Report:
    """One kernel on one architecture.  Check spills, not stack: trigonometry's slow path keeps 32 bytes there."""

    architecture: tuple[int, int]
    registers: int
    spill_stores: int  # bytes
    spill_loads: int
    stack: int
    shared: int
    barriers: int
    local_accesses: int  # ld.local and st.local in the PTX
    float64_ptx: int  # float64 instructions
    float64_sass: int | None  # None: no disassembler
    machine_instructions: int | None


def report(
    function: Callable[..., None], signature: Sequence[Any], architecture: tuple[int, int], **options: Any
) -> Report:
    """Compile `function` as a kernel of `signature` and assemble it for `architecture`."""
    ptx = compile_ptx(function, signature, architecture, **options)
    log, cubin = _assemble(ptx, architecture)
    machine = disassemble(cubin)
    return Report(
        architecture,
        registers=_number(r"Used (\d+) registers", log),
        spill_stores=_number(r"(\d+) bytes spill stores", log),
        spill_loads=_number(r"(\d+) bytes spill loads", log),
        stack=_number(r"(\d+) bytes stack frame", log),
        shared=_number(r"(\d+) bytes smem", log),
        barriers=_number(r"used (\d+) barriers", log),
        local_accesses=len(re.findall(r"^\s+(?:@\S+ )?(?:ld|st)\.local", ptx, re.M)),
        # Moves and loads of .f64 too: where there are none, no float64 value exists at all.
        float64_ptx=len(re.findall(r"^\s+(?:@\S+ )?[a-z][\w.]*\.f64\b", ptx[ptx.index(".entry") :], re.M)),
        float64_sass=None if machine is None else _float64(machine),
        machine_instructions=None if machine is None else sum(machine.values()),
    )


def compile_ptx(
    function: Callable[..., None], signature: Sequence[Any], architecture: tuple[int, int], **options: Any
) -> str:
    from numba import cuda, types

    ptx, _ = cuda.compile(
        function, types.void(*signature), device=False, abi="numba", output="ptx", cc=architecture, **options
    )
    return ptx


@functools.cache
def assembler() -> str | None:
    """Path of ptxas, from the nvidia-cuda-nvcc wheel or an installed tool kit."""
    return _tool("ptxas")


def _tool(name: str) -> str | None:
    import shutil

    from cuda import pathfinder

    try:
        return pathfinder.find_nvidia_binary_utility(name) or shutil.which(name)
    except Exception:  # the locator knows a fixed list of tools, which differs between its versions
        return shutil.which(name)


def _assemble(ptx: str, architecture: tuple[int, int]) -> tuple[str, bytes]:
    tool = assembler()
    if tool is None:
        raise FileNotFoundError("no ptxas: pip install 'nvidia-cuda-nvcc==13.0.*'")
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "kernel.ptx", Path(folder) / "kernel.cubin"
        source.write_text(ptx)
        arch = f"-arch=sm_{architecture[0]}{architecture[1]}"
        result = subprocess.run([tool, arch, "-v", str(source), "-o", str(target)], capture_output=True, text=True)
        if result.returncode:
            raise RuntimeError(f"ptxas {arch}: {result.stderr}")
        return result.stdout + result.stderr, target.read_bytes()


def disassemble(cubin: bytes) -> Counter[str] | None:
    """How often each machine instruction (without its modifiers) occurs, or None without nvdisasm."""
    tool = _tool("nvdisasm")
    if tool is None:
        return None
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        text = subprocess.run([tool, "-c", file.name], capture_output=True, text=True, check=True).stdout
    return Counter(re.findall(r"/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\w+ )?([A-Z][A-Z0-9_]+)", text))


def _float64(machine: Counter[str]) -> int:
    return sum(count for name, count in machine.items() if re.fullmatch(r"D(ADD|MUL|FMA|SETP|MMA)", name))


def _number(pattern: str, text: str) -> int:
    match = re.search(pattern, text)
    return int(match[1]) if match else 0
