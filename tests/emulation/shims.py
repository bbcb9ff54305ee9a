"""CPU bodies, as LLVM IR text, for what the CUDA compiler's IR calls and no CPU has.

`shim(name)` answers for one name: the intrinsics `nvvm.*` and the inline assembly of libdevice, both renamed to
`shim.*` by `host_ir`.  A name nobody knows answers None, and building a kernel that needs it fails: nothing is
guessed.  Approximate instructions (`ex2.approx`, `rcp.approx`) are computed exactly, so the emulation is a little
*more* accurate than a device there; the operations with a rounding mode are exact in that mode.
"""

from __future__ import annotations

import re
from collections.abc import Callable

PREFIX = "shim."

# Layout of `KernelState` in c/scheduler.h.
STATE_TYPE = "{ [12 x i32], i32, i32, ptr, ptr, ptr, ptr, ptr, ptr }"
STATE = "@emulated.state"
_STATE_FIELD = {"dynamic_shared": 1, "barrier": 3, "barrier_reduce": 4, "warp_barrier": 5, "shuffle": 6, "vote": 7,
                "active_mask": 8}  # fmt: skip
_REGISTERS = {"tid": 0, "ntid": 3, "ctaid": 6, "nctaid": 9}

# Calling one of these switches to another thread, so such a kernel needs a stack per thread.
COOPERATIVE = re.compile(r"nvvm\.(barrier|bar\.|shfl|vote|activemask)")

_SCALARS = {"f": ("float", "f32"), "f32": ("float", "f32"), "d": ("double", "f64"), "f64": ("double", "f64")}
_INTEGERS = {"i": "i32", "ui": "i32", "ll": "i64", "ull": "i64"}
# Numbers of llvm.set.rounding; nearest is the state everything else runs in.
_ROUNDING = {"rz": 0, "rn": 1, "rp": 2, "rm": 3}


def shim(name: str, flush_denormals: bool = False) -> str | None:
    """The definition of @name, or None where there is none."""
    if name == "__nvvm_reflect":
        return _reflect(flush_denormals)
    if name == "shim.flush":
        return _define(name, "float", ["float"], _FLUSH)
    if not name.startswith(PREFIX):
        return None
    short = name[len(PREFIX) :]
    for pattern, build in _TABLE:
        match = re.fullmatch(pattern, short)
        if match:
            return build(name, *match.groups())
    return None


def _define(name: str, result: str, parameters: list[str], body: str, attributes: str = "alwaysinline") -> str:
    arguments = ", ".join(f"{kind} %a{i}" for i, kind in enumerate(parameters))
    return f'define internal {result} @"{name}"({arguments}) {attributes} {{\n{body}\n}}'


def _field(index: str) -> str:
    return f"getelementptr ({STATE_TYPE}, ptr {STATE}, i32 0, {index})"


def _call_state(field: str, result: str, arguments: str) -> str:
    pointer = _field(f"i32 {_STATE_FIELD[field]}")
    assign = "" if result == "void" else "%r = "
    return f"%f = load ptr, ptr {pointer}\n{assign}call {result} %f({arguments})"


# ---------------------------------------------------------------- registers, barriers, warps


def _register(name: str, register: str, axis: str) -> str:
    place = _field(f"i32 0, i32 {_REGISTERS[register] + 'xyz'.index(axis)}")
    return _define(name, "i32", [], f"%r = load i32, ptr {place}\nret i32 %r")


def _lane(name: str) -> str:
    loads = [f"%v{i} = load i32, ptr {_field(f'i32 0, i32 {i}')}" for i in range(5)]
    body = """%p = mul i32 %v2, %v4
%q = add i32 %p, %v1
%s = mul i32 %q, %v3
%t = add i32 %s, %v0
%r = and i32 %t, 31
ret i32 %r"""
    return _define(name, "i32", [], "\n".join([*loads, body]))


def _barrier(name: str, argument: str | None = None) -> str:
    return _define(name, "void", ["i32"] if argument else [], _call_state("barrier", "void", "") + "\nret void")


def _barrier_reduce(name: str, mode: str) -> str:
    number = ("popc", "and", "or").index(mode)
    return _define(
        name, "i32", ["i32"], _call_state("barrier_reduce", "i32", f"i32 {number}, i32 %a0") + "\nret i32 %r"
    )


