"""Running commands in this process."""

from __future__ import annotations

import base64
import json
from types import SimpleNamespace

import pytest

from pylstm import cli


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    """``run(*arguments)`` in an empty folder: status, out, err, and `json` of the output where asked for."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        words = [str(each) for each in arguments]
        capsys.readouterr()
        try:
            status = cli.main(words)
        except SystemExit as end:
            status = end.code
        out, err = capsys.readouterr()
        found = json.loads(out) if "--json" in words and status == 0 else None
        return SimpleNamespace(status=status, out=out, err=err, json=found)

    return call


BLANK = "data:image/svg+xml;base64," + base64.b64encode(b"<svg/>").decode()


@pytest.fixture
def undrawn(monkeypatch):
    """Figures are made, but not drawn as SVG, which is two thirds of a page's time: for tests of what else is on it."""
    from pylstm.commands._inspect import pictures

    monkeypatch.setattr(pictures, "_image", lambda figure, caption: f'<img alt="{caption}" src="{BLANK}">')
