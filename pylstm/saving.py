"""Layers and models as safetensors files: `save` and `load`.

The header of a file (`pylstm.files`) holds for every layer its kind, sizes and dtype, for recurrent layers the cell
with its package, blocks, options and a few values that it computes (`Layer.describe`); for models what they say of
themselves. `load` checks every entry and compares sizes with tensors before anything is allocated.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from pylstm.cells.cell import check_cell
from pylstm.cells.contracts.options import base_of
from pylstm.checks import check_flag, quoted
from pylstm.described import HasParts, Layer, Model, owner_of
from pylstm.files import Path, Shapes, path_text, read_file, write_file
from pylstm.hints import absent, explained
from pylstm.kinds import KINDS, MOST_LAYERS, Plan, Wanted, describe, kind_of, plan_of
from pylstm.rehearsal import check_attributes, check_same, is_ours, members, rehearsed
from pylstm.schema import Entries, check_storable, malformed
from pylstm.wording import named, with_article

__all__ = ["Entries", "Layer", "Model", "Plan", "Wanted", "load", "read_about", "save"]

if not TYPE_CHECKING:
    __getattr__ = absent(__name__)


@explained()
def save(
    path: Path,
    model: Layer | Model | HasParts | Mapping[str, Layer],
    *,
    about: Mapping[str, Any] | None = None,
    allow_nonfinite: bool = False,
) -> None:
    """Write a layer or a model to a safetensors file.

    The file is written whole under another name and then renamed: whoever reads `path` sees the old file or the new.
    The temporary file of a writer that was killed, ``PATH.xxxxxxxx.tmp``, is removed by the next write.

    Parameters
    ----------
    path : str, bytes or path
    model : layer, model, or dict of str to layer
        A layer is a `Recurrent`, `LSTM`, `GRU`, `RNN`, `Stack`, `Bidirectional`, `Linear`, `MLP` or `Embedding`; it is
        loaded as that, and a stack in training mode. A model is one of this
        package (`CharModel`, `SequenceModel`, `ForecastModel`, `ClassifyModel`, the estimators), or of yours: an object
        with `parts`, a dict of name to layer, `metadata`, a dict that JSON can hold, and the class method
        ``from_parts(parts, metadata)``. Of an optimiser, also that of `SequenceClassifier.partial_fit`, the file has
        no state.
    about : dict, optional
        What else the file is to say, such as what the model was trained on; what JSON can hold. See `read_about`.
        Tuples come back as lists, from `metadata`, too.
    allow_nonfinite : bool
        Whether parameters may be NaN or infinite; such a file is read by ``load(path, allow_nonfinite=True)``.

    Raises
    ------
    TypeError
        Something else; a subclass of a layer without a kind of its own, or that `load` would bring back with other
        options or attributes, or not at all; `metadata` or `about` that JSON cannot hold or would change: keys that
        are not texts, sets, arrays, NaN.
    ValueError
        A layer name with a dot or empty; more than 1,000 layers; a layer that is in two parts; a model that `load`
        would refuse, as an attribute or a parameter was set since the fit; parameters that are not finite; `path`
        exists and is not a regular file.
    OSError
        The file cannot be written.

    Examples
    --------
    >>> import os, tempfile
    >>> from pylstm.feedforward import Linear
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(os.path.join(folder, "head.safetensors"), {"head": Linear(3, 2)})
    ...     load(os.path.join(folder, "head.safetensors"))
    {'head': Linear(3, 2, dtype='float32')}
    """
    if isinstance(model, str | bytes | os.PathLike) and not isinstance(path, str | bytes | os.PathLike):
        raise TypeError(f"save takes the path first: save(path, model), got {type(path).__name__} and {model!r}")
    header, parts = _take_apart(model)
    tensors = {
        _tensor_name(part, name): np.ascontiguousarray(array)
        for part, layer in parts.items()
        for name, array in layer.params.items()
    }
    if not allow_nonfinite:
        _check_finite(tensors, "save: ", "save(path, model, allow_nonfinite=True) writes it nevertheless")
    _check_leaves(parts)
    header["parts"] = {name: describe(layer) for name, layer in parts.items()}
    if about is not None:
        header["about"] = _stored(about, "about")
    _check_readable(header, parts, model)
    _check_remade(header, parts, {name: (array.dtype.name, array.shape) for name, array in tensors.items()})
    write_file(path, header, tensors)


@explained()
def load(
    path: Path, *, cell: Any = None, model: Any = None, certified: bool = True, allow_nonfinite: bool = False
) -> Any:
    """Read a file of `save`: the same layer, model or dict of layers.

    A file is data: it names a class, but nothing is imported or run because a file says so, and a file that was changed
    on purpose is refused like one that is damaged.

    Parameters
    ----------
    path : str, bytes or path
    cell : Cell subclass, or list of them, optional
        Cells that are not registered, of a script or a notebook; they are found by their names.
    model : type, optional
        The class of a model of your own, with ``from_parts(parts, metadata)``. Needed for such files, and only there.
    certified : bool
        With False no cell of the file is certified, and its layers are as made with ``certified=False``. Needed for
        layers that were saved as such: a file does not switch certification off by itself.
    allow_nonfinite : bool
        Whether parameters may be NaN or infinite.

    Raises
    ------
    OSError
        The file cannot be read.
    LookupError
        Its cell is not registered; names the package that had it.
    TypeError
        `cell` is neither a class nor a list of them; `model` is not a class with ``from_parts``.
    ValueError
        Not a file of `save`, cut short, damaged, of a later version; an entry that is not what it must be; parameters
        that are not finite; the cell has changed since: its blocks, its output, its biases, or what it computes; an
        option with which it would run for long; a cell that fails certification; a layer made with
        ``certified=False``.

    Examples
    --------
    >>> import os, tempfile, pylstm
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "net.safetensors")
    ...     pylstm.save(path, pylstm.GRU(3, 5))
    ...     pylstm.load(path)
    GRU(3, 5, dtype='float32')
    """
    _check_class(model)
    wanted, plans, file = Wanted(_by_name(cell), check_flag("certified", certified)), {}, path_text(path)

    def check(header: dict[str, Any], shapes: Shapes) -> None:
        with malformed(file):
            kind = Entries(header, "").text("kind")
            if kind.startswith("checkpoint"):
                raise ValueError(f"holds a {kind[:60]}, not a model: training resumes from it")
            plans.update(_plans(_described(header), wanted))
            _check_shapes(plans, shapes)

    header, tensors = read_file(path, check)
    with malformed(file):
        if not allow_nonfinite:
            _check_finite(tensors, "", "load(path, allow_nonfinite=True) reads it nevertheless")
        make = _maker(Entries(header, ""), header["kind"], model, plans)
        _refuse_unused(wanted.cells, header["parts"])
        parts = {}
        for part, plan in plans.items():
            parts[part] = plan.make()
            parts[part].params.update({name: tensors[_tensor_name(part, name)] for name in plan.shapes})
        return make(parts)


def _described(header: dict[str, Any]) -> dict[str, Entries]:
    """Part -> its description in the header."""
    described = Entries(header, "").entries("parts")
    return {name: described.entries(name) for name in described.value}


@explained()
def read_about(path: Path) -> dict[str, Any]:
    """The `about` that was passed to `save`; an empty dict if none.

    Raises
    ------
    OSError, ValueError
        As `load`.

    Examples
    --------
    >>> import os, tempfile, pylstm
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "net.safetensors")
    ...     pylstm.save(path, pylstm.GRU(3, 5), about={"data": "flow.csv", "epochs": 20})
    ...     pylstm.saving.read_about(path)
    {'data': 'flow.csv', 'epochs': 20}
    """
    header, _ = read_file(path)
    with malformed(os.fsdecode(path)):
        entries = Entries(header, "")
        return dict(entries.entries("about").value) if "about" in header else {}


def _take_apart(model: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header without the parts, and layers by name, of the object to save."""
    if isinstance(model, Layer):
        return {"kind": "layer", "metadata": {}}, {"": model}
    kind = kind_of(model)
    if kind:
        parts = model.parts  # first: a model that was not fitted says so
        return {"kind": kind, "metadata": _stored(model.metadata, f"{type(model).__qualname__}.metadata")}, parts
    if not isinstance(model, Mapping) and callable(getattr(type(model), "from_parts", None)):
        return _take_apart_own(model)
    if not isinstance(model, Mapping) or not model:
        got = "an empty dict" if isinstance(model, Mapping) else named(model)
        own = "" if ": " in got else " (your own model needs `parts`, `metadata` and a class method `from_parts`)"
        raise TypeError(f"save takes a layer, a model or a dict of layers, got {got}{own}")
    _check_parts(model)
    return {"kind": "dict", "metadata": {}}, dict(model)


