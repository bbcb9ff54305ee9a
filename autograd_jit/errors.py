"""Every exception that autograd_jit raises on purpose, as one tree.

Each also derives from the built-in class that a NumPy or Autograd user would have caught
(``TypeError``, ``ValueError``, ...), so that existing ``except`` clauses keep working.
"""

from __future__ import annotations

__all__ = [
    "ArgumentError",
    "AutogradJitError",
    "AutogradJitWarning",
    "BackendError",
    "FallbackWarning",
    "MissingRuleError",
    "NonDifferentiableError",
    "NonScalarOutputError",
    "TapeError",
    "TraceLimitError",
    "TracedValueError",
    "VerificationError",
]


class AutogradJitError(Exception):
    """Base class of every error of this package.

    >>> try:
    ...     grad(lambda x: x)(1)
    ... except AutogradJitError as error:
    ...     print(type(error).__name__)
    NonDifferentiableError
    """


class ArgumentError(AutogradJitError, TypeError, ValueError):
    """An operator was given an argument that it cannot work with (type, number, name)."""


class NonDifferentiableError(ArgumentError):
    """A value of a type that has no derivative: an integer, a string, a foreign object."""


class NonScalarOutputError(AutogradJitError, TypeError):
    """``grad`` of a function whose output is not a real scalar."""


class MissingRuleError(AutogradJitError, NotImplementedError):
    """A primitive has no derivative rule for the argument and mode asked for."""


class TracedValueError(AutogradJitError, TypeError):
    """A traced value was used in a way that would lose its derivative (``__array__``, ``out=``, ...)."""


class TapeError(AutogradJitError):
    """A tape breaks an invariant of the tape language; always a defect of this package."""


class VerificationError(AutogradJitError, AssertionError):
    """``jit(f, verify=True)``: the compiled and the interpreted answer differ."""


class TraceLimitError(AutogradJitError, AssertionError):
    """``assert_max_traces``: a jitted function was traced more often than allowed."""


class BackendError(AutogradJitError, RuntimeError):
    """A kernel could not be compiled or loaded. Callers fall back; users see a warning."""


class AutogradJitWarning(UserWarning):
    """Base class of every warning of this package."""


class FallbackWarning(AutogradJitWarning):
    """A function, or one signature of it, runs interpreted although ``jit=True``; says why, once."""
