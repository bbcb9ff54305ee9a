"""Autograd's name for the module of ``ArrayBox``."""

from ..trace.tracer import Box
from .array_box import ArrayBox

__all__ = ["ArrayBox", "Box"]
