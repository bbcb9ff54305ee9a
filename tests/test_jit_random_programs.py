"""Random programs, interpreted against compiled: values, types and exceptions over sequences of calls.

A program is the text of a small function: branches, loops and recursion on traced values, helpers, captured state
that changes between the calls, containers, mixed dtypes, views, indexing, reductions, linear algebra. The wider grammar
adds random draws, integer arguments, writing into own arrays, row-wise normalisations, overlapping slices and objects.
"""

from __future__ import annotations

import random
import textwrap
import warnings
from typing import Any, NamedTuple
from unittest import mock

import numpy
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import autograd_jit.numpy as anp
from autograd_jit import config, grad, hessian, jacobian, jit, make_jvp, value_and_grad
from autograd_jit.lower import in_place, parts, plan
from tests.jit_support import assert_same_outcome, outcome

SIZE = 4


@pytest.fixture(scope="module", autouse=True)
def small_arrays_count_as_large():
    """Results take the memory of operands, and others are in theirs before; threads share launches: here for arrays of
    four elements, too."""
    with (
        mock.patch.object(in_place, "LEAST_BYTES", 0),
        mock.patch.object(plan, "WORTH_PACKING", 0),
        mock.patch.object(parts, "LEAST_SECONDS", 0.0),
        mock.patch.object(parts, "FEWEST_TURNS", 2),
        mock.patch.object(parts, "LINE", 1),
        mock.patch.object(parts, "STRIP", 1),
        config(threads=2),
    ):
        yield


UNARY = (
    "np.sin({0})|np.cos({0})|np.tanh({0})|np.exp(-{0} * {0})|np.sqrt(np.abs({0}))|np.log1p({0} ** 2)|-{0}|{0} ** 2"
    "|np.abs({0})|np.maximum({0}, 0.3)|np.where({0} > 0.1, {0}, 0.5 * {0})|np.arctan({0})|{0} / (1 + {0} * {0})"
    "|np.minimum({0}, RATE)|np.clip({0}, -0.8, 0.9)|2 - {0}|{0} * 3|np.sign({0}) * {0}|np.floor({0}) + {0}"
).split("|")
BINARY = (
    "{0} + {1}|{0} - {1}|{0} * {1}|{0} / (2 + np.abs({1}))|np.maximum({0}, {1})|np.arctan2({0}, 1.5 + {1} ** 2)"
    "|np.where({0} > {1} + 0.01, {0}, {1} * 2)|np.hypot({0}, {1})|np.logaddexp({0}, {1})"
).split("|")
VECTOR = (
    "{v}[::-1]|np.roll({v}, 1)|np.sort({v})|np.cumsum({v})|{m} @ {v}|{v} @ {m}|{m}[1]|{m}[:, 2]|np.diag({m})"
    "|np.sum({m}, axis=0)|{m}.mean(1)|np.concatenate([{v}[2:], {v}[:2]])|np.stack([{s}, {s}, {s} * 2, {s} + 1])"
    "|{v}[[3, 0, 0, 1]]|{v}[np.argsort({v})]|np.max({m}, axis=1)|helper({v}, {s})"
    "|np.array([{s}, 1.0, {s}, 2.0])"
    "|np.linalg.solve({m} + 9 * np.eye(4), {v})|ITEMS[0] * {v}|DATA * {v}|TABLE['w'] + {v}|np.repeat({v}[:2], 2)"
    "|np.array({v})|recursive({v}, {s})|np.einsum('ij,j->i', {m}, {v})|np.squeeze({v}[None])|{v}.astype(np.float32)"
    "|np.prod({m}, axis=1)|np.outer({v}, {v})[2]|sum(ITEMS) * {v}|MODEL.apply({v})"
    "|np.logical_and({v} > 0, {v} < 1) * {v}"
).split("|")
MATRIX = (
    "{m}.T|{m} @ {m}|np.outer({v}, {v})|{m} * {v}|{m} + {v}[:, None]|{m}[::-1]|{m} - {s}|np.tanh({m})"
    "|np.stack([{v}, {v}, {v} * 2, {v} + 1])|np.reshape({m}.ravel()[::-1], (4, 4))|np.linalg.inv({m} + 9 * np.eye(4))"
    "|np.broadcast_to({v}, (4, 4)) * 2|np.triu({m})|{m}[[0, 2, 2, 1]]|np.where({m} > 0, {m}, {s})"
    "|np.kron({v}[:2], {m}[:, :2])"
).split("|")
SCALAR = (
    "np.sum({v})|{v}[1]|{v} @ {v}|np.mean({m})|np.max({v})|{m}[1, 2]|np.linalg.norm({v})|np.trace({m})|{v}.sum()"
    "|{s} * 0.5|np.dot({v}, DATA)|{s} * RATE|np.var({v})|float({s}) * {v}[0]|max({v}[0], {v}[1])|abs({v}[-1])"
    "|np.prod({v})|len({v}) * {s}|sum({v})|{v}[int(abs({s})) % 4]|{v}[np.argmax({v})]"
    "|np.sum({v}[{v} > 0.2])|min({s}, RATE)"
    "|np.median({v})|np.linalg.slogdet({m} + 9 * np.eye(4))[1]|{s} if {s} > 0 else -{s}|(lambda a, b, *c: a - b)(*{v})"
).split("|")
CONDITION = (
    "{s} > 0.15|{v}[0] < {v}[2]|np.any({v} > 1.3)|{s} < RATE and {v}[1] > -0.2|not np.all({v} > -0.4)|len({v}) > {s}"
    "|FLAG|int({s} * 2) % 2 == 0|bool({v}[3] > 0.37)|isinstance({s}, float)|abs({s}) > 1.7 or FLAG|np.isfinite({s})"
).split("|")
LEAVING = (
    "str(round(float({s}), 1))|{v}.tolist()|int({s})|f'{{{s}:.1f}}'|{v} > 0|None|'text'|np.argmax({v})"
    "|bool({s} > 0)"
).split("|")

