"""Test cases made from the registry: every registered function, its samples, over shapes and dtypes.

``cases()`` gives them all. A case knows its call and which leaves of it to differentiate; the checks here take
any case: :func:`check_value`, :func:`check_first_order`, :func:`check_second_order`.

Numerical derivatives are central differences with one step of Richardson extrapolation (h = 1e-3, error of the
order h^4 = 1e-12 for smooth functions), hence the tolerance of 1e-6 relative to the largest entry.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import autograd_jit.numpy  # noqa: F401  (fills the registry)
from autograd_jit.trace import tree
from autograd_jit.trace.forward import jvp_leaves
from autograd_jit.trace.reverse import make_vjp_leaves
from autograd_jit.trace.rules import REGISTRY, Registration
from autograd_jit.trace.samples import Sample
from autograd_jit.trace.tracer import getval

STEP = 1e-3
TOLERANCE = 1e-6


@dataclass(frozen=True)
class Case:
    """One call of one registered function, and the positions of the floating-point leaves to differentiate."""

    name: str
    registration: Registration
    function: Callable
    args: tuple
    kwargs: dict
    argnums: tuple[Any, ...] = ()
    complex: bool = False
    reference: Callable | None = None
    leaves: list = field(default_factory=list)

    def call(self, leaves: list) -> Any:
        """The function's result with these leaves in place of the case's own."""
        args, kwargs = list(self.args), dict(self.kwargs)
        remaining = list(leaves)
        for argnum in self.argnums:
            target = args if isinstance(argnum, int) else kwargs
            own, structure = tree.flatten(target[argnum])
            filled = [self._own(remaining.pop(0)) if _is_float(leaf) else leaf for leaf in own]
            target[argnum] = tree.unflatten(structure, filled)
        return self.function(*args, **kwargs)

    def _own(self, leaf: Any) -> Any:
        """``leaf``, or a copy for a function that writes into plain arguments."""
        return leaf.copy() if self.registration.facts.get("in_place") and isinstance(leaf, np.ndarray) else leaf

    def outputs(self, leaves: list) -> list:
        """The floating-point leaves of the result."""
        return [leaf for leaf in tree.flatten(self.call(leaves))[0] if _is_float(getval(leaf))]


def _is_float(leaf: Any) -> bool:
    return isinstance(leaf, (float, complex)) or (
        isinstance(leaf, (np.ndarray, np.generic)) and leaf.dtype.kind in "fc"
    )


# ---------------------------------------------------------------- making cases


def cases(modules: tuple[str, ...] = ("autograd_jit.numpy",)) -> Iterator[Case]:
    """Every case of the registrations in these modules."""
    for key, registration in list(REGISTRY.items()):
        if not key.startswith(modules):
            continue
        short = key.removeprefix("autograd_jit.")
        for number, (label, sample) in enumerate(_samples(registration)):
            for variant, changed in _variants(registration, sample, label):
                yield _case(f"{short}-{number}{label}{variant}", registration, changed)


def _samples(registration: Registration) -> Iterator[tuple[str, Sample]]:
    if registration.samples is not None:
        for sample in registration.samples():
            args, kwargs, *rest = sample
            yield "", Sample(tuple(args), kwargs, rest[0] if rest else None)
    elif registration.kind in ("elementwise", "nondifferentiable"):
        arity = getattr(registration.function.primitive.fun, "nin", 0)
        if registration.kind == "elementwise":
            arity = len(registration.function.primitive.vjps)
        yield from _elementwise_samples(registration, arity)


_SHAPES = {
    1: [("scalar", (None,)), ("0d", ((),)), ("empty", ((0,),)), ("one", ((1,),)), ("fortran", ((2, 3),))],
    2: [
        ("scalar", (None, (2,))),
        ("0d", ((), None)),
        ("empty", ((0, 2), (2,))),
        ("wide", ((3, 1), (2,))),
        ("tall", ((2,), (3, 1))),
        ("fortran", ((2, 3), (2, 3))),
    ],
}


def _takes_floats(fun: Any, arity: int) -> bool:
    return not isinstance(fun, np.ufunc) or any(kinds.startswith("d" * arity) for kinds in fun.types)


def _elementwise_samples(registration: Registration, arity: int) -> Iterator[tuple[str, Sample]]:
    fun = registration.function.primitive.fun
    if arity not in _SHAPES or not _takes_floats(fun, arity):
        return
    for label, shapes in _SHAPES[arity]:
        args = []
        for position, shape in enumerate(shapes):
            intervals = registration.domain or ((-1.4, 1.6),)
            low, high = intervals[min(position, len(intervals) - 1)]
            args.append(_in_interval(low, high, shape, position, label == "fortran"))
        yield label, Sample(tuple(args), {}, None)


def _in_interval(low: float, high: float, shape: Any, seed: int, fortran: bool) -> Any:
    rng = np.random.default_rng(17 + seed)
    margin = 0.05 * (high - low)
    if shape is None:
        return float(rng.uniform(low + margin, high - margin))
    x = rng.uniform(low + margin, high - margin, shape)
    return np.asfortranarray(x) if fortran else x


def _variants(registration: Registration, sample: Sample, label: str) -> Iterator[tuple[str, Sample]]:
    yield "", sample
    if registration.kind == "nondifferentiable":
        return
    holds_complex = any(np.iscomplexobj(leaf) for leaf in tree.flatten(sample.args)[0])
    if registration.complex and not holds_complex and label in ("", "fortran", "wide"):
        yield "-c128", _mapped(sample, _to_complex)
    if label in ("", "fortran"):
        yield "-f32", _mapped(sample, _to_single)
        yield "-strided", _mapped(sample, _to_strided)


def _to_complex(x: Any, number: int) -> Any:
    rng = np.random.default_rng(31 + number)
    imaginary = 0.4 * rng.standard_normal(np.shape(x))
    return complex(x, float(imaginary)) if isinstance(x, float) else x + 1j * imaginary


def _to_single(x: Any, number: int) -> Any:
    return x if isinstance(x, float) else np.asarray(x, np.complex64 if np.iscomplexobj(x) else np.float32)


def _to_strided(x: Any, number: int) -> Any:
    if not isinstance(x, np.ndarray) or x.ndim == 0:
        return x
    wide = np.zeros((*x.shape[:-1], 2 * x.shape[-1]), x.dtype)
    wide[..., ::2] = x
    return wide[..., ::2]


def _positions(sample: Sample, kind: str) -> tuple:
    if sample.argnums is not None:
        return sample.argnums
    positional = [i for i, arg in enumerate(sample.args) if any(map(_is_float, tree.flatten(arg)[0]))]
    if kind not in ("composite", "nondifferentiable"):
        return tuple(positional)
    arrays = [name for name, arg in sample.kwargs.items() if isinstance(arg, np.ndarray) and arg.dtype.kind in "fc"]
    return tuple(positional + arrays)


def _mapped(sample: Sample, change: Callable) -> Sample:
    """The sample with its differentiated leaves changed."""
    positions = _positions(sample, "composite")
    args, kwargs = list(sample.args), dict(sample.kwargs)
    number = 0
    for argnum in positions:
        target = args if isinstance(argnum, int) else kwargs
        leaves, structure = tree.flatten(target[argnum])
        changed = []
        for leaf in leaves:
            changed.append(change(leaf, number) if _is_float(leaf) else leaf)
            number += 1
        target[argnum] = tree.unflatten(structure, changed)
    return Sample(tuple(args), kwargs, sample.argnums)


def _case(name: str, registration: Registration, sample: Sample) -> Case:
    positions = _positions(sample, registration.kind)
    leaves = []
    for argnum in positions:
        value = sample.args[argnum] if isinstance(argnum, int) else sample.kwargs[argnum]
        leaves += [leaf for leaf in tree.flatten(value)[0] if _is_float(leaf)]
    return Case(
        name,
        registration,
        registration.function,
        sample.args,
        sample.kwargs,
        positions,
        any(np.iscomplexobj(leaf) for leaf in leaves),
        _reference(registration),
        leaves,
    )


def _reference(registration: Registration) -> Callable | None:
    """NumPy's function of the same name, if the registration is a public function."""
    fun = getattr(getattr(registration.function, "primitive", None), "fun", None)
    if isinstance(fun, np.ufunc) or registration.kind != "composite":
        return fun
    if registration.facts.get("in_place"):
        return None
    space = np.linalg if "linalg" in registration.module else np.fft if "fft" in registration.module else np
    return getattr(space, registration.name, None)


