"""The operators: functions in, functions out.

Each takes a function and ``argnum``, says which of its arguments to differentiate by (a number, negative ones
counting from the end of the call's positional arguments, a parameter's name, or a tuple of those), and
returns a function of the same arguments. ``jit=True`` compiles that function on its first call; further
keywords are options of :func:`autograd_jit.jit`.

Arguments are floats, complex numbers, NumPy arrays of them, and containers of those: list, tuple, dict, named
tuple, dataclass. The gradient has the argument's structure, shapes, dtypes and kinds. Leaves of a container
that have no derivative reach the function as they are; their place in the gradient holds zero (numbers) or
the leaf itself.

Errors come from :mod:`autograd_jit.errors` and name the operator, the function with file and line, and the
argument.
"""

from __future__ import annotations

import functools
import inspect
import warnings
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as _np

# The engine's functions and unary_to_nary: for operators of users' own, which Autograd's programs build from here.
from .core import make_jvp as _make_jvp  # noqa: F401
from .core import make_vjp as _make_vjp  # noqa: F401
from .errors import ArgumentError, AutogradJitWarning, MissingRuleError
from .signatures import Build
from .trace import derivatives, jacobians, tree
from .trace.arguments import describe, name_of, nary
from .trace.capture_walk import REBUILDABLE_MARK
from .trace.cotangent import abstract
from .trace.derivatives import Argument, Linearisation, finish, zeros_of
from .trace.forward import jvp_leaves
from .trace.tracer import getval, primitive
from .trace.vspace import is_differentiable, vspace
from .wrap_util import unary_to_nary  # noqa: F401

__all__ = [
    "checkpoint",
    "deriv",
    "elementwise_grad",
    "grad",
    "grad_and_aux",
    "grad_named",
    "hessian",
    "hessian_tensor_product",
    "hessian_vector_product",
    "holomorphic_grad",
    "hvp",
    "jacobian",
    "make_ggnvp",
    "make_hvp",
    "make_jvp",
    "make_jvp_reversemode",
    "make_vjp",
    "multigrad_dict",
    "tensor_jacobian_product",
    "value_and_grad",
    "vector_jacobian_product",
]


def _result(build: Callable, fun: Callable, operator: str, jit: bool, options: dict) -> Callable:
    """The operator's result ``build(fun)``, or its compiled form. ``_transform`` lets ``jit`` find ``fun``
    inside."""
    interpreted = build(fun)
    if jit:
        from .jit import jitted

        return jitted(build, fun, name=interpreted.__name__, doc=interpreted.__doc__, **options)
    if options:
        raise ArgumentError(
            f"{operator}() got an unexpected keyword argument {next(iter(options))!r}: "
            f"it takes fun, argnum and jit, and the options of jit only with jit=True"
        )
    interpreted._transform = (build, fun)
    setattr(interpreted, REBUILDABLE_MARK, True)
    interpreted.__wrapped__ = fun
    return interpreted


def _unary_result(unary: Callable, operator: str, fun: Callable, argnum: Any, jit: bool, options: dict) -> Callable:
    return _result(Build(_nary, (unary, operator, argnum)), fun, operator, jit, options)


def _nary(fun: Callable, unary: Callable, operator: str, argnum: Any) -> Callable:
    return nary(unary, operator, fun, argnum)


# ---------------------------------------------------------------- gradients


def grad(fun: Callable, argnum: Any = 0, *, jit: bool = False, **jit_options: Any) -> Callable:
    """The gradient of a function with a real scalar output.

    ``grad(f)(*args)`` has the shape, dtype and structure of the argument; with a tuple of argnums it is a
    tuple. By complex ``z = x + 1j * y`` it is ``du/dx - 1j * du/dy``. An output that does not depend on the
    argument gives zeros and a warning.

    Raises NonScalarOutputError (a TypeError) for another output, NonDifferentiableError (a TypeError) for an
    argument such as an integer, ArgumentError for an unknown argnum.

    >>> from autograd_jit import grad
    >>> import autograd_jit.numpy as np
    >>> grad(lambda x: np.sum(x ** 2))(np.array([1.0, 2.0]))
    array([2., 4.])
    """
    return _unary_result(derivatives.grad, "grad", fun, argnum, jit, jit_options)


def value_and_grad(fun: Callable, argnum: Any = 0, *, jit: bool = False, **jit_options: Any) -> Callable:
    """As :func:`grad`, returning ``(value, gradient)`` of one run: what optimisers want.

    >>> value_and_grad(lambda x: x ** 2)(3.0)
    (np.float64(9.0), np.float64(6.0))
    """
    return _unary_result(derivatives.value_and_grad, "value_and_grad", fun, argnum, jit, jit_options)


