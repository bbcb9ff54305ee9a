"""Derivatives of ordinary NumPy programs, compiled to native code on the first call.

    import autograd_jit.numpy as np
    from autograd_jit import grad

    gradient = grad(lambda w: np.sum(np.tanh(w) ** 2), jit=True)

Without ``jit=True`` the same program runs interpreted; nothing else changes.
"""

from . import core, extend, misc, numpy, test_util, tracer, util, wrap_util
from .builtins import dict, isinstance, list, tuple, type
from .config import config
from .core import primitive_with_deprecation_warnings as primitive
from .device_array import DeviceArray, to_device
from .differential_operators import (
    checkpoint,
    deriv,
    elementwise_grad,
    grad,
    grad_and_aux,
    grad_named,
    hessian,
    hessian_tensor_product,
    hessian_vector_product,
    holomorphic_grad,
    hvp,
    jacobian,
    make_ggnvp,
    make_hvp,
    make_jvp,
    make_jvp_reversemode,
    make_vjp,
    multigrad_dict,
    tensor_jacobian_product,
    value_and_grad,
    vector_jacobian_product,
)
from .jit import jit
