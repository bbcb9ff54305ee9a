"""Tape to kernel graph: what each primitive means, in one table of rules.

A rule takes the builder, the recorded op and its arguments (views and literals for traced values, plain
Python for static ones) and returns the result's view. It raises :class:`NoLowering` for what it cannot express;
the op then becomes a Python step, which is slower and never wrong.
"""

from __future__ import annotations

import math
from typing import Any, Callable

import numpy as np

from ..numpy import elementwise as ew
from ..numpy import indexing, joining, products, reductions, shaping
from ..trace.tape import Constant, Guard, Op, Tape, Var
from .builder import Builder, NoLowering, is_native
from .graph import Check, Graph, Literal, Operand, Step, View

__all__ = ["RULES", "expand"]

_BOOL = np.dtype(np.bool_)
_INT = np.dtype(np.int64)

Rule = Callable[..., Any]
#: primitive -> rule ``(builder, op, *arguments, **kwargs) -> operand``
RULES: dict[Any, Rule] = {}


def expand(tape: Tape) -> Graph:
    """The kernel graph of a tape, dead code included (see :mod:`autograd_jit.lower.simplify`)."""
    return _Expansion(tape).graph()


class _Expansion:
    """State of one expansion: the builder and the operand of each tape variable."""

    def __init__(self, tape: Tape) -> None:
        self.tape = tape
        self.builder = Builder()
        self.operands: dict[int, Operand] = {}
        self.constants: dict[int, Operand] = {}

    def graph(self) -> Graph:
        for var in self.tape.inputs:
            self.operands[var.number] = self.builder.input(var.type.shape, var.type.dtype)
        guards = 0
        for op in self.tape.ops:
            if isinstance(op, Guard):
                self._check(op, guards)
                guards += 1
            else:
                self._op(op)
        self.builder.graph.outputs = [self._output(out) for out in self.tape.outputs]
        return self.builder.graph

    def _op(self, op: Op) -> None:
        rule = RULES.get(op.prim)
        try:
            if rule is None:
                raise NoLowering("no lowering rule")
            arguments = [self._argument(arg) for arg in op.args]
            kwargs = {name: self._argument(value) for name, value in op.kwargs.items()}
            results = rule(self.builder, op, *arguments, **kwargs)
            results = results if isinstance(results, list) else [results]
            for var, result in zip(op.outputs, results, strict=True):
                if result.dtype != var.type.dtype or result.shape != var.type.shape:
                    raise NoLowering(f"the rule gives {result.dtype}{result.shape}, not {var.type}")
        except NoLowering as why:
            results = self._step(op, str(why))
        for var, result in zip(op.outputs, results, strict=True):
            self.operands[var.number] = result

    def _step(self, op: Op, reason: str) -> list:
        args = {var.number: self.builder.view(self.operands[var.number]) for var in op.operands()}
        results = tuple([self.builder.new_value(var.type.shape, var.type.dtype) for var in op.outputs])
        self.builder.graph.nodes.append(Step(op, args, results, reason))
        return [value.view() for value in results]

    def _argument(self, arg: Any) -> Any:
        """Vars and Constants as operands; static values unchanged."""
        if isinstance(arg, Var):
            return self.operands[arg.number]
        if isinstance(arg, Constant):
            return self._constant(arg)
        if isinstance(arg, (tuple, list)) and any(isinstance(a, (Var, Constant, tuple, list)) for a in arg):
            return type(arg)([self._argument(a) for a in arg])
        return arg

    def _constant(self, constant: Constant) -> Operand:
        known = self.constants.get(id(constant))
        if known is None:
            known = self.constants[id(constant)] = self.builder.constant(constant.value)
        return known

    def _check(self, guard: Guard, number: int) -> None:
        operand = self.operands[guard.var.number]
        b = self.builder
        if guard.kind == "truth":
            operand = _as_bool(b, operand, ()) if operand.shape == () else b.cast(b.view(operand), _BOOL)
            expected: Any = np.asarray(guard.expected, _BOOL)
            if operand.shape != ():
                operand = View(b.view(operand).value, (), (), b.view(operand).offset)
        elif guard.kind == "int" and operand.dtype.kind == "f":
            operand = b.map("trunc", (operand,), operand.dtype, operand.shape)
            expected = np.asarray(guard.expected, operand.dtype)
        else:
            expected = np.asarray(guard.expected, operand.dtype)
        b.graph.nodes.append(Check(b.dense(operand), np.ascontiguousarray(expected).tobytes(), guard, number))

    def _output(self, out: Any) -> Any:
        if isinstance(out, Var):
            return self.builder.view(self.operands[out.number])
        return out