def elementwise_grad(fun: Callable, argnum: Any = 0, *, jit: bool = False, **jit_options: Any) -> Callable:
    """The derivative of each output element by the input element at its place; strictly, the sum of the
    Jacobian's rows. Output and argument are usually arrays of one shape. Raises NonScalarOutputError for
    complex outputs.

    >>> elementwise_grad(lambda x: x ** 2)(np.array([1.0, 2.0]))
    array([2., 4.])
    """
    return _unary_result(derivatives.elementwise_grad, "elementwise_grad", fun, argnum, jit, jit_options)


def deriv(fun: Callable, argnum: Any = 0, *, jit: bool = False, **jit_options: Any) -> Callable:
    """The derivative along ones, by forward mode: of a scalar argument, the derivative of any output.

    >>> deriv(lambda t: np.array([t, t ** 2]))(3.0)
    array([1., 6.])
    """
    return _unary_result(_deriv, "deriv", fun, argnum, jit, jit_options)


def _deriv(fun: Callable, x: Any) -> Any:
    argument = Argument(x)
    ones = [vspace(leaf).ones() if abstract(leaf)[0] is None else _np.ones(*abstract(leaf)) for leaf in argument.inputs]
    return derivatives.make_jvp(fun, x)(argument.rebuilt(ones))[1]


def holomorphic_grad(fun: Callable, argnum: Any = 0, *, jit: bool = False, **jit_options: Any) -> Callable:
    """The complex derivative of a holomorphic function with a scalar output. Warns when the argument is real.

    >>> holomorphic_grad(lambda z: z ** 3)(1j)
    np.complex128(-3+0j)
    """
    return _unary_result(_holomorphic_grad, "holomorphic_grad", fun, argnum, jit, jit_options)


def _holomorphic_grad(fun: Callable, x: Any) -> Any:
    from .numpy import real

    if not any(abstract(leaf)[1].kind == "c" for leaf in tree.flatten(x)[0] if abstract(leaf)[0] is not None):
        warnings.warn("Input to holomorphic_grad is not complex", AutogradJitWarning, stacklevel=4)
    return derivatives.grad(lambda x: real(fun(x)), x)


def grad_and_aux(fun: Callable, argnum: Any = 0, *, jit: bool = False, **jit_options: Any) -> Callable:
    """For a function that returns ``(scalar, aux)``: ``(gradient of the scalar, aux)``. ``aux`` may be
    anything.

    >>> grad_and_aux(lambda x: (x ** 2, {"half": x / 2}))(3.0)
    (np.float64(6.0), {'half': np.float64(1.5)})
    """
    return _unary_result(derivatives.grad_and_aux, "grad_and_aux", fun, argnum, jit, jit_options)


def grad_named(fun: Callable, argname: str, *, jit: bool = False, **jit_options: Any) -> Callable:
    """The gradient with respect to a parameter by its name. Raises ArgumentError when there is none.

    >>> grad_named(lambda x, scale: scale * x**2, "scale")(3.0, 2.0)
    np.float64(9.0)
    """
    if not isinstance(argname, str):
        raise ArgumentError(f"grad_named takes the name of an argument, not {argname!r}")
    parameters = list(inspect.signature(fun).parameters) if callable(fun) else []
    # Autograd's result is named by the argument's number
    argnum = parameters.index(argname) if argname in parameters else argname
    named = argnum if _is_positional(fun, argname) else argname
    return grad(fun, named, jit=jit, **jit_options)


def _is_positional(fun: Any, name: str) -> bool:
    parameter = inspect.signature(fun).parameters.get(name) if callable(fun) else None
    return parameter is not None and parameter.kind in (
        parameter.POSITIONAL_ONLY,
        parameter.POSITIONAL_OR_KEYWORD,
    )


def multigrad_dict(fun: Callable, *, jit: bool = False, **jit_options: Any) -> Callable:
    """The gradient with respect to every argument at once, as a dict by parameter name, defaults included.

    Arguments without a float have the entry that such leaves of a container have. ``*args`` is one entry, a
    tuple; ``**kwargs`` a dict.

    >>> gradients = multigrad_dict(lambda x, y=2.0: x * y)(3.0)
    >>> {name: float(gradient) for name, gradient in gradients.items()}
    {'x': 2.0, 'y': 3.0}
    """
    return _result(Build(_multigrad_dict), fun, "multigrad_dict", jit, jit_options)


