"""Vector spaces: the type of a value's tangents and cotangents.

``vspace(value)`` gives the space of an array, scalar or container. A user's type joins by
subclassing :class:`VSpace` and calling ``register``. The complex convention: a complex space is a real
space of twice the size, and the cotangent ``g`` of ``z`` pairs with a tangent ``t`` as ``Re(g * t)``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from ..errors import NonDifferentiableError
from . import tree
from .tracer import concrete

__all__ = ["ArrayVSpace", "ComplexArrayVSpace", "ContainerVSpace", "VSpace", "vspace"]


class VSpace:
    """Base class: the operations of a vector space over the reals.

    Subclasses define ``zeros``, ``ones``, ``standard_basis``, ``randn``, ``size`` and the underscored
    operations ``_add``, ``_mut_add``, ``_scalar_mul``, ``_inner_prod``, ``_covector``.

    >>> from autograd_jit.extend import VSpace
    >>> class Money:
    ...     def __init__(self, amount):
    ...         self.amount = amount
    >>> class MoneySpace(VSpace):
    ...     def zeros(self):
    ...         return Money(0.0)
    ...     def _add(self, x, y):
    ...         return Money(x.amount + y.amount)
    >>> MoneySpace.register(Money)
    >>> vspace(Money(2.0)).add(Money(1.0), Money(3.0)).amount
    4.0
    """

    __slots__ = ()
    iscomplex: bool = False
    size: int = 0
    #: value type -> function from a value to its space
    mappings: ClassVar[dict[type, Callable[[Any], VSpace]]] = {}

    def __init__(self, value: Any) -> None:
        pass

    @classmethod
    def register(cls, value_type: type, vspace_maker: Callable[[Any], VSpace] | None = None) -> None:
        """Let values of exactly ``value_type`` have a space made by ``vspace_maker`` (default: this class)."""
        VSpace.mappings[value_type] = vspace_maker or cls

    def zeros(self) -> Any:
        raise TypeError(f"{type(self).__name__} does not define zeros")

    def ones(self) -> Any:
        raise TypeError(f"{type(self).__name__} does not define ones")

    def standard_basis(self) -> Any:
        raise TypeError(f"{type(self).__name__} does not define standard_basis")

    def randn(self) -> Any:
        raise TypeError(f"{type(self).__name__} does not define randn")

    def add(self, x_prev: Any, x_new: Any) -> Any:
        """``x_prev + x_new``; ``x_prev`` may be None for zero."""
        return x_new if x_prev is None else self._add(x_prev, x_new)

    def mut_add(self, x_prev: Any, x_new: Any) -> Any:
        """``x_prev + x_new``, possibly written into ``x_prev``."""
        return self._mut_add(x_prev if x_prev is not None else self.zeros(), x_new)

    def scalar_mul(self, x: Any, a: Any) -> Any:
        return self._scalar_mul(x, a)

    def inner_prod(self, x: Any, y: Any) -> Any:
        return self._inner_prod(x, y)

    def covector(self, x: Any) -> Any:
        """The element of the dual space that pairs with tangents as ``x``'s inner product does."""
        return self._covector(x)

    def _add(self, x: Any, y: Any) -> Any:
        return x + y

    def _mut_add(self, x: Any, y: Any) -> Any:
        x += y
        return x

    def _scalar_mul(self, x: Any, a: Any) -> Any:
        return x * a

    def _inner_prod(self, x: Any, y: Any) -> Any:
        raise TypeError(f"{type(self).__name__} does not define _inner_prod")

    def _covector(self, x: Any) -> Any:
        return x

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.__dict__ == other.__dict__

    def __hash__(self) -> int:
        return hash((type(self), tuple(sorted(self.__dict__))))

    def __repr__(self) -> str:
        return f"{type(self).__name__}_{self.__dict__}"


class ArrayVSpace(VSpace):
    """The space of real arrays of one shape and dtype."""

    def __init__(self, value: Any) -> None:
        value = np.asarray(value)
        self.shape = value.shape
        self.dtype = value.dtype

    @property
    def size(self) -> int:  # type: ignore[override]
        return int(np.prod(self.shape))

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def zeros(self) -> Any:
        return np.zeros(self.shape, dtype=self.dtype)

    def ones(self) -> Any:
        return np.ones(self.shape, dtype=self.dtype)

    def standard_basis(self) -> Any:
        for index in np.ndindex(*self.shape):
            vector = self.zeros()
            vector[index] = 1
            yield vector

    def randn(self) -> Any:
        return np.array(np.random.randn(*self.shape)).astype(self.dtype)

    def _add(self, x: Any, y: Any) -> Any:
        from ..numpy import add

        return add(x, y)

    def _scalar_mul(self, x: Any, a: Any) -> Any:
        from ..numpy import multiply

        return multiply(x, a)

    def _inner_prod(self, x: Any, y: Any) -> Any:
        from .. import numpy as anp

        return anp.dot(anp.ravel(x), anp.ravel(y))


