"""The compiler's IR of a kernel, rewritten as text so that a CPU can compile it.

numba-cuda hands NVVM plain LLVM IR.  Four things in it are strange to a CPU: the target lines, address spaces, calls of
`llvm.nvvm.*` and `__nv_*`, and inline assembly.  Address spaces go (host memory has one), intrinsics and assembly
become calls of `shims`, and `__nv_*` calls resolve to the host build of NVIDIA's own `libdevice`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from tests.emulation import shims

GUARD = 32  # bytes of canary on either side of a shared array, as in c/scheduler.h
MAX_DYNAMIC_SHARED = 48 * 1024

DEFINITION = re.compile(r'^define [^\n]*?@("?)([\w.$]+)\1\([^\n]*\n?\{\n.*?^\}', re.M | re.S)
GLOBAL = re.compile(r'^@"?([\w.$]+)"? = .*$', re.M)
DECLARATION = re.compile(r'^declare [^\n]*?@"?([\w.$]+)"?\([^\n]*$', re.M)
_NAMES = re.compile(r'@"?([\w.$]+)"?')
_ASSEMBLY = re.compile(r'call ([^\n]*?) asm +(?:sideeffect )?"((?:[^"\n])*)", "[^"\n]*"\(')
_CALL = re.compile(
    r"call (?:fast |nnan |ninf |nsz |arcp |contract |afn |reassoc )*([\w{}, ]+?) "
    r'@"?(llvm\.[\w.]+)"?\(([^\n]*)\)'
)
_SHARED = re.compile(
    r'^@"?([\w.$]+)"? = (?:internal |private |external |dso_local )*addrspace\(3\) global \[(\d+) x ([\w.]+)\].*$', re.M
)
_BYTES = {"i1": 1, "i8": 1, "i16": 2, "half": 2, "i32": 4, "float": 4, "i64": 8, "double": 8}


class EmulationError(Exception):
    """What the emulated device has to say about the program under test, or something it cannot emulate."""


class NotEmulated(EmulationError):
    """The kernel uses something that has no emulation (yet).  Never skipped silently: the test that meets it fails."""


@dataclass(frozen=True)
class HostModule:
    """Text of one kernel's module for the host, and the symbol of its `Executable` (c/scheduler.h)."""

    text: str
    symbol: str


def on_host(text: str) -> str:
    """Without target, metadata, attributes and address spaces; device calls renamed to `shim.*`."""
    text = re.sub(r"^target (triple|datalayout).*$|^source_filename.*$", "", text, flags=re.M)
    text = re.sub(r'^!.*$|^attributes .*$|^@"?llvm\.(?:compiler\.)?used"?.*$', "", text, flags=re.M)
    text = re.sub(r"^.*call void @\"?llvm\.dbg\..*$", "", text, flags=re.M)
    text = re.sub(r", ![\w.]+ !\d+| #\d+", "", text)
    text = re.sub(r'@("?)llvm\.nvvm\.', rf"@\1{shims.PREFIX}nvvm.", text)
    text = _ASSEMBLY.sub(lambda m: f"call {m[1]} @{shims.assembly_name(m[2])}(", text)
    text = re.sub(r"\baddrspacecast\b", "bitcast", text)
    return re.sub(r" ?addrspace\(\d+\)", "", text)


def names(text: str) -> set[str]:
    return set(_NAMES.findall(text))


def closure(text: str, known: Iterable[str], flush_denormals: bool) -> tuple[list[str], set[str]]:
    """Definitions of every shim that `text` needs, directly or not, and the names of those that do not exist."""
    seen, parts, absent = set(known), [], set()
    todo = names(text) - seen
    while todo:
        name = todo.pop()
        seen.add(name)
        if not name.startswith(shims.PREFIX) and name != "__nvvm_reflect":
            continue
        body = shims.shim(name, flush_denormals)
        if body is None:
            absent.add(name)
            continue
        parts.append(body)
        todo |= names(body) - seen
    return parts, absent


def declare_intrinsics(text: str) -> str:
    """Declarations, read off the call sites, of the `llvm.*` functions that `text` calls without declaring them."""
    declared = {m[1] for m in DECLARATION.finditer(text)}
    lines = {}
    for match in _CALL.finditer(text):
        result, name, arguments = match.groups()
        if name not in declared:
            kinds = [re.match(r"\s*(\{[^}]*\}|\w+)", a)[1] for a in arguments.split(",")] if arguments else []
            lines[name] = f"declare {result} @{name}({', '.join(kinds)})"
    return "\n".join(lines.values())


def merge(modules: Iterable[str]) -> str:
    """One module of several: later copies of the same definition go, and declarations of what is defined."""
    defined: set[str] = set()
    declared: set[str] = set()

    def keep_first(seen: set[str], group: int):
        def choose(match: re.Match[str]) -> str:
            if match[group] in seen:
                return ""
            seen.add(match[group])
            return match[0]

        return choose

    parts = []
    for text in modules:
        text = DEFINITION.sub(keep_first(defined, 2), text)
        parts.append(GLOBAL.sub(keep_first(defined, 1), text))
    text = "\n".join(parts)
    return DECLARATION.sub(
        lambda m: "" if m[1] in defined or m[1].startswith(shims.PREFIX) else keep_first(declared, 1)(m), text
    )


