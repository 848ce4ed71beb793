"""One safetensors file, whole or not at all: `write_file` and `read_file`, of a JSON header and named tensors.

The header is JSON under the key ``pylstm``, with the number of the format, the version of pylstm, a digest of itself,
and one of header and tensors: what a header says can be compared with the tensors before these are read. The digests
show damage, not who wrote the file: what a header says is checked by whoever reads it.
"""

from __future__ import annotations

import contextlib
import fcntl
import glob
import json
import os
import stat
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

import numpy as np

from pylstm.checks import quoted

FORMAT = 1
"""Number of the layout of the header; a file with a higher one is refused."""

OWN = "pylstm.save(path, model) writes a file, pylstm.load(path) reads it"
Path = str | bytes | os.PathLike[str] | os.PathLike[bytes]


def write_file(path: Path, header: dict[str, Any], tensors: Mapping[str, np.ndarray]) -> None:
    """Write contiguous `tensors` under `header`, to which format, version and digest are added; whole or not at all."""
    # Here and in `read_file`: slow to import, and `import pylstm` imports this module.
    from importlib.metadata import version

    import safetensors.numpy

    header = {"format": FORMAT, "version": version("pylstm")} | header
    header["header_sha256"] = _digest(header, {})
    header["sha256"] = _digest(header, tensors)
    write_bytes(path, safetensors.numpy.save(dict(tensors), metadata={"pylstm": json.dumps(header)}))


Shapes = dict[str, tuple[str, tuple[int, ...]]]
"""Name of a tensor -> its dtype and shape."""
Check = Callable[[dict[str, Any], Shapes], None]


def explained(error: OSError, path: Any) -> OSError:
    """The same error of the system, in words: which file, what is wrong with it, and what to do.

    Examples
    --------
    >>> explained(FileNotFoundError(2, "No such file or directory"), "model.safetensors")
    FileNotFoundError('model.safetensors: does not exist: check the name and the folder')
    """
    shown = os.fsdecode(path)
    folder = os.path.dirname(shown)
    if isinstance(error, FileNotFoundError):
        why = "does not exist: check the name and the folder"
        if folder and not os.path.isdir(folder):
            why = f"the folder {folder} does not exist: create it, or name another one"
    elif isinstance(error, NotADirectoryError):
        why = f"{folder} is a file, not a folder: name another one"
    elif isinstance(error, IsADirectoryError):
        why = "is a folder, not a file: name a file in it"
    else:
        why = (error.strerror or str(error)).lower()
    ours = type(error)(f"{shown}: {why}")
    ours.errno = error.errno
    return ours


def open_to_read(path: Any, opener: Any = None) -> BinaryIO:
    """The file at `path`, open; an `OSError` that says what to do if it cannot be."""
    if not isinstance(path, str | bytes | os.PathLike):  # a number would be that of an open file
        path_text(path, "name the file")
    try:
        return open(path, "rb", opener=opener)
    except OSError as error:
        raise explained(error, path) from None


def path_text(path: Any, cure: str = OWN) -> str:
    """`path` as text; `TypeError` with the cure if it is not the path of a file."""
    if not isinstance(path, str | bytes | os.PathLike):
        raise TypeError(f"path must be a str, bytes or path, got {type(path).__name__}: {cure}")
    text = os.fsdecode(path)
    if not text or "\0" in text:
        raise ValueError(f"path must be the name of a file, got {text!r}")
    return text


