"""The part of the walk that goes through instances, classes and modules."""

from __future__ import annotations

import collections
import enum
import functools
import io
import sys
import threading
import types
from collections.abc import Iterator
from typing import Any

import numpy

from .capture_containers import ContainerVisits, user_bases
from .capture_effects import GENERATOR_TYPES, MUTABLE_TYPES, MUTATORS, verdict
from .capture_guards import Node, Place
from .capture_values import IdentityKey, is_library, is_library_class, plain_key
from .capture_words import IS_KNOWN_LAYOUT
from .instances import is_cloneable
from .tracer import BOX_TYPES

__all__ = ["LIFECYCLE", "REBUILDABLE_MARK", "ObjectVisits", "is_importable"]

#: Methods that run when an object is made, copied, shown or destroyed: followed only from captured classes.
LIFECYCLE = frozenset(
    """__init__ __new__ __post_init__ __setstate__ __getstate__ __reduce__ __reduce_ex__
    __init_subclass__ __class_getitem__ __del__ __set_name__ __subclasshook__ __dir__ __sizeof__ __copy__
    __deepcopy__ __getnewargs__ __getnewargs_ex__ __replace__""".split()
)
#: A library's own wrapper (such as the function that ``grad(f)`` returns) is rebuilt by `clone_with` only if
#: it carries this attribute: others, primitives above all, are known by their identity.
REBUILDABLE_MARK = "__autograd_jit_rebuildable__"

_SEQUENCES = (list, tuple, set, frozenset, collections.deque)
_DATA_HOLDERS = frozenset(["types.SimpleNamespace", "argparse.Namespace"])
_UNCHANGING = frozenset(
    """datetime decimal fractions pathlib re uuid typing types zoneinfo ipaddress _thread threading functools
    operator _operator string inspect _abc abc enum numbers""".split()
)
_C_DESCRIPTORS = (
    types.GetSetDescriptorType,
    types.MemberDescriptorType,
    types.MethodDescriptorType,
    types.WrapperDescriptorType,
    types.ClassMethodDescriptorType,
    types.BuiltinFunctionType,
    type(collections.namedtuple("_Pair", "first").first),  # type: ignore[attr-defined]
)
_LRU_CACHE = type(functools.lru_cache(len))


def is_importable(value: Any) -> bool:
    """Whether `value` is what its library calls by its name: part of the library, not made by a user.

    A decorated function of the user's own carries the user's ``__module__``: it is no such part.
    """
    name = getattr(value, "__module__", None)
    module = sys.modules.get(name) if isinstance(name, str) and is_library(name) else None
    return module is not None and getattr(module, getattr(value, "__name__", None) or "", None) is value


def _is_singleton(value: Any) -> bool:
    """Whether a library's instance is a global of the module that defines its class: ``scipy.stats.norm``."""
    module = sys.modules.get(type(value).__module__)
    return module is not None and any(held is value for held in list(vars(module).values()))


