"""The program of docs/torch.md for several processes, started by torchrun as it says there."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

PAGE = Path(__file__).parents[2] / "docs" / "torch.md"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """State dict after the program has run in a number of processes; that of one is made once."""
    folder = tmp_path_factory.mktemp("ddp")
    (program,) = re.findall(r"^```python no-run\n(import sys\n.*?)^```$", PAGE.read_text(), re.M | re.S)
    (folder / "ddp.py").write_text(program)
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}

    def start(count):
        path = folder / f"{count}.pt"
        if not path.exists():
            command = [
                sys.executable,
                "-P",
                "-m",
                "torch.distributed.run",
                "--standalone",
                "--nproc-per-node",
                str(count),
            ]
            command += [str(folder / "ddp.py"), str(path)]
            done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
            assert done.returncode == 0, done.stderr
        return torch.load(path)

    return start


@pytest.mark.parametrize("count", [2, 4])
def test_several_processes_have_the_parameters_of_one(run, count):
    alone, together = run(1), run(count)
    assert alone.keys() == together.keys() and "layer.weight_hh_l0" in alone
    for name, weight in alone.items():
        torch.testing.assert_close(together[name], weight, rtol=0, atol=1e-12)
