"""Layers and models as safetensors files: `save` and `load`.

The header of a file holds, as JSON under the key ``pylstm``: the format, the version of pylstm, for every layer its
kind, sizes and dtype, for recurrent layers the cell with its package and its blocks in order, and a digest of it all.
"""

from __future__ import annotations

import contextlib
import fcntl
import glob
import hashlib
import importlib
import json
import os
import secrets
import sys
from collections.abc import Mapping
from typing import Any, BinaryIO

import numpy as np

FORMAT = 1
"""Number of the layout of the header; a file with a higher one is refused."""

LAYERS = {
    "recurrent": "pylstm.layers.recurrent:Recurrent",
    "linear": "pylstm.layers.linear:Linear",
    "mlp": "pylstm.layers.mlp:MLP",
    "embedding": "pylstm.layers.embedding:Embedding",
    "bidirectional": "pylstm.layers.stack:Bidirectional",
    "stack": "pylstm.layers.stack:Stack",
}
"""Kind -> class of the layers that a file can hold."""

MODELS = {
    "char_model": "pylstm.training.char_model:CharModel",
    "sequence_model": "pylstm.training.sequence_model:SequenceModel",
    "forecast_model": "pylstm.training.forecast:ForecastModel",
    "classify_model": "pylstm.training.classify:ClassifyModel",
    "sequence_classifier": "pylstm.estimators.classifier:SequenceClassifier",
    "sequence_regressor": "pylstm.estimators.regressor:SequenceRegressor",
    "forecaster": "pylstm.estimators.forecaster:Forecaster",
}
"""Kind -> class of the models: objects with `parts`, `metadata` and `from_parts`."""

BLOCKS = ("states", "gates", "emissions", "params", "aux")
"""The blocks of a cell whose names and order must be the same when a file is read as when it was written."""


def save(path: str | os.PathLike[str], model: Any, *, about: Mapping[str, Any] | None = None) -> None:
    """Write a layer or a model to a safetensors file.

    The file is written whole under another name and then renamed: whoever reads `path` sees the old file or the new.
    The temporary file of a writer that was killed, ``PATH.xxxxxxxx.tmp``, is removed by the next write.

    Parameters
    ----------
    path : path
    model : layer, CharModel, SequenceModel, or dict of str to layer
        A layer is a `Recurrent`, `Stack`, `Bidirectional`, `Linear`, `MLP` or `Embedding`; `LSTM`, `GRU` and `RNN` come
        back as `Recurrent`, a stack in training mode.
    about : dict, optional
        What else the file is to say, such as what the model was trained on; what JSON can hold. See `read_about`.

    Raises
    ------
    TypeError
        Something else.
    ValueError
        A layer name with a dot or empty; `path` is there and is not a regular file.
    OSError
        The file cannot be written.

    Examples
    --------
    >>> import os, tempfile
    >>> from pylstm.layers.linear import Linear
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(os.path.join(folder, "head.safetensors"), {"head": Linear(3, 2)})
    ...     load(os.path.join(folder, "head.safetensors"))
    {'head': Linear(3, 2, dtype='float32')}
    """
    kind, parts, metadata = _take_apart(model)
    tensors = {
        _tensor_name(part, name): np.ascontiguousarray(array)
        for part, layer in parts.items()
        for name, array in layer.params.items()
    }
    header = {
        "kind": kind,
        "parts": {name: _describe(layer) for name, layer in parts.items()},
        "metadata": metadata,
    }
    if about is not None:
        header["about"] = dict(about)
    write_file(path, header, tensors)


def load(path: str | os.PathLike[str]) -> Any:
    """Read what `save` wrote: the same layer, model or dict of layers.

    Parameters
    ----------
    path : path

    Raises
    ------
    OSError
        The file cannot be read.
    LookupError
        Its cell is not registered; names the package that had it.
    ValueError
        Not a file of `save`, cut short, damaged, of a later version, or its cell has changed since.
    """
    header, tensors = read_file(path)
    if str(header.get("kind")).startswith("checkpoint"):
        raise ValueError(f"{path}: a {header['kind']}, not a model: it is for going on with that training")
    parts = {}
    for part, description in header["parts"].items():
        layer = _build(path, description)
        expected = {_tensor_name(part, name): name for name in layer.params}
        prefix = _tensor_name(part, "")
        found = {name for name in tensors if name.startswith(prefix)}
        missing, unexpected = sorted(expected.keys() - found), sorted(found - expected.keys())
        if missing or unexpected:
            raise ValueError(f"{path}: missing tensors {missing}, unexpected tensors {unexpected} for {layer!r}")
        try:
            layer.params.update({name: tensors[full] for full, name in expected.items()})
        except (TypeError, ValueError) as error:
            raise ValueError(f"{path}: {error}") from None
        parts[part] = layer
    if header["kind"] == "layer":
        return parts[""]
    if header["kind"] == "dict":
        return parts
    return _class_of(path, MODELS, header["kind"]).from_parts(parts, header["metadata"])


