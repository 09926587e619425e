"""Settings of the documentation site: `scripts/site` builds it."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "_ext"), str(HERE.parent / "src")]

from compactnas.version import __version__  # noqa: E402  # from the checkout, whatever is installed

project = "compactnas"
author = "compactnas developers"
copyright = "compactnas developers, MIT licence"
version = release = __version__
language = "en"

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "myst_nb",
    "site_navigation",
    "site_pages",
]
exclude_patterns = ["_build", "_ext"]

# The notebooks are shown as `scripts/notebooks.py` executed them; NAME.py, their source, is no page.
nb_execution_mode = "off"
nb_render_markdown_format = "myst"  # tables among the outputs, too
suppress_warnings = ["mystnb.unknown_mime_type"]

# Pages are Markdown as the hosting site shows it: links by file and heading, no roles.
myst_enable_extensions = ["deflist", "fieldlist"]
myst_heading_anchors = 5

# The signature of a function and its docstring have the types: show them once.
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
toc_object_entries_show_parents = "hide"
autodoc_member_order = "bysource"
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False
default_role = "code"  # docstrings write names as Markdown does

# Signatures name types of other packages and internal ones, which have no page here; without a network there is no
# inventory of other projects either.
nitpick_ignore_regex = [("py:.*", ".*")]

html_theme = "furo"
html_title = f"compactnas {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_copy_source = False
