"""Where does somebody speak? Silero's detector of voice, frame by frame, from the ONNX file in its wheel.

    pip install '.[onnx]'                   # in a clone of pylstm
    pip install --no-deps silero-vad        # only its file is read
    python examples/voice_activity.py [--quick] [sound.wav]

A frame is 32 ms; the model also sees 4 ms before it, and returns the probability of speech and its state. Without a
file it listens to vowels made here, with pauses: of 60 s it has 96 % of the frames right, 80 us each (all voice: 67 %).
"""

import argparse
import sys
import time
import wave
from importlib.util import find_spec

import numpy as np

from pylstm.interop import onnx

RATE, FRAME, BEFORE = 16000, 512, 64
WANTED = "16000 Hz, 1 channel, 2 bytes, 32 ms or more: ffmpeg -i FILE -ar 16000 -ac 1 -c:a pcm_s16le voice.wav"


def read_sound(path: str) -> np.ndarray:
    """Samples between -1 and 1."""
    try:
        with wave.open(path) as file:
            kind, sound = file.getparams()[:3], file.readframes(file.getnframes())
    except (OSError, EOFError, wave.Error) as error:  # not there, of floats, compressed, or something else
        sys.exit(f"{path}: {str(error) or 'it ends too early'}. Wanted: {WANTED}")
    if kind != (1, 2, RATE) or len(sound) < 2 * FRAME:
        found = "{2} Hz, {0} channel(s), {1} byte(s) a sample, {3} bytes of sound".format(*kind, len(sound))
        sys.exit(f"{path}: {found}. Wanted: {WANTED}")
    return np.frombuffer(sound, "<i2", len(sound) // 2).astype("float32") / 32768


def make_sound(seconds: float) -> np.ndarray:
    """Two seconds of vowels, four a second, then one of noise, and so on: harmonics of a pitch, three formants."""
    vowels = np.array([(730, 1090, 2440), (270, 2290, 3010), (300, 870, 2240), (530, 1840, 2480), (570, 840, 2410)])
    t = np.arange(int(seconds * RATE)) / RATE
    pitch = 120 * (1 + 0.15 * np.sin(2 * np.pi * 0.7 * t) + 0.03 * np.sin(10 * np.pi * t))
    phase, syllable, voice = 2 * np.pi * np.cumsum(pitch) / RATE, (4 * t).astype(int), np.zeros(t.size)
    glide, steps = np.full(800, 1 / 800), vowels[(7 * syllable + syllable // 3) % 5].T
    formants = [*zip([np.convolve(each, glide, "same") for each in steps], (80, 100, 140), (1, 0.6, 0.3))]
    for k in range(1, 30):
        voice += np.sin(k * phase) / k**0.3 * sum(g / (1 + ((k * pitch - f) / w) ** 2) for f, w, g in formants)
    swell = np.sin(np.pi * np.clip((4 * t - syllable) / 0.8, 0, 1)) * (t % 3 < 2)
    return (0.15 * voice * swell + 0.003 * np.random.default_rng(0).normal(size=t.size)).astype("float32")


def main(quick: bool, sound: str | None) -> None:
    """Print the mean probability of each second."""
    wheel = find_spec("silero_vad") or sys.exit("the model is in a wheel: pip install --no-deps silero-vad")
    model = onnx.import_model(f"{wheel.submodule_search_locations[0]}/data/silero_vad.onnx")
    frames = read_sound(sound) if sound else make_sound(9 if quick else 60)
    frames = frames[: frames.size // FRAME * FRAME].reshape(-1, FRAME)
    row, state = np.zeros((1, BEFORE + FRAME), "float32"), np.zeros((2, 1, 128), "float32")
    speaks, start = [], time.perf_counter()
    for frame in frames:
        row[0, :BEFORE], row[0, BEFORE:] = row[0, -BEFORE:].copy(), frame
        made = model({"input": row, "state": state, "sr": np.array(RATE)})
        state = made["stateN"]
        speaks.append(made["output"].item())
    took = (time.perf_counter() - start) / len(frames)
    for second in range(-(-len(frames) * FRAME // RATE)):
        part = speaks[second * RATE // FRAME : (second + 1) * RATE // FRAME]
        print(f"{second:3} s  {'#' * round(40 * float(np.mean(part))):40}  {np.mean(part):.2f}")
    print(f"{len(frames)} frames of {1000 * FRAME / RATE:.0f} ms, {1e6 * took:.0f} microseconds each")
    if not sound:
        voice = np.arange(len(frames)) * FRAME / RATE % 3 < 2
        print(f"{np.mean((np.array(speaks) > 0.5) == voice):.0%} of them right; all voice: {voice.mean():.0%}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="at small scale")
    parser.add_argument("sound", nargs="?", help=f"a WAV file: {RATE} Hz, one channel, 16 bits")
    main(**vars(parser.parse_args()))
