"""The call path: Python source, generated for one program, that checks a call and replays it.

For ``grad(loss, jit=True)(weights)`` with one captured array it reads

    def fast(args):
        if not (len(args) == 1 and error_state() is default_error_state): return MISS
        filters = warnings.filters
        if not (len(filters) == CALM[1] and ... or not warnings_raise()): return MISS
        a0, = args
        if not check(fun): return MISS
        c0, = bind(fun)
        o0 = empty((3,), d0)
        answer = call(a0, c0, o0)
        if answer is None:
            stats.replays += 1
            return o0
        return divert(args) if answer is True else MISS

Types, shapes and layouts of the arrays are checked by ``call``, in native code. In a program with Python steps it takes
turns with them.
"""

from __future__ import annotations

import functools
import sys
import types
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from ..kernels.executor import make_watch
from ..known_programs import MISS
from ..trace import tree
from ..trace.aliases import Alias
from ..trace.captures import Captures
from ..trace.draws import GLOBAL_GENERATOR, current_log, perform
from ..trace.float_errors import CALM, default_error_state, error_state, warnings_raise
from ..trace.instances import attributes
from ..trace.integers import integer_name
from ..trace.tape import Constant
from ..trace.trace_call import is_dynamic
from ..trace.tracer import REGISTERED
from .frame import drawn_leaves
from .program import OutputPlan, Program

__all__ = ["ReplaySource"]


@functools.lru_cache(maxsize=1024)
def _compiled(source: str) -> tuple[str, types.CodeType]:
    """The text and its code: the paths of one signature differ in constants alone, and share both."""
    return source, compile(source, "<autograd_jit call path>", "exec")


