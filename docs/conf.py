"""Settings of ``sphinx-build -W -b html docs docs/_build``.

The build writes the gallery, pages and pictures, and executes the tutorials; the tests run the blocks of all pages.
What the pages need is in the build: they ask no other host for anything.
"""

import re
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import drawings
import jupytext
import make_gallery
import matplotlib.font_manager  # noqa: F401, finds the fonts now: else a page would show that it takes its time
from sphinx.errors import ExtensionError

import pylstm

project = "pylstm"
author = "the pylstm developers"
copyright = author
version = release = pylstm.__version__

extensions = ["myst_nb", "sphinx_design", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.mathjax"]
exclude_patterns = ["_build"]

myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3

nb_execution_mode = "force"
nb_execution_in_temp = True
nb_execution_timeout = 300  # seconds, of a cell
nb_execution_raise_on_error = True
nb_output_stderr = "warn"  # which ends the build: no page shows a warning

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
html_css_files = ["pictures.css", "site.css"]
html_show_sourcelink = False
html_context = {"default_mode": "auto"}
# Of several patterns the theme takes the last that fits.
html_theme_options = {"show_prev_next": True, "secondary_sidebar_items": {"**": ["page-toc"], "gallery/index": []}}


def write_gallery(app):
    """Before the pages are read; a page of a cell that is gone would be in no table of contents."""
    folder = Path(app.srcdir) / "gallery"
    written = make_gallery.write(folder, make_gallery.cells())
    for page in folder.glob("*.md"):
        if page not in written and page.name != "README.md":
            page.unlink()


def draw(app):
    """What is drawn from figures that are kept."""
    drawings.write(Path(app.srcdir) / "drawn")


def copy_mathjax(app, _):
    """What typesets LaTeX in the browser, its fonts and the rarer commands: a tenth of what the package holds."""
    if app.builder.format != "html":
        return
    package = find_spec("sphinx-mathjax-offline")
    if package is None:
        raise ExtensionError("no sphinx-mathjax-offline to typeset the formulas: pip install '.[docs]'")
    source = Path(package.origin).parent / "static" / "mathjax"
    for part in ("tex-chtml.js", "input/tex/extensions", "output/chtml/fonts"):
        target = Path(app.outdir) / "_static" / "mathjax" / part
        if (source / part).is_dir():
            shutil.copytree(source / part, target, dirs_exist_ok=True)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / part, target)


def execute_beside_doctrees(app):
    """Pictures of the executed pages: they go to the parent of the build's folder if nobody says otherwise."""
    folder = str(Path(app.doctreedir) / "executed")
    app.env.mystnb_config = app.env.mystnb_config.copy(output_folder=folder)


def link_notebook(app, name, source):
    """Under the title of a page that is a notebook: where to get it."""
    if source[0].startswith("---\njupytext:"):
        file = name.rpartition("/")[2] + ".ipynb"
        link = f'<p><a href="{file}" download>Download this page as a notebook: <code>{file}</code></a></p>'
        source[0] = re.sub(r"^(# .*)$", rf"\1\n\n```{{raw}} html\n{link}\n```", source[0], count=1, flags=re.M)


def without_pages(text):
    """Markdown of a notebook: beside a download there is no other page, so links to one become text."""
    return re.sub(r"(?<!!)\[([^]]*)\]\((?!\w+:)[^)\s]*\.md(?:#[^)\s]*)?\)", r"\1", text)


def write_notebooks(app, _):
    """The notebooks that the pages link, from the same sources, without outputs."""
    if app.builder.format != "html":
        return
    for name in app.env.found_docs:
        page = Path(app.srcdir) / f"{name}.md"
        if page.read_text(encoding="utf-8").startswith("---\njupytext:"):
            notebook = jupytext.read(page)
            for cell in notebook.cells:
                if cell.cell_type == "markdown":
                    cell.source = without_pages(cell.source)
            jupytext.write(notebook, Path(app.outdir) / f"{name}.ipynb")


def add_filter(app, name, *_):
    if name == "gallery/index":
        app.add_js_file("cells.js")


def setup(app):
    app.connect("html-page-context", add_filter)
    app.connect("builder-inited", execute_beside_doctrees, priority=900)
    app.connect("source-read", link_notebook)
    app.connect("build-finished", write_notebooks)
    app.connect("build-finished", copy_mathjax)
    app.connect("builder-inited", write_gallery)
    app.connect("builder-inited", draw)
