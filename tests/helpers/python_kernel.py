"""A kernel without a compiler: the structs of pylstm/cell.h by ctypes, the row hooks by Python functions."""

from __future__ import annotations

import ctypes

import numpy as np

from pylstm.cells.twin import call, hook

FORWARD = ("gates", "prev", "emissions", "keep", "states", "params", "aux")
BACKWARD = ("dgates", "dprev", "demissions", "dstates", "dparams", "daux")


class Block(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("stride", ctypes.c_ssize_t), ("width", ctypes.c_ssize_t)]


class Rows(ctypes.Structure):
    _fields_ = [("rows", ctypes.c_ssize_t)] + [(kind, ctypes.POINTER(Block)) for kind in FORWARD + BACKWARD]


Hook = ctypes.CFUNCTYPE(None, ctypes.POINTER(Rows), ctypes.c_void_p)


class HookPair(ctypes.Structure):
    _fields_ = [("forward", Hook), ("backward", Hook), ("user", ctypes.c_void_p)]


class CellStruct(ctypes.Structure):
    _fields_ = [
        ("abi", ctypes.c_size_t),
        ("size", ctypes.c_size_t),
        ("name", ctypes.c_char_p),
        *((kind, ctypes.c_ssize_t) for kind in ("stages", "gates", "states", "emissions", "keep", "params", "aux")),
        ("float32", ctypes.POINTER(HookPair)),
        ("float64", ctypes.POINTER(HookPair)),
    ]


ALIVE = []  # a capsule needs its struct for as long as it lives: for the whole test session


def capsule(contract, stages, abi=1, dtypes=("float32", "float64"), **counts):
    """PyCapsule of a kernel; `stages`: (forward, backward) functions of {kind: {name: array}}, one pair a stage."""
    tables = {}
    for dtype in dtypes:
        pairs = [HookPair(*(_hook(contract, function, dtype) for function in pair)) for pair in stages]
        tables[dtype] = (HookPair * len(pairs))(*pairs)
    sizes = {kind: len(names) for kind, names in contract.blocks.items()} | {"stages": len(stages)} | counts
    sizes = {"abi": abi, "size": ctypes.sizeof(CellStruct)} | sizes
    struct = CellStruct(name=contract.name.encode(), **sizes)
    for dtype, table in tables.items():
        setattr(struct, dtype, table)
    new = ctypes.pythonapi.PyCapsule_New
    new.restype, new.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    name = b"pylstm.cell.v1"
    ALIVE.append((struct, tables, name))
    return new(ctypes.addressof(struct), name, None)


def twin_stages(cell):
    """The functions of a right kernel, by the cell's twin."""
    return [(_twin_forward(cell, stage), _twin_backward(cell, stage)) for stage in cell.contract.stages]


def _hook(contract, function, dtype):
    if function is None:
        return Hook()
    names = {"prev": contract.states} | contract.blocks
    item = np.dtype(dtype).itemsize

    def array(kind, block, rows):
        vector = kind.endswith("params")
        shape, strides = ((block.width,), (item,)) if vector else ((rows, block.width), (block.stride * item, item))
        memory = (ctypes.c_char * (item * (block.width + (0 if vector else (rows - 1) * block.stride)))).from_address(
            block.data
        )
        return np.ndarray(shape, dtype, memory, strides=strides)

    def called(rows, user):
        blocks = {}
        for kind in FORWARD + BACKWARD:
            pointer, of_kind = getattr(rows[0], kind), names[kind if kind in names else kind[1:]]
            if pointer:
                blocks[kind] = {n: array(kind, pointer[k], rows[0].rows) for k, n in enumerate(of_kind)}
            else:
                blocks[kind] = {}
        with np.errstate(all="ignore"):
            function(blocks)

    return Hook(called)


def _spaces(cell, stage, blocks):
    before = cell.contract.stages[: cell.contract.stages.index(stage)]
    emissions = [name for each in before for name in each.emits]
    return {
        "prev": blocks["prev"],
        "e": {name: blocks["emissions"][name] for name in emissions},
        "p": blocks["params"],
        "u": blocks["aux"],
    }


def _twin_forward(cell, stage):
    def forward(blocks):
        z = {gate: blocks["gates"][gate] for gate in stage.gates}
        out = call(hook(cell, "forward", stage.name), z=z, **_spaces(cell, stage, blocks))
        for name, value in out.items():
            next(blocks[k] for k in ("gates", "keep", "emissions", "states") if name in blocks[k])[name][:] = value

    return forward


def _twin_backward(cell, stage):
    last = stage is cell.contract.stages[-1]

    def backward(blocks):
        d = blocks["dstates"] if last else {name: blocks["demissions"][name] for name in stage.emits}
        y = {gate: blocks["gates"][gate] for gate in stage.gates} | blocks["keep"] | blocks["emissions"]
        y |= blocks["states"] if last else {}
        out = call(hook(cell, "backward", stage.name), d=d, y=y, **_spaces(cell, stage, blocks))
        for name, value in out.items():
            if name in blocks["dgates"]:
                blocks["dgates"][name][:] = value
            elif name in blocks["dparams"]:
                blocks["dparams"][name] += value.sum(axis=0)
            else:
                next(blocks[k] for k in ("dprev", "demissions", "daux") if name in blocks[k])[name][:] += value

    return backward
