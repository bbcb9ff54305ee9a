"""Machine code from a small subset of Python: for loops that depend on data, which the kernels' vector form is not for.

    @routine
    def total(slots: Ints, words: Ints) -> int:
        x = reals_at(slots[words[0]])
        for i in range(1, words[1]):
            x[0] += x[i]
        return 0

A routine is a function of the module that it is written in, never run by Python: its source is parsed, typed and
printed as LLVM IR, together with the routines that it calls. :func:`compiled` gives the machine code, from disk where
it has been made before.

Types: ``int`` (64 bits), ``float`` (double or float, one choice for a whole compilation), ``bool``; and memory of
such elements, ``Ints``, ``Reals``, ``Bools`` and ``Narrows`` (32-bit integers). Memory is indexed, and moved by adding
an integer. A variable has the type of its first assignment.

Statements: assignment to a name or an element, ``+=`` and its like, ``if``, ``while``, ``for ... in range``,
``return``, calls. Expressions: arithmetic (``//`` and ``%`` of integers that are not negative), comparisons, ``and``,
``or``, ``not``, ``x if c else y``, and the functions of :data:`INTRINSICS`. What needs vectors is printed as vector
IR, and called like a routine (:func:`vector_routine`). Integers become reals where they meet reals. Names that are not
variables are constants of the module.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import inspect
import textwrap
from collections.abc import Callable
from typing import Any, Final, Literal, TypeAlias

from .llvm import KERNEL_ATTRIBUTES, CompiledCode, Tier, compile_ir, load_object
from .vector_ir import Emission, literal

__all__ = [
    "Bools",
    "Ints",
    "Narrows",
    "Reals",
    "bools_at",
    "by_precision",
    "call",
    "call_for_status",
    "compiled",
    "ints_at",
    "ir_text",
    "narrows_at",
    "place",
    "reals_at",
    "ref",
    "routine",
    "vector_routine",
]

Real = Literal["double", "float"]
#: a typed value: type of the subset, and its name in the IR
Typed = tuple[str, str]

#: what Python and its checkers know of memory
Ints: TypeAlias = Any
Reals: TypeAlias = Any
Narrows: TypeAlias = Any
Bools: TypeAlias = Any

_ANNOTATIONS: Final = {"float": "real", "Ints": "ints", "Reals": "reals", "Narrows": "narrows", "Bools": "bools"}
_POINTEES: Final = {"ints": "int", "reals": "real", "narrows": "narrow", "bools": "byte"}
_COMPARE: Final = {
    ast.Lt: ("slt", "olt"),
    ast.LtE: ("sle", "ole"),
    ast.Gt: ("sgt", "ogt"),
    ast.GtE: ("sge", "oge"),
    ast.Eq: ("eq", "oeq"),
    ast.NotEq: ("ne", "une"),
}
_ARITHMETIC: Final = {
    ast.Add: ("add", "fadd"),
    ast.Sub: ("sub", "fsub"),
    ast.Mult: ("mul", "fmul"),
    ast.Div: ("", "fdiv"),
    ast.FloorDiv: ("sdiv", ""),
    ast.Mod: ("srem", ""),
}


def routine(function: Callable) -> Callable:
    """Marks a function as source text of this subset."""
    function.__routine__ = True  # type: ignore[attr-defined]
    return function


def vector_routine(printer: Callable[[Real], Emission]) -> Callable[[Callable], Callable]:
    """Marks a function as the signature of a routine that is printed as vector IR: ``printer`` prints what follows its
    entry, in terms of parameters named as here. Routines call it like any other."""

    def marked(function: Callable) -> Callable:
        function.__printer__ = printer  # type: ignore[attr-defined]
        return routine(function)

    return marked


_compiled: dict[tuple[Callable, Real], CompiledCode] = {}


def compiled(function: Callable, real: Real) -> CompiledCode:
    """The machine code of a routine, under its own name, once a process and, in the disk cache, once a machine.

    Of threads that come at once, all get the code of one: code is freed with its object, whoever has its address."""
    found = _compiled.get((function, real))
    if found is None:
        text = ir_text(function, real)
        found = _stored(text, "full") or _compile(function, text, "full")
    return _compiled.setdefault((function, real), found)


def best_known(function: Callable, real: Real, quickly: bool) -> tuple[CompiledCode, Tier]:
    """The machine code of a routine and its tier: what the disk has, else made now, ``quickly`` or optimised."""
    if not quickly:
        return compiled(function, real), "full"
    text = ir_text(function, real)
    for tier in _TIERS:
        code = _stored(text, tier)
        if code is not None:
            return code, tier
    return _compile(function, text, "quick"), "quick"


_TIERS: Final[tuple[Tier, ...]] = ("full", "quick")


def _key(text: str, tier: Tier) -> str:
    key = "routine-" + hashlib.sha256(text.encode()).hexdigest()
    return key if tier == "full" else f"{key} {tier}"


def _stored(text: str, tier: Tier) -> CompiledCode | None:
    from ..lower.cache import default_cache

    stored = default_cache().get(_key(text, tier))
    return None if stored is None else load_object(stored)


def _compile(function: Callable, text: str, tier: Tier) -> CompiledCode:
    from ..lower.cache import default_cache

    code = compile_ir(text, name_hint=function.__name__, tier="scalar" if tier == "full" else tier)
    default_cache().put(_key(text, tier), code.object_code)
    return code


def ir_text(function: Callable, real: Real) -> str:
    """The module of a routine and of all that it calls."""
    texts: dict[str, str] = {}
    declarations: set[str] = set()
    todo = [function]
    while todo:
        current = todo.pop()
        if current.__name__ in texts:
            continue
        if hasattr(current, "__printer__"):
            body = current.__printer__(real)
            texts[current.__name__] = _vector_text(current, real, body)
            declarations |= body.declarations
        else:
            printer = _Printer(current, real, linkage="" if current is function else "internal ")
            texts[current.__name__] = printer.text()
            declarations |= printer.declarations
            todo += printer.callees
    return "\n".join([*texts.values(), *sorted(declarations)])


def _vector_text(function: Callable, real: Real, body: Emission) -> str:
    parameters, result = _signature(function)
    given = ", ".join([f"{_ir_type(type_, real)} %{name}" for name, type_ in parameters])
    head = f"define internal {_ir_type(result, real)} @{function.__name__}({given}) {KERNEL_ATTRIBUTES} {{"
    return "\n".join([head, "entry:", *body.lines, "}"])


def _ir_type(type_: str, real: Real) -> str:
    known = {"int": "i64", "real": real, "bool": "i1", "narrow": "i32", "byte": "i8"}
    return known.get(type_, "ptr")


@functools.cache
def _parsed(function: Callable) -> ast.FunctionDef:
    tree = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    assert isinstance(tree, ast.FunctionDef)
    return tree


def _signature(function: Callable) -> tuple[list[tuple[str, str]], str]:
    """Parameters and result: the annotations' text."""
    tree = _parsed(function)
    parameters = [(argument.arg, _annotation(argument.annotation)) for argument in tree.args.args]
    return parameters, _annotation(tree.returns)


