"""Static facts of a code object: which names it reads, which captured variables it writes.

One linear pass over the bytecode keeps a symbolic stack of *origins*: where a value on the stack
came from, as a chain such as ``("global", "np", "random", "rand")``. Anything else is ``None``,
unknown. The pass follows straight-line code and forward jumps only; what it cannot follow stays
unknown, and the dynamic check of `captures.Captures.changed_since` is the net below it.

    >>> def count(x):
    ...     state.calls += 1
    ...     return x
    >>> facts_of(count.__code__).writes[0].chain
    ('global', 'state', 'calls')
"""

from __future__ import annotations

import dis
import types
from collections.abc import Mapping

from ..records import record

__all__ = ["Chain", "CodeFacts", "Import", "Write", "facts_of"]

#: Where a value came from: ``(root kind, root name, attribute, ...)``. The root kind is "global", "free"
#: (a closure cell), "self" (first parameter) or "import"; "[]" stands for an element.
Origin = tuple[str, ...]

ELEMENT = "[]"


@record(frozen=True, slots=True)
class Chain:
    """An attribute chain that the code loads: ``np.random.rand`` at a line."""

    origin: Origin
    line: int


@record(frozen=True, slots=True)
class Write:
    """A store into something captured. `how`: "rebinds", "sets" or "updates in place"."""

    how: str
    chain: Origin
    line: int


@record(frozen=True, slots=True)
class Import:
    """An ``import`` statement inside a function."""

    name: str
    level: int
    line: int


@record(frozen=True, slots=True)
class CodeFacts:
    """What one function reads and writes, its nested functions included."""

    reads: tuple[str, ...]  # global names, in order of first use
    values: frozenset[str]  # those of them that are not only asked for attributes: called, passed on, kept
    names: frozenset[str]  # every attribute or global name mentioned
    chains: tuple[Chain, ...]
    writes: tuple[Write, ...]
    imports: tuple[Import, ...]
    compares_identity: bool  # ``a is b`` between two variables
    matches_classes: bool  # a ``match`` statement reads attributes it does not name in co_names
    formats: bool  # makes text of values: ``__repr__`` and ``__str__`` may run
    handles_errors: bool  # a missing attribute may be caught, so absence is an answer too


_facts: dict[int, tuple[types.CodeType, CodeFacts]] = {}


def facts_of(code: types.CodeType) -> CodeFacts:
    """The facts of `code`, computed once per code object (bounded: dropped wholesale past 10,000)."""
    found = _facts.get(id(code))
    if found is not None and found[0] is code:
        return found[1]
    reader = _Reader()
    reader.read(code, {name: ("free", name) for name in code.co_freevars})
    facts = reader.facts()
    if len(_facts) >= 10_000:
        _facts.clear()
    _facts[id(code)] = (code, facts)  # the code object is held, so that its id stays its own
    return facts


class _Reader:
    """Collects the facts of a code object and of the code constants nested in it."""

    def __init__(self) -> None:
        self.reads: dict[str, None] = {}
        self.values: set[str] = set()
        self.names: set[str] = set()
        self.chains: dict[Origin, int] = {}
        self.writes: dict[Write, None] = {}
        self.imports: dict[Import, None] = {}
        self.compares_identity = False
        self.matches_classes = False
        self.handles_errors = False
        self.formats = False

    def facts(self) -> CodeFacts:
        return CodeFacts(
            reads=tuple(self.reads),
            values=frozenset(self.values),
            names=frozenset(self.names),
            chains=tuple(Chain(origin, line) for origin, line in self.chains.items()),
            writes=tuple(self.writes),
            imports=tuple(self.imports),
            compares_identity=self.compares_identity,
            matches_classes=self.matches_classes,
            formats=self.formats,
            handles_errors=self.handles_errors,
        )

    def read(self, code: types.CodeType, free: Mapping[str, Origin | None], nested: bool = False) -> None:
        self.names.update(code.co_names)
        self.handles_errors |= bool(code.co_exceptiontable)
        self.formats |= not _FORMATTING.isdisjoint(code.co_names)
        frame = _Frame(self, code, free, nested)
        frame.run()
        for constant in code.co_consts:
            if isinstance(constant, types.CodeType):
                inner = {name: free.get(name, frame.cell_origin(name)) for name in constant.co_freevars}
                self.read(constant, inner, nested=True)

    def chain(self, origin: Origin, line: int) -> None:
        self.chains.setdefault(origin, line)

    def write(self, how: str, origin: Origin | None, line: int) -> None:
        if origin is not None:
            self.writes[Write(how, origin, line)] = None


