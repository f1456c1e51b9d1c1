"""Write checkpoint files, and read them as plain data without running any code that they may contain."""

import hashlib
import io
import pickletools
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from src.files.limits import MOST_DEPTH, MOST_NODES, reason
from src.model.layout import LAYOUT, present

DTYPES = {"Float": torch.float32, "Double": torch.float64, "Half": torch.float16, "BFloat16": torch.bfloat16}
DTYPES |= {"Long": torch.int64, "Int": torch.int32, "Short": torch.int16, "Char": torch.int8}
DTYPES |= {"Byte": torch.uint8, "Bool": torch.bool}
CALLED = {"torch._utils _rebuild_tensor_v2", "collections OrderedDict", *(f"torch {name}Storage" for name in DTYPES)}
# The operations in a pickle that look up a callable.
LOOKUPS = {"GLOBAL", "STACK_GLOBAL", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "EXT1", "EXT2", "EXT4"}
LARGEST_PICKLE = 2**24  # bytes; the paper's network and its optimiser need about 2**17
MOST_RECORDS = 100_000


def write(file: Path, content: dict[str, Any]) -> None:
    """Write a checkpoint in the current layout, together with a hash of its content.

    The file is assembled in memory, so that no temporary folder is needed.

    Args:
        file: the checkpoint file; its folder is created if it does not exist.
        content: the entries of the checkpoint.

    Raises:
        OSError: the file cannot be written, for example because the disk is full; the incomplete file is removed.
    """
    buffer, content = io.BytesIO(), content | {"layout": LAYOUT}
    torch.save({**content, "digest": digest(content)}, buffer)
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        file.write_bytes(buffer.getbuffer())
    except OSError as error:  # on a full disk, the incomplete file would take the space of the next one
        file.unlink(missing_ok=True)
        size = f"{buffer.getbuffer().nbytes / 1e6:,.1f} MB"
        raise OSError(error.errno, f"{error.strerror} for a checkpoint of {size}", str(file)) from error


def read(file: Path) -> dict[str, Any]:
    """Read a checkpoint and return its content in the current layout, with its tensors on the CPU.

    A checkpoint is a zip archive with a pickle of tensors, numbers, strings and containers of them. Reading the file
    runs no code from it: the callables that the pickle names are checked before it is unpickled, the sizes that the
    archive declares are compared with the size of the file, and the result is copied into plain containers. Damage is
    detected by the checksums of the archive and the hash of the content.

    Raises:
        FileNotFoundError: the file does not exist.
        OSError: the file cannot be read.
        ValueError: the file is not a checkpoint, is damaged, or holds anything other than data.
    """
    if not file.is_file():
        raise FileNotFoundError(f"expected a checkpoint, but there is none at {file}")
    try:
        _check_archive(file)
        content = _copied(torch.load(file, map_location="cpu", weights_only=True), _Budget(file.stat().st_size))
        if not isinstance(content, dict):
            raise ValueError("it does not hold a dictionary")
        if content.pop("digest", None) not in (None, digest(content)):
            raise ValueError("its content does not match its digest")
        content = present(content)
    except OSError:
        raise
    except Exception as error:  # which exception an unpickler raises depends on the first wrong byte
        raise ValueError(
            f"expected a checkpoint written by src.train, but {file} is not one: {reason(error)}"
        ) from error
    return content


def is_whole(checkpoint: Path, check: Callable[[dict[str, Any]], object] = lambda content: None) -> bool:
    """Return whether a checkpoint can be read and its content is accepted.

    Args:
        checkpoint: the checkpoint file.
        check: is called with the content, and raises ValueError to refuse it; by default any content is accepted.
    """
    try:
        check(read(checkpoint))
    except (OSError, ValueError):
        return False
    return True


