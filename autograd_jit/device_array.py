"""Arrays on the device: what programs for ``target="cuda"`` take and give where their arguments lie there.

A :class:`DeviceArray` is dense, row-major and never changed. It offers the CUDA array interface and DLPack, so CuPy,
torch and Numba read it in place; :func:`to_device` takes whatever offers one of these. Going back to the host is
always explicit (:meth:`DeviceArray.to_host`): NumPy functions refuse device arrays.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import ArgumentError
from .trace import tree

if TYPE_CHECKING:
    from .kernels.cuda_device import CudaDevice

__all__ = [
    "DeviceArray",
    "adopted",
    "host_copies",
    "is_foreign",
    "lies_on_device",
    "on_host",
    "sent",
    "sent_back",
    "to_device",
]


class DeviceArray:
    """A dense array in the memory of a CUDA device.

    Made by :func:`to_device`, and the result of a function compiled for ``target="cuda"`` where an argument lies on the
    device. ``shape``, ``dtype``, ``ndim``, ``size`` and ``nbytes`` are as in NumPy; ``address`` is that of the first
    element.
    """

    __slots__ = ("_owner", "address", "device", "dtype", "shape")

    #: NumPy's operators leave it to us, and we have none
    __array_ufunc__ = None

    def __init__(self, device: CudaDevice, owner: Any, address: int, shape: tuple[int, ...], dtype: np.dtype) -> None:
        self.device = device
        self._owner = owner
        self.address = address
        self.shape = shape
        self.dtype = dtype

    @classmethod
    def empty(cls, device: CudaDevice, shape: tuple[int, ...], dtype: np.dtype) -> DeviceArray:
        memory = device.allocate(math.prod(shape) * dtype.itemsize)
        return cls(device, memory, memory.address, shape, dtype)

    @property
    def is_foreign(self) -> bool:
        """Whether the memory is another library's, which may write to it."""
        return isinstance(self._owner, tuple)

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize

    def to_host(self) -> np.ndarray:
        """A NumPy array with the same elements: a copy over the bus, which waits for the device."""
        array = np.empty(self.shape, self.dtype)
        with self.device.current():
            self.device.copy_out(array.ctypes.data, self.address, array.nbytes)
            self.device.synchronize()
        return array

    def item(self) -> Any:
        """The element of an array of one, as a Python scalar."""
        return self.to_host().item()

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        self._wait()
        return {
            "shape": self.shape,
            "typestr": self.dtype.str,
            "data": (self.address, True),
            "strides": None,
            "stream": None,  # nothing to wait for
            "version": 3,
        }

    def __dlpack__(self, *, stream: Any = None, dl_device: Any = None, copy: bool | None = None, **options: Any) -> Any:
        from .kernels.dlpack import capsule

        if copy or dl_device not in (None, self.__dlpack_device__()):
            raise BufferError("a DeviceArray is read in place, on its own device: to_host() copies it to the host")
        self._wait()
        return capsule(self)

    def _wait(self) -> None:
        """Wait for what computes it: not all libraries do, of those that read it from streams of their own."""
        with self.device.current():
            self.device.synchronize()

    def __dlpack_device__(self) -> tuple[int, int]:
        return (2, self.device.ordinal)  # kDLCUDA

    def __array__(self, *args: Any, **options: Any) -> np.ndarray:
        raise TypeError(
            "a DeviceArray lies on the CUDA device and is not copied to the host unasked: pass it as an argument to a "
            'function compiled with target="cuda", or call its to_host()'
        )

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of an array without axes")
        return self.shape[0]

    def __repr__(self) -> str:
        return f"DeviceArray(shape={self.shape}, dtype={self.dtype.name})"


# ---------------------------------------------------------------- arguments and results of calls


def lies_on_device(leaf: Any) -> bool:
    return type(leaf) is DeviceArray


def adopted(args: tuple, kwargs: dict) -> tuple[tuple, dict]:
    """The arguments of a call with device arrays of other libraries made ours, in place."""
    return _with(is_foreign, to_device, args, kwargs)


def host_copies(args: tuple, kwargs: dict) -> tuple[tuple, dict]:
    """The arguments of a call with copies on the host of what lies on the device."""
    return _with(lies_on_device, DeviceArray.to_host, args, kwargs)