def chosen(case: Case, share: int) -> bool:
    """Whether a case belongs to a fixed subsample of one in ``share``."""
    return zlib.crc32(case.name.encode()) % share == 0


# ---------------------------------------------------------------- vectors


def _random_like(x: Any, seed: int) -> Any:
    rng = np.random.default_rng(seed)
    x = np.asarray(getval(x))
    value = rng.standard_normal(x.shape)
    if x.dtype.kind == "c":
        value = value + 1j * rng.standard_normal(x.shape)
    return np.asarray(value, x.dtype)


def _pairing(gs: list, ts: list) -> float:
    """The sum of Re(g t) over all leaves; None is zero."""
    return sum(
        float(np.sum(np.asarray(g) * np.asarray(t)).real)
        for g, t in zip(gs, ts, strict=True)
        if g is not None and t is not None
    )


def _filled(values: list, like: list) -> list:
    return [np.zeros_like(np.asarray(getval(x))) if v is None else v for v, x in zip(values, like, strict=True)]


def numeric_derivative(function: Callable[[list], list], leaves: list, tangents: list, step: float = STEP) -> list:
    """The derivative of ``function`` along ``tangents``: central differences, extrapolated once."""

    def central(h: float) -> list:
        up = function([np.asarray(x) + h * t for x, t in zip(leaves, tangents, strict=True)])
        down = function([np.asarray(x) - h * t for x, t in zip(leaves, tangents, strict=True)])
        return [(np.asarray(a) - np.asarray(b)) / (2 * h) for a, b in zip(up, down, strict=True)]

    return [(4 * fine - coarse) / 3 for fine, coarse in zip(central(step / 2), central(step), strict=True)]