def _take_apart_own(model: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    place = type(model).__qualname__
    parts, metadata = getattr(model, "parts", None), getattr(model, "metadata", None)
    if not isinstance(parts, Mapping):
        raise TypeError(f"save: {place}.parts must be a dict, got {type(parts).__name__}")
    _check_parts(parts)
    header = {"kind": "model", "class": f"{type(model).__module__}:{place}"}
    return header | {"metadata": _stored(metadata, f"{place}.metadata")}, dict(parts)


def _stored(value: Any, name: str) -> dict[str, Any]:
    """A dict that comes back as it is."""
    if not isinstance(value, Mapping):
        raise TypeError(f"save: {name} must be a dict, got {type(value).__name__}")
    check_storable(dict(value), f"save: {name}")
    return dict(value)


def _check_parts(parts: Mapping[str, Any]) -> None:
    for name, layer in parts.items():
        if not isinstance(layer, Layer):
            kinds = ", ".join(KINDS.names(Layer))
            raise TypeError(f"save: {name!r} must be a layer ({kinds}), got {named(layer)}")
        if not isinstance(name, str) or not name or "." in name:
            raise ValueError(f"save: the name of a layer must be a non-empty str without dots, got {name!r}")


def _check_leaves(parts: Mapping[str, Any]) -> None:
    """No more layers than a file can hold, none of them twice, and one cell for each name: by that a file is read."""
    leaves = [(name, leaf) for name, layer in parts.items() for leaf in getattr(layer, "recurrents", [layer])]
    if len(leaves) > MOST_LAYERS:
        raise ValueError(f"save: a file can hold {MOST_LAYERS} layers, got {len(leaves)}: write several files")
    owners: dict[int, str] = {}
    for name, leaf in leaves:
        if owners.setdefault(id(leaf), name) != name:
            raise ValueError(
                f"save: {owners[id(leaf)]!r} and {name!r} share a layer, and would come back with one each: leave one "
                "out of the parts, and share the layer again in from_parts, or after load"
            )
    found: dict[str, Any] = {}
    for cell in (base_of(leaf.cell) for _, leaf in leaves if isinstance(getattr(leaf, "cell", None), type)):
        if found.setdefault(cell.name, cell) is not cell:
            raise ValueError(f"save: two different cells have the name {cell.name!r}: set `name` in one of the classes")


def _check_remade(header: Mapping[str, Any], parts: Mapping[str, Any], shapes: Shapes) -> None:
    """Build layers of a user's classes as `load` would: no file is written that brings back others, or none."""
    if all(is_ours(type(each)) for layer in parts.values() for each in members(layer)):
        return
    leaves = [each for layer in parts.values() for each in members(layer) if hasattr(each, "certified")]
    wanted = Wanted({base_of(leaf.cell).name: base_of(leaf.cell) for leaf in leaves}, all(e.certified for e in leaves))
    with rehearsed():
        plans = _plans(_described({"parts": json.loads(json.dumps(header["parts"]))}), wanted)
        _check_shapes(plans, shapes)
        made = {name: plan.make() for name, plan in plans.items()}
        for name, layer in parts.items():
            made[name].params.update(layer.params)
    for name, layer in parts.items():
        check_same(layer, made[name], wanted)


def _check_readable(header: Mapping[str, Any], parts: Mapping[str, Any], model: Any) -> None:
    """What `load` would refuse of a model of this package: no file that cannot be read replaces one that can."""
    kind = header["kind"]
    if kind in ("layer", "dict", "model"):
        return
    try:
        with malformed("save", "what it says of itself"):
            made = _maker(Entries(json.loads(json.dumps(header)), ""), kind, None, {})(dict(parts))
    except ValueError as error:
        raise ValueError(
            f"{error}: load would refuse this {type(model).__name__}. An option was changed after the fit: "
            "restore it or fit again, then save"
        ) from None
    cls: Any = type(model)
    if not is_ours(cls) and hasattr(cls, "metadata") and is_ours(owner_of(cls, "metadata")):
        base: Any = next(each for each in cls.__mro__ if is_ours(each) and vars(each).get("kind"))
        with rehearsed():
            plain = base.from_parts(dict(parts), json.loads(json.dumps(header["metadata"])))
        check_attributes(model, made, plain)


def _check_class(model: Any) -> None:
    if model is None or (isinstance(model, type) and callable(getattr(model, "from_parts", None))):
        return
    cls = type(model)
    cure = f", an object of it: pass {cls.__name__} itself" if callable(getattr(cls, "from_parts", None)) else ""
    raise TypeError(f"model= takes a class with from_parts, got {quoted(model)}{cure}")


def _by_name(cell: Any) -> dict[str, Any]:
    several = isinstance(cell, Iterable) and not isinstance(cell, type | str)
    cells = [] if cell is None else list(cell) if several else [cell]
    for each in cells:
        try:
            check_cell(each)
        except TypeError as error:
            raise TypeError(f"cell= takes a class, or a list of them: {error}") from None
    return {each.name: each for each in cells}


def _refuse_unused(cells: Mapping[str, Any], described: Any) -> None:
    text = json.dumps(described)
    for name in cells:
        if f'"cell": {json.dumps(name)}' not in text:
            found = ", ".join(sorted(set(re.findall(r'"cell": ("(?:[^"\\]|\\.)*")', text)))).replace('"', "'")
            holds = f"its cells are {found:.200}" if found else "it has no recurrent layer"
            raise ValueError(f"the file has no layer of the cell {name!r}, which was passed as cell=: {holds}")


def _plans(described: Mapping[str, Entries], wanted: Wanted) -> dict[str, Plan]:
    """Part -> plan; no more layers than a file can hold."""
    if len(described) > MOST_LAYERS:
        raise ValueError(f"a file can hold {MOST_LAYERS} layers, got {len(described)}")
    plans = {part: plan_of(each, wanted, Layer) for part, each in described.items()}
    if sum(plan.count for plan in plans.values()) > MOST_LAYERS:
        raise ValueError(f"a file can hold {MOST_LAYERS} layers, got {sum(plan.count for plan in plans.values())}")
    return plans


def _check_shapes(plans: Mapping[str, Plan], found: Shapes) -> None:
    """The tensors are those of the layers: names, dtypes, shapes."""
    expected = {
        _tensor_name(part, name): (plan.dtype, shape)
        for part, plan in plans.items()
        for name, shape in plan.shapes.items()
    }
    missing, unexpected = sorted(expected.keys() - found.keys()), sorted(found.keys() - expected.keys())
    if missing or unexpected:
        raise ValueError(
            f"missing tensors {missing[:9]}, unexpected tensors {unexpected[:9]} for the layers of the header: the "
            "file is damaged or was changed"
        )
    for name, (dtype, shape) in expected.items():
        if found[name] != (dtype, shape):
            raise ValueError(
                f"tensor {name!r} must be {dtype} of shape {shape} by the header, got {found[name][0]} "
                f"{found[name][1]}: the file is damaged or was changed"
            )


def _check_finite(tensors: Mapping[str, np.ndarray], where: str, cure: str) -> None:
    for name, found in tensors.items():
        if not np.isfinite(found).all():
            raise ValueError(f"{where}parameter {name!r} holds {found[~np.isfinite(found)][0]}: {cure}")


def _maker(entries: Entries, kind: str, model: Any, plans: Mapping[str, Plan]) -> Any:
    """The function that makes an object of a kind from its layers."""
    if kind != "model" and model is not None:
        raise ValueError(f"holds a {kind!r}: leave out model=, which is for your own models")
    says = entries.entries("metadata")
    if kind in ("layer", "dict"):
        says.only(())
    if kind == "layer":
        if list(plans) != [""]:
            entries.refuse("must hold one layer, without a name", list(plans), "parts")
        return lambda parts: parts[""]
    if kind == "dict":
        return dict
    metadata = says.value
    if kind != "model":
        cls: Any = KINDS.find(kind)
        if cls is not None and callable(getattr(cls, "from_parts", None)):
            return lambda parts: cls.from_parts(parts, metadata)
        raise ValueError(f"holds a {kind[:60]!r}, which this version of pylstm does not know")
    module, _, name = entries.text("class").partition(":")
    if model is None:
        short = name.rpartition(".")[2][:60]
        raise ValueError(
            f"holds {with_article(short)} of module {module[:60]}: load(path, model={short}) with that class"
        )
    if model.__qualname__ != name:
        raise ValueError(f"holds a {name[:200]}: model= must be that class, got {model!r}")
    return lambda parts: model.from_parts(parts, metadata)


def _tensor_name(part: str, name: str) -> str:
    return f"{part}.{name}" if part else name
