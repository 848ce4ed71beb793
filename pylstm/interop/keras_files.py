"""`load`: the recurrent layers of a model file of Keras in HDF5, with their weights. h5py is needed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import h5py
import numpy as np

from pylstm.cells.hard_sigmoid import CELLS
from pylstm.checks import Dtype, check_dtype, quoted
from pylstm.files import open_to_read, path_text
from pylstm.hints import explained
from pylstm.interop.keras_configs import RECURRENT, cell_of, inner_of
from pylstm.interop.keras_weights import load_weights
from pylstm.layers.named import Recurrent
from pylstm.layers.stack import Stack
from pylstm.schema import malformed

MODELS = ("Sequential", "Model", "Functional")


@explained()
def load(path: Any, *, dtype: Dtype = "float32", allow_nonfinite: bool = False) -> dict[str, Recurrent | Stack]:
    """Read the recurrent layers of a model file of Keras, ``model.save("net.h5")``.

    Parameters
    ----------
    path : path
        Of a file of Keras 2 or 3 in HDF5; Keras need not be installed.
    dtype : {"float32", "float64"}
        That of the weights in the file.
    allow_nonfinite : bool
        Whether weights may be NaN or infinite, which are refused otherwise.

    Returns
    -------
    dict of str to Recurrent or Stack
        By the layer's name there, with ``batch_first=True``: ``LSTM``, ``GRU``, ``SimpleRNN``, ``CuDNNLSTM``,
        ``CuDNNGRU``, and ``Bidirectional`` of them. With ``recurrent_activation="hard_sigmoid"`` they have the cells of
        this module, with the slope of the version of Keras that wrote the file. Other layers are left out.

    Raises
    ------
    ModuleNotFoundError
        h5py is not installed.
    OSError
        The file cannot be read.
    ValueError
        Not such a file; a file of weights alone, or of Keras' own format; no recurrent layer; a layer that no cell
        computes, or whose weights do not fit.
    """
    name, kind = path_text(path, "pylstm.interop.keras.load(path) reads an .h5 file of Keras"), check_dtype(dtype)
    with open_to_read(name) as file:
        if file.read(4) == b"PK\x03\x04":
            raise ValueError(
                f"{name}: a file of Keras' own format: layer = keras.saving.load_model(path).get_layer(name), then "
                "pylstm.interop.keras.load_weights(ours, layer)"
            )
        if not h5py.is_hdf5(name):
            raise ValueError(f"{name}: not an HDF5 file, or cut short or damaged: write or fetch it again")
    with malformed(name), h5py.File(name, "r") as file:
        return _read(file, (kind, allow_nonfinite))


def _read(file: Any, how: tuple[np.dtype, bool]) -> dict[str, Recurrent | Stack]:
    """The recurrent layers of an open file."""
    if "model_config" not in file.attrs or "model_weights" not in file:
        raise ValueError(
            "holds no model, or weights without the layers that they belong to: make a layer, and pass the arrays to "
            "pylstm.interop.keras.load_weights(layer, weights)"
        )
    version = _text(file.attrs.get("keras_version", "2"))
    layers = list(_layers(json.loads(_text(file.attrs["model_config"]))))
    found = {
        label: _layer(label, each, file["model_weights"], version, how)
        for label, each in layers
        if each["class_name"] in (*RECURRENT, "Bidirectional")
    }
    if not found:
        kinds = sorted({each["class_name"] for _, each in layers})
        raise ValueError(f"no recurrent layer among {', '.join(kinds) or 'none'}")
    return found


def _layers(config: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Name and entry of each layer of a model."""
    inner = config["config"]
    for each in inner if isinstance(inner, list) else inner["layers"]:
        label = each["config"].get("name", each.get("name", ""))
        if each["class_name"] in MODELS:
            raise ValueError(f"{quoted(label)} is a model within the model: save it alone, and load its file")
        yield label, each


def _layer(label: str, entry: Mapping[str, Any], weights: Any, version: str, how: tuple[np.dtype, bool]) -> Any:
    both = entry["class_name"] == "Bidirectional"
    kind, config = inner_of(entry["class_name"], {"name": label} | entry["config"], version)
    cell, options = cell_of(kind, config, version)
    group = weights[label]
    arrays = [np.asarray(group[name]) for name in _names(group)]
    units = config["units"]
    if len(arrays[1]) != units:
        raise ValueError(f"{quoted(label)} has {quoted(units)} units, but a recurrent kernel of {len(arrays[1])} rows")
    layer: Any = Recurrent(
        CELLS.get(cell, cell),
        len(arrays[0]),
        len(arrays[1]),
        bias=bool(config.get("use_bias", True)),
        bidirectional=both,
        batch_first=True,
        dtype=how[0],
        **options,
    )  # type: ignore[call-overload]
    load_weights(layer, arrays, allow_nonfinite=how[1])
    return layer


def _names(group: Any) -> list[str]:
    """Paths of the arrays of a layer, which Keras spreads over several attributes where they are long."""
    if "weight_names" in group.attrs:
        return [_text(each) for each in group.attrs["weight_names"]]
    names: list[str] = []
    while f"weight_names{len(names)}" in group.attrs:
        names += [_text(each) for each in group.attrs[f"weight_names{len(names)}"]]
    return names


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