#: what the wider grammar adds: (vectors, matrices, scalars, conditions, statements of programs that are not
#: differentiated)
WIDER_VECTOR = (
    "RNG.randn(4)|{v} + 0.1 * RNG.normal(size=4)|{v}[RNG.permutation(4)]|RNG.rand(4) * {v}|{v} * (n0 % 3)|{m}[n0 % 4]"
    "|np.exp({v} - np.max({v})) / np.sum(np.exp({v} - np.max({v})))"
    "|({m} / np.sum(np.abs({m}), axis=1, keepdims=True))[0]"
    "|np.concatenate([{v}[1:] - {v}[:-1], {v}[:1]])|np.roll({v}, 1) - 2 * {v} + np.roll({v}, -1)|PAIR[0] * {v}"
    "|scaled({v})|scaled({v}, {v})|np.cumsum({v}[::-1])[::-1]|np.searchsorted(np.sort({v}), {v}) * {v}|own({v})"
    "|np.convolve({v}, [0.2, 0.5, 0.3], 'same')|np.linalg.lstsq({m} + 9 * np.eye(4), {v}, rcond=None)[0]"
    "|np.take_along_axis({m}, np.argsort({m}, axis=1), axis=1)[1]|np.diff(np.append({v}, {s}))|NEST['a'][1].rows @ {v}"
).split("|")
WIDER_MATRIX = (
    "np.exp({m} - np.max({m}, axis=1, keepdims=True))|{m} - np.log(np.sum(np.exp({m}), axis=1, keepdims=True))"
    "|({m} - np.mean({m}, axis=1, keepdims=True)) / np.sqrt(np.var({m}, axis=1, keepdims=True) + 0.1)"
    "|RNG.standard_normal((4, 4)) * {m}|np.linalg.cholesky({m} @ {m}.T + 9 * np.eye(4))|{m}[RNG.permutation(4)]"
    "|np.pad({m}[1:-1, 1:-1] * 4 - {m}[:-2, 1:-1] - {m}[2:, 1:-1] - {m}[1:-1, :-2] - {m}[1:-1, 2:], 1)"
    "|np.roll({m}, 1, axis=0) + np.roll({m}, -1, axis=1)|np.sort({m}, axis=0)|np.cumsum({m}, axis=1)|{m} ** (n0 % 3)"
    "|np.linalg.qr({m} + 9 * np.eye(4))[1]|NEST['a'][1].rows * {m}|np.linalg.solve({m} + 9 * np.eye(4), {m})"
).split("|")
WIDER_SCALAR = (
    "RNG.rand()|{v}[RNG.randint(4)]|np.sum({v}) * n0|np.log(np.sum(np.exp({v})))|np.linalg.det({m} + 3 * np.eye(4))"
    "|RNG.uniform(-1, 1)|{v}[n0 % 4]|COUNTS[n0 % 2] * {s}|np.sum(RNG.choice({v}, 2))|np.linalg.norm({m}, 'fro')"
    "|np.sum(np.linalg.eigh({m} + {m}.T)[0][:2])|sum(scaled({v}))|PAIR[1] * {s}"
).split("|")
WIDER_CONDITION = "RNG.rand() < 0.5|n0 % 2 == 0|n0 > 2|{v}[0] > RNG.randn()|PAIR[1] > {s}".split("|")
WIDER_STATEMENT = (
    "acc = np.zeros(4); acc += {v}; acc *= 2; v0 = acc|h = {v} * 2; h += {v}; v0 = h|h = {v} * 2; g = h; h += 1; v0 = g"
    "|h = {v} * 2; g = h[1:]; h -= 1; v0 = np.append(g, {s})|parts = [{v} * 1.0]; parts[0] += {v}; v0 = parts[0]"
    "|acc = 0.0\n    for k in range(n0 % 3): acc += {s}\n    s0 = acc"
).split("|")

