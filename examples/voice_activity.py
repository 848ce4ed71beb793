"""Where does somebody speak? Silero's detector of voice, frame by frame, from the ONNX file in its wheel.

    pip install 'pylstm[onnx]'
    pip install --no-deps silero-vad        # only its file is read
    python examples/voice_activity.py [--quick] [sound.wav]

A frame is 512 samples at 16 kHz, 32 ms; the model also sees the last 64 samples of the frame before, and returns the
probability of speech and the state for the next frame. Without a file (16 kHz, one channel, 16 bits) it listens to
vowels made here, with pauses: of 60 s it has 96 % of the frames right, 80 microseconds each (always "voice": 67 %).
"""

import importlib.util
import sys
import time
import wave
from pathlib import Path

import numpy as np

from pylstm.interop import onnx

RATE, FRAME, BEFORE = 16000, 512, 64


def read_sound(path: str) -> np.ndarray:
    """Samples between -1 and 1."""
    with wave.open(path) as file:
        if (file.getframerate(), file.getnchannels(), file.getsampwidth()) != (RATE, 1, 2):
            sys.exit(f"{path}: needs {RATE} Hz, one channel, 16 bits")
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype("float32") / 32768


def make_sound(seconds: float) -> np.ndarray:
    """Two seconds of vowels, four a second, then one of noise, and so on: harmonics of a pitch, three formants."""
    vowels = np.array([(730, 1090, 2440), (270, 2290, 3010), (300, 870, 2240), (530, 1840, 2480), (570, 840, 2410)])
    t = np.arange(int(seconds * RATE)) / RATE
    pitch = 120 * (1 + 0.15 * np.sin(2 * np.pi * 0.7 * t) + 0.03 * np.sin(10 * np.pi * t))
    phase, syllable = 2 * np.pi * np.cumsum(pitch) / RATE, (4 * t).astype(int)
    formants = vowels[(7 * syllable + syllable // 3) % 5].T
    formants = [np.convolve(each, np.full(800, 1 / 800), "same") for each in formants]  # they glide
    voice = np.zeros(t.size)
    for k in range(1, 30):
        gains = [g / (1 + ((k * pitch - f) / w) ** 2) for f, w, g in zip(formants, (80, 100, 140), (1, 0.6, 0.3))]
        voice += np.sum(gains, 0) * np.sin(k * phase) / k**0.3
    swell = np.sin(np.pi * np.clip((4 * t - syllable) / 0.8, 0, 1)) * (t % 3 < 2)
    return (0.15 * voice * swell + 0.003 * np.random.default_rng(0).normal(size=t.size)).astype("float32")


def main() -> None:
    """Print the mean probability of each second."""
    found = importlib.util.find_spec("silero_vad")
    if found is None or not found.submodule_search_locations:
        sys.exit("pip install --no-deps silero-vad, whose wheel has the model")
    model = onnx.import_model(Path(found.submodule_search_locations[0]) / "data" / "silero_vad.onnx")
    files = [each for each in sys.argv[1:] if each != "--quick"]
    sound = read_sound(files[0]) if files else make_sound(9 if "--quick" in sys.argv else 60)
    frames = sound[: sound.size // FRAME * FRAME].reshape(-1, FRAME)

    row, state, speaks = np.zeros((1, BEFORE + FRAME), "float32"), np.zeros((2, 1, 128), "float32"), []
    start = time.perf_counter()
    for frame in frames:
        row[0, :BEFORE], row[0, BEFORE:] = row[0, -BEFORE:].copy(), frame
        made = model({"input": row, "state": state, "sr": np.array(RATE)})
        state = made["stateN"]
        speaks.append(float(made["output"][0, 0]))
    took = (time.perf_counter() - start) / len(frames)

    for second in range(len(frames) * FRAME // RATE):
        part = speaks[second * RATE // FRAME : (second + 1) * RATE // FRAME]
        print(f"{second:3} s  {'#' * round(40 * float(np.mean(part))):40}  {np.mean(part):.2f}")
    print(f"{len(frames)} frames of {1000 * FRAME / RATE:.0f} ms, {1e6 * took:.0f} microseconds each")
    if not files:
        voice = np.arange(len(frames)) * FRAME / RATE % 3 < 2
        print(f"{np.mean((np.array(speaks) > 0.5) == voice):.0%} of them right; all voice: {voice.mean():.0%}")


if __name__ == "__main__":
    main()