class ComplexArrayVSpace(ArrayVSpace):
    """The space of complex arrays of one shape and dtype, as a real space of twice the size."""

    iscomplex = True

    @property
    def size(self) -> int:  # type: ignore[override]
        return int(np.prod(self.shape) * 2)

    def ones(self) -> Any:
        return np.ones(self.shape, dtype=self.dtype) + self.dtype.type(1j)

    def standard_basis(self) -> Any:
        for index in np.ndindex(*self.shape):
            for unit in (1.0, 1.0j):
                vector = self.zeros()
                vector[index] = unit
                yield vector

    def randn(self) -> Any:
        real, imag = np.random.randn(*self.shape), np.random.randn(*self.shape)
        return np.array(real + 1j * imag).astype(self.dtype)

    def _inner_prod(self, x: Any, y: Any) -> Any:
        from .. import numpy as anp

        return anp.real(anp.dot(anp.conj(anp.ravel(x)), anp.ravel(y)))

    def _covector(self, x: Any) -> Any:
        from .. import numpy as anp

        return anp.conj(x)


class ContainerVSpace(VSpace):
    """The product of its leaves' spaces. Leaves without derivative (ints, strings) take part as themselves."""

    def __init__(self, value: Any) -> None:
        leaves, self.structure = tree.flatten(value)
        self.spaces = [vspace(leaf) if is_differentiable(leaf) else None for leaf in leaves]
        self.constants = [None if is_differentiable(leaf) else leaf for leaf in leaves]

    @property
    def size(self) -> int:  # type: ignore[override]
        return sum(space.size for space in self.spaces if space)

    def __eq__(self, other: object) -> bool:
        # constants take no part: they are values, not directions, and comparing arrays gives arrays
        return (
            isinstance(other, ContainerVSpace)
            and self.structure == other.structure
            and self.spaces == other.spaces
        )

    __hash__ = VSpace.__hash__

    def _map(self, function: Callable, *values: Any) -> Any:
        columns = [tree.flatten(value)[0] for value in values]
        rows = zip(self.spaces, self.constants, *columns, strict=True)
        leaves = [function(row[0], *row[2:]) if row[0] else row[1] for row in rows]
        return tree.unflatten(self.structure, leaves)

    def zeros(self) -> Any:
        return self._map(lambda space: space.zeros())

    def ones(self) -> Any:
        return self._map(lambda space: space.ones())

    def randn(self) -> Any:
        return self._map(lambda space: space.randn())

    def standard_basis(self) -> Any:
        for position, space in enumerate(self.spaces):
            for vector in space.standard_basis() if space else ():
                leaves = tree.flatten(self.zeros())[0]
                leaves[position] = vector
                yield tree.unflatten(self.structure, leaves)

    def _add(self, x: Any, y: Any) -> Any:
        return self._map(lambda space, a, b: space.add(a, b), x, y)

    def _mut_add(self, x: Any, y: Any) -> Any:
        return self._map(lambda space, a, b: space.mut_add(a, b), x, y)

    def _scalar_mul(self, x: Any, a: Any) -> Any:
        return self._map(lambda space, leaf: space.scalar_mul(leaf, a), x)

    def _inner_prod(self, x: Any, y: Any) -> Any:
        pairs = zip(self.spaces, tree.flatten(x)[0], tree.flatten(y)[0], strict=True)
        return sum(space.inner_prod(a, b) for space, a, b in pairs if space)

    def _covector(self, x: Any) -> Any:
        return self._map(lambda space, leaf: space.covector(leaf), x)


def is_differentiable(leaf: Any) -> bool:
    """Whether a leaf has a vector space: floats and complex numbers, arrays of them, registered types."""
    leaf = concrete(leaf)
    if isinstance(leaf, (np.ndarray, np.generic)) and leaf.dtype.kind not in "fc":
        return False
    return type(leaf) in VSpace.mappings


def _array_vspace(value: Any) -> VSpace:
    kind = np.asarray(value).dtype.kind
    if kind == "c":
        return ComplexArrayVSpace(value)
    if kind == "f" or kind in "iub":
        return ArrayVSpace(value)
    raise NonDifferentiableError(f"no vector space for an array of dtype {np.asarray(value).dtype}")


def vspace(value: Any) -> VSpace:
    """The vector space of ``value`` (a float, complex number, array, container or registered type).

    Raises NonDifferentiableError for anything else.

    >>> vspace(np.ones((2, 3))).size, vspace({"a": 1.0, "b": np.ones(2)}).zeros()
    (6, {'a': array(0.), 'b': array([0., 0.])})
    """
    value = concrete(value)
    maker = VSpace.mappings.get(type(value))
    if maker is not None:
        return maker(value)
    if tree.is_container(value):
        return ContainerVSpace(value)
    if isinstance(value, np.ndarray):
        return _array_vspace(value)
    raise NonDifferentiableError(
        f"cannot find a vector space for a value of type {type(value).__module__}.{type(value).__qualname__}; "
        f"valid are floats, complex numbers, arrays of them, and containers of those"
    )


_FLOATS = (float, np.float64, np.float32, np.float16, np.longdouble)
_COMPLEX = (complex, np.complex64, np.complex128, np.clongdouble)
VSpace.register(np.ndarray, _array_vspace)
for _kind in _FLOATS:
    VSpace.register(_kind, ArrayVSpace)
for _complex_kind in _COMPLEX:
    VSpace.register(_complex_kind, ComplexArrayVSpace)
