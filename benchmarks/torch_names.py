"""torch's functions under NumPy's names, as far as the workloads use them.

A torch user would write the same programs with these very calls; nothing here computes in another way.
"""

import torch

torch.set_default_dtype(torch.float64)

arctan2, cos, exp, log, log1p, sign, sin, sqrt, tanh = (
    getattr(torch, name) for name in "arctan2 cos exp log log1p sign sin sqrt tanh".split()
)
abs, diag, einsum, linalg, outer, reshape, stack = (
    getattr(torch, name) for name in "abs diag einsum linalg outer reshape stack".split()
)


def sum(x, axis=None, keepdims=False):
    return torch.sum(x) if axis is None else torch.sum(x, dim=axis, keepdim=keepdims)


def mean(x, axis=None):
    return torch.mean(x) if axis is None else torch.mean(x, dim=axis)


def max(x, axis, keepdims=False):
    return torch.amax(x, dim=axis, keepdim=keepdims)


def min(x, axis, keepdims=False):
    return torch.amin(x, dim=axis, keepdim=keepdims)


def maximum(x, y):
    return torch.clamp(x, min=y) if isinstance(y, float) else torch.maximum(x, y)


def logaddexp(x, y):
    # With a number, this is what torch calls softplus.
    return torch.nn.functional.softplus(y) if x == 0.0 else torch.logaddexp(x, y)


def where(condition, x, y):
    return torch.where(condition, x, y)


def concatenate(parts, axis=0):
    return torch.cat(parts, dim=axis)


def dot(x, y):
    return torch.matmul(x, y)


def eye(size):
    return torch.eye(size)


def zeros(shape):
    return torch.zeros(shape)


def ones(shape):
    return torch.ones(shape)
