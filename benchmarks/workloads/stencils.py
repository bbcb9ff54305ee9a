"""Kernels of NPBench that sweep over grids, without writing into arrays: borders are joined on."""

import numpy

from .workload import Workload, draws, uniform


def bordered(np, inner, outer):
    """``inner`` with the border of ``outer`` around it."""
    middle = np.concatenate([outer[1:-1, :1], inner, outer[1:-1, -1:]], axis=1)
    return np.concatenate([outer[:1], middle, outer[-1:]], axis=0)


def jacobi_2d(np):
    """Averages of a point and its four neighbours, several times over."""

    def loss(grid, steps):
        for _ in range(steps):
            inner = 0.2 * (grid[1:-1, 1:-1] + grid[1:-1, :-2] + grid[1:-1, 2:] + grid[2:, 1:-1] + grid[:-2, 1:-1])
            grid = bordered(np, inner, grid)
        return np.sum(grid**2)

    return loss


def seidel_2d(np):
    """Averages of nine points, in place: each sees the neighbours before it already averaged."""

    def loss(grid, steps):
        rows = [grid[i] for i in range(grid.shape[0])]
        for _ in range(steps):
            for i in range(1, len(rows) - 1):
                above, row, below = rows[i - 1], rows[i], rows[i + 1]
                known = above[:-2] + above[1:-1] + above[2:] + row[1:-1] + row[2:]
                known = known + below[:-2] + below[1:-1] + below[2:]
                values = [row[0]]
                for j in range(known.shape[0]):
                    values.append((known[j] + values[-1]) / 9.0)
                rows[i] = np.stack([*values, row[-1]])
        return np.sum(np.stack(rows) ** 2)

    return loss


def horizontal_diffusion(np):
    """Fourth-order diffusion whose fluxes are kept from sharpening gradients; axes are east, north and up."""

    def loss(field, coefficients):
        around = field[2:, 1:-1] + field[:-2, 1:-1] + field[1:-1, 2:] + field[1:-1, :-2]
        laplacian = 4.0 * field[1:-1, 1:-1] - around
        east = laplacian[1:, 1:-1] - laplacian[:-1, 1:-1]
        east = np.where(east * (field[2:-1, 2:-2] - field[1:-2, 2:-2]) > 0, 0.0, east)
        north = laplacian[1:-1, 1:] - laplacian[1:-1, :-1]
        north = np.where(north * (field[2:-2, 2:-1] - field[2:-2, 1:-2]) > 0, 0.0, north)
        change = coefficients * (east[1:] - east[:-1] + north[:, 1:] - north[:, :-1])
        return np.sum((field[2:-2, 2:-2] - change) ** 2)

    return loss


def vertical_advection(np):
    """Implicit advection in columns: a tridiagonal system in the vertical, by elimination; the first axis is up."""

    def loss(velocity, wind, tendency):
        levels, step = velocity.shape[0], 0.15
        upper, right = [], []
        for k in range(levels):
            below = -step * wind[k] if k > 0 else 0.0 * wind[k]
            above = step * wind[k + 1] if k < levels - 1 else 0.0 * wind[k]
            diagonal = 1.0 - below - above
            known = velocity[k] + step * tendency[k]
            if k > 0:
                diagonal = diagonal - below * upper[-1]
                known = known - below * right[-1]
            upper.append(above / diagonal)
            right.append(known / diagonal)
        solution = right[-1]
        total = np.sum(solution**2)
        for k in range(levels - 2, -1, -1):
            solution = right[k] - upper[k] * solution
            total = total + np.sum(solution**2)
        return total

    return loss


def cavity_flow(np):
    """A lid-driven cavity: explicit steps of the momentum equations, a few Jacobi steps for the pressure between."""
    density, viscosity, step = 1.0, 0.1, 0.001

    def central(grid, h):
        return (grid[1:-1, 2:] - grid[1:-1, :-2]) / (2 * h), (grid[2:, 1:-1] - grid[:-2, 1:-1]) / (2 * h)

    def pressure_source(u, v, h):
        (ux, uy), (vx, vy) = central(u, h), central(v, h)
        return density * ((ux + vy) / step - ux**2 - 2.0 * uy * vx - vy**2)

    def relaxed(p, source, h):
        around = p[1:-1, 2:] + p[1:-1, :-2] + p[2:, 1:-1] + p[:-2, 1:-1]
        inner = 0.25 * around - 0.25 * h * h * source
        rows = np.concatenate([inner[:1], inner, 0.0 * inner[-1:]], axis=0)
        return np.concatenate([rows[:, :1], rows, rows[:, -1:]], axis=1)

    def moved(a, u, v, gradient, h):
        here = a[1:-1, 1:-1]
        back = u[1:-1, 1:-1] * (here - a[1:-1, :-2]) + v[1:-1, 1:-1] * (here - a[:-2, 1:-1])
        spread = a[1:-1, 2:] + a[1:-1, :-2] + a[2:, 1:-1] + a[:-2, 1:-1] - 4.0 * here
        inner = here - step / h * back - step / density * gradient + viscosity * step / h**2 * spread
        return bordered(np, inner, a)

    def loss(lid, u, v, p, steps, relaxations):
        h = 2.0 / (u.shape[0] - 1)
        for _ in range(steps):
            u = np.concatenate([u[:-1], np.reshape(lid, (1, -1))], axis=0)
            source = pressure_source(u, v, h)
            for _ in range(relaxations):
                p = relaxed(p, source, h)
            px, py = central(p, h)
            u, v = moved(u, u, v, px, h), moved(v, u, v, py, h)
        return np.sum(u**2) + np.sum(v**2)

    return loss


def cavity_arguments(size: int) -> tuple:
    """The lid's velocity, and fields that already move a little."""
    return uniform(0.5, 1.5, size), *(0.1 * draws(size, size, seed=seed) for seed in (1, 2, 3))


def steps(make_loss, *counts):
    """A loss whose last arguments are numbers of steps, with these fixed."""
    return lambda np: lambda *arguments: make_loss(np)(*arguments, *counts)


def diffusion_arguments(size: int, levels: int) -> tuple:
    return draws(size + 4, size + 4, levels), uniform(0.01, 0.1, size, size, levels, seed=1)


def advection_arguments(levels: int, columns: int) -> tuple:
    return tuple(numpy.abs(draws(levels + extra, columns, columns, seed=seed)) for seed, extra in enumerate((0, 1, 0)))


WORKLOADS = (
    Workload("jacobi_2d", steps(jacobi_2d, 10), lambda: (draws(150, 150),), lambda: (draws(5, 6),), loops=True),
    Workload("seidel_2d", steps(seidel_2d, 2), lambda: (draws(16, 16),), lambda: (draws(4, 5),), loops=True),
    Workload(
        "hdiff",
        horizontal_diffusion,
        lambda: diffusion_arguments(64, 16),
        lambda: diffusion_arguments(3, 2),
        memory_bound=True,
    ),
    Workload(
        "vadv",
        vertical_advection,
        lambda: advection_arguments(24, 32),
        lambda: advection_arguments(4, 2),
        loops=True,
    ),
    Workload(
        "cavity_flow",
        steps(cavity_flow, 4, 5),
        lambda: cavity_arguments(31),
        lambda: cavity_arguments(5),
        loops=True,
    ),
)
