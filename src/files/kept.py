"""Cache files: results that are computed once. A damaged or unwritable cache never stops a run."""

import hashlib
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from src.files import limits
from src.files.whole import complete_file
from src.saying import warn

Kept = TypeVar("Kept")


def stamp(root: Path, files: Iterable[Path]) -> str:
    """Hash the names, sizes and modification times of files, to detect changes without reading them.

    Args:
        root: a folder above all files; names are relative to it, so that it can be moved.
        files: paths; those that are not files are left out.
    """
    seen = [(file.relative_to(root).as_posix(), file.stat()) for file in sorted(files) if file.is_file()]
    facts = [(name, found.st_size, found.st_mtime_ns) for name, found in seen]
    return hashlib.sha256(repr(facts).encode("utf-8", "surrogateescape")).hexdigest()


def stamped(folder: Path | None) -> str | None:
    """The `stamp` of all files in a folder; None if there are none, or no folder."""
    files = [file for file in folder.rglob("*") if file.is_file()] if folder else []
    return stamp(folder, files) if folder and files else None


def kept(
    file: Path, read: Callable[[Path], Kept], make: Callable[[], Kept], write: Callable[[Path, Kept], object]
) -> Kept:
    """Return the content of a cache file; compute and, if possible, store it if there is no valid one.

    Args:
        file: the cache file. A damaged file, or anything else under its name, is replaced with a warning.
        read: reads the content; if it raises any error, the file counts as damaged.
        make: computes the content.
        write: writes the content to a file.
    """
    if os.path.lexists(file):
        try:
            limits.check_regular(file)
            return read(file)
        except Exception as error:  # decoders raise errors of any type
            warn(f"{file} is no valid cache ({limits.reason(error)}); it is computed again")
    content = make()
    try:
        with complete_file(file) as partial:
            write(partial, content)
    except OSError as error:
        warn(f"{file} cannot be written ({error.strerror or error}); it is computed again the next time")
    return content
