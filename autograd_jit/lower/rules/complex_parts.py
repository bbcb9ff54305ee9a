"""Functions that treat both halves of complex numbers alike: views, indexing, joining, sums."""

from __future__ import annotations

from ...numpy import cumulative, indexing, joining, reductions, shaping
from . import indexing as _indexing  # noqa: F401 - rules for floats, which these apply
from . import joining as _joining  # noqa: F401
from . import reductions as _reductions  # noqa: F401
from . import sequences as _sequences  # noqa: F401
from . import views as _views  # noqa: F401
from .complex_table import by_parts

for _function in (
    shaping._reshape,
    shaping._copy,
    shaping._broadcast_to,
    shaping._transpose,
    shaping._flip,
    shaping._diagonal,
    shaping._roll,
    indexing.getitem,
    reductions.reduce_sum,
    cumulative.cumulative_add,
):
    by_parts(_function, lambda place: place == 0)
for _function in (joining._concatenate, joining._stack):
    by_parts(_function, lambda place: place > 0)
#: indices, zeros, base, values
by_parts(indexing.scatter_sum, lambda place: place > 1)