#: programs of complex numbers: a vector ``z``, a matrix ``h``, besides those of floats
COMPLEX_UNARY = (
    "np.exp(1j * {0})|np.conj({0})|{0} * {0}|{0} ** 2|{0} ** 3|1 / ({0} + 3)|np.sqrt({0} + 2)"
    "|np.sin({0})|np.tanh({0})"
    "|-{0}|2j * {0}|np.log({0} + 4)|np.cosh({0})|{0} / (1 + np.abs({0}))|{0}.real + 2j * {0}.imag|np.square({0})"
    "|np.where(np.abs({0}) > 0.7, {0}, 1j * {0})|{0} - {0}.imag|np.reciprocal({0} - 3j)"
).split("|")
COMPLEX_BINARY = (
    "{0} + {1}|{0} - {1}|{0} * {1}|{0} / (3 + np.abs({1}) + 1j)|{0} * np.conj({1})"
    "|np.where(np.real({0}) > 0, {0}, {1})"
).split("|")
COMPLEX_VECTOR = (
    "{z}[::-1]|np.roll({z}, 1)|{h} @ {z}|{z} @ {h}|{h}[1]|{h}[:, 2]|np.sum({h}, axis=0)|{h}.mean(1)|{v} + 1j * {z}"
    "|np.concatenate([{z}[2:], {v}[:2]])|np.stack([{s}, {s} * 1j, {s} * 2, {s} + 1])"
    "|{z}[[3, 0, 0, 1]]|np.fft.fft({z})"
    "|np.fft.ifft({v})|np.fft.fftshift({z})|np.einsum('ij,j->i', {h}, {v})|{v}.astype(complex)|np.diag({h})"
    "|np.linalg.solve({h} + 9 * np.eye(4), {z})|{z}[np.abs({z}) > -1]|np.fft.rfft({v}, 6)"
    "|np.array([1j, 2, -1j, 0.5]) * {z}"
    "|{z}.astype(np.complex64)|np.outer({z}, {v})[2]|np.cumsum({z})"
).split("|")
COMPLEX_MATRIX = (
    "{h}.T|{h} @ {h}|np.outer({z}, {z})|{h} * {z}|{h} + {z}[:, None]|{h}[::-1]|np.exp(-1j * {h})"
    "|np.conj({h}).T|{m} + 1j * {h}"
    "|np.reshape({h}.ravel()[::-1], (4, 4))|np.fft.fft2({m})|np.fft.ifft2({h})|np.stack([{z}, {v}, {z} * 2, {z} + 1])"
    "|{m} @ {h}|{h} @ {m}|np.kron({z}[:2], {h}[:, :2])|np.broadcast_to({z}, (4, 4)) * 2"
    "|np.fft.fft({h}, axis=0, norm='ortho')"
).split("|")
COMPLEX_TO_REAL = {
    "v": "np.abs({z})|np.real({z})|{z}.imag|np.angle({z} + 3)|np.abs({h} @ {z})|np.fft.irfft({z}, 4)"
    "|np.real({z} * np.conj({z}))",
    "m": "np.abs({h})|np.real({h})|np.imag({h} @ {h})|np.fft.irfft2({h}, s=(4, 4))",
    "s": "np.abs({z}[0])|np.sum(np.abs({z}) ** 2)|np.real(np.vdot({z}, {z}))|np.linalg.norm({z})"
    "|np.real(np.trace({h}))"
    "|np.imag(np.sum({h}))",
}
COMPLEX_RESULT = ("({z}, {h}, {z}[0])", "{z} if {s} > 0.2 else {h}")
COMPLEX_CONDITION = (
    "np.abs({z}[1]) > 0.8|{z}[0] == {z}[1]|{z}[0].real > 0.1|np.any({z} != 0)|np.isfinite({z}[2])"
).split("|")

