"""The part of the walk that looks for state a function changes, and for calls with a mind of their own."""

from __future__ import annotations

import sys
import types
from typing import Any

from .capture_code import ELEMENT, Chain, CodeFacts, Origin, Write
from .capture_effects import GENERATOR_TYPES, MUTABLE_TYPES, Verdict, mutates, verdict
from .capture_findings import Findings, imported_module
from .capture_values import is_library, is_library_class

__all__ = ["StateChanges"]

_UNKNOWN = object()
_library_verdicts: dict[tuple[str, Origin], Verdict | None] = {}


class StateChanges(Findings):
    """Turns the static facts of a function into findings, with the actual objects at hand."""

    def _note_state_changes(
        self, function: types.FunctionType, facts: CodeFacts, instance: Any, lifecycle: bool
    ) -> None:
        for write in facts.writes:
            self._note_write(function, write, instance, lifecycle)
        for chain in facts.chains:
            self._note_call(function, chain, instance, lifecycle)

    def _note_write(self, function: types.FunctionType, write: Write, instance: Any, lifecycle: bool) -> None:
        kind, root, *attributes = write.chain
        if kind == "self" and (instance is None or lifecycle):
            return
        if write.how == "updates in place":
            target = self._resolve(function, write.chain, instance)
            if target is _UNKNOWN or not isinstance(target, MUTABLE_TYPES):
                return
        name = _spelled([root, *attributes])
        self._doubt_change(function, name, write.line)

    def _doubt_change(self, function: types.FunctionType, name: str, line: int) -> None:
        where = f"{function.__code__.co_filename}:{line}"
        self.doubt(f"{function.__qualname__} changes captured state `{name}` ({where})")

    def _note_call(self, function: types.FunctionType, chain: Chain, instance: Any, lifecycle: bool) -> None:
        origin = chain.origin
        if ELEMENT in origin or (origin[0] == "self" and instance is None):
            return
        root = self._resolve(function, origin[:2], instance)
        if isinstance(root, types.ModuleType) and is_library(root.__name__):
            known = (root.__name__, origin[2:])
            if known not in _library_verdicts:
                _library_verdicts[known] = verdict(self._resolve(function, origin, instance))
            found = _library_verdicts[known]
        else:
            value = root if len(origin) == 2 else self._resolve(function, origin, instance)
            found = verdict(value) if value is not _UNKNOWN and _may_be_judged(value) else None
            if len(origin) > 2 and not (origin[0] == "self" and lifecycle):
                owner = self._resolve(function, origin[:-1], instance)
                if mutates(owner, origin[-1]):
                    self._doubt_change(function, _spelled(list(origin[1:-1])), chain.line)
        if found is not None:
            self._remark_call(function, found, chain)

    def _remark_call(self, function: types.FunctionType, found: Verdict, chain: Chain) -> None:
        where = f"{function.__code__.co_filename}:{chain.line}"
        if found.name == "type" and function.__name__ in ("__setattr__", "__delattr__"):
            return  # as frozen dataclasses have them: they ask for the type of the instance
        if found.what == "impure":
            self.impure[f"{found.name} ({where})"] = None
        elif found.what == "effect":
            self.effects[found.name] = None
        elif found.what == "introspects":
            self.everything = True
        else:
            reason = "reads or writes state that cannot be watched"
            if found.name == "type":
                reason = "tells a traced value from a plain one; isinstance does not"
            doubt = f"{function.__qualname__} calls `{found.name}`, which {reason} ({where})"
            if chain.origin == ("global", "type"):
                self.doubt_of_type = self.doubt_of_type or doubt  # unless the function can be given another `type`
            else:
                self.doubt(doubt)

    def _resolve(self, function: types.FunctionType, origin: Origin, instance: Any) -> Any:
        """The object that a chain leads to now, without running the user's code."""
        kind, root, *attributes = origin
        if kind == "self":
            value = instance if instance is not None else _UNKNOWN
        elif kind == "import":
            value = imported_module(function, root) or _UNKNOWN
        elif kind == "free":
            value = _cell_value(function, root)
        else:
            value = function.__globals__.get(root, _UNKNOWN)
            if value is _UNKNOWN:
                value = _builtin_value(function, root)
        for name in attributes:
            value = _attribute(value, name)
        return value


def _spelled(parts: list[str]) -> str:
    return ".".join(parts).replace(f".{ELEMENT}", ELEMENT)


def _may_be_judged(value: Any) -> bool:
    """Reading ``__name__`` or ``__self__`` of a user's own object could run the user's code."""
    return is_library_class(type(value)) or isinstance(value, type | types.FunctionType)


def _cell_value(function: types.FunctionType, name: str) -> Any:
    try:
        return (function.__closure__ or ())[function.__code__.co_freevars.index(name)].cell_contents
    except (ValueError, IndexError):
        return _UNKNOWN


def _builtin_value(function: types.FunctionType, name: str) -> Any:
    builtins: Any = function.__globals__.get("__builtins__", sys.modules["builtins"])
    names = builtins if isinstance(builtins, dict) else vars(builtins)
    return names.get(name, _UNKNOWN)


def _attribute(value: Any, name: str) -> Any:
    if value is _UNKNOWN:
        return _UNKNOWN
    if isinstance(value, types.ModuleType) and not is_library(value.__name__):
        return vars(value).get(name, _UNKNOWN)
    if isinstance(value, (types.ModuleType, type, *GENERATOR_TYPES)) or type(value).__module__ == "builtins":
        return getattr(value, name, _UNKNOWN)
    try:
        held = object.__getattribute__(value, "__dict__")
    except AttributeError:
        held = None
    if isinstance(held, dict) and name in held:
        return held[name]
    raw = next((vars(base)[name] for base in type(value).__mro__ if name in vars(base)), _UNKNOWN)
    if isinstance(raw, types.MemberDescriptorType):
        return getattr(value, name, _UNKNOWN)
    return getattr(value, name, _UNKNOWN) if is_library_class(type(value)) else raw
