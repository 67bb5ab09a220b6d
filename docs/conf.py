"""How the documentation is built: ``sphinx-build -W docs docs/_build/html``, or ``make docs``."""

from flask import Flask

import picasso
from picasso.web.app import register_views
from picasso.web.documentation import tables

application = Flask("picasso")
register_views(application)

project = "Picasso"
author = "The Picasso developers"
release = version = picasso.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build", "plugins"]

# {{ name }} stands for a table that is made from the code when the pages are built.
myst_enable_extensions = ["deflist", "substitution"]
myst_heading_anchors = 3
myst_substitutions = tables.substitutions(application)
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