PROLOGUE = """
class Rows:
    def __init__(self, rows):
        self.rows = rows

NEST = {"a": [1.0, Rows(np.linspace(-0.4, 0.6, 16).reshape(4, 4))]}

def scaled(a, by=np.array([1.0, 2.0, 0.5, -1.0])):
    return a * by

def own(a):
    total = np.zeros(4)
    for k in range(3):
        total += a * k
    return total

def helper(a, b):
    return a * 2 - b if np.sum(a) > 0.45 else a + b * RATE

def recursive(a, b, depth=0):
    if depth > 2 or np.abs(b) > 2.2:
        return a
    return recursive(np.sin(a) + b, b * 1.7 + 0.31, depth + 1)

class Model:
    def __init__(self):
        self.weights = np.array([0.3, -0.2, 0.9, 0.1])
        self.scale = 1.5

    def apply(self, a):
        return self.weights * a * self.scale if FLAG else self.weights + a

MODEL = Model()
"""


class Writer:
    """Writes the text of one random function ``f(v0, m0, s0, *, jitter=...)``."""

    def __init__(self, rng: random.Random, differentiable: bool, wider: bool, has_complex: bool = False) -> None:
        self.rng = rng
        self.expressions = {"v": VECTOR, "m": MATRIX, "s": SCALAR}
        self.conditions = CONDITION
        self.wider = wider
        if wider:  # twice: half of what a program holds
            wide = {"v": 2 * WIDER_VECTOR, "m": WIDER_MATRIX, "s": 2 * WIDER_SCALAR}
            self.expressions = {kind: known + wide[kind] for kind, known in self.expressions.items()}
            self.conditions = CONDITION + 2 * WIDER_CONDITION
        self.unary = dict.fromkeys("vms", UNARY) | dict.fromkeys("zh", COMPLEX_UNARY)
        self.binary = dict.fromkeys("vms", BINARY) | dict.fromkeys("zh", COMPLEX_BINARY)
        self.kinds = "vvvmss"
        if has_complex:
            self.kinds = "vmszzzzhh"
            real = {kind: self.expressions[kind] + 3 * COMPLEX_TO_REAL[kind].split("|") for kind in "vms"}
            self.expressions = {**real, "z": COMPLEX_VECTOR, "h": COMPLEX_MATRIX}
            self.conditions = self.conditions + 2 * COMPLEX_CONDITION
        self.has_complex = has_complex
        self.differentiable = differentiable
        self.lines: list[str] = []
        self.names = {"v": ["v0", "DATA"], "m": ["m0"], "s": ["s0", "RATE"], "z": ["z0"], "h": ["h0", "H"]}
        self.count = 0

    def text(self) -> str:
        if self.has_complex:
            self.line(1, "z0, h0 = v0 * (1 + 0.5j) + 0.3j, m0 + 1j * np.roll(m0, 1)")
        self.block(self.rng.randint(2, 7), 1)
        self.line(1, f"return {self.result()}")
        return f"def f(v0, m0, s0{', n0' if self.wider else ''}):\n" + "\n".join(self.lines) + "\n"

    def result(self) -> str:
        total = self.fill("np.sum(np.tanh({v})) + np.sum(np.tanh({m})) * 0.1 + np.tanh({s})")
        if self.has_complex:
            total += self.fill(" + np.sum(np.tanh(np.abs({z}))) + np.sum(np.tanh(np.imag({h})))")
        if self.differentiable:
            return total
        return self.rng.choice(
            [
                total,
                self.fill("({v}, {s})"),
                self.fill("{{'a': {v}, 'b': [{m}, {s}]}}"),
                f"({self.fill('{v}')}, {self.fill(self.rng.choice(LEAVING))})",
                self.fill("{v} if {s} > 0.2 else {m}"),
                *[self.fill(text) for text in COMPLEX_RESULT if self.has_complex],
            ]
        )

    def line(self, depth: int, text: str) -> None:
        self.lines.append("    " * depth + text)

    def name(self, kind: str) -> str:
        return self.rng.choice(self.names[kind])

    def fill(self, template: str) -> str:
        return template.format(**{kind: self.name(kind) for kind in self.names})

    def expression(self, kind: str) -> str:
        choice = self.rng.random()
        if choice < 0.25:
            return self.rng.choice(self.unary[kind]).format(self.name(kind))
        if choice < 0.5:
            return self.rng.choice(self.binary[kind]).format(self.name(kind), self.name(self.rng.choice([kind, "s"])))
        return self.fill(self.rng.choice(self.expressions[kind]))

    def assign(self, depth: int) -> None:
        kind = self.rng.choice(self.kinds)
        expression = self.expression(kind)
        known = [name for name in self.names[kind] if name.islower() and name[-1] != "0"]
        if depth > 1:
            if known:  # so that the name exists on every path
                self.line(depth, f"{self.rng.choice(known)} = {expression}")
            else:
                self.line(depth, "pass")
            return
        self.count += 1
        name = f"{kind}{self.count}"
        self.line(depth, f"{name} = {expression}")
        self.names[kind].append(name)

    def block(self, statements: int, depth: int) -> None:
        for _ in range(statements):
            self.statement(depth)

    def statement(self, depth: int) -> None:
        choice = self.rng.random()
        if depth > 2 or choice < 0.6:
            self.assign(depth)
        elif choice < 0.78:
            self.line(depth, f"if {self.fill(self.rng.choice(self.conditions))}:")
            self.block(self.rng.randint(1, 2), depth + 1)
            if self.rng.random() < 0.6:
                self.line(depth, "else:")
                self.block(1, depth + 1)
        elif choice < 0.88:
            bound = self.rng.choice(["2", "3", self.fill("int(abs({s})) % 4"), "len(ITEMS)"])
            self.line(depth, f"for i{depth} in range({bound}):")
            self.block(1, depth + 1)
        elif choice < 0.93:
            self.line(depth, f"t{depth} = {self.fill('{s}')}")
            self.line(depth, f"while abs(t{depth}) > 0.35 and abs(t{depth}) < 50:")
            self.line(depth + 1, f"t{depth} = t{depth} * 0.6")
            self.assign(depth + 1)
        elif choice < 0.96:
            self.line(depth, "try:")
            self.line(depth + 1, self.fill("_ = np.linalg.cholesky({m} @ {m}.T - 0.5 * np.eye(4))"))
            self.line(depth, "except np.linalg.LinAlgError:")
            self.assign(depth + 1)
        elif self.wider and depth == 1 and not (self.differentiable and self.rng.random() < 0.7):
            self.line(depth, self.fill(self.rng.choice(WIDER_STATEMENT)))
        elif not self.differentiable:
            self.line(depth, self.rng.choice([
                self.fill("acc = np.zeros(4); acc += {v}; v0 = acc"),
                self.fill("if {s} > 2.5: raise ValueError(f'too large: {s}')"),
                self.fill("assert {s} < 4, 'limit'"),
                self.fill("v0 = {v} + 0; v0[1] = 2.0"),
                self.fill("v0 = {v} * 1; v0 *= 1.5"),
            ]))  # fmt: skip
        else:
            self.assign(depth)


