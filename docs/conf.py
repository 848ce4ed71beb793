"""Settings of ``sphinx-build -W -b html docs docs/_build``.

The build writes the gallery, pages and pictures, and executes no page: the tests run them.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import make_gallery

import pylstm

project = "pylstm"
author = "the pylstm developers"
copyright = author
version = release = pylstm.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.mathjax"]
exclude_patterns = ["_build"]

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
html_static_path = ["_static"]
html_css_files = ["pictures.css"]
html_show_sourcelink = False
html_theme_options = {"show_prev_next": True, "secondary_sidebar_items": ["page-toc"]}


def write_gallery(app):
    """Before the pages are read; a page of a cell that is gone would be in no table of contents."""
    folder = Path(app.srcdir) / "gallery"
    written = make_gallery.write(folder, make_gallery.cells())
    for page in folder.glob("*.md"):
        if page not in written and page.name != "README.md":
            page.unlink()


def setup(app):
    app.connect("builder-inited", write_gallery)
