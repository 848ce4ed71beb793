"""How many blocks and linear maps the time loop holds."""

from __future__ import annotations

from collections.abc import Mapping

from pylstm.wording import some_of

MAX_BLOCKS, MAX_MAPS = 128, 384
"""What the time loop holds: blocks of one kind, linear maps (`pylstm/engine/plan.pxd`)."""
_WIDER = "make one wider block (`widths`) of several"
_LIMITS = {
    "gates": ("gates", _WIDER),
    "states": ("states", _WIDER),
    "emissions": ("emissions", f"emit only what later stages read, or {_WIDER}"),
    "keep": (
        "values kept for backward",
        "write backward by hand and compute cheap ones again, or split the stage and emit some of them",
    ),
    "params": ("parameters", _WIDER),
    "aux": ("aux inputs", _WIDER),
}


def beyond_limits(blocks: Mapping[str, tuple[str, ...]], gate_sources: Mapping[str, tuple[str, ...]]) -> str:
    """What a cell has too many of, and the cure; '' if all is well."""
    for kind, names in blocks.items():
        if len(names) > MAX_BLOCKS:
            what, cure = _LIMITS[kind]
            return f"{len(names)} {what} ({some_of(names)}); at most {MAX_BLOCKS} are possible: {cure}"
    maps = [f"{gate} of {source}" for gate, sources in gate_sources.items() for source in sources]
    if len(maps) <= MAX_MAPS:
        return ""
    return (
        f"{len(maps)} linear maps ({some_of(maps)}); at most {MAX_MAPS} are possible: let gates have fewer sources, "
        "or make one wider gate (`widths`) of several"
    )