class Pair(NamedTuple):
    weights: numpy.ndarray
    rate: float


def _namespace(text: str, np: Any) -> dict[str, Any]:
    space: dict[str, Any] = {
        "np": np,
        "__name__": "random_program",
        "DATA": numpy.array([0.4, -1.1, 0.7, 0.2]),
        "H": numpy.linspace(-0.5, 0.4, 16).reshape(4, 4) * (1 + 0.3j),
        "RATE": 0.6,
        "FLAG": True,
        "RNG": anp.random.RandomState(7),
        "PAIR": Pair(numpy.array([0.5, 1.0, -1.0, 2.0]), 0.25),
        "COUNTS": (2, 3),
        "ITEMS": [numpy.array([1.0, 0.5, -0.5, 2.0]), numpy.ones(4)],
        "TABLE": {"w": numpy.array([0.1, 0.2, 0.3, 0.4])},
    }
    exec(compile(PROLOGUE + text, "<random program>", "exec"), space)
    return space


def _change(space: dict[str, Any], choice: int) -> None:
    """Change captured state in one of several ways, the same in both namespaces."""
    if choice == 1:
        space["DATA"][choice] += 0.25
    elif choice == 2:
        space["RATE"] = space["RATE"] * -1.1
    elif choice == 3:
        space["FLAG"] = not space["FLAG"]
    elif choice == 4:
        space["ITEMS"].append(numpy.full(4, 0.3))
    elif choice == 5:
        space["DATA"] = numpy.linspace(-0.5, 0.5, 4)
    elif choice == 6:
        space["TABLE"]["w"][2] = -0.7
    elif choice == 7:
        space["MODEL"].scale = 0.5
    elif choice == 8:
        space["MODEL"].weights[0] = 1.1
    elif choice == 9:
        space["NEST"]["a"][1].rows[1] *= -1.5
    elif choice == 10:
        space["PAIR"] = Pair(numpy.array([-0.5, 2.0, 1.0, 0.1]), 0.25)
    elif choice == 11:
        space["NEST"]["a"][1] = space["Rows"](numpy.eye(4) * 1.3)
    elif choice == 12:
        space["RNG"] = anp.random.RandomState(11)


