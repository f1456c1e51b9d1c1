"""Cache files for results that are slow to compute. A damaged or unwritable cache file never stops a run."""

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
    """Hash the names, sizes and modification times of files, to detect changes without reading the files.

    Args:
        root: a folder that contains all files, directly or in subfolders. File names are relative to this folder, so
            that moving the folder does not change the hash.
        files: paths of the files; paths that are not files are ignored.
    """
    seen = [(file.relative_to(root).as_posix(), file.stat()) for file in sorted(files) if file.is_file()]
    facts = [(name, found.st_size, found.st_mtime_ns) for name, found in seen]
    return hashlib.sha256(repr(facts).encode("utf-8", "surrogateescape")).hexdigest()


def stamped(folder: Path | None) -> str | None:
    """Return the `stamp` of all files in a folder and its subfolders; None if there are no files or no folder."""
    files = [file for file in folder.rglob("*") if file.is_file()] if folder else []
    return stamp(folder, files) if folder and files else None


def kept(
    file: Path, read: Callable[[Path], Kept], make: Callable[[], Kept], write: Callable[[Path, Kept], object]
) -> Kept:
    """Return the content of a cache file; if there is no valid file, compute the content and try to store it.

    Args:
        file: the cache file. If it is damaged, a warning is printed and the file is replaced.
        read: reads the content of the file; any error that this raises means that the file is damaged.
        make: computes the content.
        write: writes the content to the given path.
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