class ObjectVisits(ContainerVisits):
    """How each kind of object that is neither plain, nor an array, nor a function is guarded."""

    def visit_object(self, value: Any, place: Place) -> Node | None:
        kind = type(value)
        if isinstance(value, functools.partial):
            return self.visit_partial(value, place)
        if isinstance(value, types.MethodType):
            return self.visit_method(value, place)
        if isinstance(value, types.ModuleType):
            return self._visit_module(value, place)
        if isinstance(value, type):
            return self._visit_class(value, place, lifecycle=id(value) in self.made or _may_make_itself(value))
        if is_library_class(kind):  # asking a user's own object for `__self__` may run the user's code
            self._remark(value, place)
        if isinstance(value, GENERATOR_TYPES):
            return self._visit_generator(value, place)
        if isinstance(value, io.IOBase):
            self.doubt(f"`{place.path}` is an open file")
            return None
        if isinstance(value, Iterator | types.AsyncGeneratorType | types.CoroutineType) and is_library(
            kind.__module__
        ):
            self.doubt(f"`{place.path}` is an iterator ({kind.__name__}), which each call uses up")
            return None
        if isinstance(value, numpy.ndarray):
            return self._visit_array_subclass(value, place)
        if isinstance(value, dict):
            return self._visit_dict(value, place)
        if isinstance(value, _SEQUENCES):
            return self._visit_sequence(value, place)
        if isinstance(value, staticmethod | classmethod | _LRU_CACHE):
            if isinstance(value, _LRU_CACHE) and not is_library(getattr(value, "__module__", None)):
                self.doubt(f"`{place.path}` keeps its answers (functools.lru_cache): they depend on earlier calls")
            return self._visit_wrapper(value, place, "__wrapped__")
        if isinstance(value, property):
            return self._visit_wrapper(value, place, "fget")
        if isinstance(value, functools.cached_property):
            return self._visit_wrapper(value, place, "func")
        if isinstance(value, types.BuiltinFunctionType | types.MethodWrapperType):
            return self._visit_builtin(value, place)
        if getattr(kind, REBUILDABLE_MARK, False):
            return self.visit_jitted(value, place)
        if is_library_class(kind) and f"{kind.__module__}.{kind.__qualname__}" not in _DATA_HOLDERS:
            return self._visit_library_instance(value, place)
        return self._visit_instance(value, place)

    def visit_partial(self, value: functools.partial[Any], place: Place) -> Node:
        raise NotImplementedError

    def visit_method(self, value: types.MethodType, place: Place) -> Node:
        raise NotImplementedError

    def visit_jitted(self, value: Any, place: Place) -> Node:
        raise NotImplementedError

    def _remark(self, value: Any, place: Place) -> None:
        """Clocks, random functions and the like that are held by a variable or container."""
        self.hashes |= value is hash
        self.formats |= value is repr or value is str or value is format
        found = verdict(value)
        if found is None:
            return
        if found.what == "impure":
            self.impure[f"{found.name} (`{place.path}`)"] = None
        elif found.what == "effect":
            self.effects[found.name] = None
        elif found.what == "introspects":
            self.everything = True
        else:
            self.doubt(f"`{found.name}` (`{place.path}`) reads or writes state that cannot be watched")

    # -- guarded by identity -----------------------------------------------------------------------------

    def _visit_by_identity(self, value: Any, place: Place) -> Node:
        node = self.enter(value, place, "other", ("is", IdentityKey(value)))
        node.is_watched = IS_KNOWN_LAYOUT and self.watch_cell(place)
        self.guards.require(f"{node.variable} is not {self.guards.constant(value)}", node.is_watched)
        return node

    def _visit_generator(self, value: Any, place: Place) -> Node:
        """A random generator: one of this package is an input like an array, others are known by identity."""
        kind = type(value)
        if not getattr(kind, "draws_on_tape", False) or not is_library_class(kind):
            self.generators.append((place.path, value))
            return self._visit_by_identity(value, place)
        node = self.enter(value, place, "generator", (IdentityKey(kind),))
        self.guards.require(f"{node.variable}.__class__ is not {self.guards.constant(kind)}")
        return node

    def _visit_opaque(self, value: Any, place: Place) -> Node:
        self.opaque.append((place.path, value))
        return self._visit_by_identity(value, place)

    def _visit_wrapper(self, value: Any, place: Place, attribute: str) -> Node:
        """staticmethod, property, lru_cache...: known by identity, its function walked."""
        node = self._visit_by_identity(value, place)
        inner = getattr(value, attribute)
        if inner is not None:
            self.visit(inner, Place(node.variable, f".{attribute}", place.path, node))
        return node

    def _visit_builtin(self, value: Any, place: Place) -> Node:
        node = self._visit_by_identity(value, place)
        owner = value.__self__
        if owner is not None and not isinstance(owner, types.ModuleType | type):
            if value.__name__ in MUTATORS and isinstance(owner, MUTABLE_TYPES):
                name = value.__name__
                self.doubt(f"changes captured state: `{place.path}` is `{name}` of a container")
            self.visit(owner, Place(node.variable, ".__self__", f"{place.path}.__self__", node))
        return node

    def _visit_library_instance(self, value: Any, place: Place) -> Node:
        """An instance of a library's class: its own attributes are data, its methods are fixed."""
        kind = type(value)
        top = kind.__module__.partition(".")[0]
        if is_importable(value) or _is_singleton(value) or isinstance(value, numpy.ufunc | numpy.dtype):
            if isinstance(value, numpy.ufunc) and value.__name__.endswith("(vectorized)"):
                return self._visit_opaque(value, place)
            return self._visit_by_identity(value, place)
        if top in ("operator", "_operator"):
            self.everything = True
        node = self._visit_by_identity(value, place)
        if kind in BOX_TYPES:
            self.opaque.append((place.path, value))
        elif top in ("autograd_jit", "numba", "llvmlite"):
            pass  # parts of the machinery: data of their own class, which nothing changes
        elif top in ("numpy", "scipy", "functools") or kind.__module__ == "collections":
            self._visit_attributes(value, node, everything=True)
        elif kind not in (object, type(NotImplemented)) and (
            top not in _UNCHANGING or isinstance(value, threading.local)
        ):
            self.opaque.append((place.path, value))
        return node

    # -- arrays and modules ------------------------------------------------------------------------------

    def _visit_array_subclass(self, value: numpy.ndarray[Any, Any], place: Place) -> Node:
        if value.dtype.hasobject or isinstance(value, numpy.ma.MaskedArray):
            self.doubt(f"`{place.path}` is a {type(value).__name__}, whose contents cannot be watched")
        node = self.enter(value, place, "array", ())
        node.is_indirect = True
        self.guards.array(node)
        if not is_library_class(type(value)):
            inner = Node("other", node.number, node.variable, value, node.paths)
            node.edges.append((None, inner))
            self._visit_attributes(value, inner, everything=False)
            self._visit_members(type(value), inner, instance=value, lifecycle=False)
        return node

    def _visit_module(self, module: types.ModuleType, place: Place) -> Node:
        node = self._visit_by_identity(module, place)
        if is_library(module.__name__):
            return node
        self.is_name_dependent = True
        namespace = self.guards.constant(vars(module))
        if self.everything or self.handles_errors:
            self.guards.require(f"len({namespace}) != {len(vars(module))}")
            self.note(place, "names", len(vars(module)), shown=f"{len(vars(module))} names")
        self.everything |= "__getattr__" in vars(module)
        for name, value in list(vars(module).items()):
            if name in self.names or name == "__getattr__" or (self.everything and not name.startswith("__")):
                inside = Place(namespace, f"[{name!r}]", f"{place.path}.{name}", node, is_fixed=True)
                self.visit(value, inside)
        return node

    def visit_loaded_module(self, name: str, owner: Node) -> None:
        """A module that a function imports when it is called."""
        base = self.guards.constant(sys.modules)
        self.visit(sys.modules[name], Place(base, f"[{name!r}]", name, owner))

    # -- instances and classes ---------------------------------------------------------------------------

    def _visit_instance(self, value: Any, place: Place) -> Node:
        kind, guards = type(value), self.guards
        if _has_c_state(kind):
            return self._visit_opaque(value, place)
        key = (IdentityKey(kind), *((IdentityKey(value),) if isinstance(value, enum.Enum) else ()))
        self.is_name_dependent = True  # what follows depends on how far the walk has come
        node = self.enter(value, place, "other" if self._shows_address(kind) else "instance", key)
        if isinstance(value, enum.Enum):
            guards.require(f"{node.variable} is not {guards.constant(value)}")
        else:
            type_of = guards.constant(type)
            guards.require(f"{type_of}({node.variable}) is not {guards.constant(kind)}")
        if any("__getattribute__" in vars(base) for base in user_bases(kind)):
            self.doubt(f"`{place.path}` customises attribute access (`__getattribute__`)")
            return node
        if any("__getattr__" in vars(base) for base in user_bases(kind)):
            self.everything = True
        self._guard_value_of_builtin_subclass(value, node)
        self._visit_attributes(value, node, everything=False)
        self._visit_members(kind, node, instance=value, lifecycle=False)
        return node

    def _shows_address(self, kind: type) -> bool:
        """Whether the code could tell an instance from its clone: by an address in its hash or its text."""
        by_hash = self.hashes and kind.__hash__ is object.__hash__
        by_text = self.formats and kind.__repr__ is object.__repr__
        return by_hash or by_text or not is_cloneable(kind)

    def _guard_value_of_builtin_subclass(self, value: Any, node: Node) -> None:
        """An instance of a user's ``class Rate(float)`` has a value besides its attributes."""
        for builtin in (int, float, complex, str, bytes):
            if isinstance(value, builtin):
                base, constant = self.guards.constant(builtin), self.guards.constant
                key = plain_key(_as_builtin(builtin, value))
                self.items[-1].key = (self.items[-1].key, key)
                self.guards.constants["as_builtin"] = _as_builtin
                self.guards.require(
                    f"not same_plain(as_builtin({base}, {node.variable}), {constant(key, shared=False)})"
                )

    def _is_relevant(self, name: str) -> bool:
        return self.everything or name in self.names or (name == "_value_" and "value" in self.names)

    def _visit_attributes(self, value: Any, node: Node, everything: bool) -> None:
        """The attributes held by the instance itself, in ``__dict__`` or in slots."""
        self.is_name_dependent = True
        path = node.paths[0]
        try:
            attributes = object.__getattribute__(value, "__dict__")
        except AttributeError:
            attributes = None
        if isinstance(attributes, dict):
            guarded = self.guards.variable(f"{node.variable}.__dict__")
            self.guards.require(f"len({guarded}) != {len(attributes)}")
            size = len(attributes)
            self.note(Place(guarded, "", path), "attributes", size, shown=f"{size} attributes")
            for name, held in list(attributes.items()):
                if everything or self._is_relevant(name):
                    self.note(Place(guarded, "", path), "attribute", name)
                    self.visit(held, Place(guarded, f"[{name!r}]", f"{path}.{name}", node, ("attribute", name)))
            self._guard_unshadowed(type(value), attributes, guarded)
        for name, descriptor in _slots_of(type(value), of_libraries=everything):
            if everything or self._is_relevant(name):
                self._visit_slot(value, node, name, descriptor)

    def _guard_unshadowed(self, kind: type, attributes: dict[str, Any], guarded: str) -> None:
        """A method or class attribute in use must not come to be hidden by an instance attribute."""
        inherited = {name for base in user_bases(kind) for name in vars(base)}
        hidden = [name for name in sorted(inherited & self.names) if name not in attributes]
        if hidden:
            names = self.guards.constant(tuple(hidden), shared=False)
            self.guards.require(f"not {guarded}.keys().isdisjoint({names})")

    def _visit_slot(self, value: Any, node: Node, name: str, descriptor: Any) -> None:
        path = f"{node.paths[0]}.{name}"
        read = self.guards.constant(descriptor.__get__)
        place = Place(f"{read}({node.variable})", "", path, node, ("slot", name))
        try:
            held = descriptor.__get__(value)
        except AttributeError:
            self.note(place, "no attribute", name, shown="no such attribute")
            self.guards.constants["is_unset"] = _is_unset
            self.guards.require(f"not is_unset({read}, {node.variable})")
            return
        self.visit(held, place)

    def _visit_class(self, cls: type, place: Place, lifecycle: bool) -> Node:
        if is_library_class(cls):
            self._remark(cls, place)
            return self._visit_by_identity(cls, place)
        node = self._visit_by_identity(cls, place)
        self._visit_members(cls, node, instance=None, lifecycle=lifecycle)
        if not is_library_class(type(cls)):
            self._visit_members(type(cls), node, instance=cls, lifecycle=False)
        return node

    def _visit_members(self, cls: type, node: Node, instance: Any, lifecycle: bool) -> None:
        """What instances of `cls` find in the class and its bases: methods, constants, properties."""
        self.is_name_dependent = True
        order = f"{self.guards.constant(cls)}.__mro__"
        self.guards.require(f"{order} is not {self.guards.constant(cls.__mro__)}")
        for base in user_bases(cls):
            constant = self.guards.constant(base)
            self.guards.require(f"len({constant}.__dict__) != {len(vars(base))}")
            for name, raw in list(vars(base).items()):
                if not isinstance(raw, _C_DESCRIPTORS) and self._is_member_relevant(name, raw, lifecycle):
                    self._visit_member(base, constant, name, raw, node, instance)

    def _is_member_relevant(self, name: str, raw: Any, lifecycle: bool) -> bool:
        if name in ("__repr__", "__str__", "__format__"):
            return self.formats
        if name in LIFECYCLE:
            return lifecycle or name in self.names
        if name.startswith("__") and name.endswith("__"):
            return name in self.names or isinstance(raw, types.FunctionType | staticmethod | classmethod)
        return self._is_relevant(name)

    def _visit_member(
        self, base: type, constant: str, name: str, raw: Any, node: Node, instance: Any
    ) -> None:
        path = f"{base.__qualname__}.{name}"
        place = Place(f"{constant}.__dict__", f"[{name!r}]", path, node, is_fixed=True)
        self.note(place, "member", name)
        if isinstance(raw, types.FunctionType):
            place = Place(constant, f".{name}", path, node, is_fixed=True)
            self.visit_function(raw, place, instance=instance, lifecycle=name in LIFECYCLE)
            return
        inner = getattr(raw, "func", None) if isinstance(raw, functools.cached_property) else None
        inner = raw.fget if isinstance(raw, property) else inner
        if isinstance(raw, classmethod):
            inner, instance = raw.__func__, base
        self.visit(raw, place)
        if isinstance(inner, types.FunctionType):
            # Once more, now knowing whose property or class method it is: it may change that one's state.
            known = self.guards.constant(inner)
            self.visit_function(inner, Place(known, "", path, node, is_fixed=True), instance=instance)


