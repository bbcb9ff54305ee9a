"""Where compiled functions run: the option, the setting, and what is said where there is no device."""

from __future__ import annotations

import numpy as np
import pytest

import autograd_jit.numpy as anp
from autograd_jit import config, grad, jit, to_device
from autograd_jit.errors import ArgumentError, BackendError
from autograd_jit.kernels import cuda_compiler, cuda_device


def square(x):
    return anp.sum(x**2)


@pytest.fixture
def no_packages(monkeypatch):
    monkeypatch.setattr(cuda_device, "missing_packages", lambda: ("numba-cuda", "cuda-core"))
    cuda_device.why_unavailable.cache_clear()
    cuda_device._device.cache_clear()
    yield
    cuda_device.why_unavailable.cache_clear()
    cuda_device._device.cache_clear()


def test_without_the_packages_cuda_says_what_to_install(no_packages):
    with pytest.raises(BackendError, match=r'target="cuda" is not available: .*numba-cuda, cuda-core.*pip install'):
        grad(square, jit=True, target="cuda")
    with pytest.raises(BackendError, match="pip install"):
        to_device(np.ones(3))
    with config(target="cuda"), pytest.raises(BackendError, match='target="auto" takes the CPU'):
        jit(square)


def test_auto_takes_the_cpu_where_there_is_no_device(no_packages):
    gradient = grad(square, jit=True, target="auto")
    for _ in range(3):
        np.testing.assert_array_equal(gradient(np.ones(3)), 2 * np.ones(3))
    assert gradient.stats.replays == 2
    with config(target="auto"):
        np.testing.assert_array_equal(jit(square)(np.ones(3)), 3.0)


@pytest.mark.skipif(cuda_device.why_unavailable() is None, reason="there is a device, or an emulated one")
def test_without_a_driver_the_reason_is_said():
    if cuda_compiler.missing_packages():
        assert "not installed" in cuda_device.why_unavailable()
    else:
        assert "driver" in cuda_device.why_unavailable()


def test_unknown_targets():
    with pytest.raises(ArgumentError, match="target is one of cpu, cuda, auto"):
        jit(square, target="tpu")
    with pytest.raises(ArgumentError, match=r"config\.target is one of"):
        config(target="gpu")
