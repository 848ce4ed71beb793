"""Files of all kinds whose headers are changed at random and signed anew: what `load` does with them."""

import contextlib
import copy
import json
import random
import time
import tracemalloc

import numpy as np

import pylstm
from pylstm import files
from pylstm.datasets import Vocabulary
from pylstm.feedforward.embedding import Embedding
from pylstm.feedforward.linear import Linear
from pylstm.feedforward.mlp import MLP
from pylstm.forecasting.forecast_model import ForecastModel
from pylstm.layers.bidirectional import Bidirectional
from pylstm.models.classify_model import ClassifyModel
from pylstm.text.char_model import CharModel
from pylstm.training.checkpoint import read_checkpoint, write_checkpoint

HOSTILE = (
    None, True, False, 0, 1, -1, 2, 3, 9000, 2**31, 2**63, 10**400, -(10**30), 0.5, -2.0, 1e308, float("nan"),
    float("inf"), "", "lstm", "x", "0" * 50, "float32", "../../x", "\0", "os:system", [], [1], [[1.0]], [None], ["h"],
    [[]], {}, {"a": 1}, {"layer": "linear"}, {"value": 1}, {"array": "x"}, [0] * 40, ["h"] * 5,
    [{"layer": "stack", "layers": []}],
)  # fmt: skip


class Own:
    """A user's model."""

    def __init__(self, net, power):
        self.net, self.power = net, power

    @property
    def parts(self):
        return {"net": self.net}

    @property
    def metadata(self):
        return {"power": self.power}

    @classmethod
    def from_parts(cls, parts, metadata):
        return cls(parts["net"], metadata["power"])


def specimens():
    """Name -> (header, tensors, function that reads a file of this kind)."""
    rng = np.random.default_rng(0)
    series = np.sin(np.arange(60.0)) + rng.normal(size=60) * 0.1
    forecast = ForecastModel("gru", 4, window=8, season=3, seed=0)
    forecast.fit(series, rng.normal(size=(60, 2)), epochs=1, validation=0.2)
    classify = ClassifyModel(["a", "b"], "gru", 4, num_layers=2, dropout=0.1, seed=0)
    classify.fit([rng.normal(size=(k, 2)) for k in (3, 4, 5, 6)], [0, 1, 0, 1], epochs=1)
    things = {
        "linear": Linear(3, 2),
        "mlp": MLP(3, (4, 5), 2),
        "embedding": Embedding(7, 3),
        "recurrent": pylstm.Recurrent("cornn", 3, 4, learn_initial=True, dt=0.2),
        "sized": pylstm.Recurrent("lstmp", 3, 4, proj_size=2),
        "stack": pylstm.LSTM(3, 4, num_layers=2, bidirectional=True, dropout=0.1),
        "bidirectional": Bidirectional(pylstm.GRU(3, 4), pylstm.GRU(3, 4)),
        "dict": {"one": pylstm.GRU(3, 4), "two": Linear(4, 1)},
        "char_model": CharModel(Vocabulary("abc"), hidden_size=4, embedding_size=3),
        "sequence_model": pylstm.SequenceModel("lstm", 2, 4, 3, num_layers=2, dropout=0.1, head_sizes=(5,)),
        "indices": pylstm.SequenceModel("gru", 3, 4, 2, vocabulary=5),
        "forecast_model": forecast,
        "classify_model": classify,
        "own": Own(pylstm.GRU(3, 4), 2),
    }
    with contextlib.suppress(ImportError):
        x, y = rng.normal(size=(12, 5, 2)), np.arange(12) % 3
        options = {"epochs": 1, "random_state": 0}
        things["classifier"] = pylstm.SequenceClassifier("cornn", 4, cell_options={"dt": 0.2}, **options).fit(x, y)
        things["regressor"] = pylstm.SequenceRegressor("gru", 4, num_layers=2, **options).fit(
            x, rng.normal(size=(12, 2))
        )
        things["forecaster"] = pylstm.Forecaster("gru", 4, window=8, **options).fit(series + 0.3 * np.arange(60))
    return things


def written(folder):
    """Name -> (header, tensors, reader) of a file of each kind."""
    found = {}
    for name, thing in specimens().items():
        path = folder / f"{name}.safetensors"
        pylstm.save(path, thing, about={"made": "by a test"})
        read = (lambda path: pylstm.load(path, model=Own)) if name == "own" else pylstm.load
        found[name] = (*files.read_file(path), read)
    path = folder / "checkpoint"
    write_checkpoint(path, "fit", {"step": 3, "states": {"h": np.zeros(2)}, "rng": [{"state": 1}]})
    found["checkpoint"] = (*files.read_file(path), lambda path: read_checkpoint(path, "fit"))
    return found


def places(value, path=()):
    """Paths to everything inside a JSON value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        yield (*path, key)
        yield from places(each, (*path, key))


def change(header, rng):
    """One or a few random changes of a header, in place; returns what was done."""
    done = []
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        *way, key = rng.choice([each for each in places(header) if each[0] not in ("format", "version")])
        inside = header
        for each in way:
            inside = inside[each]
        kind = rng.choice(("replace", "replace", "remove", "rename", "grow", "swap"))
        if kind == "remove":
            del inside[key]
        elif kind == "rename" and isinstance(inside, dict):
            inside[rng.choice(("", "x", "layer", "bias", "a.b", key + "x"))] = inside.pop(key)
        elif kind == "grow" and isinstance(inside[key], list | str):
            inside[key] = inside[key] * rng.choice((0, 2, 50))
        elif kind == "grow" and isinstance(inside[key], int | float):
            inside[key] = inside[key] * rng.choice((-1, 1000, 10**9))
        elif kind == "swap":
            other = rng.choice(list(inside) if isinstance(inside, dict) else range(len(inside)))
            inside[key], inside[other] = inside[other], inside[key]
        else:
            inside[key] = copy.deepcopy(rng.choice(HOSTILE))
        done.append((kind, *way, key))
    return done


def write(path, header, tensors):
    """A file with this header, and a right digest."""
    import safetensors.numpy

    header = {"format": files.FORMAT, "version": "0"} | header
    header["sha256"] = files._digest(header, tensors)
    safetensors.numpy.save_file(tensors, path, metadata={"pylstm": json.dumps(header)})


def fuzz(folder, count, seed):
    """Read `count` changed files; yields (kind, changes, outcome, seconds, peak bytes)."""
    rng, kinds = random.Random(seed), written(folder)
    path = folder / "changed.safetensors"
    for number in range(count):
        name = list(kinds)[number % len(kinds)]
        header, tensors, read = kinds[name]
        header = copy.deepcopy(header)
        done = change(header, rng)
        write(path, header, tensors)
        tracemalloc.start()
        start = time.perf_counter()
        try:
            read(path)
            outcome = "read"
        except (ValueError, LookupError, OSError) as error:
            plain = type(error) is ValueError or (
                type(error) is LookupError and "which is not registered" in str(error)
            )
            outcome = type(error).__name__ if plain and str(error).startswith(f"{path}: ") else f"WRONG {error!r}"
        except BaseException as error:
            outcome = f"WRONG {error!r}"
        seconds, (_, peak) = time.perf_counter() - start, tracemalloc.get_traced_memory()
        tracemalloc.stop()
        yield name, done, outcome, seconds, peak