def _may_make_itself(cls: type) -> bool:
    """Whether asking the class for an attribute may make an instance: by a class method, or by its own class."""
    members = [raw for base in user_bases(cls) for raw in vars(base).values()]
    return type(cls) is not type or any(isinstance(raw, classmethod) for raw in members)


def _slots_of(cls: type, of_libraries: bool) -> list[tuple[str, Any]]:
    bases = cls.__mro__ if of_libraries else user_bases(cls)
    found = [(name, raw) for base in bases for name, raw in vars(base).items()]
    return [(name, raw) for name, raw in found if isinstance(raw, types.MemberDescriptorType)]


def _has_c_state(cls: type) -> bool:
    """Whether instances hold state outside ``__dict__`` and slots, out of sight from Python."""
    plain = (object, int, float, complex, str, bytes, Exception, BaseException)
    for base in cls.__mro__:
        if base in plain or is_library_class(base):
            continue
        members = vars(base).values()
        if any(isinstance(raw, types.MethodDescriptorType | types.WrapperDescriptorType) for raw in members):
            return True
    return False


def _as_builtin(builtin: type, value: Any) -> Any:
    """The value of an instance of a subclass of a builtin number or string, as that builtin."""
    if builtin is str:
        return str.__str__(value)
    return builtin.__getnewargs__(value)[0]  # type: ignore[attr-defined]


def _is_unset(read: Any, value: Any) -> bool:
    try:
        read(value)
    except AttributeError:
        return True
    return False
