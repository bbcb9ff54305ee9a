"""``type`` as a function sees it while it is recorded: a recorded value is of the type of its plain value.

``isinstance`` and ``__class__`` ask the object, and recorded values answer for their values; ``type(x)`` asks nobody.
So the clone of a function that mentions ``type`` finds this in its place.
"""

from __future__ import annotations

import builtins
from typing import Any

from .integers import IntegerBox
from .tape_box import TAPE_BOXES

__all__ = ["recorded_type"]

_RECORDED = frozenset([*TAPE_BOXES, IntegerBox])


class _Meta(type):
    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        if len(args) == 1 and not kwargs:
            value = args[0]
            kind = builtins.type(value)
            if kind in _RECORDED:
                return value.__class__
            return cls if kind in (builtins.type, _Meta) else kind
        return builtins.type(*args, **kwargs)

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, type)

    def __subclasscheck__(cls, subclass: Any) -> bool:
        return issubclass(subclass, type)

    def __eq__(cls, other: object) -> bool:
        return other is type or other is cls

    def __hash__(cls) -> int:
        return hash(type)


class recorded_type(metaclass=_Meta):  # a class, since ``isinstance(x, type)`` wants one
    """``type``, but of recorded values that of what they stand for."""


recorded_type.__name__ = recorded_type.__qualname__ = "type"