def _arguments(rng: numpy.random.Generator, choice: int) -> tuple:
    v, m = rng.normal(size=SIZE), rng.normal(size=(SIZE, SIZE))
    s: Any = float(rng.normal())
    if choice == 1:
        v, m = numpy.repeat(v, 2)[::2], numpy.asfortranarray(m)
    elif choice == 2:
        s = numpy.float64(s)
    elif choice == 3:
        v, m = v.astype(numpy.float32), m.astype(numpy.float32)
    elif choice == 4:
        v, m = v[::-1], m.T
    elif choice == 5:
        s = int(s * 3)
    elif choice == 6:
        v = (v * 3).astype(int)
    return v, m, s


counted = {"programs": 0, "calls": 0, "replays": 0, "traces": 0, "fallbacks": 0, "errors": 0}


def _second(function: Any) -> Any:
    """A function of second derivatives, by reverse over reverse mode."""
    return grad(lambda v, *rest: anp.sum(anp.tanh(grad(function)(v, *rest))))


def _forward(function: Any) -> Any:
    """A derivative by forward mode, in the direction of all ones."""
    return lambda v, *rest: make_jvp(function)(v, *rest)(anp.ones(4))


def jacobian_of_gradient(function, **options):
    """Another way to the Hessian, by all float arguments: rows of several blocks."""
    return jacobian(lambda *args: grad(function, (0, 1))(*args), (0, 1, 2), **options)


