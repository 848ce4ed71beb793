"""A clear `ImportError` for a tree without compiled modules; imported first by `pylstm`."""

from __future__ import annotations

try:
    import pylstm.engine.cpu  # noqa: F401
except ModuleNotFoundError as error:
    if error.name != "pylstm.engine.cpu":
        raise
    from pathlib import Path  # here: with urllib 4 ms of the import of pylstm

    folder = Path(__file__).resolve().parent
    if (folder.parent / "meson.build").exists():
        raise ImportError(
            f"this is the source tree of pylstm ({folder}), which has no compiled modules, and it comes before the "
            "installed package on sys.path. Four ways out: (1) run the console script `pylstm` instead of "
            "`python -m pylstm`; (2) start Python in another folder; (3) `python -P` (or PYTHONSAFEPATH=1), which "
            "leaves the current folder out of sys.path; (4) install in editable mode: `pip install meson-python "
            "Cython ninja && pip install --no-build-isolation -e .`. If pylstm is not installed yet: `pip install .`"
        ) from None
    raise ImportError(f"the installation of pylstm in {folder} has no compiled modules: reinstall it") from None
