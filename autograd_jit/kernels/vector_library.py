"""The machine code of our own vector functions: made at the first use on a machine, then read from the disk cache.

Kernels call them by address like libmvec's. So they are optimised in kernels that are not (yet), and cost these
nothing to compile: 10 ms a function, once.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import re

from . import vector_functions
from .llvm import CompiledCode, compile_ir, load_object
from .vector_ir import Emission, math

__all__ = ["address"]


@functools.cache
def address(name: str) -> int:
    """The address of a function by its symbol without `agj_`.  KeyError for a name that is no vector function's."""
    found = re.fullmatch(vector_functions.SYMBOL, f"agj_{name}")
    if found is None or found["op"] not in {**vector_functions.FUNCTIONS, **vector_functions.ELEMENTARY}:
        raise KeyError(name)
    text = _module(found["op"], found["element"], int(found["lanes"]))
    code = _code(text, name)
    # Threads of the pool may be in it when the interpreter is gone.
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(code))
    return code.address(vector_functions.NAME)


def _module(op: str, element: str, lanes: int) -> str:
    body = Emission(lanes)
    text = vector_functions.definition(body, op, element, lambda one, lane: math(one, op, element, lane))
    return "\n".join([text, *sorted(body.declarations)])


def _code(text: str, name: str) -> CompiledCode:
    """From the disk cache, or compiled."""
    from ..lower.cache import default_cache

    key = "vector-function-" + hashlib.sha256(text.encode()).hexdigest()
    cache = default_cache()
    stored = cache.get(key)
    if stored is not None:
        return load_object(stored)
    code = compile_ir(text, name_hint=name)
    cache.put(key, code.object_code)
    return code
