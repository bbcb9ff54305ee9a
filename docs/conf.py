"""Sphinx: ``python -m sphinx -W -b html docs build/docs`` makes the site. Pages are MyST, docstrings are reST."""

from importlib.metadata import version as _version

project = "autograd_jit"
author = "The autograd_jit developers"
release = version = _version("autograd_jit")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.autosummary"]
source_suffix = {".md": "markdown"}
html_theme = "furo"
html_title = f"{project} {release}"
html_copy_source = False

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
# The tables of names are written from the pages; each object is described once, on the page that lists it.
autosummary_generate = False
# A docstring is shown as it is written: nothing is copied from a base class of NumPy's.
autodoc_inherit_docstrings = False
