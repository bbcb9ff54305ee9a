"""Physics and geometry: n bodies, distances on a sphere, sea water; and NPBench's small kernels."""

from .workload import Workload, draws, uniform


def n_body(np):
    """Softened gravitational energy of all pairs."""

    def loss(places, masses):
        apart = places[:, None, :] - places[None, :, :]
        distances = np.sqrt(np.sum(apart**2, axis=2) + 0.01)
        return -0.5 * np.sum(masses[:, None] * masses[None, :] / distances)

    return loss


def great_circle(np):
    """Total length of arcs on the unit sphere by Vincenty's formula, accurate at every distance."""

    def loss(start, end):
        (latitude, longitude), (other, other_longitude) = start, end
        turn = other_longitude - longitude
        east = np.cos(other) * np.sin(turn)
        north = np.cos(latitude) * np.sin(other) - np.sin(latitude) * np.cos(other) * np.cos(turn)
        along = np.sin(latitude) * np.sin(other) + np.cos(latitude) * np.cos(other) * np.cos(turn)
        return np.sum(np.arctan2(np.sqrt(east**2 + north**2), along))

    return loss


def arc_distance(np):
    """Total length of arcs on the unit sphere by the haversine formula (NPBench)."""

    def loss(start, end):
        (latitude, longitude), (other, other_longitude) = start, end
        square = np.sin(0.5 * (other - latitude)) ** 2
        square = square + np.cos(latitude) * np.cos(other) * np.sin(0.5 * (other_longitude - longitude)) ** 2
        return np.sum(2.0 * np.arctan2(np.sqrt(square), np.sqrt(1.0 - square)))

    return loss


def sphere_arguments(count: int) -> tuple:
    """Starts and ends as (latitudes, longitudes)."""
    return tuple((uniform(-1.5, 1.5, count, seed=s), uniform(-3, 3, count, seed=s + 1)) for s in (0, 2))


def polynomial(x, *coefficients):
    """By Horner's rule, constant first."""
    total = coefficients[-1]
    for coefficient in coefficients[-2::-1]:
        total = coefficient + x * total
    return total


def sea_water(np):
    """Density of sea water: UNESCO's equation of state of 1980 (Fofonoff and Millard 1983); pressure in bar."""

    def loss(state):
        salt, t, pressure = state
        root = salt * np.sqrt(salt)
        surface = polynomial(t, 999.842594, 6.793952e-2, -9.09529e-3, 1.001685e-4, -1.120083e-6, 6.536332e-9)
        surface = surface + salt * polynomial(t, 8.24493e-1, -4.0899e-3, 7.6438e-5, -8.2467e-7, 5.3875e-9)
        surface = surface + root * polynomial(t, -5.72466e-3, 1.0227e-4, -1.6546e-6) + 4.8314e-4 * salt**2
        bulk = polynomial(t, 19652.21, 148.4206, -2.327105, 1.360477e-2, -5.155288e-5)
        bulk = bulk + salt * polynomial(t, 54.6746, -0.603459, 1.09987e-2, -6.167e-5)
        bulk = bulk + root * polynomial(t, 7.944e-2, 1.6483e-2, -5.3009e-4)
        linear = polynomial(t, 3.239908, 1.43713e-3, 1.16092e-4, -5.77905e-7) + 1.91075e-4 * root
        linear = linear + salt * polynomial(t, 2.2838e-3, -1.0981e-5, -1.6078e-6)
        square = polynomial(t, 8.50935e-5, -6.12293e-6, 5.2787e-8)
        square = square + salt * polynomial(t, -9.9348e-7, 2.0816e-8, 9.1697e-10)
        modulus = bulk + pressure * (linear + pressure * square)
        return np.sum(surface / (1.0 - pressure / modulus))

    return loss


def sea_arguments(count: int) -> tuple:
    """Salinity, temperature in Celsius, pressure in bar."""
    return ((uniform(30, 40, count), uniform(0, 30, count, seed=1), uniform(0, 500, count, seed=2)),)


def go_fast(np):
    """NPBench's first example: tanh of the diagonal, entry by entry, added to every element."""

    def loss(matrix):
        trace = 0.0
        for i in range(matrix.shape[0]):
            trace = trace + np.tanh(matrix[i, i])
        return np.mean((matrix + trace) ** 2)

    return loss


WORKLOADS = (
    Workload(
        "n-body 120", n_body, lambda: (draws(120, 3), uniform(1, 2, 120)), lambda: (draws(4, 3), uniform(1, 2, 4))
    ),
    Workload(
        "great circle 250k",
        great_circle,
        lambda: sphere_arguments(250_000),
        lambda: sphere_arguments(5),
        quick=False,
    ),
    Workload("arc_distance 1e4", arc_distance, lambda: sphere_arguments(10_000), lambda: sphere_arguments(5)),
    Workload(
        "equation of state",
        sea_water,
        lambda: sea_arguments(100_000),
        lambda: sea_arguments(5),
        memory_bound=True,
    ),
    Workload("go_fast", go_fast, lambda: (draws(100, 100),), lambda: (draws(4, 4),), loops=True),
)
