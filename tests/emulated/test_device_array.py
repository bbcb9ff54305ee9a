"""Arrays that stay on the device: in and out of compiled functions, and between libraries."""

from __future__ import annotations

import numpy as np
import pytest

import autograd_jit.numpy as anp
from autograd_jit import grad, value_and_grad
from autograd_jit.device_array import DeviceArray, to_device
from autograd_jit.errors import ArgumentError
from autograd_jit.kernels import cuda_device
from tests.emulated.programs import PROGRAMS

pytestmark = pytest.mark.emulated(keeps_memory=True)


class Foreign:
    """An array of another library: only the CUDA array interface."""

    def __init__(self, array: DeviceArray, strides: tuple[int, ...] | None = None) -> None:
        self.array, self.strides = array, strides

    @property
    def __cuda_array_interface__(self) -> dict:
        return {**self.array.__cuda_array_interface__, "strides": self.strides}


class WithDlpack:
    """An array of another library: only DLPack."""

    def __init__(self, array: DeviceArray) -> None:
        self.array = array

    def __dlpack__(self, **options: object) -> object:
        return self.array.__dlpack__()

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.array.__dlpack_device__()


@pytest.mark.parametrize("dtype", "f8 f4 i8 i4 ? c16 f2 u1".split())
@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (0,)])
def test_there_and_back(emulated_device, dtype, shape):
    array = (np.arange(int(np.prod(shape))).reshape(shape) * 3).astype(dtype)
    there = to_device(array)
    assert (there.shape, there.dtype, there.ndim, there.size, there.nbytes) == (
        *(array.shape, array.dtype, array.ndim, array.size, array.nbytes),
    )
    np.testing.assert_array_equal(there.to_host(), array)


def test_arguments_and_results_stay(emulated_device):
    program = PROGRAMS["short rows"]
    compiled, plain = value_and_grad(program.function, jit=True, target="cuda"), value_and_grad(program.function)
    for seed in range(4):
        arguments = program.arguments(seed)
        there = [to_device(a) for a in arguments]
        with emulated_device.counting() as counts:
            value, slope = compiled(*there)
        expected = plain(*arguments)
        assert type(value) is DeviceArray and type(slope) is DeviceArray
        np.testing.assert_allclose(value.item(), expected[0], rtol=1e-12)
        np.testing.assert_allclose(slope.to_host(), expected[1], rtol=1e-12)
    assert (counts["h2d_bytes"], counts["d2h_bytes"]) == (8, 0)  # the status; without a guard it need not come back
    assert compiled.stats.traces == 1


def test_some_arguments_there_some_here(emulated_device):
    compiled, plain = grad(anp_dot, jit=True, target="cuda"), grad(anp_dot)
    a, b = np.arange(3.0), np.ones((3, 3))
    for _ in range(3):
        found = compiled(a, to_device(b))
        assert type(found) is DeviceArray
        np.testing.assert_allclose(found.to_host(), plain(a, b))
    np.testing.assert_allclose(compiled(a, b), plain(a, b))  # all here: another signature
    assert type(compiled(a, b)) is np.ndarray


def anp_dot(a, b):
    return anp.sum(anp.tanh(anp.dot(b, a)))


def test_constants_and_host_arguments_come_back_alike_from_every_call(emulated_device):
    from autograd_jit import jit

    compiled = jit(lambda x, y: (x * 2, np.ones(3), 2.5, y, None), target="cuda")
    for call in range(4):
        kinds = [type(value) for value in compiled(to_device(np.ones(3)), np.zeros(2))]
        assert kinds == [DeviceArray] * 4 + [type(None)], call
    assert compiled.stats.replays == 3


def test_containers_and_results_of_one_memory(emulated_device):
    def function(parameters):
        first = parameters["w"] * 2
        return {"first": first, "same": first, "row": first[0], "given": parameters["w"], "text": "kept"}

    from autograd_jit import jit

    compiled = jit(function, target="cuda")
    w = np.arange(6.0).reshape(2, 3)
    for _ in range(3):
        found = compiled({"w": to_device(w)})
        for name, expected in function({"w": w}).items():
            if name == "text":
                assert found[name] == "kept"
            else:
                np.testing.assert_array_equal(found[name].to_host(), expected, err_msg=name)


@pytest.mark.parametrize("kind", [Foreign, WithDlpack])
def test_arrays_of_other_libraries(emulated_device, kind):
    x = np.linspace(-1, 1, 8)
    compiled, plain = grad(PROGRAMS["rosenbrock"].function, jit=True, target="cuda"), grad(
        PROGRAMS["rosenbrock"].function
    )
    for shift in (0.0, 0.5, 1.0):
        found = compiled(kind(to_device(x + shift)))
        np.testing.assert_allclose(found.to_host(), plain(x + shift), rtol=1e-12)


def test_layouts_that_are_not_taken(emulated_device):
    columns = Foreign(to_device(np.ones((3, 4))), strides=(8, 24))
    with pytest.raises(ArgumentError, match="not dense and row-major"):
        to_device(columns)
    with pytest.raises(ArgumentError, match="no place on the device"):
        to_device(np.array(["text"]))


def test_arrays_on_another_device_are_refused(emulated_device, monkeypatch):
    there = to_device(np.ones(3))
    monkeypatch.setattr(there.device, "ordinal", 1)
    with pytest.raises(ArgumentError, match="on CUDA device 0: compiled functions run on device 1"):
        to_device(Foreign(there))


def test_a_driver_that_is_older_than_the_compiler(emulated_device, monkeypatch):
    monkeypatch.setattr(cuda_device, "toolkit_major", lambda: 14)
    assert "made for CUDA 13.0" in cuda_device.why_unavailable.__wrapped__()


def test_copies_to_the_host_are_asked_for(emulated_device):
    there = to_device(np.ones(3))
    for wrong in ({"dl_device": (1, 0)}, {"copy": True}):
        with pytest.raises(BufferError, match="to_host"):
            there.__dlpack__(**wrong)


def test_what_a_device_array_offers_others(emulated_device):
    x = to_device(np.arange(4.0))
    interface = x.__cuda_array_interface__
    assert interface["shape"] == (4,) and interface["typestr"] == "<f8" and interface["version"] == 3
    assert x.__dlpack_device__() == (2, 0)
    again = to_device(WithDlpack(x))
    assert again.address == x.address
    del x
    np.testing.assert_array_equal(again.to_host(), np.arange(4.0))
    to_device(np.ones(2)).__dlpack__()  # a capsule that nobody takes


def test_round_trips_are_asked_for(emulated_device):
    x = to_device(np.ones(3))
    for attempt in (lambda: np.sum(x), lambda: np.asarray(x), lambda: x + np.ones(3), lambda: np.ones(3) * x):
        with pytest.raises(TypeError):
            attempt()
    with pytest.raises(TypeError, match="to_host"):
        np.asarray(x)
