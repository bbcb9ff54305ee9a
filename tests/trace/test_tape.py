"""Source lines of a tape."""

import numpy as np

import autograd_jit.numpy as anp
from autograd_jit import grad
from autograd_jit.trace.tape import SourceLines, source_line


def test_operations_name_the_users_lines():
    def inner(x):
        return anp.exp(x)  # the inner line

    def loss(x):
        y = inner(x)
        z = y * 2.0  # the outer line
        return anp.sum(z)

    tape = grad(loss, jit=True).tape(np.ones(3))
    lines = {op.prim.name: op.line for op in tape.ops[:3]}
    assert "the inner line" in lines["exp"] and "the outer line" in lines["multiply"]
    assert all(line.startswith("test_tape.py:") for line in lines.values())


def test_operations_of_a_backward_pass_name_the_line_of_the_call():
    compiled = grad(lambda x: anp.sum(anp.exp(x)), jit=True)
    tape = compiled.tape(np.ones(3))  # the line of the call
    assert "the line of the call" in tape.ops[-1].line


def test_a_nested_gradient_names_the_line_that_asks_for_it():
    def loss(x):
        return anp.sum(grad(lambda y: anp.sum(y**3))(x))  # the line inside

    tape = grad(loss, jit=True).tape(np.ones(3))
    assert sum("the line inside" in op.line for op in tape.ops) > 4


def test_lines_are_looked_up_once():
    lines = SourceLines()

    def here():
        return lines.above(1), source_line(1)

    (one, plain), (two, _) = here(), here()
    assert one == plain and one.startswith("test_tape.py:")
    assert one is two