# ---------------------------------------------------------------- elementwise


def _operand(value: Any) -> Operand:
    """A rule's argument as an operand; raises NoLowering for what is none."""
    if isinstance(value, (View, Literal)):
        return value
    if isinstance(value, (bool, int, float, np.generic)):
        if isinstance(value, int) and not isinstance(value, bool) and not -(2**63) <= value < 2**63:
            raise NoLowering("an integer beyond 64 bits")
        return Literal(value, np.asarray(value).dtype)
    raise NoLowering(f"an argument of type {type(value).__name__}")


def _native(*dtypes: np.dtype) -> None:
    for dtype in dtypes:
        if not is_native(dtype):
            raise NoLowering(f"dtype {dtype.name}")


def _no_options(kwargs: dict) -> None:
    if kwargs:
        raise NoLowering(f"the argument {next(iter(kwargs))}=")


def _result_type(op: Op) -> Any:
    return op.outputs[0].type


def _arithmetic(name: str) -> Rule:
    """Operands are converted to the result's dtype, as NumPy does for these ufuncs."""

    def rule(b: Builder, op: Op, *args: Any, **kwargs: Any) -> Operand:
        _no_options(kwargs)
        type_ = _result_type(op)
        operands = [_operand(arg) for arg in args]
        _native(type_.dtype, *[o.dtype for o in operands])
        if type_.dtype == _BOOL or (type_.dtype.kind == "i" and name not in _INTEGER_OPS):
            raise NoLowering(f"{name} of dtype {type_.dtype.name}")
        return b.map(name, tuple([b.cast(o, type_.dtype) for o in operands]), type_.dtype, type_.shape)

    return rule


_INTEGER_OPS = frozenset(
    "add subtract multiply negative positive square maximum minimum absolute sign fmax fmin".split()
)
_NAN_AWARE = frozenset(["maximum", "minimum", "fmax", "fmin"])


def _comparison(name: str) -> Rule:
    """Operands are converted to their common dtype; the result is bool."""

    def rule(b: Builder, op: Op, *args: Any, **kwargs: Any) -> Operand:
        _no_options(kwargs)
        operands = [_operand(arg) for arg in args]
        common = _common_dtype(op, args)
        _native(common, *[o.dtype for o in operands])
        return b.map(name, tuple([b.cast(o, common) for o in operands]), _BOOL, _result_type(op).shape)

    return rule


def _common_dtype(op: Op, args: tuple) -> np.dtype:
    """NumPy's result type of the operands, Python scalars weak."""
    kinds: list[Any] = []
    for recorded, arg in zip(op.args, args, strict=True):
        if isinstance(recorded, Var) and recorded.type.weak:
            kinds.append({"float": 1.0, "int": 1, "bool": True, "complex": 1j}[recorded.type.kind])
        elif isinstance(arg, (View, Literal)):
            kinds.append(arg.dtype)
        elif isinstance(arg, (bool, float)):
            kinds.append(type(arg)(1))
        elif isinstance(arg, int):
            if abs(arg) >= 2**31:
                raise NoLowering("a comparison with a large integer")
            kinds.append(arg)
        else:
            kinds.append(arg.dtype)
    common = np.result_type(*kinds)
    if {np.dtype(k).kind if not isinstance(k, (bool, int, float, complex)) else "w" for k in kinds} >= {"i", "f"}:
        raise NoLowering("a comparison of integers with floats")
    return common


def _as_bool(b: Builder, operand: Operand, shape: tuple) -> Operand:
    return b.map("cast", (operand,), _BOOL, operand.shape) if operand.dtype != _BOOL else operand


def _logical(name: str) -> Rule:
    def rule(b: Builder, op: Op, *args: Any, **kwargs: Any) -> Operand:
        _no_options(kwargs)
        operands = [_operand(arg) for arg in args]
        type_ = _result_type(op)
        _native(*[o.dtype for o in operands])
        if type_.dtype != _BOOL or (name in ("and", "or", "xor", "not") and op.prim in _BITWISE):
            if any(o.dtype != _BOOL for o in operands):
                raise NoLowering("bitwise arithmetic on integers")
        return b.map(name, tuple([_as_bool(b, o, ()) for o in operands]), _BOOL, type_.shape)

    return rule


