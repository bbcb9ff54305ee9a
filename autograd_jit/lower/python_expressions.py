"""Single operations of a kernel as expressions of Python, with no more parentheses than they need."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from .kernel import Instruction

__all__ = [
    "AND",
    "ATOM",
    "CHOICE",
    "COMPARE",
    "DTYPE",
    "FLOATS",
    "INFIX",
    "NAMES_TWICE",
    "NOT",
    "OR",
    "POWER",
    "PRODUCT",
    "SPECIAL_FORMS",
    "SUM",
    "UNARY",
    "Text",
    "combined",
    "expression",
    "neutral",
]

#: NumPy's names of element types
DTYPE: Final = {"double": "float64", "float": "float32", "i64": "int64", "i32": "int32", "i1": "bool"}
FLOATS: Final = ("double", "float")


class Text(NamedTuple):
    """An expression and how strongly its outermost operator binds."""

    text: str
    strength: int

    def at(self, strength: int) -> str:
        """In parentheses where the place binds more strongly."""
        return self.text if self.strength >= strength else f"({self.text})"


#: how strongly operators bind
CHOICE, OR, AND, NOT, COMPARE, SUM, PRODUCT, UNARY, POWER, ATOM = range(10)


def neutral(op: str, element: str) -> str:
    """What leaves any other value unchanged, of a type that Numba keeps."""
    if op in ("all", "any"):
        return "True" if op == "all" else "False"
    if op in ("sum", "prod"):
        value = "0" if op == "sum" else "1"
        return {"double": f"{value}.0", "float": f"np.float32({value})", "i64": value, "i32": f"np.int32({value})"}[
            element
        ]
    if element in FLOATS:
        infinity = "-math.inf" if op == "max" else "math.inf"
        return infinity if element == "double" else f"np.float32({infinity})"
    return f"INT{element[1:]}_{'MIN' if op == 'max' else 'MAX'}"


def combined(op: str, element: str, x: Text, y: Text) -> str:
    if op in ("all", "any"):
        strength, word = (AND, "and") if op == "all" else (OR, "or")
        return f"{x.at(strength)} {word} {y.at(strength)}"
    if op in ("max", "min"):
        return f"{op}imum({x.text}, {y.text})"
    strength, sign = (SUM, "+") if op == "sum" else (PRODUCT, "*")
    return _rounded(element, f"{x.at(strength)} {sign} {y.at(strength + 1)}", strength).text


def _rounded(element: str, text: str, strength: int, widens: bool = False) -> Text:
    """An arithmetic result in its own type: Numba widens int32, and float32 (``widens``) next to doubles."""
    if element == "i32" or (element == "float" and widens):
        return Text(f"np.{DTYPE[element]}({text})", ATOM)
    return Text(text, strength)


NAMES_TWICE: Final = frozenset(["square", "isnan"])

INFIX: Final = {
    "add": ("+", SUM),
    "subtract": ("-", SUM),
    "multiply": ("*", PRODUCT),
    "divide": ("/", PRODUCT),
    "equal": ("==", COMPARE),
    "not_equal": ("!=", COMPARE),
    "less": ("<", COMPARE),
    "less_equal": ("<=", COMPARE),
    "greater": (">", COMPARE),
    "greater_equal": (">=", COMPARE),
    "and": ("and", AND),
    "or": ("or", OR),
    "xor": ("!=", COMPARE),
}

#: functions whose names in Python are not NumPy's
_PYTHON_NAMES: Final = {
    "arcsin": "math.asin",
    "arccos": "math.acos",
    "arctan": "math.atan",
    "arctan2": "math.atan2",
    "arcsinh": "math.asinh",
    "arccosh": "math.acosh",
    "arctanh": "math.atanh",
    "absolute": "abs",
    **{name: f"np.{name}" for name in ("floor", "ceil", "trunc", "rint", "fmod")},
    **{
        name: f"math.{name}"
        for name in (
            "exp exp2 expm1 log log2 log10 log1p sin cos tan sinh cosh tanh hypot erf erfc sqrt copysign isinf isfinite"
        ).split()
    },
}
#: functions of scalar_math that give what they are given; those that are neither here nor above compute in double
_KEEP_TYPE: Final = frozenset(["maximum", "minimum", "fmax", "fmin"])

#: operations that are other functions of scalar_math for integers
_DIVISIONS: Final = frozenset(["mod", "floor_divide"])


def expression(instruction: Instruction, args: list[Text]) -> Text:
    """One operation on expressions."""
    op, element = instruction.op, instruction.element
    if op in SPECIAL_FORMS:
        return SPECIAL_FORMS[op](instruction, args)
    if op in INFIX:
        return _infix(op, element, args)
    is_integer = element in ("i64", "i32")
    name = f"integer_{op}" if is_integer and op in _DIVISIONS else _PYTHON_NAMES.get(op, op)
    text = f"{name}({', '.join([arg.text for arg in args])})"
    if op in ("isinf", "isfinite"):
        return Text(text, ATOM)
    if is_integer:
        return Text(f"np.{DTYPE[element]}({text})", ATOM) if op == "sign" else _rounded(element, text, ATOM)
    return _rounded(element, text, ATOM, (name == op and op not in _KEEP_TYPE) or op == "copysign")


def _infix(op: str, element: str, args: list[Text]) -> Text:
    sign, strength = INFIX[op]
    left = strength + 1 if strength == COMPARE else strength  # a < b < c means something else
    text = f"{args[0].at(left)} {sign} {args[1].at(strength + 1)}"
    return _rounded(element, text, strength) if strength >= SUM else Text(text, strength)


def _where(instruction: Instruction, args: list[Text]) -> Text:
    condition, yes, no = args
    return Text(f"{yes.at(OR)} if {condition.at(OR)} else {no.at(CHOICE)}", CHOICE)


def _power(instruction: Instruction, args: list[Text]) -> Text:
    return Text(f"{args[0].at(ATOM)} ** {args[1].at(UNARY)}", POWER)


def _square(instruction: Instruction, args: list[Text]) -> Text:
    return _rounded(instruction.element, f"{args[0].at(PRODUCT)} * {args[0].at(PRODUCT + 1)}", PRODUCT)


def _negative(instruction: Instruction, args: list[Text]) -> Text:
    return _rounded(instruction.element, f"-{args[0].at(UNARY)}", UNARY)


def _reciprocal(instruction: Instruction, args: list[Text]) -> Text:
    one = "1.0" if instruction.element == "double" else "np.float32(1)"
    return Text(f"{one} / {args[0].at(PRODUCT + 1)}", PRODUCT)


def _cast(instruction: Instruction, args: list[Text]) -> Text:
    source, target, value = instruction.element, instruction.result, args[0]
    if target == "i1":
        return Text(f"{value.at(COMPARE + 1)} != 0", COMPARE)
    if source in FLOATS and target not in FLOATS:
        return Text(f"to_{DTYPE[target]}({value.text})", ATOM)
    return Text(f"np.{DTYPE[target]}({value.text})", ATOM)


SPECIAL_FORMS: Final[dict[str, Callable[[Instruction, list[Text]], Text]]] = {
    "where": _where,
    "power": _power,
    "square": _square,
    "negative": _negative,
    "reciprocal": _reciprocal,
    "cast": _cast,
    "not": lambda instruction, args: Text(f"not {args[0].at(NOT)}", NOT),
    "isnan": lambda instruction, args: Text(f"{args[0].at(COMPARE + 1)} != {args[0].at(COMPARE + 1)}", COMPARE),
}