def read_about(path: str | os.PathLike[str]) -> dict[str, Any]:
    """What `save` was given as `about`; an empty dict if nothing.

    Raises
    ------
    OSError, ValueError
        As `load`.
    """
    return read_file(path)[0].get("about", {})


def _take_apart(model: Any) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """Kind, layers by name and metadata of what `save` was given."""
    if _kind_of(LAYERS, model):
        return "layer", {"": model}, {}
    kind = _kind_of(MODELS, model)
    if kind:
        return kind, model.parts, model.metadata
    if not isinstance(model, Mapping) or not model:
        raise TypeError(
            f"save takes a layer, a CharModel, a SequenceModel or a dict of layers, got {type(model).__name__}"
        )
    for name, layer in model.items():
        if not _kind_of(LAYERS, layer):
            raise TypeError(f"save: {name!r} is no layer but {type(layer).__name__} (layers: {', '.join(LAYERS)})")
        if not isinstance(name, str) or not name or "." in name:
            raise ValueError(f"save: {name!r} cannot be the name of a layer: a str without dots is needed")
    return "dict", dict(model), {}


def _describe(layer: Any) -> dict[str, Any]:
    """What is needed to build `layer` again, besides its parameters."""
    kind = _kind_of(LAYERS, layer)
    description: dict[str, Any] = {"layer": kind, "dtype": layer.params.dtype.name}
    if kind == "linear":
        arguments = {"in_features": layer.in_features, "out_features": layer.out_features, "bias": layer.bias}
    elif kind == "mlp":
        names = ("in_features", "out_features", "activation", "bias")
        arguments = {name: getattr(layer, name) for name in names} | {"sizes": list(layer.sizes)}
    elif kind == "embedding":
        arguments = {"count": layer.count, "features": layer.features}
    elif kind in ("stack", "bidirectional"):
        description["layers"] = [_describe(part) for part in layer.parts.values()]
        arguments = {"dropout": layer.dropout, "residual": list(layer.residual)} if kind == "stack" else {}
    else:
        names = ("input_size", "hidden_size", "bias", "batch_first")
        arguments = {name: getattr(layer, name) for name in names} | layer.sizes
        if layer.learn_initial:
            arguments["learn_initial"] = list(layer.learn_initial)
        if layer.cell.options:
            description["options"] = dict(layer.cell.options)
        package = layer.cell.__module__.partition(".")[0]
        description |= {"cell": layer.cell.name, "package": package, "blocks": _blocks(layer.cell.contract)}
    return description | {"arguments": arguments}


def _blocks(contract: Any) -> dict[str, Any]:
    """Names of a cell's blocks in order, with the sources of each gate."""
    blocks: dict[str, Any] = {kind: list(getattr(contract, kind)) for kind in BLOCKS}
    blocks["gates"] = [f"{gate}={'+'.join(contract.gate_sources[gate])}" for gate in contract.gates]
    return blocks


def _build(path: Any, description: dict[str, Any]) -> Any:
    """A layer as `_describe` described it."""
    make = _class_of(path, LAYERS, description["layer"])
    if "layers" in description:
        parts = [_build(path, part) for part in description["layers"]]
        return make(parts, **description["arguments"]) if description["layer"] == "stack" else make(*parts)
    arguments = description["arguments"] | {"dtype": description["dtype"]}
    if description["layer"] != "recurrent":
        return make(**arguments)
    name, package = description["cell"], description["package"]
    try:
        layer = make(name, **arguments, **description.get("options", {}))
    except LookupError as error:
        raise LookupError(
            f"{path}: needs the cell {name!r} of package {package!r}, which is not registered: install that package, "
            f"or call pylstm.register with the cell before load ({error.args[0] if error.args else error})"
        ) from None
    except TypeError as error:
        raise ValueError(f"{path}: the cell {name!r} (package {package!r}) has changed since: {error}") from None
    blocks = _blocks(layer.cell.contract)
    for kind in BLOCKS:
        saved = description["blocks"][kind]
        if saved != blocks[kind]:
            raise ValueError(
                f"{path}: the cell {name!r} has changed since: {kind} were {', '.join(saved) or 'none'} (package "
                f"{package!r}), now {', '.join(blocks[kind]) or 'none'} (package "
                f"{layer.cell.__module__.partition('.')[0]!r})"
            )
    return layer


