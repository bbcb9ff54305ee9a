"""Functions called with Python's own floats and lists: the derivatives are those of arrays."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import autograd_jit.numpy as anp
import autograd_jit.scipy.special as special
from autograd_jit import deriv, grad, make_jvp
from autograd_jit.errors import AutogradJitError
from autograd_jit.trace.rules import REGISTRY
from tests.jit_support import assert_same

ELEMENTWISE = {name: entry for name, entry in REGISTRY.items() if entry.kind == "elementwise"}
del ELEMENTWISE["autograd_jit.numpy.special_elementwise.ldexp"]  # its second argument is an integer
OPERATORS = {
    "reverse": grad,
    "forward": lambda f: lambda x: make_jvp(f)(x)(x * 0 + 1.0)[1],
    "reverse over reverse": lambda f: grad(grad(f)),
    "forward over forward": lambda f: deriv(deriv(f)),
}


def _numbers(entry):
    """Python floats inside of the function's domain, one for each argument."""
    arity = max(len(entry.function.primitive.vjps), len(entry.domain))
    intervals = (*entry.domain, *[(0.2, 0.9)] * arity)[:arity]
    return [float(0.6 * low + 0.4 * high) for low, high in intervals]


def _derivative(operator, function, numbers, argnum, others, x):
    """The derivative of the sum of the results' real parts by one argument, or the class of exception."""

    def total(x):
        arguments = [others(number) for number in numbers]
        arguments[argnum] = x
        return anp.sum(anp.real(function(*arguments)))

    try:
        return np.asarray(operator(total)(x))
    except AutogradJitError as error:  # a rule that does not exist, for arrays neither
        return type(error).__name__


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_elementwise_functions_of_python_numbers(name):
    numbers, function = _numbers(ELEMENTWISE[name]), ELEMENTWISE[name].function
    for argnum in function.primitive.vjps:
        number = numbers[argnum]
        for mode, operator in OPERATORS.items():
            for others in (float, lambda value: [value]) if len(numbers) > 1 else (float,):
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    got = _derivative(operator, function, numbers, argnum, others, number)
                    want = _derivative(operator, function, numbers, argnum, np.array, np.array(number))
                if isinstance(want, str):
                    assert got == want
                else:
                    assert_same(got, want, f"{name}, argument {argnum}, {mode}")


@pytest.mark.parametrize("mode", OPERATORS)
def test_other_functions_of_python_numbers(mode):
    for function in (anp.prod, lambda a: special.multigammaln(a, 2), lambda x: special.kl_div(x, 0)):
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            got, want = (_derivative(OPERATORS[mode], function, [1.7], 0, float, x) for x in (1.7, np.array(1.7)))
        assert_same(got, want, mode)
