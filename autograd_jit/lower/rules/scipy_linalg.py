"""Rules for ``autograd_jit.scipy.linalg``. Imported when a tape may hold such a function: SciPy is slow to import."""

from __future__ import annotations

from ...scipy import structured
from .linalg import solve_triangular
from .table import rule_for

rule_for(structured.triangular, solve_triangular)
