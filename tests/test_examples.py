"""The programs in `examples/` run at small scale (`--quick`), as somebody who has pylstm installed would start them."""

import importlib.util
import re
import runpy
import struct
import subprocess
import sys
import wave
from functools import partial
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


def run(name, folder, *arguments):
    command = [sys.executable, "-P", "-W", "error", str(EXAMPLES / name), *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert not done.stderr and not list(folder.iterdir())  # no warning, and no file is left
    return done.stdout


def figures(line, out):
    """The numbers of the one line of the output that begins so."""
    (found,) = re.findall(rf"^{re.escape(line)}(.*)$", out, re.MULTILINE)
    return [float(each) for each in re.findall(r"-?\d+(?:\.\d+)?(?:e-?\d+)?", found)]


def test_each_is_one_short_file_with_its_test_and_its_line_on_the_page():
    names = sorted(each.stem for each in EXAMPLES.glob("*.py"))
    assert len(names) == 10
    page = (EXAMPLES / "README.md").read_text()
    for name in names:
        text = (EXAMPLES / f"{name}.py").read_text()
        assert len(text.splitlines()) < 80, name
        assert f"python examples/{name}.py [--quick]" in text, name
        assert re.search(r"\n    pip install (\.|'\.\[\w+\]') +# in a clone of pylstm\n", text), (
            name
        )  # not on an index yet
        assert re.search(r"\n    main\(.*parser\.parse_args\(\).*\)\n$", text), name  # which refuses other options
        assert page.count(f"[{name}.py]({name}.py)") == 1 and f"test_{name}" in globals(), name


def test_classify_digits(tmp_path):
    pytest.importorskip("sklearn")
    out = run("classify_digits.py", tmp_path, "--quick")
    assert figures("bidirectional LSTM", out)[0] > 95
    assert 94 < figures("logistic regression", out)[0] < 98
    assert 0 < len(re.findall(r"^  image \d+: a \d, taken for a \d$", out, re.MULTILINE)) < 18


def test_classify_vowels(tmp_path):
    pytest.importorskip("sklearn")
    pytest.importorskip("aeon")
    out = run("classify_vowels.py", tmp_path, "--quick")
    assert figures("SequenceClassifier()", out)[0] > 95 > figures("logistic regression on means", out)[0] > 90


def test_forecast_sunspots(tmp_path):
    pytest.importorskip("sklearn")
    pytest.importorskip("statsmodels")
    out = run("forecast_sunspots.py", tmp_path, "--quick")
    assert figures("model ", out)[0] < 26 < figures("seasonal naive", out)[0] < 29 < figures("naive", out)[0]
    assert 23 < figures("AutoReg(9)", out)[0] < 24
    assert [figures(str(year), out)[1] < figures(str(year), out)[0] for year in range(2009, 2020)] == [True] * 11


def test_write_text(tmp_path):
    out = run("write_text.py", tmp_path, "--quick")
    assert figures("LSTM", out)[0] < 3.6 and 3.2 < figures("pairs", out)[0] < 3.3
    assert len(out) > 440


def test_find_anomaly(tmp_path):
    pytest.importorskip("aeon")
    out = run("find_anomaly.py", tmp_path, "--quick")
    _, away, margin = figures("error of the GRU", out)
    assert away < 10 and margin > 3 and figures("largest jump", out)[2] > 3
    assert figures("farthest from the mean", out)[1] > 1000


def test_voice_activity(tmp_path):
    """A pause after two seconds of voice."""
    pytest.importorskip("onnx")
    if importlib.util.find_spec("silero_vad") is None:
        pytest.skip("needs silero-vad")
    out = run("voice_activity.py", tmp_path, "--quick")
    found = [float(each) for each in re.findall(r"^ *\d+ s .* (\d\.\d\d)$", out, re.MULTILINE)]
    voice = np.reshape(found[:6], (2, 3))
    assert (voice[1, :2] > 0.5).all() and (voice[:, 2] < 0.25).all()
    assert re.search(r"^281 frames of 32 ms, \d+ microseconds each$", out, re.MULTILINE)
    (right, always) = re.findall(r"(\d+)%", out)
    assert int(right) > int(always)


def test_an_option_that_is_not_there_is_refused(tmp_path):
    command = [sys.executable, "-P", str(EXAMPLES / "write_text.py"), "--qiuck"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and not done.stdout
    assert "usage: write_text.py [-h] [--quick]" in done.stderr and "unrecognized arguments: --qiuck" in done.stderr


def wav(path, *, channels=1, width=2, rate=16000, samples=16000):
    with wave.open(str(path), "wb") as file:
        file.setparams((channels, width, rate, 0, "NONE", ""))
        file.writeframes(bytes(samples * channels * width))


def wav_of_floats(path):
    kind = struct.pack("<IHHIIHH", 16, 3, 1, 16000, 64000, 4, 32)
    path.write_bytes(
        b"RIFF" + struct.pack("<I", 4036) + b"WAVEfmt " + kind + b"data" + struct.pack("<I", 4000) + bytes(4000)
    )


SOUNDS = {
    "stereo": (partial(wav, channels=2), "16000 Hz, 2 channel(s), 2 byte(s) a sample"),
    "eight bits": (partial(wav, width=1), "16000 Hz, 1 channel(s), 1 byte(s) a sample"),
    "24 bits": (partial(wav, width=3), "16000 Hz, 1 channel(s), 3 byte(s) a sample"),
    "another rate": (partial(wav, rate=44100), "44100 Hz, 1 channel(s), 2 byte(s) a sample"),
    "no sound": (partial(wav, samples=0), "0 bytes of sound"),
    "less than a frame": (partial(wav, samples=511), "1022 bytes of sound"),
    "floats": (wav_of_floats, "unknown format: 3"),
    "text": (lambda path: path.write_text("no sound " * 9), "file does not start with RIFF id"),
    "nothing": (lambda path: path.write_bytes(b""), "it ends too early"),
    "no file": (lambda path: None, "No such file or directory"),
}


@pytest.mark.parametrize("kind", SOUNDS)
def test_a_sound_that_cannot_be_listened_to(kind, tmp_path):
    pytest.importorskip("onnx")
    write, says = SOUNDS[kind]
    write(tmp_path / "sound.wav")
    read_sound = runpy.run_path(str(EXAMPLES / "voice_activity.py"))["read_sound"]
    with pytest.raises(SystemExit) as raised:
        read_sound(str(tmp_path / "sound.wav"))
    assert says in str(raised.value) and "ffmpeg -i FILE -ar 16000 -ac 1 -c:a pcm_s16le" in str(raised.value)


def test_a_sound_that_was_cut_is_read_as_far_as_it_goes(tmp_path):
    pytest.importorskip("onnx")
    wav(tmp_path / "sound.wav")
    whole = (tmp_path / "sound.wav").read_bytes()
    (tmp_path / "sound.wav").write_bytes(whole[:20001])
    sound = runpy.run_path(str(EXAMPLES / "voice_activity.py"))["read_sound"](str(tmp_path / "sound.wav"))
    assert sound.shape == ((20001 - 44) // 2,) and not sound.any()


def test_balance_a_pole(tmp_path):
    pytest.importorskip("gymnasium")
    out = run("balance_a_pole.py", tmp_path, "--quick")
    assert figures("GRU", out)[0] > 150 and figures("without memory", out)[0] < 70
    assert figures("at first", out)[0] < 40


def test_predict_rivers(tmp_path):
    out = run("predict_rivers.py", tmp_path, "--quick")
    told, nothing, daily = (
        figures(line, out)[0] for line in ("ea_lstm  3 inputs", "lstm     3 inputs", "lstm     7 inputs")
    )
    assert all(0.6 < each < 0.95 for each in (told, nothing, daily)) and daily > nothing


def test_hear_like_a_grasshopper(tmp_path):
    pytest.importorskip("sklearn")
    pytest.importorskip("nitime")
    out = run("hear_like_a_grasshopper.py", tmp_path, "--quick")
    ours, filtered = figures("recording 1: ", out)
    assert 0.7 < filtered < 0.85 and ours > filtered + 0.1


def test_guitar_amplifier(tmp_path):
    out = run("guitar_amplifier.py", tmp_path, "--quick")
    assert figures("LSTM of 16 units", out)[0] < 0.04 and 0.1 < figures("polynomial", out)[0] < 0.14
    assert figures("amplifier.json, read back, differs by ", out)[0] < 1e-6
    assert figures("amplifier.nam, read back, differs by ", out)[0] < 1e-6