def kernel_module(
    modules: list[str], entry: str, key: str, fastmath: bool, contract: bool, library: str, available: set[str]
) -> HostModule:
    """The host module of kernel `entry`; `library` prefixes the names in the host's libdevice, which are `available`.

    The device's compiler fuses a*b + c unless told not to (`contract`), and so does the host: results differ from
    NumPy's in the last place as they do on a device.
    """
    text = merge(modules)
    text, shared = _place_shared_arrays(text)
    cooperative = bool(shims.COOPERATIVE.search(text))
    text = on_host(text)
    if contract:
        text = re.sub(r" = (f(?:add|sub|mul))\b", r" = \1 contract", text)
    text = re.sub(rf'^declare [^\n]*@"?{re.escape(shims.PREFIX)}.*$', "", text, flags=re.M)
    definitions = {m[2] for m in DEFINITION.finditer(text)}
    parts, absent = closure(text, definitions, fastmath)
    device = {name for name in names(text) if name.startswith("__nv_")} - definitions
    absent |= device - available
    if absent:
        raise NotEmulated(f"kernel {entry}: no emulation of {', '.join(sorted(absent))} (tests/emulation/shims.py)")
    text = re.sub(r'@"?(__nv_\w+)"?', lambda m: f"@{library}{m[1]}" if m[1] in device else m[0], text)
    text = "\n".join([f"{shims.STATE} = internal global {shims.STATE_TYPE} zeroinitializer", text, *parts])
    symbol = f"kernel.{key}"
    text = "\n".join([text, _thread_function(text, entry), _executable(symbol, shared, cooperative)])
    return HostModule(declare_intrinsics(text) + "\n" + text, symbol)


def parameters(text: str, entry: str) -> list[str]:
    """LLVM types of the kernel's parameters."""
    match = re.search(rf'^define [^\n]*?@"?{re.escape(entry)}"?\(([^\n]*)\)', text, re.M)
    if match is None:
        raise EmulationError(f"no kernel {entry} in the compiler's IR")
    return [_parameter_type(part) for part in _split(match[1])]


def parameter_size(kind: str) -> int:
    if kind.endswith("*") or kind.startswith("ptr"):
        return 8
    if kind not in _BYTES:
        raise NotEmulated(f"a kernel parameter of type {kind}")
    return _BYTES[kind]


def _parameter_type(part: str) -> str:
    kind = part.rsplit(" ", 1)[0].strip() if "%" in part else part.strip()
    return re.sub(r" (?:noalias|nocapture|readonly|noundef|signext|zeroext)\b", "", kind)


def _split(text: str) -> list[str]:
    """At the commas outside brackets."""
    parts, depth, current = [], 0, ""
    for character in text:
        depth += (character in "({[<") - (character in ")}]>")
        if character == "," and depth == 0:
            parts.append(current.strip())
            current = ""
        else:
            current += character
    return [*parts, current.strip()] if current.strip() else parts


def _thread_function(text: str, entry: str) -> str:
    """`emulated.thread(void **parameters)`: loads the parameters as cuLaunchKernel gets them, and runs one thread."""
    lines, arguments = [], []
    for i, kind in enumerate(parameters(text, entry)):
        lines.append(f"  %s{i} = getelementptr ptr, ptr %parameters, i64 {i}")
        lines.append(f"  %p{i} = load ptr, ptr %s{i}")
        lines.append(f"  %v{i} = load {kind}, ptr %p{i}")
        arguments.append(f"{kind} %v{i}")
    call = f'  call void @"{entry}"({", ".join(arguments)})'
    return "\n".join(["define internal void @emulated.thread(ptr %parameters) {", *lines, call, "  ret void\n}"])


def _place_shared_arrays(text: str) -> tuple[str, list[tuple[str, int]]]:
    """Every __shared__ array moved between two guards; (name of the guarded storage, bytes or -1 if dynamic)."""
    arrays: list[tuple[str, int]] = []

    def place(match: re.Match[str]) -> str:
        name, count, element = match[1], int(match[2]), match[3]
        dynamic = count == 0
        room = MAX_DYNAMIC_SHARED if dynamic else count * _BYTES[element]
        storage = "emulated.dynamic" if dynamic else f"emulated.shared.{len(arrays)}"
        layout = f"{{ [{GUARD} x i8], [{room} x i8], [{GUARD} x i8] }}"
        place = f"getelementptr ({layout}, ptr @{storage}, i32 0, i32 1)"
        alias = f'@"{name}" = internal alias [{count} x {element}], ptr {place}'
        if (storage, -1) in arrays:  # all dynamic arrays of a kernel are the same memory
            return alias
        arrays.append((storage, -1 if dynamic else room))
        return f"@{storage} = internal global {layout} zeroinitializer, align 64\n{alias}"

    return _SHARED.sub(place, text), arrays


def _executable(symbol: str, shared: list[tuple[str, int]], cooperative: bool) -> str:
    """The `Executable` of c/scheduler.h, the only symbol that others see."""
    rows = ", ".join(
        f"{{ ptr, i64 }} {{ ptr getelementptr (i8, ptr @{name}, i64 {GUARD}), i64 {size} }}" for name, size in shared
    )
    count = len(shared)
    table = f"[{rows}]" if shared else "zeroinitializer"
    return (
        f"@emulated.shared = internal global [{count} x {{ ptr, i64 }}] {table}\n"
        f"@{symbol} = global {{ ptr, ptr, ptr, i32, i32 }} {{ ptr @emulated.thread, ptr {shims.STATE}, "
        f"ptr @emulated.shared, i32 {count}, i32 {int(cooperative)} }}"
    )