def _multigrad_dict(fun: Callable) -> Callable:
    signature = inspect.signature(fun)

    def by_arguments(arguments: dict) -> Any:
        bound = inspect.BoundArguments(signature, OrderedDict(arguments))
        return fun(*bound.args, **bound.kwargs)

    gradient = nary(derivatives.grad, "multigrad_dict", by_arguments, 0)

    def multigrad(*args: Any, **kwargs: Any) -> OrderedDict:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return OrderedDict(gradient(dict(bound.arguments)))

    name = name_of(fun)
    by_arguments.__wrapped__ = fun  # type: ignore[attr-defined]
    by_arguments.__name__ = name
    multigrad.__name__ = multigrad.__qualname__ = f"multigrad_dict_of_{name}"
    multigrad.__doc__ = (
        f"    Gradient of function {name} with respect to all its arguments. Takes the\n"
        f"    same arguments as {name} but returns a dict from their names to gradients.\n    "
    )
    return multigrad


# ---------------------------------------------------------------- Jacobians and Hessians


def jacobian(fun: Callable, argnum: Any = 0, *, jit: bool = False, **jit_options: Any) -> Callable:
    """All partial derivatives, of shape ``out.shape + x.shape``.

    Containers nest: the output's structure outside, the argument's inside. One trace and one pull per output
    element; where the argument is much smaller than the output and every function has a forward rule, one
    forward run per argument element. By complex arguments a complex function must be holomorphic (checked).

    >>> jacobian(lambda x: np.outer(x, x)[0])(np.array([1.0, 2.0]))
    array([[2., 0.],
           [2., 1.]])
    """
    return _unary_result(jacobians.jacobian, "jacobian", fun, argnum, jit, jit_options)


def hessian(fun: Callable, argnum: Any = 0, *, jit: bool = False, **jit_options: Any) -> Callable:
    """All second derivatives, of shape ``out.shape + x.shape + x.shape``.

    >>> hessian(lambda x: x[0] * x[1] ** 2)(np.array([1.0, 2.0]))
    array([[0., 4.],
           [4., 2.]])
    """
    return _unary_result(jacobians.hessian, "hessian", fun, argnum, jit, jit_options)


def _split_vector(operator: str, fun: Any, args: tuple) -> tuple[tuple, Any]:
    if len(args) < 2:
        raise ArgumentError(f"{operator} of {describe(fun)}: the last argument of the call must be the vector")
    return args[:-1], args[-1]


def hessian_tensor_product(fun: Callable, argnum: Any = 0, *, jit: bool = False, **jit_options: Any) -> Callable:
    """``product(*args, vector)``: the Hessian times a vector of the argument's shape, without forming it.

    Forward over reverse mode where every function has a forward rule, else reverse over reverse.

    >>> hessian_vector_product(lambda x: np.sum(x ** 3))(np.array([1.0, 2.0]), np.array([1.0, 1.0]))
    array([ 6., 12.])
    """
    return _result(Build(_hessian_tensor_product, (argnum,)), fun, "hessian_tensor_product", jit, jit_options)


def _hessian_tensor_product(fun: Callable, argnum: Any) -> Callable:
    def vector_dot_grad(*args: Any, **kwargs: Any) -> Any:
        args, vector = _split_vector("hessian_tensor_product", fun, args)

        def times_vector(g: Callable, x: Any) -> Any:
            return _hessian_times(g, x, vector)

        return nary(times_vector, "hessian_tensor_product", fun, argnum)(*args, **kwargs)

    return _with_autograd_name(vector_dot_grad, "grad", argnum, fun)


hessian_vector_product = hessian_tensor_product


def hvp(fun: Callable, argnum: Any = 0, *, jit: bool = False, **jit_options: Any) -> Callable:
    """``hvp(f)(*args, vector)``: short for :func:`hessian_vector_product`.

    >>> hvp(lambda x: np.sum(x**3))(np.array([1.0, 2.0]), np.array([1.0, 1.0]))
    array([ 6., 12.])
    """
    return hessian_tensor_product(fun, argnum, jit=jit, **jit_options)


def _hessian_times(fun: Callable, x: Any, vector: Any) -> Any:
    try:
        return derivatives.make_jvp(lambda x: derivatives.grad(fun, x), x)(vector)[1]
    except MissingRuleError:
        return derivatives.make_vjp(lambda x: derivatives.grad(fun, x), x)[0](vector)


