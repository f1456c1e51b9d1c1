"""Temporary names for files and folders while they are written or removed, and clean-up after killed processes.

A temporary file or folder is in the same folder as the final one and is named ``.NAME.DIGITS``, or
``.NAME.DIGITS.dropped`` during removal. A file named ``.NAME.partial`` is not a leftover but an unfinished prediction,
which the next call resumes.
"""

import functools
import hashlib
import os
import platform
import re
import secrets
import shutil
import time
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from src.signals import BETWEEN_PROCESSES

INCOMPLETE = re.compile(r"\.{1,2}(?P<final>.+?)(\.partial)?\.(?P<digits>[0-9a-f]{32})(\.dropped)?")
LONGEST = 213  # bytes of NAME, so that the temporary name has at most the 255 bytes that file systems allow
ABANDONED = 24 * 3600  # seconds without a change after which a temporary file counts as abandoned


def unique() -> str:
    """Return 32 unique hexadecimal digits that encode the machine and the process."""
    return f"{_machine()}{os.getpid():08x}{secrets.token_hex(8)}"


def beside(final: Path, ending: str = "") -> Path:
    """Return a unique temporary path in the folder of ``final``, for a file or folder to be written or removed.

    Args:
        final: final path of the file or folder.
        ending: end of the temporary name, such as ``.dropped``.
    """
    return final.with_name(f".{shortened(final.name)}.{unique()}{ending}")


def shortened(name: str) -> str:
    """Cut a name to at most `LONGEST` bytes without splitting a multi-byte character."""
    data = os.fsencode(name)
    return name if len(data) <= LONGEST else data[:LONGEST].decode("utf-8", "ignore")


@functools.cache
def _machine() -> str:
    """Return 8 hexadecimal digits for this machine since its last start, or for this container on the machine.

    Process ids are unique within the machine or container for which the digits are equal.
    """
    parts = [platform.node()]
    with suppress(OSError):  # not Linux
        parts += [Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii"), os.readlink("/proc/self/ns/pid")]
    return hashlib.sha256("".join(parts).encode()).hexdigest()[:8]


def is_abandoned(path: Path) -> bool:
    """Return whether ``path`` is a temporary file or folder whose process has been killed.

    If the process ran on this machine, its id is looked up. Otherwise (another machine, a name given by an earlier
    version, or Windows, where `os.kill` would end the process), the path counts as abandoned if it has not changed for
    a day.
    """
    named = INCOMPLETE.fullmatch(path.name)
    if not named:
        return False
    if BETWEEN_PROCESSES and named["digits"][:8] == _machine():
        return not _lives(int(named["digits"][8:16], 16))
    with suppress(FileNotFoundError):  # another process has just completed it
        return time.time() - path.lstat().st_mtime > ABANDONED
    return False


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # the process belongs to another user
        return True
    return True


def sweep_beside(folder: Path, names: Collection[str]) -> None:
    """Remove temporary files and folders of killed processes from a folder in which other processes may be writing.

    Args:
        folder: folder to clean up; its subfolders are not searched.
        names: final names of the files and folders whose temporary versions are removed.
    """
    for left in folder.glob(".*"):
        named = INCOMPLETE.fullmatch(left.name)
        if named and _is_of(named["final"], names) and is_abandoned(left):
            _remove(left)


def sweep_folder(folder: Path, shared: Collection[str] = ()) -> None:
    """Remove all temporary files and folders from a folder in which no other process writes.

    Args:
        folder: folder to clean up; its subfolders are not searched.
        shared: final names of files that other processes may write nevertheless; their temporary files are removed
            only if the process that made them has been killed.
    """
    for left in folder.glob(".*"):
        others = left.name.startswith(tuple(f".{name}." for name in shared))
        if INCOMPLETE.fullmatch(left.name) and (is_abandoned(left) or not others):
            _remove(left)


def _is_of(found: str, names: Collection[str]) -> bool:
    cut = len(os.fsencode(found)) > LONGEST - len(".partial") - len("각")
    return found in names or (cut and any(name.startswith(found) for name in names))


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