def assert_close(actual: list, expected: list, what: str, tolerance: float = TOLERANCE) -> None:
    for position, (a, e) in enumerate(zip(actual, expected, strict=True)):
        a, e = np.asarray(getval(a)), np.asarray(e)
        assert a.shape == e.shape, f"{what}, leaf {position}: shape {a.shape}, expected {e.shape}"
        scale = max(1.0, float(np.max(np.abs(e[np.isfinite(e)]), initial=0.0)))
        np.testing.assert_allclose(a, e, rtol=tolerance, atol=tolerance * scale, err_msg=f"{what}, leaf {position}")


# ---------------------------------------------------------------- checks


def _is_single(x: Any) -> bool:
    return getattr(x, "dtype", None) in (np.float32, np.complex64)


def vjp(case: Case, leaves: list, gs: list) -> list:
    pull, _, _ = make_vjp_leaves(case.outputs, leaves)
    return _filled(pull(gs), leaves)


def jvp(function: Callable, leaves: list, tangents: list) -> tuple[list, list]:
    outputs, out_tangents, _ = jvp_leaves(function, leaves, tangents)
    return outputs, _filled(out_tangents, [getval(x) for x in outputs])


def check_value(case: Case) -> None:
    """Plain and traced results equal NumPy's, in value, shape, dtype and structure."""
    if case.reference is None:
        return
    expected = case.reference(*case.args, **case.kwargs)
    plain = case.function(*case.args, **case.kwargs)
    _, traced, structure = make_vjp_leaves(case.call, case.leaves)
    for label, actual in (("plain", plain), ("traced", tree.unflatten(structure, traced))):
        mine, my_structure = tree.flatten(actual)
        theirs, their_structure = tree.flatten(expected)
        assert (
            getattr(my_structure, "kind", None) is getattr(their_structure, "kind", None)
            or type(expected).__module__ != "builtins"
        ), f"{label}: {type(actual)} for {type(expected)}"
        tolerance = 3e-5 if any(map(_is_single, theirs + case.leaves)) else 1e-10
        for a, e in zip(mine, theirs, strict=True):
            a, e = np.asarray(getval(a)), np.asarray(e)
            assert a.shape == e.shape, f"{label}: shape {a.shape}, NumPy {e.shape}"
            assert a.dtype == e.dtype, f"{label}: dtype {a.dtype}, NumPy {e.dtype}"
            if e.dtype.kind in "fc":
                np.testing.assert_allclose(a, e, rtol=tolerance, atol=tolerance, err_msg=label)
            else:
                np.testing.assert_array_equal(a, e, err_msg=label)


