"""What is computed once and kept in a file. The file can be done without: it is never worth a run."""

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
    """A hash of names, sizes and times of files, by which one knows without reading them that none has changed.

    Args:
        root: a folder above all of them, which may itself be moved.
        files: what of them is no file is left out.
    """
    seen = [(file.relative_to(root).as_posix(), file.stat()) for file in sorted(files) if file.is_file()]
    facts = [(name, found.st_size, found.st_mtime_ns) for name, found in seen]
    return hashlib.sha256(repr(facts).encode("utf-8", "surrogateescape")).hexdigest()


def stamped(folder: Path | None) -> str | None:
    """The `stamp` of a folder; None if there is no file in it."""
    files = [file for file in folder.rglob("*") if file.is_file()] if folder else []
    return stamp(folder, files) if files else None


def kept(
    file: Path, read: Callable[[Path], Kept], make: Callable[[], Kept], write: Callable[[Path, Kept], object]
) -> Kept:
    """What a file holds; or else it is made, and kept there for the next time if that is possible.

    Args:
        file: of a cache. What is damaged or of something else in its place is named in one line, and replaced.
        read: gives what the file holds; whatever it raises, the file is taken for damaged.
        make: computes it.
        write: writes it to a file.
    """
    if os.path.lexists(file):
        try:
            limits.check_regular(file)
            return read(file)
        except Exception as error:  # decoders raise whatever the first wrong byte leads to
            warn(f"{file} is no cache that can be used ({limits.reason(error)}); it is computed again")
    content = make()
    try:
        with complete_file(file) as partial:
            write(partial, content)
    except OSError as error:
        warn(f"{file} cannot be written ({error.strerror or error}); it is computed again the next time")
    return content
