"""Packed tapes give back the operations that they were made of, and share what they have in common."""

import gc

import numpy as np
import pytest

import autograd_jit.numpy as anp
from autograd_jit import grad, jit
from autograd_jit.trace.packed_tape import PackedTape, _key, _NoKey, pack
from autograd_jit.trace.tape import Constant, Guard, Op, Tape, Var, tensor_type, verify
from autograd_jit.trace.tracer import primitive

ARRAY = np.arange(3.0)


def test_a_packed_tape_prints_and_verifies_as_the_tape():
    x, y, z = [Var(number, tensor_type(ARRAY), "x" if number == 7 else "") for number in (7, 8, 9)]
    nothing = primitive(lambda *args, **kwargs: None).primitive
    constant = Constant(ARRAY)
    ops = (
        Op(nothing, (x, 1.0, slice(None, 2), constant), {}, (y,), None, "a.py:1"),
        Guard(y, "truth", True, "a.py:2"),
        Op(nothing, ((x, [y, constant]), slice(y, None)), {"key": {"a": x}}, (z,), None, "a.py:3"),
        Op(nothing, (ARRAY, object), {}, (), None),
    )
    tape = Tape("f", (x,), ops, (z, None))
    packed = pack(tape)
    assert pack(packed) is packed
    assert str(packed) == str(tape)
    verify(packed)
    first, guard, second, third = packed.ops
    assert first.prim is nothing and first.args[0] is x and first.args[3] is constant
    assert second.args[0][1] == [first.outputs[0], constant] and second.outputs == (z,)
    assert guard.var is first.outputs[0] and guard.expected is True
    assert third.args[0] is ARRAY


@pytest.mark.parametrize(
    ("one", "other"),
    [(0.0, -0.0), (1, 1.0), (1, True), ((1,), [1]), (np.float32(1), np.float64(1)), ({1: 2}, {True: 2}), (0, None)],
)
def test_static_arguments_that_compare_equal_are_told_apart(one, other):
    assert _key(one) != _key(other)
    assert _key(float("nan")) == _key(float("nan"))


def test_objects_have_no_key():
    for value in (np.ones(2), object(), len):
        with pytest.raises(_NoKey):
            _key(value)


def test_programs_keep_packed_tapes_that_share_their_operations():
    def loss(x):
        y = anp.sin(x) * 2.0
        return anp.sum(y) if anp.sum(x) > 1 else anp.sum(y * y)

    function = grad(loss, jit=True)
    tapes = [function._handle.program((x,), {}).tape for x in (np.ones(3), np.zeros(3), np.ones(5))]
    assert all(isinstance(tape, PackedTape) for tape in tapes)
    first, second, third = [tape._packed.templates for tape in tapes]
    assert first[0] is second[0] is third[0]
    assert len(set(first) & set(second)) > 3 and len(set(first) & set(third)) > 3  # another path; another shape
    assert tapes[0]._packed.types[0] is tapes[1]._packed.types[0]


def test_templates_go_with_their_tapes():
    from autograd_jit.trace import packed_tape

    function = jit(lambda x: anp.tanh(x) + 1234.5678)
    templates = [function._handle.program((ARRAY,), {}).tape._packed.templates]
    assert any(template is held for template in templates[0] for held in packed_tape._templates.values())
    before = len(packed_tape._templates)
    function.clear()
    del templates[0]
    gc.collect()
    assert len(packed_tape._templates) < before
