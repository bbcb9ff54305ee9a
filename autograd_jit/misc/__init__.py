"""Helpers around derivatives: flattening containers, optimisers, fixed points, graph tracers."""

from . import fixed_points, optimizers, tracers
from .flatten import flatten, flatten_func
from .tracers import const_graph, full_graph