def _annotation(node: ast.expr | None) -> str:
    assert isinstance(node, ast.Name), "every parameter and result is annotated"
    return _ANNOTATIONS.get(node.id, node.id)


class _Printer:
    """Prints one routine. Variables live in stack slots, which LLVM turns into registers."""

    def __init__(self, function: Callable, real: Real, linkage: str) -> None:
        self.function = function
        self.real = real
        self.linkage = linkage
        self.globals: dict[str, Any] = function.__globals__  # type: ignore[attr-defined]
        self.types: dict[str, str] = {}
        self.slots: list[str] = []
        self.lines: list[str] = []
        self.declarations: set[str] = set()
        self.callees: list[Callable] = []
        self.count = 0
        self.open = True  # whether the block being written still lacks its last instruction

    # ---------------------------------------------------------------- text

    def text(self) -> str:
        parameters, result = _signature(self.function)
        for name, type_ in parameters:
            self._declare(name, type_)
            self._line(f"store {self._ir(type_)} %{name}.in, ptr %{name}.at")
        self._body(_parsed(self.function).body)
        assert not self.open, f"{self.function.__name__} must end with a return"
        given = ", ".join([f"{self._ir(type_)} %{name}.in" for name, type_ in parameters])
        head = f"define {self.linkage}{self._ir(result)} @{self.function.__name__}({given}) nounwind {{"
        return "\n".join([head, "entry:", *self.slots, *self.lines, "}"])

    def _ir(self, type_: str) -> str:
        return _ir_type(type_, self.real)

    def _line(self, text: str) -> None:
        if self.open:  # what follows a return is never reached
            self.lines.append("  " + text)

    def _let(self, text: str) -> str:
        self.count += 1
        self._line(f"%t{self.count} = {text}")
        return f"%t{self.count}"

    def _label(self, name: str) -> None:
        self.lines.append(f"{name}:")
        self.open = True

    def _jump(self, text: str) -> None:
        self._line(text)
        self.open = False

    def _labels(self, *names: str) -> list[str]:
        self.count += 1
        return [f"{name}{self.count}" for name in names]

    def _declare(self, name: str, type_: str) -> None:
        self.types[name] = type_
        self.slots.append(f"  %{name}.at = alloca {self._ir(type_)}, align 8")

    # ---------------------------------------------------------------- statements

    def _body(self, statements: list[ast.stmt]) -> None:
        for statement in statements:
            getattr(self, f"_do_{type(statement).__name__}")(statement)

    def _do_Expr(self, statement: ast.Expr) -> None:
        if not isinstance(statement.value, ast.Constant):  # a docstring
            self._value(statement.value)

    def _do_Assign(self, statement: ast.Assign) -> None:
        (target,) = statement.targets
        self._assign(target, self._value(statement.value))

    def _do_AugAssign(self, statement: ast.AugAssign) -> None:
        old = self._value(statement.target)
        self._assign(statement.target, self._combined(statement.op, old, self._value(statement.value)))

    def _assign(self, target: ast.expr, value: Typed) -> None:
        if isinstance(target, ast.Subscript):
            place, element = self._element(target)
            stored = self._as(value, {"narrow": "int", "byte": "bool"}.get(element, element))
            if element == "byte":
                stored = self._let(f"zext i1 {stored} to i8")
            self._line(f"store {self._ir(element)} {stored}, ptr {place}")
            return
        assert isinstance(target, ast.Name)
        if target.id not in self.types:
            self._declare(target.id, value[0])
        type_ = self.types[target.id]
        self._line(f"store {self._ir(type_)} {self._as(value, type_)}, ptr %{target.id}.at")

    def _do_If(self, statement: ast.If) -> None:
        yes, no, after = self._labels("then", "else", "after")
        self._jump(f"br i1 {self._as(self._value(statement.test), 'bool')}, label %{yes}, label %{no}")
        for label, branch in ((yes, statement.body), (no, statement.orelse)):
            self._label(label)
            self._body(branch)
            self._jump(f"br label %{after}")
        self._label(after)
        if all(_returns(branch) for branch in (statement.body, statement.orelse)):
            self._jump("unreachable")

    def _do_While(self, statement: ast.While) -> None:
        test, body, after = self._labels("test", "body", "after")
        self._jump(f"br label %{test}")
        self._label(test)
        self._jump(f"br i1 {self._as(self._value(statement.test), 'bool')}, label %{body}, label %{after}")
        self._label(body)
        self._body(statement.body)
        self._jump(f"br label %{test}")
        self._label(after)

    def _do_For(self, statement: ast.For) -> None:
        """``for i in range(start, stop)``; the counter is the loop's own."""
        assert isinstance(statement.target, ast.Name) and isinstance(statement.iter, ast.Call)
        bounds = [self._as(self._value(argument), "int") for argument in statement.iter.args]
        start, stop = bounds if len(bounds) == 2 else ("0", bounds[0])
        self._assign(statement.target, ("int", start))
        test, body, after = self._labels("test", "body", "after")
        place = f"%{statement.target.id}.at"
        self._jump(f"br label %{test}")
        self._label(test)
        at = self._let(f"load i64, ptr {place}")
        self._jump(f"br i1 {self._let(f'icmp slt i64 {at}, {stop}')}, label %{body}, label %{after}")
        self._label(body)
        self._body(statement.body)
        following = self._let(f"add nsw i64 {self._let(f'load i64, ptr {place}')}, 1")
        self._line(f"store i64 {following}, ptr {place}")
        self._jump(f"br label %{test}")
        self._label(after)

    def _do_Return(self, statement: ast.Return) -> None:
        assert statement.value is not None
        result = _signature(self.function)[1]
        self._jump(f"ret {self._ir(result)} {self._as(self._value(statement.value), result)}")

    # ---------------------------------------------------------------- expressions

    def _value(self, node: ast.expr) -> Typed:
        return getattr(self, f"_of_{type(node).__name__}")(node)

    def _as(self, value: Typed, type_: str) -> str:
        """A value as one of ``type_``: integers become reals; truth of an integer is that it is not zero."""
        have, name = value
        if have == type_ or self._ir(have) == self._ir(type_) == "ptr":
            return name
        if (have, type_) == ("int", "real"):
            if name.lstrip("-").isdigit():
                return literal(self.real, float(name))
            return self._let(f"sitofp i64 {name} to {self.real}")
        if (have, type_) == ("int", "bool"):
            return self._let(f"icmp ne i64 {name}, 0")
        if (have, type_) == ("bool", "int"):
            return self._let(f"zext i1 {name} to i64")
        raise TypeError(f"{self.function.__name__}: {have} where {type_} is expected")

    def _of_Constant(self, node: ast.Constant) -> Typed:
        return self._constant(node.value)

    def _constant(self, value: Any) -> Typed:
        if isinstance(value, bool):
            return "bool", "true" if value else "false"
        if isinstance(value, int):
            return "int", str(value)
        assert isinstance(value, float)
        return "real", literal(self.real, value)

    def _of_Name(self, node: ast.Name) -> Typed:
        if node.id not in self.types:
            return self._constant(self.globals[node.id])
        type_ = self.types[node.id]
        return type_, self._let(f"load {self._ir(type_)}, ptr %{node.id}.at")

    def _element(self, node: ast.Subscript) -> tuple[str, str]:
        """The address of an element, and its type in memory."""
        memory, base = self._value(node.value)
        element = _POINTEES[memory]
        index = self._as(self._value(node.slice), "int")
        return self._let(f"getelementptr {self._ir(element)}, ptr {base}, i64 {index}"), element

    def _of_Subscript(self, node: ast.Subscript) -> Typed:
        place, element = self._element(node)
        loaded = self._let(f"load {self._ir(element)}, ptr {place}")
        if element == "narrow":
            return "int", self._let(f"sext i32 {loaded} to i64")
        if element == "byte":
            return "bool", self._let(f"icmp ne i8 {loaded}, 0")
        return element, loaded

    def _of_BinOp(self, node: ast.BinOp) -> Typed:
        return self._combined(node.op, self._value(node.left), self._value(node.right))

    def _combined(self, op: ast.operator, left: Typed, right: Typed) -> Typed:
        if left[0] in _POINTEES:
            assert isinstance(op, ast.Add)
            element = self._ir(_POINTEES[left[0]])
            return left[0], self._let(f"getelementptr {element}, ptr {left[1]}, i64 {self._as(right, 'int')}")
        type_ = "real" if "real" in (left[0], right[0]) else "int"
        name = _ARITHMETIC[type(op)][type_ == "real"]
        x, y = self._as(left, type_), self._as(right, type_)
        return type_, self._let(f"{name} {self._ir(type_)} {x}, {y}")

    def _of_UnaryOp(self, node: ast.UnaryOp) -> Typed:
        type_, value = self._value(node.operand)
        if isinstance(node.op, ast.Not):
            return "bool", self._let(f"xor i1 {self._as((type_, value), 'bool')}, true")
        assert isinstance(node.op, ast.USub)
        if type_ == "int":
            return type_, f"-{value}" if value.isdigit() else self._let(f"sub i64 0, {value}")
        return type_, self._let(f"fneg {self.real} {value}")

    def _of_Compare(self, node: ast.Compare) -> Typed:
        left, right = self._value(node.left), self._value(node.comparators[0])
        assert len(node.ops) == 1, "one comparison at a time"
        type_ = "real" if "real" in (left[0], right[0]) else "int"
        condition = _COMPARE[type(node.ops[0])][type_ == "real"]
        word = "fcmp" if type_ == "real" else "icmp"
        x, y = self._as(left, type_), self._as(right, type_)
        return "bool", self._let(f"{word} {condition} {self._ir(type_)} {x}, {y}")

    def _of_BoolOp(self, node: ast.BoolOp) -> Typed:
        """``and``, ``or``: what decides ends the evaluation, as in Python."""
        name = self._labels("bool.")[0]
        self._declare(name, "bool")
        (done,) = self._labels("decided")
        for position, part in enumerate(node.values):
            value = self._as(self._value(part), "bool")
            self._line(f"store i1 {value}, ptr %{name}.at")
            if position < len(node.values) - 1:
                (further,) = self._labels("further")
                targets = (further, done) if isinstance(node.op, ast.And) else (done, further)
                self._jump(f"br i1 {value}, label %{targets[0]}, label %{targets[1]}")
                self._label(further)
        self._jump(f"br label %{done}")
        self._label(done)
        return "bool", self._let(f"load i1, ptr %{name}.at")

    def _of_IfExp(self, node: ast.IfExp) -> Typed:
        """Both sides are computed."""
        test, yes, no = [self._value(part) for part in (node.test, node.body, node.orelse)]
        type_ = "real" if "real" in (yes[0], no[0]) else yes[0]
        ir, x, y = self._ir(type_), self._as(yes, type_), self._as(no, type_)
        return type_, self._let(f"select i1 {self._as(test, 'bool')}, {ir} {x}, {ir} {y}")

    # ---------------------------------------------------------------- calls

    def _of_Call(self, node: ast.Call) -> Typed:
        assert isinstance(node.func, ast.Name)
        name = node.func.id
        if name in INTRINSICS:
            return INTRINSICS[name](self, node.args)
        callee = self.globals[name]
        assert getattr(callee, "__routine__", False), f"{name} is no routine"
        parameters, result = _signature(callee)
        values = [self._value(argument) for argument in node.args]
        given = [f"{self._ir(t)} {self._as(value, t)}" for value, (_, t) in zip(values, parameters, strict=True)]
        self.callees.append(callee)
        return result, self._let(f"call {self._ir(result)} @{callee.__name__}({', '.join(given)})")

    def function_of(self, name: str, value: str) -> str:
        """A function of one real by its name in LLVM's or the C library's."""
        if name.startswith("llvm."):
            name += ".f64" if self.real == "double" else ".f32"
        elif self.real == "float":
            name += "f"
        self.declarations.add(f"declare {self.real} @{name}({self.real})")
        return self._let(f"call {self.real} @{name}({self.real} {value})")

    def by_address(self, args: list[ast.expr], result: str) -> str:
        """The text of a call of a C or Fortran function: integers by value, memory as a pointer."""
        address = self._let(f"inttoptr i64 {self._as(self._value(args[0]), 'int')} to ptr")
        values = [self._value(argument) for argument in args[1:]]
        return f"call {result} {address}({', '.join([f'{self._ir(t)} {v}' for t, v in values])})"


