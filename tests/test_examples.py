"""The programs in `examples/` run, as somebody who has pylstm installed would start them."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


def run(name, folder, *arguments):
    command = [sys.executable, "-P", str(EXAMPLES / name), *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_voice_activity(tmp_path):
    """A pause after two seconds of voice."""
    pytest.importorskip("onnx")
    if importlib.util.find_spec("silero_vad") is None:
        pytest.skip("needs silero-vad")
    out = run("voice_activity.py", tmp_path)
    found = [float(each) for each in re.findall(r"^ *\d+ s .* (\d\.\d\d)$", out, re.MULTILINE)]
    voice = np.reshape(found[:6], (2, 3))
    assert (voice[1, :2] > 0.5).all() and (voice[:, 2] < 0.25).all()
    assert re.search(r"^281 frames of 32 ms, \d+ microseconds each$", out, re.MULTILINE)
