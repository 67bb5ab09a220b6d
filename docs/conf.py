"""How the documentation is built: ``sphinx-build -W docs docs/_build/html``, or ``make docs``."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

import tables

import picasso

project = "Picasso"
author = "The Picasso developers"
release = version = picasso.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build", "_ext", "plugins"]

# {{ name }} stands for a table that is made from the code when the pages are built.
myst_enable_extensions = ["deflist", "substitution"]
myst_heading_anchors = 3
myst_substitutions = tables.substitutions()
# Quotation marks in examples are meant as they are typed.
smartquotes = False

autodoc_member_order = "bysource"
autodoc_typehints = "none"
napoleon_use_ivar = True
napoleon_use_rtype = False

html_theme = "furo"
pygments_dark_style = "github-dark"
html_title = "Picasso"
html_favicon = "../picasso/static/icon.svg"
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
