"""Boxes and primitives: how a program's operations are observed.

A *box* stands for a value at one *level* of tracing. Applying a primitive to boxes peels the
innermost level (the largest level number), applies the primitive to what is inside, and lets that
level's *node* type decide what to remember: reverse mode keeps a graph, forward mode pushes a
tangent, the recorder of ``jit`` writes an operation on its tape.

Levels are numbers from one global counter. A trace that starts later is nested deeper or is
unrelated, so that plain comparison orders levels: nothing is thread-local, nothing needs restoring
after an exception, and nested traces in several threads cannot meet.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from typing import Any, ClassVar

from ..errors import NonDifferentiableError, TracedValueError
from .instances import attributes, is_cloneable

__all__ = [
    "BOX_TYPES",
    "REGISTERED",
    "Box",
    "Node",
    "Primitive",
    "concrete",
    "getval",
    "innermost_box",
    "isbox",
    "new_box",
    "new_level",
    "notrace_primitive",
    "primitive",
    "register_notrace",
]

_levels = itertools.count(1)


def new_level() -> int:
    """The number of a new, innermost trace."""
    return next(_levels)


class Box:
    """A value seen by one trace. Subclass it and ``register`` a value type to box that type.

    >>> from autograd_jit.extend import Box
    >>> class Line:
    ...     def __init__(self, slope, height):
    ...         self.slope, self.height = slope, height
    >>> class LineBox(Box):
    ...     pass
    >>> LineBox.register(Line)
    """

    __slots__ = ("_node", "_trace", "_value")

    #: value type -> box class
    type_mappings: ClassVar[dict[type, type[Box]]] = {}
    #: whether it is a plain integer to everyone but a recorder, who watches what is made of it
    stands_for_integer: ClassVar[bool] = False
    #: every concrete box class
    types: ClassVar[set[type]] = set()

    def __init__(self, value: Any, trace: int, node: Node) -> None:
        self._value = value
        self._node = node
        self._trace = trace

    def __bool__(self) -> bool:
        return bool(self._value)

    __nonzero__ = __bool__

    def __str__(self) -> str:
        return f"Autograd {type(self).__name__} with value {self._value!s}"

    __repr__ = __str__

    @classmethod
    def register(cls, value_type: type) -> None:
        """Box values of exactly ``value_type`` (or, for a box class, its boxes) in this class."""
        Box.types.add(cls)
        Box.type_mappings[value_type] = cls
        Box.type_mappings[cls] = cls
        if not _is_ours(value_type) and value_type not in Box.types and is_cloneable(value_type):
            REGISTERED.add(value_type)
            _CONTAINERS.add(value_type)


def _is_ours(value_type: type) -> bool:
    return value_type.__module__.partition(".")[0] in ("builtins", "numpy", "autograd_jit")


#: types that users have registered and whose values are nothing but their attributes
REGISTERED: set[type] = set()
#: where a box may be hidden
_CONTAINERS: set[type] = {tuple, list, dict, slice}
#: The live set of box classes: ``type(x) in BOX_TYPES`` is the fastest test there is (25 ns).
BOX_TYPES = Box.types


class Node:
    """What one level remembers of one value. Each trace kind is a subclass."""

    __slots__ = ()

    #: whether primitives without a derivative are shown to this kind of node (only the recorder wants them)
    sees_nondifferentiable: ClassVar[bool] = False
    #: whether it writes a tape
    records: ClassVar[bool] = False

    @staticmethod
    def apply(prim: Primitive, level: int, values: list, kwargs: dict, boxed: list) -> Any:
        """Apply ``prim`` at this level.

        ``values`` are the arguments with this level's boxes opened; ``boxed`` lists
        ``(argnum, node)`` for those that were boxes. Returns the (boxed) result.
        """
        raise TypeError("a Node subclass must define apply")


class Primitive:
    """The facts about one primitive: its name, its plain function and its derivative rules."""

    __slots__ = (
        "differentiable", "draws", "fun", "jvps", "name", "normalise", "replayed", "takes_lists",
        "vjp_all", "vjps", "wrapped",
    )  # fmt: skip

    def __init__(self, fun: Callable, name: str, differentiable: bool) -> None:
        self.fun = fun
        self.name = name
        self.differentiable = differentiable
        #: argnum -> vjp maker ``(ans, *args, **kwargs) -> (g -> cotangent)``; None: known to be zero
        self.vjps: Any = None
        #: all boxed arguments at once: ``(argnums, ans, args, kwargs) -> (g -> tuple of cotangents)``
        self.vjp_all: Any = None
        #: argnum -> ``(tangent, ans, *args, **kwargs) -> tangent of the output``; or "same" when linear
        self.jvps: Any = None
        #: optional ``(args, kwargs) -> (args, kwargs)`` which moves boxed keyword arguments into place
        self.normalise: Callable | None = None
        #: whether every list among the arguments stands for an array, with which the rules then compute
        self.takes_lists = False
        self.wrapped: Callable = fun
        #: the method of a random generator that it stands for on a tape, or None
        self.draws: str | None = None
        #: what replays call in place of ``fun``, with the same answer
        self.replayed: Callable | None = None

    def __repr__(self) -> str:
        return f"<primitive {self.name}>"


def _apply(prim: Primitive, args: tuple, kwargs: dict) -> Any:
    """Apply a primitive of which at least one positional argument is a box."""
    level = 0
    for arg in args:
        if type(arg) in BOX_TYPES:
            if arg.stands_for_integer:
                return prim.wrapped(*[_operand(prim, arg, args) for arg in args], **kwargs)
            if arg._trace > level:
                level = arg._trace
    values = list(args)
    boxed = []
    for position, arg in enumerate(args):
        if type(arg) in BOX_TYPES and arg._trace == level:
            values[position] = arg._value
            boxed.append((position, arg._node))
    node = boxed[0][1]
    if prim.differentiable or node.sees_nondifferentiable:
        return node.apply(prim, level, values, kwargs, boxed)
    return prim.wrapped(*values, **kwargs)


def _operand(prim: Primitive, arg: Any, args: tuple) -> Any:
    """An integer argument as rules see it: a plain integer, or a float where it is used as one."""
    return arg.as_operand(prim, args) if type(arg) in BOX_TYPES and arg.stands_for_integer else arg


def hidden_boxes(value: Any) -> bool:
    """Whether a keyword argument or a container holds a box."""
    kind = type(value)
    if kind in BOX_TYPES:
        return True
    if kind is slice:
        return type(value.start) in BOX_TYPES or type(value.stop) in BOX_TYPES or type(value.step) in BOX_TYPES
    if kind is dict:
        value = value.values()
    elif kind in REGISTERED:
        return bool(_boxes_in(value))
    elif kind is not tuple and kind is not list:
        return False
    kinds = set(map(type, value))  # most containers are an index or a shape: 0.2 us to see that
    return not (kinds.isdisjoint(BOX_TYPES) and (kinds.isdisjoint(_CONTAINERS) or not any(map(hidden_boxes, value))))


def _boxes_in(value: Any, through_boxes: bool = False) -> list:
    """The boxes in containers and in values of registered types; ``through_boxes``: and those in boxes."""
    found, seen, pending = [], set(), [value]
    while pending:
        value = pending.pop()
        kind = type(value)
        if kind in BOX_TYPES:
            found.append(value)
            pending += [value._value] if through_boxes else []
        elif kind in _CONTAINERS and id(value) not in seen:  # a value may lead back to itself
            seen.add(id(value))
            pending += _children(value)
    return found


def _children(value: Any) -> list:
    kind = type(value)
    if kind is dict:
        return list(value.values())
    if kind is slice:
        return [value.start, value.stop, value.step]
    return attributes(value)[1] if kind in REGISTERED else list(value)


def _holds_registered(value: Any) -> bool:
    kind = type(value)
    return kind in REGISTERED or (kind in _CONTAINERS and any(map(_holds_registered, _children(value))))


def innermost_box(value: Any) -> Any:
    """The box of the highest level anywhere in ``value``, but for values of registered types; None without boxes."""
    kind = type(value)
    if kind in BOX_TYPES:
        return value
    if kind is dict:
        value = tuple(value.values())
    elif kind is slice:
        value = (value.start, value.stop, value.step)
    elif kind is not tuple and kind is not list:
        return None
    boxes = [box for box in map(innermost_box, value) if box is not None]
    return max(boxes, key=lambda box: box._trace, default=None)


def _level_inside(value: Any) -> int:
    box = innermost_box(value)
    return 0 if box is None else box._trace


def _withhidden_boxes(prim: Primitive, args: tuple, kwargs: dict) -> Any:
    """A call whose boxes are inside containers or keyword arguments: bring them to the surface."""
    if prim.normalise is not None:
        args, kwargs = prim.normalise(args, kwargs)
    innermost = innermost_box((args, kwargs))
    if innermost is None or (innermost._node.records and _holds_registered((args, kwargs))):
        return _apply_to_registered(prim, args, kwargs)
    if innermost._node.sees_nondifferentiable:  # a recorder writes down nested arguments as they are
        return innermost._node.apply_nested(prim, innermost._trace, args, kwargs)
    hidden = [name for name, value in kwargs.items() if hidden_boxes(value)]
    if hidden:
        raise TracedValueError(
            f"{prim.name}() was given a traced value as keyword argument {hidden[0]!r}, which "
            f"autograd_jit cannot differentiate. Pass it by position, or pass a plain value."
        )
    level = innermost._trace
    if not any(type(arg) in _CONTAINERS and _level_inside(arg) == level for arg in args):
        return _apply(prim, args, kwargs)  # the hidden ones are of outer levels, whose turn comes later
    from .containers import apply_to_leaves

    return apply_to_leaves(prim, args, kwargs)


def _apply_to_registered(prim: Primitive, args: tuple, kwargs: dict) -> Any:
    """A call with a value of a registered type, and boxes among the arguments or inside of that value.

    Boxes among the arguments have their turn first. Boxes inside go with the value into the primitive's function,
    and are traced by what it computes; a tape under all of them has to know of it.
    """
    level = max([arg._trace for arg in args if type(arg) in BOX_TYPES], default=0)
    direct = [arg for arg in args if type(arg) in BOX_TYPES and arg._trace == level]
    if direct and not direct[0]._node.records:
        return _apply(prim, args, kwargs)
    recorded = direct or [box for box in _boxes_in((args, kwargs), through_boxes=True) if box._node.records]
    if recorded:
        innermost = max(recorded, key=lambda box: box._trace)
        return innermost._node.apply_to_registered(prim, args, kwargs)
    return prim.fun(*args, **kwargs)


def _make_wrapper(prim: Primitive) -> Callable:
    fun = prim.fun

    def f_wrapped(*args, **kwargs):
        if not kwargs and 0 < len(args) < 3:  # most calls; 0.3 to 0.6 us less than by the loops of _apply
            x = args[0]
            y = args[-1]
            x_boxed, y_boxed = type(x) in BOX_TYPES, type(y) in BOX_TYPES
            if not (x_boxed or y_boxed):
                if type(x) not in _CONTAINERS and type(y) not in _CONTAINERS:
                    return fun(*args)
            elif len(args) == 1:  # x is boxed
                if x.stands_for_integer:
                    return _apply(prim, args, kwargs)
                if prim.differentiable or x._node.sees_nondifferentiable:
                    return x._node.apply(prim, x._trace, [x._value], kwargs, ((0, x._node),))
            elif prim.differentiable:
                if x_boxed and y_boxed:
                    if x.stands_for_integer or y.stands_for_integer:
                        return _apply(prim, args, kwargs)
                    if x._trace == y._trace:
                        both = ((0, x._node), (1, y._node))
                        return x._node.apply(prim, x._trace, [x._value, y._value], kwargs, both)
                    x_boxed = x._trace > y._trace
                    y_boxed = not x_boxed
                if x_boxed and type(y) not in _CONTAINERS:
                    return x._node.apply(prim, x._trace, [x._value, y], kwargs, ((0, x._node),))
                if y_boxed and type(x) not in _CONTAINERS:
                    return y._node.apply(prim, y._trace, [x, y._value], kwargs, ((1, y._node),))
        boxed = registered = contained = False
        for arg in args:
            kind = type(arg)
            if kind in BOX_TYPES:
                boxed = True
            elif kind in _CONTAINERS:
                if hidden_boxes(arg):
                    return _withhidden_boxes(prim, args, kwargs)
                contained = True
                registered |= kind in REGISTERED
        if kwargs and hidden_boxes(kwargs):
            return _withhidden_boxes(prim, args, kwargs)
        if boxed:
            if contained and prim.takes_lists:
                args, kwargs = prim.normalise(args, kwargs)  # type: ignore[misc]
            return _apply_to_registered(prim, args, kwargs) if registered else _apply(prim, args, kwargs)
        return fun(*args, **kwargs)

    return f_wrapped


def _wrap(fun: Callable, differentiable: bool) -> Callable:
    name = getattr(fun, "__name__", type(fun).__name__)
    prim = Primitive(fun, name, differentiable)
    wrapped = _make_wrapper(prim)
    try:
        functools.update_wrapper(wrapped, fun)
    except (AttributeError, TypeError):
        wrapped.__name__ = name
    wrapped.primitive = prim  # type: ignore[attr-defined]
    wrapped.fun = fun  # type: ignore[attr-defined]
    wrapped._is_autograd_primitive = True  # type: ignore[attr-defined]
    prim.wrapped = wrapped
    return wrapped


def primitive(f_raw: Callable) -> Callable:
    """Make ``f_raw``, a function of plain values, an operation that tracing sees as one step.

    Derivatives are attached by ``defvjp`` and ``defjvp``. Usable as a decorator.

    >>> from autograd_jit.extend import primitive, defvjp
    >>> import numpy as np
    >>> @primitive
    ... def cube(x):
    ...     return x ** 3
    >>> defvjp(cube, lambda ans, x: lambda g: g * 3 * x ** 2)
    """
    return _wrap(f_raw, differentiable=True)


def notrace_primitive(f_raw: Callable) -> Callable:
    """Like :func:`primitive`, for a function whose derivative is zero wherever it exists (``floor``, ``argmax``).

    >>> from autograd_jit import grad
    >>> from autograd_jit.extend import notrace_primitive
    >>> constant = notrace_primitive(lambda x: x)
    >>> grad(lambda x: x * constant(x))(3.0)
    np.float64(3.0)
    """
    return _wrap(f_raw, differentiable=False)


def register_notrace(node_type: type[Node], primitive_function: Callable) -> None:
    """Declare that ``primitive_function`` has no derivative, in any mode."""
    primitive_function.primitive.differentiable = False  # type: ignore[attr-defined]


def isbox(x: Any) -> bool:
    """Whether ``x`` is a traced value."""
    return type(x) in BOX_TYPES


def getval(x: Any) -> Any:
    """The plain value inside ``x``, however deeply nested the derivatives are: nothing is differentiated through it.

    Inside a function that ``jit`` is recording it is the recorded plain value, so that what depends on it is seen.
    """
    while type(x) in BOX_TYPES and not x._node.sees_nondifferentiable:
        x = x._value
    return x


def concrete(x: Any) -> Any:
    """The value inside all boxes, recorders' too. For types, shapes and dtypes only: a tape does not see it."""
    while type(x) in BOX_TYPES:
        x = x._value
    return x


def new_box(value: Any, trace: int, node: Node) -> Box:
    """Box ``value`` in the class registered for its type."""
    try:
        return Box.type_mappings[type(value)](value, trace, node)
    except KeyError:
        raise NonDifferentiableError(
            f"cannot differentiate through a value of type {type(value).__module__}.{type(value).__qualname__}. "
            f"Differentiable are floats, complex numbers, NumPy arrays of them, and containers of those."
        ) from None