def _attack(
    seed: int,
    differentiable: bool,
    wider: bool = False,
    has_complex: bool = False,
    operators: tuple = (grad, value_and_grad),
) -> None:
    rng = random.Random(seed)
    text = Writer(rng, differentiable, wider, has_complex).text()
    np = anp if differentiable or rng.random() < 0.5 else numpy
    ours, theirs = _namespace(text, np), _namespace(text, np)
    operators = (*operators, *([_second, _forward] if has_complex else []))
    operator = rng.choice(operators) if differentiable else None
    if operator in (_second, _forward):
        compiled = jit(operator(ours["f"]))
    else:
        compiled = operator(ours["f"], jit=True) if operator else jit(ours["f"])
    interpreted = operator(theirs["f"]) if operator else theirs["f"]
    values = numpy.random.default_rng(seed)
    for call in range(8):
        change = rng.randint(1, 12 if wider else 8) if rng.random() < 0.3 else 0
        _change(ours, change)
        _change(theirs, change)
        kinds = [0, 0, 0, 0, 1, 4] if differentiable else [0, 0, 0, 0, 1, 2, 3, 4, 5, 6]
        args = _arguments(values, rng.choice(kinds))
        if wider:
            args = (*args, rng.choice([0, 1, 2, 3, 7]))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            want = outcome(interpreted, tuple(numpy.copy(a) if hasattr(a, "shape") and a.shape else a for a in args))
            got = outcome(compiled, args)
        where = f"seed {seed}, differentiable {differentiable}, call {call} of\n{textwrap.indent(text, '    ')}"
        if want[0] == "error":
            counted["errors"] += 1
            assert got[0] == "error" and type(got[1]) is type(want[1]), f"{where}\n{got} instead of {want}"
        else:
            single = "float32" in text or "complex64" in text
            single = single or any(getattr(a, "dtype", None) == numpy.float32 for a in args)
            assert_same_outcome(got, want, where, precision=1e-5 if single else 1e-9)
        states = [space["RNG"].get_state(legacy=False) for space in (ours, theirs)]
        assert repr(states[0]) == repr(states[1]), f"{where}\nthe random generators are in different states"
    counted["programs"] += 1
    for name in ("calls", "replays", "traces", "fallbacks"):
        counted[name] += getattr(compiled.stats, name)


FAST = settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
SLOW = settings(FAST, max_examples=4000)


@FAST
@given(st.integers(0, 2**32 - 1))
def test_random_programs(seed):
    _attack(seed, differentiable=False)


@FAST
@given(st.integers(0, 2**32 - 1))
def test_gradients_of_random_programs(seed):
    _attack(seed, differentiable=True)


@settings(FAST, max_examples=150)
@given(st.integers(0, 2**32 - 1))
def test_hessians_of_random_programs(seed):
    _attack(seed, differentiable=True, wider=seed % 3 == 0, operators=(hessian, jacobian_of_gradient))


@FAST
@given(st.integers(0, 2**32 - 1))
def test_random_programs_of_the_wider_grammar(seed):
    _attack(seed, differentiable=seed % 3 == 0, wider=True)


@settings(FAST, max_examples=120)  # with two orders and three modes each takes 0.2 s
@given(st.integers(0, 2**32 - 1))
def test_random_programs_of_complex_numbers(seed):
    _attack(seed, differentiable=seed % 3 > 0, has_complex=True)


@pytest.mark.slow
@SLOW
@given(st.integers(0, 2**32 - 1))
def test_thousands_of_random_programs_of_complex_numbers(seed):
    _attack(seed, differentiable=seed % 3 > 0, has_complex=True)


@pytest.mark.slow
@SLOW
@given(st.integers(0, 2**32 - 1))
def test_thousands_of_random_programs(seed):
    _attack(seed, differentiable=seed % 2 == 0, wider=seed % 4 < 2)


@pytest.mark.parametrize("seed", [90, 352, 389, 448, 653, 770])
def test_programs_that_once_failed(seed):
    for differentiable in (False, True):
        _attack(seed, differentiable)


@pytest.mark.parametrize("has_complex", [False, True])
def test_the_programs_are_compiled(has_complex):
    """The comparison means nothing if most calls run interpreted."""
    before = dict(counted)
    for seed in range(60):
        _attack(seed, differentiable=seed % 2 == 0, has_complex=has_complex)
    made = {name: counted[name] - before[name] for name in counted}
    assert made["replays"] > 0.25 * made["calls"], made
    assert made["fallbacks"] < 0.3 * made["calls"], made