def _warp_barrier(name: str) -> str:
    return _define(name, "void", ["i32"], _call_state("warp_barrier", "void", "i32 %a0") + "\nret void")


def _shuffle(name: str) -> str:
    body = """
%v = trunc i64 %r to i32
%h = lshr i64 %r, 32
%p = trunc i64 %h to i1
%r0 = insertvalue {i32, i1} undef, i32 %v, 0
%r1 = insertvalue {i32, i1} %r0, i1 %p, 1
ret {i32, i1} %r1"""
    call = _call_state("shuffle", "i64", "i32 %a0, i32 %a1, i32 %a2, i32 %a3, i32 %a4")
    return _define(name, "{i32, i1}", ["i32"] * 5, call + body)


def _vote(name: str) -> str:
    body = """
%p = icmp ne i32 %r, 0
%r0 = insertvalue {i32, i1} undef, i32 %r, 0
%r1 = insertvalue {i32, i1} %r0, i1 %p, 1
ret {i32, i1} %r1"""
    call = "%z = zext i1 %a2 to i32\n" + _call_state("vote", "i32", "i32 %a0, i32 %a1, i32 %z")
    return _define(name, "{i32, i1}", ["i32", "i32", "i1"], call + body)


def _active_mask(name: str) -> str:
    return _define(name, "i32", [], _call_state("active_mask", "i32", "") + "\nret i32 %r")


def _dynamic_shared_size(name: str) -> str:
    return _define(name, "i32", [], f"%r = load i32, ptr {_field('i32 1')}\nret i32 %r")


def _fence(name: str) -> str:
    return _define(name, "void", [], "fence seq_cst\nret void")


def _atomic_add(name: str, kind: str) -> str:
    scalar = _SCALARS[kind][0]
    return _define(name, scalar, ["ptr", scalar], f"%r = atomicrmw fadd ptr %a0, {scalar} %a1 seq_cst\nret {scalar} %r")


# ---------------------------------------------------------------- arithmetic

_FLUSH = """%a = call float @llvm.fabs.f32(float %a0)
%c = fcmp olt float %a, 0x3810000000000000
%z = call float @llvm.copysign.f32(float 0.0, float %a0)
%r = select i1 %c, float %z, float %a0
ret float %r"""


def _flushed(flush: str | None, scalar: str, operands: list[str]) -> tuple[list[str], list[str]]:
    """Lines that flush denormal operands to zero, and the operands' new names."""
    if not flush or scalar != "float":
        return [], operands
    lines = [f"%z{i} = call float @shim.flush(float {a})" for i, a in enumerate(operands)]
    return lines, [f"%z{i}" for i in range(len(operands))]


def _return_flushed(flush: str | None, scalar: str) -> str:
    if flush and scalar == "float":
        return "%o = call float @shim.flush(float %r)\nret float %o"
    return f"ret {scalar} %r"


def _arithmetic(name: str, operation: str, rounding: str, flush: str | None, kind: str) -> str:
    """add, sub, mul, div, fma, rcp, sqrt with a rounding mode; `approx` and `full` round to nearest."""
    scalar, suffix = _SCALARS[kind]
    count = {"fma": 3, "rcp": 1, "sqrt": 1}.get(operation, 2)
    lines, operands = _flushed(flush, scalar, [f"%a{i}" for i in range(count)])
    if operation == "rcp":
        operation, operands = "div", ["1.0", *operands]
    arguments = ", ".join(f"{scalar} {a}" for a in operands)
    directed = rounding in ("rz", "rm", "rp")
    if directed:
        intrinsic = operation if operation in ("fma", "sqrt") else "f" + operation
        call = (
            f"%r = call {scalar} @llvm.experimental.constrained.{intrinsic}.{suffix}({arguments}, "
            'metadata !"round.dynamic", metadata !"fpexcept.strict") strictfp'
        )
        lines += [_set_rounding(rounding), call, _set_rounding("rn")]
    elif operation in ("fma", "sqrt"):
        lines.append(f"%r = call {scalar} @llvm.{operation}.{suffix}({arguments})")
    else:
        lines.append(f"%r = f{operation} {scalar} {', '.join(operands)}")
    lines.append(_return_flushed(flush, scalar))
    # Inlined into a function that is not strictfp, the operation might move away from its rounding mode.
    return _define(
        name, scalar, [scalar] * count, "\n".join(lines), "noinline strictfp" if directed else "alwaysinline"
    )