def _predicate(name: str) -> Rule:
    def rule(b: Builder, op: Op, x: Any, **kwargs: Any) -> Operand:
        _no_options(kwargs)
        operand = _operand(x)
        if operand.dtype.kind != "f":
            raise NoLowering(f"{name} of dtype {operand.dtype.name}")
        _native(operand.dtype)
        return b.map(name, (operand,), _BOOL, _result_type(op).shape)

    return rule


def _where(b: Builder, op: Op, c: Any, x: Any = None, y: Any = None) -> Operand:
    if x is None or y is None:
        raise NoLowering("where with one argument")
    type_ = _result_type(op)
    condition, x, y = _operand(c), _operand(x), _operand(y)
    _native(type_.dtype, condition.dtype, x.dtype, y.dtype)
    chosen = (_as_bool(b, condition, ()), b.cast(x, type_.dtype), b.cast(y, type_.dtype))
    return b.map("where", chosen, type_.dtype, type_.shape)


def _power(b: Builder, op: Op, x: Any, y: Any, **kwargs: Any) -> Operand:
    """Small constant powers as NumPy's own fast paths compute them; the rest by libm's pow."""
    _no_options(kwargs)
    type_ = _result_type(op)
    x, y = _operand(x), _operand(y)
    _native(type_.dtype, x.dtype, y.dtype)
    if type_.dtype.kind != "f":
        if isinstance(y, Literal) and y.value == 2 and type_.dtype.kind == "i":
            return b.map("square", (b.cast(x, type_.dtype),), type_.dtype, type_.shape)
        raise NoLowering("an integer power")
    x = b.cast(x, type_.dtype)
    if isinstance(y, Literal):
        if y.value == 0.5:
            return _square_root_power(b, x, type_)
        special = {2.0: "square", 1.0: "positive", -1.0: "reciprocal"}.get(float(y.value))
        if special is not None:
            return b.map(special, (x,), type_.dtype, type_.shape)
    return b.map("power", (x, b.cast(y, type_.dtype)), type_.dtype, type_.shape)


def _square_root_power(b: Builder, x: Operand, type_: Any) -> Operand:
    """``pow(x, 0.5)`` by sqrt, with pow's values at -0.0 (which is +0) and -inf (which is +inf)."""
    dtype, shape = type_.dtype, type_.shape
    root = b.map("add", (b.map("sqrt", (x,), dtype, shape), Literal(dtype.type(0), dtype)), dtype, shape)
    infinite = b.map("equal", (x, Literal(dtype.type(-np.inf), dtype)), _BOOL, shape)
    return b.map("where", (infinite, Literal(dtype.type(np.inf), dtype), root), dtype, shape)


def _scaled(name: str, factor: float) -> Rule:
    def rule(b: Builder, op: Op, x: Any, **kwargs: Any) -> Operand:
        _no_options(kwargs)
        type_ = _result_type(op)
        operand = _operand(x)
        _native(type_.dtype, operand.dtype)
        literal = Literal(type_.dtype.type(factor), type_.dtype)
        return b.map("multiply", (b.cast(operand, type_.dtype), literal), type_.dtype, type_.shape)

    return rule


def _astype(b: Builder, op: Op, x: Any, dtype: Any) -> Operand:
    operand, dtype = _operand(x), np.dtype(dtype)
    _native(operand.dtype, dtype)
    if dtype.kind == "i" and operand.dtype.kind == "f":
        raise NoLowering("a float cast to an integer")
    return b.cast(operand, dtype)


def _identity_of_real(b: Builder, op: Op, x: Any) -> Operand:
    operand = _operand(x)
    _native(operand.dtype)
    return operand


def _clip_one(b: Builder, op: Op, x: Any, bound: Any, from_below: Any) -> Operand:
    return _arithmetic("maximum" if from_below else "minimum")(b, op, x, bound)


_BITWISE = {
    f.primitive for f in (ew.bitwise_and, ew.bitwise_or, ew.bitwise_xor, ew.invert)  # type: ignore[attr-defined]
}


def _rule_for(function: Any, rule: Rule) -> None:
    RULES[function.primitive] = rule