def check_first_order(case: Case) -> None:
    """Forward against numerical differences, reverse against forward, and the gradient's shape and dtype."""
    leaves = case.leaves
    single = any(map(_is_single, leaves + case.outputs(leaves)))
    wide = [np.asarray(x, np.complex128 if np.iscomplexobj(x) else np.float64) for x in leaves]
    tangents = [_random_like(x, 5 + i) for i, x in enumerate(wide)]
    outputs, forward = jvp(case.outputs, leaves, [np.asarray(t, np.asarray(x).dtype) for t, x in zip(tangents, leaves)])
    if not single:
        assert_close(forward, numeric_derivative(case.outputs, wide, tangents), "forward")
    else:
        assert_close(forward, jvp(case.outputs, wide, tangents)[1], "forward in single precision", 2e-3)
    gs = [_random_like(x, 50 + i) for i, x in enumerate(outputs)]
    gradients = vjp(case, leaves, gs)
    for gradient, x in zip(gradients, leaves):
        assert np.shape(gradient) == np.shape(x), f"gradient of shape {np.shape(gradient)} for {np.shape(x)}"
        assert np.asarray(gradient).dtype == np.asarray(x).dtype, (
            f"gradient {np.asarray(gradient).dtype} for {np.asarray(x).dtype}"
        )
    left, right = _pairing(gs, forward), _pairing(gradients, tangents)
    np.testing.assert_allclose(
        right, left, rtol=3e-3 if single else 1e-9, atol=3e-3 if single else 1e-9, err_msg="reverse against forward"
    )


def check_second_order(case: Case) -> None:
    """The vjp's own derivative: forward over reverse against differences, reverse over reverse against that."""
    leaves = [np.asarray(x) for x in case.leaves]
    outputs = case.outputs(leaves)
    if any(map(_is_single, outputs)):
        return
    gs = [_random_like(x, 60 + i) for i, x in enumerate(outputs)]
    count = len(leaves)

    def pulled(values: list) -> list:
        return vjp(case, values[:count], values[count:])

    values = leaves + gs
    tangents = [_random_like(x, 70 + i) for i, x in enumerate(values)]
    _, forward = jvp(pulled, values, tangents)
    assert_close(forward, numeric_derivative(pulled, values, tangents), "forward over reverse", 1e-5)
    pull, again, _ = make_vjp_leaves(pulled, values)
    hs = [_random_like(x, 90 + i) for i, x in enumerate(again)]
    back = _filled(pull(hs), values)
    np.testing.assert_allclose(
        _pairing(back, tangents), _pairing(hs, forward), rtol=1e-8, atol=1e-8, err_msg="reverse over reverse"
    )

    def pushed(values: list) -> list:
        return jvp(case.outputs, values[:count], values[count:])[1]

    values = leaves + [_random_like(x, 80 + i) for i, x in enumerate(leaves)]
    tangents = [_random_like(x, 75 + i) for i, x in enumerate(values)]
    _, twice = jvp(pushed, values, tangents)
    pull, again, _ = make_vjp_leaves(pushed, values)
    hs = [_random_like(x, 95 + i) for i, x in enumerate(again)]
    back = _filled(pull(hs), values)
    np.testing.assert_allclose(
        _pairing(back, tangents), _pairing(hs, twice), rtol=1e-8, atol=1e-8, err_msg="reverse over forward"
    )