def _set_rounding(mode: str) -> str:
    return f"call void @llvm.set.rounding(i32 {_ROUNDING[mode]}) strictfp"


_UNARY = {
    "floor": "floor", "ceil": "ceil", "trunc": "trunc", "round": "rint", "fabs": "fabs", "sin.approx": "sin",
    "cos.approx": "cos", "lg2.approx": "log2", "ex2.approx": "exp2", "tanh.approx": "tanh",
}  # fmt: skip


def _unary(name: str, operation: str, flush: str | None, kind: str) -> str:
    scalar, suffix = _SCALARS[kind]
    lines, (x,) = _flushed(flush, scalar, ["%a0"])
    operation = operation.replace("_", ".")
    if operation == "saturate":
        lines.append(f"%m = call {scalar} @llvm.maxnum.{suffix}({scalar} {x}, {scalar} 0.0)")
        lines.append(f"%r = call {scalar} @llvm.minnum.{suffix}({scalar} %m, {scalar} 1.0)")
    elif operation == "rsqrt.approx":
        lines.append(f"%s = call {scalar} @llvm.sqrt.{suffix}({scalar} {x})\n%r = fdiv {scalar} 1.0, %s")
    else:
        lines.append(f"%r = call {scalar} @llvm.{_UNARY[operation]}.{suffix}({scalar} {x})")
    lines.append(_return_flushed(flush, scalar))
    return _define(name, scalar, [scalar], "\n".join(lines))


def _minmax(name: str, operation: str, flush: str | None, kind: str) -> str:
    scalar, suffix = _SCALARS[kind]
    lines, (x, y) = _flushed(flush, scalar, ["%a0", "%a1"])
    intrinsic = {"fmin": "minnum", "fmax": "maxnum"}[operation]
    lines.append(f"%r = call {scalar} @llvm.{intrinsic}.{suffix}({scalar} {x}, {scalar} {y})\nret {scalar} %r")
    return _define(name, scalar, [scalar, scalar], "\n".join(lines))


# ---------------------------------------------------------------- conversions and bits


def _to_integer(name: str, kind: str, integer: str, rounding: str, flush: str | None) -> str:
    scalar, suffix = _SCALARS[kind]
    width, sign = _INTEGERS[integer], "u" if integer.startswith("u") else "s"
    whole = {"rn": "rint", "rz": "trunc", "rm": "floor", "rp": "ceil"}[rounding]
    lines, (x,) = _flushed(flush, scalar, ["%a0"])
    lines.append(f"%w = call {scalar} @llvm.{whole}.{suffix}({scalar} {x})")
    lines.append(f"%r = call {width} @llvm.fpto{sign}i.sat.{width}.{suffix}({scalar} %w)\nret {width} %r")
    return _define(name, width, [scalar], "\n".join(lines))


def _from_integer(name: str, integer: str, kind: str, rounding: str) -> str:
    scalar, suffix = _SCALARS[kind]
    width, sign = _INTEGERS[integer], "u" if integer.startswith("u") else "s"
    if rounding == "rn":
        return _define(name, scalar, [width], f"%r = {sign}itofp {width} %a0 to {scalar}\nret {scalar} %r")
    call = (
        f"%r = call {scalar} @llvm.experimental.constrained.{sign}itofp.{suffix}.{width}({width} %a0, "
        'metadata !"round.dynamic", metadata !"fpexcept.strict") strictfp'
    )
    lines = [_set_rounding(rounding), call, _set_rounding("rn"), f"ret {scalar} %r"]
    return _define(name, scalar, [width], "\n".join(lines), "noinline strictfp")


def _narrow(name: str, rounding: str, flush: str | None) -> str:
    call = (
        "%r = call float @llvm.experimental.constrained.fptrunc.f32.f64(double %a0, "
        'metadata !"round.dynamic", metadata !"fpexcept.strict") strictfp'
    )
    lines = [_set_rounding(rounding), call, _set_rounding("rn"), _return_flushed(flush, "float")]
    return _define(name, "float", ["double"], "\n".join(lines), "noinline strictfp")