def _with(chosen: Callable[[Any], bool], change: Callable, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
    """The arguments with some leaves changed. Where there are none the caller's own containers stay: it may write to
    them."""
    if not any(map(chosen, tree.flatten((args, kwargs))[0])):
        return args, kwargs
    return tree.map_leaves(lambda leaf: change(leaf) if chosen(leaf) else leaf, (args, kwargs))


def sent_back(result: Any, call: tuple[tuple, dict]) -> Any:
    """What a run on the host gave, on the device if an argument of the call lies there."""
    if not any(map(lies_on_device, tree.flatten(call)[0])):
        return result
    return tree.map_leaves(sent, result)


def sent(leaf: Any) -> Any:
    """A result leaf on the device, if it is one that programs compute."""
    return to_device(leaf) if _is_numeric(leaf) else leaf


def on_host(function: Callable) -> Callable:
    """The function on copies on the host, for arguments that lie on the device."""

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        host_args, host_kwargs = host_copies(args, kwargs)
        return sent_back(function(*host_args, **host_kwargs), (args, kwargs))

    return run


def _is_numeric(leaf: Any) -> bool:
    """Whether a result leaf is one that programs compute."""
    return isinstance(leaf, (np.ndarray, np.generic, float, complex)) and np.asarray(leaf).dtype.kind in "fciub"


def is_foreign(value: Any) -> bool:
    """Whether something is an array on a CUDA device, of another library."""
    if type(value) is DeviceArray or isinstance(value, (np.ndarray, np.generic)):
        return False
    kind = type(value)
    if hasattr(kind, "__cuda_array_interface__"):
        try:
            return value.__cuda_array_interface__ is not None
        except (AttributeError, RuntimeError, TypeError):  # torch: of a tensor that lies on the host
            return False
    if hasattr(kind, "__dlpack_device__"):
        return value.__dlpack_device__()[0] == 2
    return False


def to_device(array: Any) -> DeviceArray:
    """``array`` on the CUDA device: a copy of a NumPy array, or an array of another library as it lies there.

    ``array``: anything that ``numpy.asarray`` makes numbers of, of any shape, or an object with
    ``__cuda_array_interface__`` or DLPack (CuPy, torch, Numba) that lies on the device, dense and row-major.

    Raises ArgumentError for other layouts and dtypes, and BackendError where there is no device.

    >>> weights = to_device(np.ones(3))                           # doctest: +SKIP
    >>> slope = grad(loss, jit=True, target="cuda")(weights)      # doctest: +SKIP
    >>> slope.to_host()                                           # doctest: +SKIP
    array([2., 2., 2.])
    """
    from .kernels.cuda_device import current_device

    device = current_device()
    if isinstance(array, DeviceArray):
        return array
    if is_foreign(array):
        with device.current():
            return _adopted(device, array)
    host = np.ascontiguousarray(array)
    if host.dtype.kind not in "fciub" or not host.dtype.isnative:
        raise ArgumentError(f"an array of dtype {host.dtype} has no place on the device: it holds native numbers")
    result = DeviceArray.empty(device, np.shape(array), host.dtype)
    with device.current():
        device.copy_in(result.address, host.ctypes.data, host.nbytes)
        device.synchronize()  # the copy reads memory that may go away
    return result


def _adopted(device: CudaDevice, array: Any) -> DeviceArray:
    """Another library's array, in place; the caller's stream is waited for, as the protocols ask."""
    from cuda.core.utils import StridedMemoryView

    view = StridedMemoryView.from_any_interface(array, stream_ptr=int(device.stream.handle))
    if view.device_id != device.ordinal:
        raise ArgumentError(
            f"an array on CUDA device {view.device_id}: compiled functions run on device {device.ordinal} (move it "
            f"there, or choose that device for the process with CUDA_VISIBLE_DEVICES)"
        )
    dtype = np.dtype(view.dtype)
    if dtype.kind not in "fciub":
        raise ArgumentError(f"an array of dtype {dtype} has no place in a compiled function: it holds numbers")
    shape = tuple(view.shape)
    if view.strides is not None and not _is_row_major(shape, tuple(view.strides)):
        raise ArgumentError(
            f"a device array of shape {shape} is not dense and row-major: pass a copy (cupy.ascontiguousarray, "
            f"tensor.contiguous())"
        )
    return DeviceArray(device, (array, view), int(view.ptr), shape, dtype)


def _is_row_major(shape: tuple[int, ...], strides: tuple[int, ...]) -> bool:
    step = 1
    for size, stride in zip(reversed(shape), reversed(strides), strict=True):
        if size != 1 and stride != step:
            return False
        step *= size
    return True
