"""Everything for teaching the package a new function or a new type.

>>> from autograd_jit import grad
>>> from autograd_jit.extend import primitive, defvjp, defjvp
>>> @primitive
... def cube(x):
...     return x ** 3
>>> defvjp(cube, lambda ans, x: lambda g: 3 * x ** 2 * g)
>>> defjvp(cube, lambda t, ans, x: 3 * x ** 2 * t)
>>> grad(grad(cube))(2.0)
np.float64(12.0)

A rule returns the plain product; shapes that broadcasting changed, dtypes and imaginary parts are brought to
the argument's centrally.
"""

from .trace.forward import JVPNode
from .trace.reverse import VJPNode
from .trace.rules import (
    def_linear,
    defjvp,
    defjvp_argnum,
    defjvp_argnums,
    defvjp,
    defvjp_argnum,
    defvjp_argnums,
)
from .trace.sparse_objects import SparseObject
from .trace.tracer import Box, notrace_primitive, primitive
from .trace.vspace import VSpace, vspace
from .tracer import register_notrace

__all__ = [
    "Box",
    "JVPNode",
    "SparseObject",
    "VJPNode",
    "VSpace",
    "def_linear",
    "defjvp",
    "defjvp_argnum",
    "defjvp_argnums",
    "defvjp",
    "defvjp_argnum",
    "defvjp_argnums",
    "notrace_primitive",
    "primitive",
    "register_notrace",
    "vspace",
]