_BITS = {
    "nvvm.lohi.i2d": ("double", ["i32", "i32"], """%l = zext i32 %a0 to i64
%h = zext i32 %a1 to i64
%s = shl i64 %h, 32
%d = or i64 %l, %s
%r = bitcast i64 %d to double
ret double %r"""),
    "nvvm.d2i.lo": ("i32", ["double"], "%b = bitcast double %a0 to i64\n%r = trunc i64 %b to i32\nret i32 %r"),
    "nvvm.d2i.hi": ("i32", ["double"], """%b = bitcast double %a0 to i64
%s = lshr i64 %b, 32
%r = trunc i64 %s to i32
ret i32 %r"""),
    "nvvm.mulhi.i": ("i32", ["i32", "i32"], """%x = sext i32 %a0 to i64
%y = sext i32 %a1 to i64
%p = mul i64 %x, %y
%s = lshr i64 %p, 32
%r = trunc i64 %s to i32
ret i32 %r"""),
    "nvvm.mulhi.ui": ("i32", ["i32", "i32"], """%x = zext i32 %a0 to i64
%y = zext i32 %a1 to i64
%p = mul i64 %x, %y
%s = lshr i64 %p, 32
%r = trunc i64 %s to i32
ret i32 %r"""),
    "nvvm.mulhi.ll": ("i64", ["i64", "i64"], """%x = sext i64 %a0 to i128
%y = sext i64 %a1 to i128
%p = mul i128 %x, %y
%s = lshr i128 %p, 64
%r = trunc i128 %s to i64
ret i64 %r"""),
    "nvvm.mulhi.ull": ("i64", ["i64", "i64"], """%x = zext i64 %a0 to i128
%y = zext i64 %a1 to i128
%p = mul i128 %x, %y
%s = lshr i128 %p, 64
%r = trunc i128 %s to i64
ret i64 %r"""),
    "asm.bfind_shiftamt_u32": ("i32", ["i32"], """%c = call i32 @llvm.ctlz.i32(i32 %a0, i1 false)
%z = icmp eq i32 %a0, 0
%r = select i1 %z, i32 -1, i32 %c
ret i32 %r"""),
}  # fmt: skip


def _bits(name: str, short: str) -> str:
    return _define(name, *_BITS[short])


# libdevice's slow path of trigonometry: 96- and 128-bit integers as chains of carries in inline assembly.
def _multiply_add_carry(name: str) -> str:
    body = """%x = zext i32 %a0 to i64
%y = zext i32 %a1 to i64
%z = zext i32 %a2 to i64
%p = mul i64 %x, %y
%s = add i64 %p, %z
%l = trunc i64 %s to i32
%t = lshr i64 %s, 32
%h = trunc i64 %t to i32
%r0 = insertvalue { i32, i32 } undef, i32 %l, 0
%r1 = insertvalue { i32, i32 } %r0, i32 %h, 1
ret { i32, i32 } %r1"""
    return _define(name, "{ i32, i32 }", ["i32"] * 3, body)


def _wide(name: str, operation: str) -> str:
    """128-bit integers in pairs of 64 bits, low word first: a*b, a*b+c, (a, b)+(c, d), (a, b)-(c, d)."""
    count = {"mul": 2, "mad": 3, "add": 4, "sub": 4}[operation]
    lines = [f"%x{i} = zext i64 %a{i} to i128" for i in range(count)]
    if operation in ("mul", "mad"):
        lines.append("%m = mul i128 %x0, %x1")
        lines.append(f"%r = add i128 %m, {'%x2' if operation == 'mad' else '0'}")
    else:
        lines += ["%s0 = shl i128 %x1, 64\n%u = or i128 %x0, %s0", "%s1 = shl i128 %x3, 64\n%v = or i128 %x2, %s1"]
        lines.append(f"%r = {operation} i128 %u, %v")
    lines.append("""%l = trunc i128 %r to i64
%s = lshr i128 %r, 64
%h = trunc i128 %s to i64
%r0 = insertvalue { i64, i64 } undef, i64 %l, 0
%r1 = insertvalue { i64, i64 } %r0, i64 %h, 1
ret { i64, i64 } %r1""")
    return _define(name, "{ i64, i64 }", ["i64"] * count, "\n".join(lines))