class ReplaySource:
    """The generated factory of one program's fast path: ``make(fun, stats, retry, divert) -> fast``.

    ``retry(args, draws)`` makes the call in the general way, given the random draws that were made for it.
    ``divert(args)`` goes on with the path that a failed guard leads to, or gives MISS.
    """

    def __init__(
        self,
        program: Program,
        captures: Captures,
        args: tuple,
        integers: dict[str, int],
        held: Callable[[], bool] | None,
        numbers: tuple[str, ...] = (),
    ) -> None:
        self.frame = frame = program.new_frame()
        self.constants: dict[str, Any] = {
            "frame": frame,  # owns the memory that ``call`` works in
            "MISS": MISS,
            "empty": program.empty,
            "error_state": error_state,
            "default_error_state": default_error_state,
            "CALM": CALM,
            "warnings": warnings,
            "warnings_raise": warnings_raise,
            "check": captures.check_values,
            "check_rest": captures.check_rest,
            "watch": functools.partial(watch, captures),
            "bind": captures.bind,
            "call": frame.call if program.is_native else frame.call_with_steps,
            "held": held,
        }
        if program.has_draws:
            self.constants |= {
                "fits": frame.acceptance(),
                "current_log": current_log,
                "bind_generators": captures.bind_generators,
                "numpy_random": sys.modules.get(GLOBAL_GENERATOR),
            }
        self.lines: list[str] = []
        self.made: list[str] = []  # the draws, for a call that has to be made in another way
        self.inputs: list[str] = []
        self.integers: list[str] = []
        self._count = 0
        self._arguments(args)
        self._integers(integers)
        self.inputs += [f"float({source})" for source in numbers]  # of which `_integers` checks that they are in range
        self._captures(captures)
        if program.has_draws:
            self._draw(program)
        self._run(program)
        body = "\n".join(["        " + line for line in self.lines])
        first = "    unchanged = watch(fun)\n" if captures.has_words else ""
        text = f"def make(fun, stats, retry, divert):\n{first}    def fast(args):\n{body}\n    return fast\n"
        self.source, code = _compiled(text)
        exec(code, self.constants)
        self.make: Callable = self.constants.pop("make")  # taken out: a cycle would keep the frame until a collection
        del self.lines, self.made, self.inputs, self.integers  # of use while writing only: there may be thousands

    def _name(self, prefix: str, value: Any = None) -> str:
        self._count += 1
        name = f"{prefix}{self._count}"
        if value is not None:
            self.constants[name] = value
        return name

    def _unless(self, condition: str) -> None:
        self.lines.append(f"if not ({condition}): return MISS")

    # ---------------------------------------------------------------- arguments

    def _arguments(self, args: tuple) -> None:
        self._unless(f"len(args) == {len(args)} and error_state() is default_error_state")
        self.lines.append("filters = warnings.filters")
        self._unless("len(filters) == CALM[1] and (not filters or filters[0] is CALM[0]) or not warnings_raise()")
        names = [self._name("a") for _ in args]
        if names:
            self.lines.append(f"{', '.join(names)}, = args")
        for name, arg in zip(names, args, strict=True):
            self._argument(name, arg)

    def _argument(self, name: str, value: Any) -> None:
        """Checks of one argument against the ``value`` that was traced; its dynamic leaves become inputs."""
        if not tree.is_container(value, opened=True):
            self._leaf(name, value)
            return
        self._unless(f"type({name}) is {self._name('t', type(value))}")
        if isinstance(value, dict):
            keys = self._name("k", tuple(value))
            self._unless(f"tuple({name}) == {keys}" if value else f"not {name}")
            children = [f"{name}[{keys}[{i}]]" for i in range(len(value))]
        elif isinstance(value, (list, tuple)):
            self._unless(f"len({name}) == {len(value)}")
            children = [f"{name}[{i}]" for i in range(len(value))]
        elif type(value) in REGISTERED:
            parts = self._name("p")
            self.constants["attributes"] = attributes
            self.lines.append(f"names, {parts} = attributes({name})")
            self._unless(f"names == {self._name('k', attributes(value)[0])}")
            children = [f"{parts}[{i}]" for i in range(len(tree.flatten_once(value, opened=True)))]
        else:
            _, structure = tree.flatten(value)
            assert structure is not None
            children = [f"{name}.{field}" for field in structure.extra]
        for child, item in zip(children, tree.flatten_once(value, opened=True), strict=True):
            local = self._name("a")
            self.lines.append(f"{local} = {child}")
            self._argument(local, item)

    def _leaf(self, name: str, value: Any) -> None:
        if is_dynamic(value):
            self.inputs.append(name)
            return
        if value is None or value is True or value is False or value is Ellipsis:
            self._unless(f"{name} is {value!r}")
        elif type(value) is int:
            self._unless(f"type({name}) is {self._name('t', int)}")
            self.integers.append(name)
        elif type(value) in (str, bytes):
            self._unless(f"type({name}) is {self._name('t', type(value))} and {name} == {value!r}")
        else:
            self._unless(f"{name} is {self._name('v', value)}")

    def _integers(self, integers: dict[str, int]) -> None:
        """Checks of what the program depends on of integer arguments."""
        if integers:
            names = [integer_name(position) for position in range(len(self.integers))]
            self.lines.append(f"{', '.join(names)}, = {', '.join(self.integers)},")
            self._unless(" and ".join([f"{source} == {value!r}" for source, value in integers.items()]))

    # ---------------------------------------------------------------- captured state, run, results

    def _captures(self, captures: Captures) -> None:
        rest = " and check_rest(fun)" if captures.has_rest else ""
        self._unless(f"unchanged(){rest} or check(fun)" if captures.has_words else "check(fun)")
        if self.constants["held"] is not None:
            self._unless("held()")
        names = [self._name("c") for _ in captures.arrays]
        if names:
            self.lines.append(f"{', '.join(names)}, = bind(fun)")
            self.inputs += names

    def _draw(self, program: Program) -> None:
        """The draws before the run: only for arguments that fit, as others would draw something else."""
        self._unless("current_log() is None")
        self._unless(f"fits({', '.join(self.inputs)}) is None")
        self.lines.append("generators = bind_generators(fun)")
        for op in program.draws:
            number = op.args[0]
            generator = f"generators[{number}]" if number >= 0 else "numpy_random"
            if any(type(arg) is Constant for arg in (*op.args, *op.kwargs.values())):
                call = f"perform({self._name('p', op)}, generators)"
                self.constants["perform"] = perform
            else:
                call = f"{generator}.{op.prim.draws}(*{self._name('p', op.args[1:])}, **{self._name('k', op.kwargs)})"
            drawn = self._name("r")
            self.lines.append(f"{drawn} = {call}")
            self.made.append(f"({generator}, {op.prim.draws!r}, {drawn})")
            if op.structure is tree.LEAF and [out.type.kind for out in op.outputs] in (["array"], ["float"]):
                self.inputs.append(drawn)
            elif op.outputs:
                self.constants["leaves"] = drawn_leaves
                self.inputs.append(f"*leaves({self._name('p', op)}, {drawn})")

    def _run(self, program: Program) -> None:
        fresh = []
        for out in program.outputs:
            if out.kind not in ("fresh", "hidden") or out.type is None:
                continue
            name = self._name("o")
            fresh.append(name)
            scalar = self._filled_scalar(program, out)
            if scalar is not None:
                self.lines.append(f"{name} = {self._name('t', scalar)}()")
                continue
            dtype = "" if out.type.dtype == np.float64 else f", {self._name('d', out.type.dtype)}"
            shape = out.type.shape
            self.lines.append(f"{name} = empty({shape[0] if len(shape) == 1 else shape}{dtype})")
        self.lines.append(f"answer = call({', '.join(self.inputs + fresh)})")
        self.lines.append("if answer is None:")
        self.lines.append("    stats.replays += 1")
        result = self._result(program, fresh)
        self.lines.append(f"    return {result}")
        made = "".join([f"{draw}, " for draw in self.made])
        otherwise = f"retry(args, ({made}))" if made else "divert(args) if answer is True else MISS"
        self.lines.append(f"return {otherwise}")

    def _filled_scalar(self, program: Program, out: OutputPlan) -> type | None:
        """The type of a scalar result that the run fills: 0.06 us less than an array and its element."""
        assert out.type is not None
        is_here = out.kind == "fresh" and program.empty is np.empty  # a device makes its results itself
        return program.filled_scalar(out.type) if is_here else None

    def _result(self, program: Program, fresh: list[str]) -> str:
        names = iter(fresh)
        values = {var.number: name for var, name in zip(program.tape.inputs, self.inputs)}
        leaves: list[Any] = []
        for out in program.outputs:
            if out.kind == "input":
                leaves.append(self.inputs[out.what])
            elif out.kind == "static":
                value = self._name("s", out.what) if out.what is not None else "None"
                leaves.append(f"{value}.copy()" if isinstance(out.what, np.ndarray) else value)
            elif out.kind == "alias":
                leaves.append(out.what)
            else:
                assert out.type is not None and out.var is not None
                name, kind = next(names), out.type.kind
                is_ready = kind == "array" or self._filled_scalar(program, out) is not None
                name = name if is_ready else f"{name}[()]" if kind == "scalar" else f"{name}.item()"
                values[out.var.number] = name
                if out.kind == "fresh":
                    leaves.append(name)
        views = [leaf for leaf in leaves if type(leaf) is Alias and leaf.ops]
        if views:
            roots = {root.number: values[root.number] for alias in views for root in alias.roots}
            given = ", ".join([f"{number}: {name}" for number, name in roots.items()])
            self.lines.append(f"    views = {{{given}}}")
        shown = [self._alias(leaf, values) if type(leaf) is Alias else leaf for leaf in leaves]
        return self._container(program.tape.structure, iter(shown))

    def _alias(self, alias: Alias, values: dict[int, str]) -> str:
        """A result that shares memory with others: the same object, or NumPy's view."""
        if not alias.ops:
            return values[alias.var.number]
        return f"{self._name('view', alias)}.value(views)"

    def _container(self, structure: Any, leaves: Any) -> str:
        """Source of a container of the output leaves."""
        if structure is tree.LEAF:
            return next(leaves)
        items = [self._container(child, leaves) for child in structure.children]
        if structure.kind is tuple:
            return f"({', '.join(items)}{',' if len(items) == 1 else ''})"
        if structure.kind is list:
            return f"[{', '.join(items)}]"
        if structure.kind is dict:
            keys = self._name("k", structure.extra) if items else ""
            return "{" + ", ".join([f"{keys}[{i}]: {item}" for i, item in enumerate(items)]) + "}"
        build = self._name("b", _Rebuild(structure))
        return f"{build}([{', '.join(items)}])"


def watch(captures: Captures, fun: Callable) -> Callable[[], bool]:
    """A function that tells whether the variables of ``fun`` still hold what they hold now, which passes its guards."""
    try:
        words = captures.words(fun)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):  # of another structure by now
        return _never
    return make_watch(words) if captures.check_values(fun) else _never


def _never() -> bool:
    return False


class _Rebuild:
    """Builds one level of a container of an uncommon kind."""

    def __init__(self, structure: Any) -> None:
        self.structure = structure._replace(children=(tree.LEAF,) * len(structure.children))

    def __call__(self, items: list) -> Any:
        return tree.unflatten(self.structure, items)