def _with_autograd_name(fun: Any, operator: str, argnum: Any, wrapped: Callable) -> Callable:
    """Autograd names these results by the inner helper function, ``grad_of_vector_dot_grad_wrt_argnum_0``."""
    inner = fun.__name__
    fun.__name__ = fun.__qualname__ = f"{operator}_of_{inner}_wrt_argnum_{argnum}"
    fun.__doc__ = (
        f"    {operator} of function {inner} with respect to argument number {argnum}. Takes the\n"
        f"    same arguments as {inner} but returns the {operator}.\n    "
    )
    fun.__wrapped__ = wrapped
    return fun


def tensor_jacobian_product(fun: Callable, argnum: Any = 0, *, jit: bool = False, **jit_options: Any) -> Callable:
    """``product(*args, vector)``: ``vector``, contracted with the leading axes of the output, times the
    Jacobian.

    >>> tensor_jacobian_product(lambda x: x**2)(np.array([1.0, 2.0]), np.array([1.0, 10.0]))
    array([ 2., 40.])
    """
    return _result(Build(_tensor_jacobian_product, (argnum,)), fun, "tensor_jacobian_product", jit, jit_options)


def _tensor_jacobian_product(fun: Callable, argnum: Any) -> Callable:
    def vector_dot_fun(*args: Any, **kwargs: Any) -> Any:
        from .numpy import tensordot

        args, vector = _split_vector("tensor_jacobian_product", fun, args)

        def contracted(*args: Any, **kwargs: Any) -> Any:
            return tensordot(vector, fun(*args, **kwargs), axes=_np.ndim(getval(vector)))

        contracted.__wrapped__ = fun  # type: ignore[attr-defined]
        return nary(jacobians.jacobian, "tensor_jacobian_product", contracted, argnum)(*args, **kwargs)

    return _with_autograd_name(vector_dot_fun, "jacobian", argnum, fun)


vector_jacobian_product = tensor_jacobian_product


# ---------------------------------------------------------------- products


def make_vjp(fun: Callable, argnum: Any = 0, *, jit: bool = False, **jit_options: Any) -> Callable:
    """``make_vjp(f)(*args)`` gives ``(vjp, value)``; ``vjp(g)`` is ``g`` times the Jacobian, in the
    argument's structure.

    ``g`` has the output's structure and shapes (a scalar stands for a constant array).

    >>> vjp, value = make_vjp(lambda x: x**2)(np.array([1.0, 2.0]))
    >>> value, vjp(np.array([1.0, 10.0]))
    (array([1., 4.]), array([ 2., 40.]))
    """
    return _unary_result(derivatives.make_vjp, "make_vjp", fun, argnum, jit, jit_options)


def make_jvp(fun: Callable, argnum: Any = 0, *, jit: bool = False, **jit_options: Any) -> Callable:
    """``make_jvp(f)(*args)`` gives ``jvp``; ``jvp(v)`` is ``(value, Jacobian times v)``, by forward mode.

    >>> make_jvp(lambda x: x ** 2)(3.0)(1.0)
    (np.float64(9.0), np.float64(6.0))
    """
    return _unary_result(derivatives.make_jvp, "make_jvp", fun, argnum, jit, jit_options)


def make_jvp_reversemode(fun: Callable, argnum: Any = 0, *, jit: bool = False, **jit_options: Any) -> Callable:
    """``make_jvp_reversemode(f)(*args)`` gives ``jvp``; ``jvp(v)`` is the Jacobian times ``v`` by reverse
    mode alone, applied twice: for functions without forward rules.

    >>> make_jvp_reversemode(lambda x: x**2)(np.array([1.0, 2.0]))(np.array([1.0, 1.0]))
    array([2., 4.])
    """
    return _unary_result(_make_jvp_reversemode, "make_jvp_reversemode", fun, argnum, jit, jit_options)


def _make_jvp_reversemode(fun: Callable, x: Any) -> Callable:
    vjp, value = derivatives.make_vjp(fun, x)
    return derivatives.make_vjp(vjp, zeros_of(value))[0]


def make_hvp(fun: Callable, argnum: Any = 0, *, jit: bool = False, **jit_options: Any) -> Callable:
    """``make_hvp(f)(*args)`` gives ``(hvp, gradient)``; ``hvp(v)`` is the Hessian times ``v``.

    >>> times, gradient = make_hvp(lambda x: np.sum(x**3))(np.array([1.0, 2.0]))
    >>> gradient, times(np.array([1.0, 1.0]))
    (array([ 3., 12.]), array([ 6., 12.]))
    """
    return _unary_result(_make_hvp, "make_hvp", fun, argnum, jit, jit_options)


def _make_hvp(fun: Callable, x: Any) -> tuple[Callable, Any]:
    return derivatives.make_vjp(lambda x: derivatives.grad(fun, x), x)