def _select_equal(name: str) -> str:
    body = "%p = fcmp ueq double %a0, %a1\n%r = select i1 %p, double %a2, double %a3\nret double %r"
    return _define(name, "double", ["double"] * 4, body)


def _reflect(flush_denormals: bool) -> str:
    """__nvvm_reflect(name): the compiler's switches.  The eighth letter tells __CUDA_FTZ, _PREC_SQRT and _ARCH apart.

    The architecture is 9.0 whatever was compiled for: libdevice asks only whether it is at least 7.5.
    """
    return f"""define internal i32 @__nvvm_reflect(ptr %s) alwaysinline {{
%p = getelementptr i8, ptr %s, i64 7
%c = load i8, ptr %p
%f = icmp eq i8 %c, 70
%a = icmp eq i8 %c, 65
%x = select i1 %f, i32 {int(flush_denormals)}, i32 {int(not flush_denormals)}
%r = select i1 %a, i32 900, i32 %x
ret i32 %r
}}"""


_OPERATION = "(fma|add|sub|mul|div|rcp|sqrt)"
_MODE = "(rn|rz|rm|rp|approx|full)"
_APPROXIMATE = r"((?:sin|cos|lg2|ex2|tanh|rsqrt)[._]approx|saturate|floor|ceil|trunc|round|fabs)"

_TABLE: list[tuple[str, Callable[..., str]]] = [
    (r"nvvm\.read\.ptx\.sreg\.(tid|ntid|ctaid|nctaid)\.([xyz])", _register),
    (r"nvvm\.read\.ptx\.sreg\.laneid", _lane),
    (r"nvvm\.read\.ptx\.sreg\.warpsize", lambda name: _define(name, "i32", [], "ret i32 32")),
    (r"nvvm\.barrier0", _barrier),
    (r"nvvm\.(barrier\.cta\.sync\.aligned\.all|bar\.sync)", lambda name, _: _barrier(name, "i32")),
    (r"nvvm\.barrier0\.(popc|and|or)", _barrier_reduce),
    (r"nvvm\.bar\.warp\.sync", _warp_barrier),
    (r"nvvm\.shfl\.sync\.i32", _shuffle),
    (r"nvvm\.vote\.sync", _vote),
    (r"nvvm\.activemask|asm\.activemask_b32_0", _active_mask),
    (r"asm\.mov_u32_0_dynamic_smem_size", _dynamic_shared_size),
    (r"nvvm\.membar\.(?:cta|gl|sys)", _fence),
    (r"nvvm\.atomic\.load\.add\.(f32|f64)\.p0f\d+", _atomic_add),
    (rf"(?:nvvm|asm)[._]{_OPERATION}[._]{_MODE}[._]?(ftz)?[._](f32|f64|f|d)(?:_0_1(?:_2)?)?", _arithmetic),
    (rf"(?:nvvm|asm)[._]{_APPROXIMATE}[._]?(ftz)?[._](f32|f64|f|d)(?:_0_1)?", _unary),
    (r"nvvm\.(fmin|fmax)\.?(ftz)?\.(f|d)", _minmax),
    (r"nvvm\.([fd])2(i|ui|ll|ull)\.(rn|rz|rm|rp)\.?(ftz)?", _to_integer),
    (r"nvvm\.(i|ui|ll|ull)2([fd])\.(rn|rz|rm|rp)", _from_integer),
    (r"nvvm\.d2f\.(rn|rz|rm|rp)\.?(ftz)?", _narrow),
    (f"({'|'.join(map(re.escape, _BITS))})(?:_0_1)?", _bits),
    (r"asm\.mad_lo_cc_u32.*", _multiply_add_carry),
    (r"asm\.wide_(mul|mad|add|sub)", _wide),
    (r"asm\.reg_pred_.*setp_equ_f64.*", _select_equal),
]


def assembly_name(text: str) -> str:
    """The shim's name for one inline assembly text; operations on wide integers are told apart by what they contain."""
    if ".reg .u32 r0" in text:
        marks = {"subc": "sub", "clo": "mad", "mul.lo": "mul"}
        return f"{PREFIX}asm.wide_{next((word for mark, word in marks.items() if mark in text), 'add')}"
    words = re.sub(r"\\0A|\\09", " ", text).strip("{} ")
    return f"{PREFIX}asm." + re.sub(r"[^A-Za-z0-9]+", "_", words)[:60].strip("_")