_NEVER_FALLS_THROUGH = frozenset(
    """JUMP_FORWARD JUMP_BACKWARD JUMP_BACKWARD_NO_INTERRUPT RETURN_VALUE RETURN_CONST
    RAISE_VARARGS RERAISE""".split()
)
_FORMATTING = frozenset(["str", "repr", "ascii", "format", "print", "format_map"])
_GLOBAL_LOADS = frozenset(["LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"])
_DEREF_LOADS = frozenset(["LOAD_DEREF", "LOAD_CLASSDEREF", "LOAD_FROM_DICT_OR_DEREF"])
_POPS_THEN_PUSHES = frozenset(["LOAD_FROM_DICT_OR_GLOBALS", "LOAD_FROM_DICT_OR_DEREF"])
_TOUCHES_NOTHING = frozenset("PUSH_NULL NOP RESUME CACHE PRECALL KW_NAMES MAKE_CELL COPY_FREE_VARS".split())


class _Frame:
    """The symbolic stack and local variables of one code object, in linear order."""

    def __init__(
        self, reader: _Reader, code: types.CodeType, free: Mapping[str, Origin | None], nested: bool
    ):
        self.reader = reader
        self.code = code
        self.free = free
        self.first = code.co_varnames[0] if code.co_argcount and not nested else None
        self.locals: dict[str, Origin | None] = {}
        if self.first is not None:
            self.locals[self.first] = ("self", self.first)
        self.stack: list[Origin | None] = []
        self.line = code.co_firstlineno

    def cell_origin(self, name: str) -> Origin | None:
        """What a nested function sees in a cell of this one: only ``self`` is followed."""
        return ("self", name) if name == self.first else None

    def run(self) -> None:
        waiting: dict[int, list[Origin | None]] = {}
        reachable = True
        instructions = list(dis.get_instructions(self.code))
        for position, instruction in enumerate(instructions):
            if instruction.starts_line is not None:
                # 3.13 made starts_line a flag and moved the number to line_number.
                self.line = getattr(instruction, "line_number", None) or int(instruction.starts_line)
            if not reachable:
                self.stack = waiting.get(instruction.offset, [])
            if instruction.opcode in dis.hasjrel or instruction.opcode in dis.hasjabs:
                after = dis.stack_effect(instruction.opcode, instruction.arg, jump=True)
                waiting.setdefault(int(instruction.argval), self._after(after))
            self._step(instruction, instructions, position)
            reachable = instruction.opname not in _NEVER_FALLS_THROUGH

    def _after(self, effect: int) -> list[Origin | None]:
        """A copy of the stack as a generic instruction of this net effect leaves it."""
        stack = list(self.stack)
        if effect > 0:
            return stack + [None] * effect
        if effect < 0:
            del stack[effect:]
        if stack:
            stack[-1] = None
        return stack

    def _pop(self) -> Origin | None:
        return self.stack.pop() if self.stack else None

    def _load_name(self, name: str, origin: Origin | None) -> None:
        if origin is not None:
            self.reader.chain(origin, self.line)
        self.stack.append(origin)

    def _load_local(self, name: str) -> None:
        self.stack.append(self.locals.get(name))

    def _store_local(self, name: str) -> None:
        self.locals[name] = self._pop()

    def _load_attribute(self, name: str, pushes_two: bool) -> None:
        owner = self._pop()
        origin = None if owner is None else (*owner, name)
        if origin is not None:
            self.reader.chain(origin, self.line)
        if pushes_two:
            self.stack.append(None)
        self.stack.append(origin)

    def _push_element(self, popped: int, pushed: int) -> None:
        """Pop the container (and its index), push elements of it."""
        del self.stack[len(self.stack) - (popped - 1) :]
        owner = self._pop()
        element = None if owner is None else owner if owner[-1] == ELEMENT else (*owner, ELEMENT)
        self.stack.extend([element] * pushed)

    def _write_into(self, popped: int, above: int, name: str | None = None) -> None:
        """A store whose target lies `above` places under the top of the stack."""
        target = self.stack[-1 - above] if len(self.stack) > above else None
        del self.stack[max(0, len(self.stack) - popped) :]
        if target is not None:
            self.reader.write("sets", (*target, name or ELEMENT), self.line)

    def _step(self, instruction: dis.Instruction, all_of_them: list[dis.Instruction], position: int) -> None:
        name, value, reader = instruction.opname, instruction.argval, self.reader
        if name in _GLOBAL_LOADS:
            if name in _POPS_THEN_PUSHES:
                self._pop()
            reader.reads.setdefault(value)
            if all_of_them[position + 1].opname not in ("LOAD_ATTR", "LOAD_METHOD"):
                reader.values.add(value)
            self._load_name(value, ("global", value))
            if name == "LOAD_GLOBAL" and (instruction.arg or 0) & 1:
                self.stack.insert(-1, None)  # the NULL beside a global that is called
        elif name in _DEREF_LOADS:
            if name in _POPS_THEN_PUSHES:
                self._pop()
            origin = self.free.get(value) if value in self.free else self.locals.get(value)
            self._load_name(value, origin)
        elif name.startswith("LOAD_FAST"):
            for variable in value if isinstance(value, tuple) else (value,):
                self._load_local(variable)
        elif name == "STORE_FAST_LOAD_FAST":
            self._store_local(value[0])
            self._load_local(value[1])
        elif name.startswith("STORE_FAST"):
            for variable in value if isinstance(value, tuple) else (value,):
                self._store_local(variable)
        elif name in ("STORE_DEREF", "DELETE_DEREF"):
            stored = None if name == "DELETE_DEREF" else self._pop()
            if value in self.code.co_freevars:
                reader.write("rebinds", self.free.get(value), self.line)
            else:
                self.locals[value] = stored
        elif name in ("STORE_GLOBAL", "DELETE_GLOBAL"):
            if name == "STORE_GLOBAL":
                self._pop()
            reader.write("rebinds", ("global", value), self.line)
        elif name in ("LOAD_ATTR", "LOAD_METHOD"):
            effect = dis.stack_effect(instruction.opcode, instruction.arg)
            self._load_attribute(value, pushes_two=effect == 1)
        elif name in ("STORE_ATTR", "DELETE_ATTR"):
            self._write_into(popped=2 if name == "STORE_ATTR" else 1, above=0, name=value)
        elif name in ("STORE_SUBSCR", "DELETE_SUBSCR"):
            self._write_into(popped=3 if name == "STORE_SUBSCR" else 2, above=1)
        elif name == "STORE_SLICE":
            self._write_into(popped=4, above=2)
        elif name == "BINARY_SUBSCR":
            self._push_element(popped=2, pushed=1)
        elif name == "BINARY_SLICE":
            self._push_element(popped=3, pushed=1)
        elif name == "GET_ITER":
            self._push_element(popped=1, pushed=1)
        elif name == "FOR_ITER":
            self.stack.append(self.stack[-1] if self.stack else None)
        elif name == "UNPACK_SEQUENCE":
            self._push_element(popped=1, pushed=int(value))
        elif name == "BINARY_OP":
            self._binary_operator(instruction)
        elif name == "COPY":
            self.stack.append(self.stack[-value] if len(self.stack) >= value else None)
        elif name == "SWAP":
            if len(self.stack) >= value:
                self.stack[-1], self.stack[-value] = self.stack[-value], self.stack[-1]
        elif name == "POP_TOP":
            self._pop()
        elif name == "IMPORT_NAME":
            level = all_of_them[position - 2].argval if position >= 2 else 0
            reader.imports[Import(value, level if isinstance(level, int) else 0, self.line)] = None
            del self.stack[-2:]
            self.stack.append(("import", value if level == 0 else "." * int(level) + value))
        elif name == "IMPORT_FROM":
            self.stack.append(self.stack[-1] if self.stack else None)
            self._load_attribute(value, pushes_two=False)
        else:
            if name == "IS_OP" and not _loads_what_is_no_value(all_of_them[position - 1]):
                reader.compares_identity = True
            self._generic(instruction)

    def _binary_operator(self, instruction: dis.Instruction) -> None:
        in_place = instruction.argrepr.endswith("=")
        self._pop()
        left = self._pop()
        if in_place and left is not None:
            self.reader.write("updates in place", left, self.line)
        # ``[]`` became a BINARY_OP in 3.14.
        element = instruction.argrepr == "[]" and left is not None
        self.stack.append(left if in_place else (*left, ELEMENT) if element and left else None)

    def _generic(self, instruction: dis.Instruction) -> None:
        name = instruction.opname
        self.reader.matches_classes |= name in ("MATCH_CLASS", "MATCH_KEYS", "MATCH_MAPPING")
        self.reader.formats |= name.startswith(("FORMAT_", "CONVERT_VALUE"))
        effect = dis.stack_effect(instruction.opcode, instruction.arg, jump=False)
        if effect >= 0 and (name in _TOUCHES_NOTHING or name.startswith("LOAD_")):
            self.stack.extend([None] * effect)
            return
        pops_only = name.startswith(("POP_JUMP", "STORE_NAME", "END_", "YIELD"))
        if pops_only and effect < 0:
            del self.stack[effect:]
        else:
            self.stack = self._after(effect)


def _loads_what_is_no_value(instruction: dis.Instruction) -> bool:
    """Whether it loads None, a truth value or the like, or a class, as the ``__eq__`` of every dataclass does.

    ``n is 5`` compares objects, unwise as it is.
    """
    if instruction.opname == "LOAD_ATTR" and instruction.argval == "__class__":
        return True
    numbers_and_text = (int, float, complex, str, bytes, tuple)
    return instruction.opname == "LOAD_CONST" and type(instruction.argval) not in numbers_and_text
