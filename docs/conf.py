"""Settings of ``sphinx-build -W -b html docs docs/_build``. The build executes nothing: the tests run the pages."""

import pylstm

project = "pylstm"
author = "the pylstm developers"
copyright = author
version = release = pylstm.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.mathjax"]
exclude_patterns = ["_build", "gallery/[!R]*"]  # make_gallery.py writes a page for each cell there

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3

default_role = "py:obj"
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings have types and shapes
napoleon_custom_sections = [("Attributes", "params_style")]  # several names in one line, as in Parameters
add_module_names = False
suppress_warnings = ["ref.python"]  # names of arguments in docstrings, such as `dtype`, are many things

html_theme = "pydata_sphinx_theme"
html_title = "pylstm"
html_show_sourcelink = False
html_theme_options = {"show_prev_next": True, "secondary_sidebar_items": ["page-toc"]}