def write_file(path: str | os.PathLike[str], header: dict[str, Any], tensors: Mapping[str, np.ndarray]) -> None:
    """Write contiguous `tensors` under `header`, to which format, version and digest are added; whole or not at all."""
    # Here and in `read_file`: slow to import, and `import pylstm` imports this module.
    from importlib.metadata import version

    import safetensors.numpy

    header = {"format": FORMAT, "version": version("pylstm")} | header
    header["sha256"] = _digest(header, tensors)
    _write(path, safetensors.numpy.save(dict(tensors), metadata={"pylstm": json.dumps(header)}))


def read_file(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Header and tensors of a file, checked against each other."""
    import safetensors

    with open(path, "rb"):
        pass
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
    except (safetensors.SafetensorError, ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"{path}: not a safetensors file, or cut short or damaged ({error})") from None
    if "pylstm" not in metadata:
        raise ValueError(f"{path}: a safetensors file, but not one that pylstm.save wrote (no header 'pylstm')")
    try:
        header = json.loads(metadata["pylstm"])
        number, version, digest = header["format"], header["version"], header.pop("sha256")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path}: the header is damaged ({error!r})") from None
    if number != FORMAT:
        raise ValueError(f"{path}: format {number}, written by pylstm {version}; this version reads format {FORMAT}")
    if _digest(header, tensors) != digest:
        raise ValueError(f"{path}: damaged: the data are not those that were saved (sha256 differs)")
    return header, tensors


def _write(path: str | os.PathLike[str], data: bytes) -> None:
    """Write `data` to a new file beside `path`, then rename it; remove what killed writers have left there."""
    target = os.path.realpath(path)
    if os.path.exists(target) and not os.path.isfile(target):
        raise ValueError(f"{path}: exists but is not a regular file")
    for left in glob.glob(f"{glob.escape(target)}.{'[0-9a-f]' * 8}.tmp"):
        _remove_unlocked(left)
    temporary = f"{target}.{secrets.token_hex(4)}.tmp"
    try:
        with _create_locked(temporary) as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def _create_locked(path: str) -> BinaryIO:
    """A new file, locked as long as it is open: a temporary file without a lock is one of a writer that was killed."""
    while True:
        file = open(path, "xb")  # noqa: SIM115 (the caller closes it)
        with contextlib.suppress(OSError):  # a file system without locks: there nobody gets one to remove the file
            fcntl.flock(file, fcntl.LOCK_EX)
        if os.fstat(file.fileno()).st_nlink:
            return file
        file.close()  # removed by another writer before it was locked


def _remove_unlocked(path: str) -> None:
    """Remove a temporary file unless its writer lives."""
    with contextlib.suppress(OSError), open(path, "r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.unlink(path)


def _digest(header: dict[str, Any], tensors: Mapping[str, np.ndarray]) -> str:
    """Of the rest of the header, then of names, dtypes, shapes and data in the order of the names."""
    digest = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    for name in sorted(tensors):
        array = tensors[name]
        digest.update(f"{name} {array.dtype.name} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False).tobytes())
    return digest.hexdigest()


def _tensor_name(part: str, name: str) -> str:
    return f"{part}.{name}" if part else name


def _resolve(location: str) -> type:
    module, _, name = location.partition(":")
    return getattr(importlib.import_module(module), name)


def _kind_of(kinds: dict[str, str], thing: Any) -> str:
    """The kind of `thing`, or "". Nothing is imported: whoever has an object has its class."""
    for kind, location in kinds.items():
        module, _, name = location.partition(":")
        if module in sys.modules and isinstance(thing, getattr(sys.modules[module], name)):
            return kind
    return ""


def _class_of(path: Any, kinds: dict[str, str], kind: str) -> Any:
    if kind not in kinds:
        raise ValueError(f"{path}: holds a {kind!r}, which this version of pylstm does not know")
    return _resolve(kinds[kind])