for _name in """multiply negative positive add subtract divide square mod fmod maximum minimum fmax fmin absolute fabs
        copysign exp exp2 expm1 log log2 log10 log1p logaddexp logaddexp2 sqrt cbrt hypot sin cos tan arcsin arccos
        arctan arctan2 sinh cosh tanh arcsinh arccosh arctanh sign floor ceil rint trunc floor_divide
        reciprocal""".split():
    _rule_for(getattr(ew, _name), _arithmetic({"fabs": "absolute"}.get(_name, _name)))
for _name in "equal not_equal less less_equal greater greater_equal".split():
    _rule_for(getattr(ew, _name), _comparison(_name))
for _function, _name in (
    (ew.logical_and, "and"),
    (ew.logical_or, "or"),
    (ew.logical_xor, "xor"),
    (ew.logical_not, "not"),
    (ew.bitwise_and, "and"),
    (ew.bitwise_or, "or"),
    (ew.bitwise_xor, "xor"),
    (ew.invert, "not"),
):
    _rule_for(_function, _logical(_name))
for _name in "isnan isinf isfinite".split():
    _rule_for(getattr(ew, _name), _predicate(_name))
_rule_for(ew.where, _where)
_rule_for(ew.power, _power)
_rule_for(ew.float_power, _power)
_rule_for(ew.rad2deg, _scaled("rad2deg", 180.0 / math.pi))
_rule_for(ew.deg2rad, _scaled("deg2rad", math.pi / 180.0))
_rule_for(ew.real, _identity_of_real)
_rule_for(ew.conj, _identity_of_real)
_rule_for(shaping._astype, _astype)
_rule_for(reductions._clip_one, _clip_one)
_rule_for(reductions._root, _arithmetic("sqrt"))

# ---------------------------------------------------------------- views

#: one byte of memory that index maps are computed on; view functions of NumPy never read the elements
_BYTE = np.zeros(1, np.int8)


def _shadow(view: View) -> np.ndarray:
    """An array with the view's shape and strides (one byte an element), for NumPy to take views of."""
    return np.lib.stride_tricks.as_strided(_BYTE, view.shape, view.strides)


def _viewed(view: View, shadow: np.ndarray, base: np.ndarray) -> View:
    start = shadow.__array_interface__["data"][0] - base.__array_interface__["data"][0]
    if shadow.size == 0:
        start = -view.offset
    return View(view.value, shadow.shape, shadow.strides, view.offset + start)


def _by_view(function: Callable) -> Rule:
    """A rule for a function that returns a view: NumPy itself computes the index map."""

    def rule(b: Builder, op: Op, x: Any, *args: Any, **kwargs: Any) -> Operand:
        view = b.view(_operand(x))
        base = _shadow(view)
        return _viewed(view, function(base, *args, **kwargs), base)

    return rule


def _reshape(b: Builder, op: Op, x: Any, shape: tuple, order: str) -> Operand:
    operand = _operand(x)
    if order != "C":
        raise NoLowering("reshape in Fortran order")
    if isinstance(operand, Literal):
        return operand if shape == () else b.fill(operand, shape)
    base = _shadow(operand)
    try:
        return _viewed(operand, np.reshape(base, shape, copy=False), base)
    except ValueError:  # needs a copy
        dense = b.dense(operand)
        base = _shadow(dense)
        return _viewed(dense, np.reshape(base, shape, copy=False), base)


def _broadcast_to(b: Builder, op: Op, x: Any, shape: tuple) -> Operand:
    operand = _operand(x)
    return b.fill(operand, shape) if isinstance(operand, Literal) else operand.broadcast(shape)


def _getitem(b: Builder, op: Op, x: Any, index: Any) -> Operand:
    if not _is_basic(index):
        raise NoLowering("indexing by arrays")
    view = b.view(_operand(x))
    base = _shadow(view)
    # A trailing Ellipsis makes NumPy return a view also where one element is selected.
    parts = index if isinstance(index, tuple) else (index,)
    whole = parts if any(part is Ellipsis for part in parts) else (*parts, Ellipsis)
    return _viewed(view, base[whole], base)


def _is_basic(index: Any) -> bool:
    parts = index if isinstance(index, tuple) else (index,)
    return all(
        part is None
        or part is Ellipsis
        or (isinstance(part, (int, np.integer)) and not isinstance(part, (bool, np.bool_)))
        or (isinstance(part, slice) and not _has_operand(part))
        for part in parts
    )


def _has_operand(part: slice) -> bool:
    return any(isinstance(bound, (View, Literal, Var)) for bound in (part.start, part.stop, part.step))