def _returns(statements: list[ast.stmt]) -> bool:
    return bool(statements) and isinstance(statements[-1], ast.Return)


# ---------------------------------------------------------------- functions of the subset


def _memory(type_: str) -> Callable[[_Printer, list[ast.expr]], Typed]:
    def at(p: _Printer, args: list[ast.expr]) -> Typed:
        have, value = p._value(args[0])
        return (type_, value) if have in _POINTEES else (type_, p._let(f"inttoptr i64 {value} to ptr"))

    return at


def _real_function(name: str) -> Callable[[_Printer, list[ast.expr]], Typed]:
    return lambda p, args: ("real", p.function_of(name, p._as(p._value(args[0]), "real")))


def _ref(p: _Printer, args: list[ast.expr]) -> Typed:
    assert isinstance(args[0], ast.Name)
    return "ints", f"%{args[0].id}.at"


def _call(p: _Printer, args: list[ast.expr]) -> Typed:
    p._line(p.by_address(args, "void"))
    return "int", "0"


def _call_for_status(p: _Printer, args: list[ast.expr]) -> Typed:
    return "int", p._let(f"sext i32 {p._let(p.by_address(args, 'i32'))} to i64")


def _by_precision(p: _Printer, args: list[ast.expr]) -> Typed:
    """``by_precision(for double, for float)``: a constant."""
    return p._value(args[0 if p.real == "double" else 1])


INTRINSICS: Final[dict[str, Callable[[_Printer, list[ast.expr]], Typed]]] = {
    **{f"{name}_at": _memory(name) for name in _POINTEES},  # memory at an address, or seen as another type
    "abs": _real_function("llvm.fabs"),
    "sqrt": _real_function("llvm.sqrt"),
    "log": _real_function("log"),
    "ref": _ref,  # the address of a variable
    "call": _call,
    "call_for_status": _call_for_status,
    "by_precision": _by_precision,
}


def _placeholder(name: str) -> Any:
    def function(*args: Any) -> Any:
        raise TypeError(f"{name} is a function of the subset: it exists in machine code only")

    return function


reals_at, ints_at, narrows_at, bools_at = [_placeholder(f"{name}_at") for name in ("reals", "ints", "narrows", "bools")]
ref, call, call_for_status, by_precision = map(_placeholder, ("ref", "call", "call_for_status", "by_precision"))


@routine
def place(slots: Ints, words: Ints, at: int) -> int:
    """The address that the slot and the byte offset at a word give."""
    return slots[words[at]] + words[at + 1]
