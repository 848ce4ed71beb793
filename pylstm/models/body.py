"""Body and head of a `SequenceModel`: `head_on` a body, `parts_of` a file, a body `without_dropout`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pylstm.checks import check_size, listed
from pylstm.feedforward.embedding import Embedding
from pylstm.feedforward.linear import Linear
from pylstm.feedforward.mlp import MLP, check_activation
from pylstm.layers.bidirectional import Bidirectional
from pylstm.layers.named import Recurrent
from pylstm.layers.stack import Stack
from pylstm.models.reading import features_of
from pylstm.schema import Entries


def parts_of(parts: dict[str, Any], read: str) -> tuple[Embedding | None, Any, Linear | MLP]:
    """The layers of a file for a `SequenceModel`, if they fit each other: embedding or None, body, head."""
    says = Entries(parts, "parts").only(("embedding", "layer", "head"))
    embedding, layer, head = parts.get("embedding"), says.get("layer"), says.get("head")
    if not isinstance(layer, Recurrent | Stack | Bidirectional) or not isinstance(head, Linear | MLP):
        raise ValueError(f"parts must be recurrent layers and a Linear or MLP, got {layer!r} and {head!r}")
    width = features_of(read, layer.output_size)
    if head.in_features != width or head.dtype != layer.dtype:
        raise ValueError(f"parts.head must take {width} values of {layer.dtype}, got {head!r}")
    if embedding is None:
        return None, layer, head
    if not isinstance(embedding, Embedding) or (embedding.features, embedding.dtype) != (layer.input_size, layer.dtype):
        raise ValueError(f"parts.embedding must return {layer.input_size} values of {layer.dtype}, got {embedding!r}")
    return embedding, layer, head


def as_list(value: Any) -> list[Any]:
    """`value`, or a list that holds it."""
    return value if isinstance(value, list) else [value]


def check_head_sizes(sizes: Any) -> tuple[int, ...]:
    """The hidden widths of a head."""
    widths = listed("head_sizes", sizes, "the widths of the hidden layers, such as [32]")
    return tuple(check_size("head_sizes", each) for each in widths)


def head_on(layer: Any, read: Any, output_size: int, sizes: Iterable[int], activation: Any, seed: Any) -> Linear | MLP:
    """The map after the read-out `read` of `layer`: linear, or with the hidden widths `sizes`."""
    sizes = check_head_sizes(sizes)
    check_activation(activation)
    if not sizes:
        return Linear(features_of(read, layer.output_size), output_size, dtype=layer.dtype, seed=seed)
    return MLP(features_of(read, layer.output_size), sizes, output_size, activation, dtype=layer.dtype, seed=seed)


def without_dropout(layer: Any) -> Any:
    """The same layers and parameters, in evaluation mode; `layer` itself does not change."""
    if not (isinstance(layer, Stack) and layer.drops):
        return layer
    view = object.__new__(Stack)
    view.__dict__.update(layer.__dict__, training=False)
    return view