def digest(content: dict[str, Any]) -> str:
    """Return the SHA-256 hash of the content of a checkpoint as hexadecimal digits; the order of entries matters."""
    found = hashlib.sha256()

    def add(node: object) -> None:
        if isinstance(node, dict):
            found.update(b"{")
            for key, value in node.items():
                add(key)
                add(value)
            found.update(b"}")
        elif isinstance(node, list | tuple):
            found.update(b"[")
            for value in node:
                add(value)
            found.update(b"]")
        elif isinstance(node, Tensor):
            found.update(f"{node.dtype}{tuple(node.shape)}".encode())
            found.update(node.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
        else:
            found.update(f"{type(node).__name__} {node!r};".encode())

    add(content)
    return found.hexdigest()


def _check_archive(file: Path) -> None:
    with zipfile.ZipFile(file) as archive:
        records = archive.infolist()
        names = [record.filename for record in records]
        promised = sum(record.file_size for record in records)
        if len(records) > MOST_RECORDS or len(set(names)) < len(names) or promised > file.stat().st_size:
            raise ValueError("its records declare more bytes than the file holds")
        # For a record marked as a folder (the MS-DOS attribute 0x10), PyTorch would read uninitialised memory.
        if any(record.compress_type != zipfile.ZIP_STORED or record.external_attr & 0x10 for record in records):
            raise ValueError("its records are compressed or folders")
        if damaged := archive.testzip():
            raise ValueError(f"its record {damaged} is damaged")
        pickles = [record for record in records if record.filename.endswith("/data.pkl")]
        if len(pickles) != 1 or pickles[0].file_size > LARGEST_PICKLE:
            raise ValueError("it has no pickle of its content, or one that is too long")
        for operation, argument, _ in pickletools.genops(archive.read(pickles[0])):
            if operation.name in LOOKUPS and argument not in CALLED:
                raise ValueError(f"it would call {argument or operation.name}")


class _Budget:
    """Counters of the values and the tensor bytes that the rest of a checkpoint may still hold.

    Args:
        size: the number of bytes that the tensors may hold in total, which is the size of the file.
    """

    def __init__(self, size: int) -> None:
        self.nodes, self.bytes = MOST_NODES, size
        self.storages: set[int] = set()


def _copied(node: object, left: _Budget, depth: int = 0) -> object:
    """Copy unpickled content into plain dictionaries, lists and tuples; tensors are checked and kept.

    Args:
        node: the content, or a part of it.
        left: what the content may still hold; a container that is referenced several times counts each time.
        depth: the number of containers around ``node``.

    Raises:
        ValueError: the content has too many values, is nested too deeply, or holds a value of a forbidden type.
    """
    left.nodes -= 1
    if left.nodes < 0 or depth > MOST_DEPTH:
        raise ValueError("it holds too many values, or a container within itself")
    if isinstance(node, dict):
        if wrong := [key for key in node if type(key) not in (str, int)]:
            raise ValueError(f"it holds a value under {str(wrong[0])[:80]}")
        return {key: _copied(value, left, depth + 1) for key, value in dict.items(node)}
    if isinstance(node, list | tuple) and type(node) in (list, tuple):
        return type(node)(_copied(value, left, depth + 1) for value in node)
    if isinstance(node, Tensor):
        return _checked(node, left)
    if node is None or type(node) in (bool, int, float, str):
        return node
    raise ValueError(f"it holds a {type(node).__name__}")


def _checked(tensor: Tensor, left: _Budget) -> Tensor:
    if type(tensor) is not Tensor or tensor.layout is not torch.strided or tensor.dtype not in DTYPES.values():
        raise ValueError(f"it holds a tensor of {tensor.dtype}, {tensor.layout}, {type(tensor).__name__}")
    storage = tensor.untyped_storage()
    if storage.data_ptr() not in left.storages:
        left.storages.add(storage.data_ptr())
        left.bytes -= storage.nbytes()
    if tensor.numel() * tensor.element_size() > storage.nbytes() or left.bytes < 0:
        raise ValueError(f"its tensors declare more bytes than the file holds, {tuple(tensor.shape)}")
    return tensor