_rule_for(shaping._reshape, _reshape)
_rule_for(shaping._broadcast_to, _broadcast_to)
_rule_for(shaping._transpose, _by_view(np.transpose))
_rule_for(shaping._flip, _by_view(np.flip))
_rule_for(shaping._diagonal, _by_view(lambda x, offset: np.diagonal(x, offset, -2, -1)))
_rule_for(indexing.getitem, _getitem)

# ---------------------------------------------------------------- reductions


def _reduction(name: str) -> Rule:
    def rule(b: Builder, op: Op, x: Any, axes: tuple, keepdims: bool) -> Operand:
        type_ = _result_type(op)
        operand = _operand(x)
        _native(operand.dtype, type_.dtype)
        if name in ("all", "any"):
            operand = _as_bool(b, operand, ())
        elif name in ("sum", "prod"):
            operand = b.cast(operand, type_.dtype)
        if operand.dtype != type_.dtype or (operand.dtype == _BOOL and name not in ("all", "any")):
            raise NoLowering(f"{name} of dtype {operand.dtype.name}")
        view = b.view(operand)
        if not axes:
            return view
        result = b.reduce(name, view, axes)
        return _with_shape(result, type_.shape)

    return rule


def _with_shape(view: View, shape: tuple) -> View:
    base = _shadow(view)
    return _viewed(view, np.reshape(base, shape, copy=False), base)


_rule_for(reductions.reduce_sum, _reduction("sum"))
_rule_for(reductions.reduce_prod, _reduction("prod"))
_rule_for(reductions.reduce_max, _reduction("max"))
_rule_for(reductions.reduce_min, _reduction("min"))
_rule_for(reductions.reduce_all, _reduction("all"))
_rule_for(reductions.reduce_any, _reduction("any"))

# ---------------------------------------------------------------- joining and scattering


def _concatenate(b: Builder, op: Op, axis: int, *arrays: Any) -> Operand:
    type_ = _result_type(op)
    operands = [_operand(a) for a in arrays]
    _native(type_.dtype, *[o.dtype for o in operands])
    whole = b.assemble(type_.shape, type_.dtype, None)
    base = _shadow(whole.view())
    start = 0
    for operand in operands:
        size = b.view(operand).shape[axis]
        region = _viewed(whole.view(), base[(slice(None),) * axis + (slice(start, start + size),)], base)
        b.piece(region, b.cast(operand, type_.dtype), add=False)
        start += size
    return whole.view()


def _scatter_sum(b: Builder, op: Op, indices: tuple, zeros: Any, base_value: Any, *values: Any) -> Operand:
    type_ = _result_type(op)
    if type_.dtype.kind != "f" or not all(_is_basic(index) for index in indices):
        raise NoLowering("scattering by arrays")
    operands = [_operand(v) for v in values]
    _native(type_.dtype, *[o.dtype for o in operands])
    source = Literal(type_.dtype.type(0), type_.dtype) if base_value is None else b.cast(_operand(base_value), type_.dtype)
    whole = b.assemble(type_.shape, type_.dtype, source)
    base = _shadow(whole.view())
    for index, operand in zip(indices, operands, strict=True):
        parts = index if isinstance(index, tuple) else (index,)
        parts = parts if any(part is Ellipsis for part in parts) else (*parts, Ellipsis)
        region = _viewed(whole.view(), base[parts], base)
        b.piece(region, b.cast(operand, type_.dtype), add=True)
    return whole.view()


def _roll(b: Builder, op: Op, x: Any, shifts: tuple, axes: tuple) -> Operand:
    view = b.view(_operand(x))
    _native(view.dtype)
    for shift, axis in zip(shifts, axes, strict=True):
        view = _roll_one(b, view, shift, axis)
    return view


def _roll_one(b: Builder, view: View, shift: int, axis: int) -> View:
    length = view.shape[axis]
    shift = shift % length if length else 0
    if shift == 0:
        return view
    whole = b.assemble(view.shape, view.dtype, None)
    target, source = _shadow(whole.view()), _shadow(view)
    lead = (slice(None),) * axis
    for to, start in ((slice(shift, None), slice(None, length - shift)), (slice(None, shift), slice(length - shift, None))):
        piece = _viewed(view, source[(*lead, start)], source)
        b.piece(_viewed(whole.view(), target[(*lead, to)], target), piece, add=False)
    return whole.view()