def read_file(path: Path, check: Check | None = None) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Header and tensors of a file, with the right digests; nothing else of the header is checked.

    `check` is called with the header and the shapes before a tensor is read: a file that it refuses costs nothing,
    however large it is.

    Raises
    ------
    OSError
        The file cannot be read.
    ValueError
        Not a regular file; not such a file, cut short, damaged, or of a later format; what `check` raises.
    """
    path = path_text(path)
    with open_tensors(path) as file:
        metadata, shapes = part_of(path, lambda: (file.metadata() or {}, _shapes(file)))
        header, digest = _header(path, metadata)
        if check is not None:
            check(header, shapes)
        tensors = part_of(path, lambda: {name: file.get_tensor(name) for name in shapes})
    if _digest(header, tensors) != digest:
        raise ValueError(f"{path}: damaged: the data are not those that were saved (sha256 differs)")
    header.pop("header_sha256", None)
    return header, tensors


def open_tensors(path: str) -> Any:
    """The regular file at `path`, open: a later `save` to that path makes another file and does not change this one."""
    import safetensors

    with open_to_read(path, _without_waiting) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ValueError(f"{path}: exists but is not a regular file")
    return part_of(path, lambda: safetensors.safe_open(path, framework="numpy"))


def _without_waiting(path: str, flags: int) -> int:
    """Open without blocking, even a pipe that nobody writes to."""
    return os.open(path, flags | os.O_NONBLOCK)


def part_of(path: str, read: Callable[[], Any]) -> Any:
    """The result of `read`; `ValueError` with the path if the file is damaged or not safetensors."""
    import safetensors

    try:
        return read()
    except (safetensors.SafetensorError, ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"{path}: not a safetensors file, or cut short or damaged: write or fetch it again") from error


def _shapes(file: Any) -> Shapes:
    slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
    names = {"F32": "float32", "F64": "float64"}
    return {
        name: (names.get(each.get_dtype(), each.get_dtype()), tuple(each.get_shape())) for name, each in slices.items()
    }


def _header(path: str, metadata: Mapping[str, str]) -> tuple[dict[str, Any], str]:
    """Header, undamaged, and the digest of header and tensors."""
    if "pylstm" not in metadata:
        raise ValueError(f"{path}: a safetensors file, but not one that pylstm.save wrote (no header 'pylstm')")
    try:
        header = json.loads(metadata["pylstm"])
        number, version, digest = header["format"], header["version"], header.pop("sha256")
        right = header.get("header_sha256") in (None, _digest(_without(header, "header_sha256"), {}))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"{path}: the header is damaged ({error!r})") from None
    if isinstance(number, bool) or number != FORMAT:
        by = f"written by pylstm {str(version)[:60]}"
        raise ValueError(f"{path}: format {quoted(number)}, {by}; this version reads format {FORMAT}")
    if not right:
        raise ValueError(f"{path}: the header is damaged: it is not the one that was saved (sha256 differs)")
    if not isinstance(version, str):
        raise ValueError(f"{path}: version must be a text, got {quoted(version)}")
    return header, digest


def _without(header: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in header.items() if key != name}


def write_bytes(path: Path, data: bytes, cure: str = OWN) -> None:
    """Write `data` to a new file beside `path`, then rename it; remove what killed writers have left there.

    `cure` is what to do where `path` is none, as for `path_text`.
    """
    path = path_text(path, cure)
    target = os.path.realpath(path)
    if os.path.exists(target) and not os.path.isfile(target):
        raise ValueError(f"{path}: exists but is not a regular file")
    for left in glob.glob(f"{glob.escape(target)}.{'[0-9a-f]' * 8}.tmp"):
        _remove_unlocked(left)
    temporary = f"{target}.{os.urandom(4).hex()}.tmp"
    try:
        with _create_locked(temporary) as file:
            _take_mode(file, target)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            os.replace(temporary, target)
    except BaseException as error:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            os.unlink(temporary)
        if isinstance(error, OSError) and error.filename == temporary:
            raise explained(error, path) from None  # what the caller named
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


def _take_mode(file: BinaryIO, target: str) -> None:
    """Give a new file the mode of the one that it replaces: what is private stays private."""
    with contextlib.suppress(FileNotFoundError):
        mode = stat.S_IMODE(os.stat(target).st_mode)
        if mode != stat.S_IMODE(os.fstat(file.fileno()).st_mode):
            os.fchmod(file.fileno(), mode)


def _remove_unlocked(path: str) -> None:
    """Remove a temporary file unless its writer lives."""
    with contextlib.suppress(OSError), open(path, "r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.unlink(path)


def _digest(header: dict[str, Any], tensors: Mapping[str, np.ndarray]) -> str:
    """Digest of the rest of the header, then of names, dtypes, shapes and data in the order of the names."""
    import hashlib  # here: 4 ms of the import of pylstm

    digest = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    for name in sorted(tensors):
        array = tensors[name]
        digest.update(f"{name} {array.dtype.name} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False).tobytes())
    return digest.hexdigest()
