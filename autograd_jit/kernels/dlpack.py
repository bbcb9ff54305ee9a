"""DLPack capsules for arrays on the device: how other libraries read them in place.

The layout of the structures is that of DLPack 0.8 (``dlpack.h``), which every consumer reads.
"""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from ..device_array import DeviceArray

__all__ = ["capsule"]

_CUDA: Final = 2
#: kDLInt, kDLUInt, kDLFloat, kDLComplex, kDLBool
_CODES: Final = {"i": 0, "u": 1, "f": 2, "c": 5, "b": 6}


class _Tensor(ctypes.Structure):
    _fields_ = [
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    ]


class _ManagedTensor(ctypes.Structure):
    _fields_ = [("tensor", _Tensor), ("manager", ctypes.c_void_p), ("deleter", ctypes.c_void_p)]


_Deleter = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
_Destructor = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
#: by the address of its structure: all that a capsule that is in use needs
_held: dict[int, tuple] = {}


@_Deleter
def _delete(address: int) -> None:
    _held.pop(address, None)


@_Destructor
def _destroy(handle: int) -> None:
    """A capsule that nobody took: one that was taken has another name, and its consumer calls the deleter."""
    if _api("PyCapsule_IsValid", ctypes.c_int)(handle, b"dltensor"):
        _held.pop(_api("PyCapsule_GetPointer", ctypes.c_void_p)(handle, b"dltensor"), None)


def _api(name: str, result: Any) -> Any:
    prototype = ctypes.PYFUNCTYPE(result, ctypes.c_void_p, ctypes.c_char_p)
    return prototype((name, ctypes.pythonapi))


def capsule(array: DeviceArray) -> Any:
    """The array as a ``dltensor`` capsule, which keeps it alive until its consumer is done."""
    shape = (ctypes.c_int64 * max(array.ndim, 1))(*array.shape)
    managed = _ManagedTensor()
    tensor = managed.tensor
    tensor.data, tensor.device_type, tensor.device_id = array.address, _CUDA, array.device.ordinal
    tensor.ndim, tensor.shape = array.ndim, ctypes.cast(shape, ctypes.POINTER(ctypes.c_int64))
    tensor.code, tensor.bits, tensor.lanes = _CODES[array.dtype.kind], 8 * array.dtype.itemsize, 1
    managed.deleter = ctypes.cast(_delete, ctypes.c_void_p)
    address = ctypes.addressof(managed)
    _held[address] = (array, managed, shape)
    prototype = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
    new = prototype(("PyCapsule_New", ctypes.pythonapi))
    return new(address, b"dltensor", ctypes.cast(_destroy, ctypes.c_void_p))