_rule_for(joining._concatenate, _concatenate)
_rule_for(indexing.scatter_sum, _scatter_sum)
_rule_for(shaping._roll, _roll)

# ---------------------------------------------------------------- products

#: below this many multiplications a loop of our own beats the call of BLAS (about 150 ns and no fusion)
SMALL_PRODUCT = 4096
#: a product with a vector is bound by memory; our loops fuse with what is around them
SMALL_VECTOR_PRODUCT = 65536


def _matmul(b: Builder, op: Op, x: Any, y: Any) -> Operand:
    type_ = _result_type(op)
    x, y = _operand(x), _operand(y)
    _native(type_.dtype, x.dtype, y.dtype)
    if type_.dtype.kind != "f":
        raise NoLowering(f"matmul of dtype {type_.dtype.name}")
    x, y = b.view(b.cast(x, type_.dtype)), b.view(b.cast(y, type_.dtype))
    left = x if len(x.shape) > 1 else View(x.value, (1, *x.shape), (0, *x.strides), x.offset)
    right = y if len(y.shape) > 1 else View(y.value, (*y.shape, 1), (*y.strides, 0), y.offset)
    batch = np.broadcast_shapes(left.shape[:-2], right.shape[:-2])
    left, right = left.broadcast(batch + left.shape[-2:]), right.broadcast(batch + right.shape[-2:])
    m, k, n = left.shape[-2], left.shape[-1], right.shape[-1]
    vector = m == 1 or n == 1
    if m * k * n <= (SMALL_VECTOR_PRODUCT if vector else SMALL_PRODUCT) or k == 0:
        product = _multiply_and_sum(b, left, right)
    else:
        product = _batched_gemm(b, left, right, batch)
    return _with_shape(product, type_.shape)


def _multiply_and_sum(b: Builder, left: View, right: View) -> View:
    """A product as multiplications and a reduction, which fuse with their neighbours.

    The summed axis goes last where both operands are contiguous along it, else before the columns, so that the
    inner loop runs over contiguous memory.
    """
    *batch, m, k = left.shape
    n = right.shape[-1]
    lead = tuple(batch)
    k_inner = n == 1 or (left.strides[-1] == 1 and right.strides[-2] == 1)
    if k_inner and not (n == 1 and m > 1 and left.strides[-2] == 1):
        shape = (*lead, m, n, k)
        a = View(left.value, shape, (*left.strides[:-1], 0, left.strides[-1]), left.offset)
        c = View(right.value, shape, (*right.strides[:-2], 0, right.strides[-1], right.strides[-2]), right.offset)
        axis = len(shape) - 1
    elif n == 1:  # a transposed matrix times a vector: rows of its memory are added up
        shape = (*lead, k, m, 1)
        a = View(left.value, shape, (*left.strides[:-2], left.strides[-1], left.strides[-2], 0), left.offset)
        c = View(right.value, shape, (*right.strides[:-2], right.strides[-2], 0, 0), right.offset)
        axis = len(shape) - 3
    else:
        shape = (*lead, m, k, n)
        a = View(left.value, shape, (*left.strides, 0), left.offset)
        c = View(right.value, shape, (*right.strides[:-2], 0, *right.strides[-2:]), right.offset)
        axis = len(shape) - 2
    product = b.map("multiply", (a, c), left.dtype, shape)
    return b.reduce("sum", product, (axis,))


def _batched_gemm(b: Builder, left: View, right: View, batch: tuple) -> View:
    count = math.prod(batch)
    left, right = _blas_ready(b, left, batch, count), _blas_ready(b, right, batch, count)
    product = b.gemm(left, right)
    return _with_shape(product, (*batch, left.shape[1], right.shape[2]))


def _blas_ready(b: Builder, view: View, batch: tuple, count: int) -> View:
    """``view`` as (batch, rows, columns) with one unit stride, copied only where it has none."""
    rows, columns = view.shape[-2:]
    row_stride, column_stride = view.strides[-2:]
    ready = (column_stride == 1 and row_stride >= columns) or (row_stride == 1 and column_stride >= rows)
    ready = ready or (rows == 1 and column_stride == 1) or (columns == 1 and row_stride == 1)
    if ready:
        try:
            base = _shadow(view)
            return _viewed(view, np.reshape(base, (count, rows, columns), copy=False), base)
        except ValueError:
            pass
    return _with_shape(b.dense(view), (count, rows, columns))


_rule_for(products.matmul, _matmul)
