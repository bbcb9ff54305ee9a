"""Autograd's name for the module of the array vector spaces."""

from ..trace.vspace import ArrayVSpace, ComplexArrayVSpace, ContainerVSpace, VSpace

NamedTupleVSpace = ContainerVSpace

__all__ = ["ArrayVSpace", "ComplexArrayVSpace", "NamedTupleVSpace", "VSpace"]