def _half_sum_of_squares(x: Any) -> Any:
    from .numpy import sum

    return 0.5 * sum(x**2)


def make_ggnvp(
    f: Callable,
    g: Callable = _half_sum_of_squares,
    f_argnum: Any = 0,
    *,
    jit: bool = False,
    **jit_options: Any,
) -> Callable:
    """``make_ggnvp(f, g)(*args)`` gives ``product``; ``product(v)`` is the generalised Gauss-Newton matrix of
    ``g(f(x))``, ``J.T @ H @ J`` with the Jacobian of ``f`` and the Hessian of ``g``, times ``v``.

    >>> times = make_ggnvp(lambda x: np.array([x[0] * x[1], x[1]]))(np.array([2.0, 3.0]))
    >>> times(np.array([1.0, 0.0]))
    array([9., 6.])
    """

    # As one callable: what both functions capture is then captured by what is compiled.
    pair = functools.partial(_first_of_pair, f, g)
    return _result(Build(_ggnvp_of_pair, (f_argnum,)), pair, "make_ggnvp", jit, jit_options)


def _first_of_pair(f: Callable, g: Callable, *args: Any, **kwargs: Any) -> Any:
    return f(*args, **kwargs)


def _ggnvp_of_pair(pair: functools.partial, argnum: Any) -> Callable:
    f, g = pair.args
    return nary(lambda f, x: _make_ggnvp(f, g, x), "_make_ggnvp", f, argnum)


def _make_ggnvp(f: Callable, g: Callable, x: Any) -> Callable:
    vjp, value = derivatives.make_vjp(f, x)
    hessian_times, _ = _make_hvp(g, value)
    jacobian_times = derivatives.make_vjp(vjp, zeros_of(value))[0]
    return lambda v: vjp(hessian_times(jacobian_times(v)))


# ---------------------------------------------------------------- memory


def checkpoint(fun: Callable) -> Callable:
    """``fun``, whose intermediate values are not kept for the backward pass but computed again there.

    Saves the memory of the values inside for the time of a second run. ``fun`` should be pure; traced values
    must come in as arguments (in containers and by keyword too), not out of its closure.

    >>> grad(lambda x: checkpoint(np.tanh)(x) ** 2)(0.0)
    np.float64(0.0)
    """
    prim_function = primitive(lambda args, kwargs: fun(*args, **kwargs))
    prim = prim_function.primitive  # type: ignore[attr-defined]
    prim.name = name_of(fun)
    prim.vjp_all = lambda argnums, ans, call, kwargs: _checkpoint_pull(fun, argnums, ans, call)
    prim.jvps = _CheckpointTangents(fun)

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        return prim_function(args, kwargs)

    wrapped.__name__ = wrapped.__qualname__ = name_of(fun)
    wrapped.__doc__ = fun.__doc__
    wrapped.__wrapped__ = fun  # type: ignore[attr-defined]
    return wrapped


def _checkpoint_pull(fun: Callable, argnums: tuple, ans: Any, call: tuple) -> Callable:
    outputs = [is_differentiable(leaf) for leaf in tree.flatten(ans)[0]]

    def pull(g: Any) -> tuple:
        argument = Argument(tuple(call))
        line = Linearisation(lambda call: fun(*call[0], **call[1]), argument)
        leaves = tree.flatten(g)[0]
        pulled = line.pull([leaf if wanted else None for leaf, wanted in zip(leaves, outputs)])
        cotangents = argument.rebuilt(pulled)
        return tuple([cotangents[argnum] for argnum in argnums])

    return pull


class _CheckpointTangents:
    """Forward rules of a checkpointed function: run it with tangents."""

    def __init__(self, fun: Callable) -> None:
        self.fun = fun

    def __getitem__(self, argnum: int) -> Callable:
        def rule(tangent: Any, ans: Any, *call: Any, **kwargs: Any) -> Any:
            argument = Argument(tuple(call))
            zeros = tuple([vspace(part).zeros() for part in call])
            tangents = tree.flatten(zeros[:argnum] + (tangent,) + zeros[argnum + 1 :])[0]
            outs, out_tangents, structure = jvp_leaves(
                lambda boxes: (lambda call: self.fun(*call[0], **call[1]))(argument.rebuilt(boxes)),
                argument.inputs,
                [tangents[position] for position in argument.positions],
            )
            finished = [finish(t, out) if is_differentiable(out) else out for t, out in zip(out_tangents, outs)]
            return tree.unflatten(structure, finished)

        return rule
