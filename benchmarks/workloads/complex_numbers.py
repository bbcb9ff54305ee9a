"""Programs of complex numbers: a spectral flow, controlled spins, a circuit fitted to its frequency response."""

import functools
import itertools

import numpy

from .workload import Workload, draws

# ---------------------------------------------------------------- a flow by Fourier transforms


def vorticity(steps: int, np):
    """Distance of a two-dimensional flow from another after some steps of its vorticity: derivatives are products with
    wave numbers, viscosity is implicit (Crank and Nicolson), and a third of the waves is cut off against aliasing."""
    time_step, viscosity = 0.01, 1e-3

    def loss(start, target):
        size = start.shape[0]
        wave = numpy.fft.fftfreq(size, 1 / size)
        kx, ky = wave[:, None], wave[None, :]
        squared = kx**2 + ky**2
        inverse = numpy.where(squared == 0, 0.0, 1 / numpy.where(squared == 0, 1, squared))
        kept = 1.0 * ((numpy.abs(kx) < size / 3) & (numpy.abs(ky) < size / 3))
        damping = 0.5 * time_step * viscosity * squared
        spectrum = np.fft.fft2(start)
        for _ in range(steps):
            stream = spectrum * inverse
            across = np.real(np.fft.ifft2(1j * ky * stream)) * np.real(np.fft.ifft2(1j * kx * spectrum))
            along = np.real(np.fft.ifft2(1j * kx * stream)) * np.real(np.fft.ifft2(1j * ky * spectrum))
            carried = np.fft.fft2(across - along) * kept
            spectrum = (spectrum * (1 - damping) - time_step * carried) / (1 + damping)
        return np.mean((np.real(np.fft.ifft2(spectrum)) - target) ** 2)

    return loss


# ---------------------------------------------------------------- quantum mechanics

PAULI_X = numpy.array([[0, 1], [1, 0]], complex)
PAULI_Y = numpy.array([[0, -1j], [1j, 0]])
PAULI_Z = numpy.array([[1, 0], [0, -1]], complex)


def qubit_control(np):
    """How far a pulse of two fields is from turning a spin over: a product of exponentials of two by two matrices."""
    time_step, drift = 0.1, 0.5

    def loss(fields):
        state = numpy.array([1, 0], complex)
        for i in range(fields.shape[1]):
            x, y = fields[0, i], fields[1, i]
            rate = np.sqrt(x * x + y * y + drift**2)
            axis = (x * PAULI_X + y * PAULI_Y + drift * PAULI_Z) / rate
            state = np.dot(np.cos(rate * time_step) * numpy.eye(2) - 1j * np.sin(rate * time_step) * axis, state)
        return 1 - np.abs(state[1]) ** 2

    return loss


def ising_circuit(spins: int, np):
    """Energy of a chain of spins after layers of Ising interactions and rotations (the ansatz of QAOA)."""
    signs = [1.0 - 2.0 * ((numpy.arange(2**spins) >> (spins - 1 - spin)) & 1) for spin in range(spins)]
    energies = sum(one * other for one, other in itertools.pairwise(signs))

    def loss(angles):
        state = numpy.full(2**spins, 2 ** (-spins / 2), complex)
        for layer in range(angles.shape[1]):
            state = np.exp(-1j * angles[0, layer] * energies) * state
            turn = np.cos(angles[1, layer]) * numpy.eye(2) - 1j * np.sin(angles[1, layer]) * PAULI_X
            for spin in range(spins):
                state = np.matmul(turn, np.reshape(state, (2**spin, 2, -1)))
            state = np.reshape(state, (-1,))
        return np.sum(energies * np.abs(state) ** 2)

    return loss


# ---------------------------------------------------------------- alternating currents


def filter_fit(np):
    """A resistance, an inductance and a capacitance, as logarithms, fitted to a low pass's response in decibels."""

    def loss(logarithms, angular, decibels):
        resistance, inductance, capacitance = np.exp(logarithms)
        frequency = 1j * angular
        capacitor = 1 / (frequency * capacitance * 1e-6)
        response = capacitor / (resistance * 10 + frequency * inductance * 1e-3 + capacitor)
        loaded = response / (1 + 0.1 * response)
        return np.mean((20 * np.log10(np.abs(loaded)) - decibels) ** 2) + 0.01 * np.mean(np.angle(loaded) ** 2)

    return loss


def filter_arguments(count: int) -> tuple:
    """Logarithms of the three parts, angular frequencies, and what was measured there."""
    angular = numpy.logspace(1, 6, count)
    return 0.1 * draws(3), angular, -10 * numpy.log10(1 + (angular / 2e4) ** 4) + 0.1 * draws(count, seed=1)


_NO_TORCH = {"torch": "mixes arrays of NumPy and of torch", "torch.compile": "mixes arrays of NumPy and of torch"}

WORKLOADS = (
    Workload(
        "vorticity 64x64",
        functools.partial(vorticity, 4),
        lambda: (draws(64, 64), draws(64, 64, seed=1)),
        lambda: (draws(6, 6), draws(6, 6, seed=1)),
        loops=True,
        cannot_run=_NO_TORCH,
    ),
    Workload(
        "qubit control",
        qubit_control,
        lambda: (draws(2, 40),),
        lambda: (draws(2, 3),),
        loops=True,
        cannot_run=_NO_TORCH,
    ),
    Workload(
        "ising circuit",
        functools.partial(ising_circuit, 6),
        lambda: (draws(2, 8),),
        lambda: (draws(2, 2),),
        loops=True,
        cannot_run=_NO_TORCH,
    ),
    Workload(
        "filter fit", filter_fit, lambda: filter_arguments(400), lambda: filter_arguments(7), cannot_run=_NO_TORCH
    ),
)
