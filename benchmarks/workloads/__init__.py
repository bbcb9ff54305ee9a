"""The programs whose gradients are timed, by field."""

from . import algebra, complex_numbers, functions, gradbench, networks, physics, statistics, stencils
from .workload import Workload

SUITE: tuple[Workload, ...] = (
    *functions.WORKLOADS,
    *networks.WORKLOADS,
    *gradbench.WORKLOADS,
    *statistics.WORKLOADS,
    *physics.WORKLOADS,
    *stencils.WORKLOADS,
    *algebra.WORKLOADS,
    *complex_numbers.WORKLOADS,
)
BY_NAME = {workload.name: workload for workload in SUITE}
