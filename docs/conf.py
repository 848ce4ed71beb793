"""Settings of ``sphinx-build -W -b html docs docs/_build``.

The build writes the gallery, pages and pictures, and executes the tutorials; the tests run the blocks of all pages.
What the pages need is in the build: they ask no other host for anything.
"""

import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import make_gallery

import pylstm

project = "pylstm"
author = "the pylstm developers"
copyright = author
version = release = pylstm.__version__

extensions = ["myst_nb", "sphinx_design", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.mathjax"]
exclude_patterns = ["_build"]

myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3
nb_execution_raise_on_error = True

mathjax_path = "mathjax/tex-chtml.js"  # of the package sphinx-mathjax-offline; `copy_mathjax` has put it there

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


def copy_mathjax(app, _):
    """What typesets LaTeX in the browser, its fonts and the rarer commands: a tenth of what the package holds."""
    if app.builder.format != "html":
        return
    source = Path(find_spec("sphinx-mathjax-offline").origin).parent / "static" / "mathjax"
    for part in ("tex-chtml.js", "input/tex/extensions", "output/chtml/fonts"):
        target = Path(app.outdir) / "_static" / "mathjax" / part
        if (source / part).is_dir():
            shutil.copytree(source / part, target, dirs_exist_ok=True)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / part, target)


def setup(app):
    app.connect("build-finished", copy_mathjax)
    app.connect("builder-inited", write_gallery)
