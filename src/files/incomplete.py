"""Temporary names of files and folders while they are written or removed, and removal of what killed processes left.

The temporary name is beside the final one: ``.NAME.DIGITS``, or ``.NAME.DIGITS.dropped`` during removal. A file named
``.NAME.partial`` is no leftover: it is an unfinished prediction, which the next call resumes.
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
LONGEST = 213  # bytes of NAME, so that the temporary name has at most the 255 that file systems allow
ABANDONED = 24 * 3600  # seconds without a change


def unique() -> str:
    """32 unique hexadecimal digits that encode the machine and the process."""
    return f"{_machine()}{os.getpid():08x}{secrets.token_hex(8)}"


def beside(final: Path, ending: str = "") -> Path:
    """A unique temporary name beside ``final``, for a file or folder that is being written or removed."""
    return final.with_name(f".{shortened(final.name)}.{unique()}{ending}")


def shortened(name: str) -> str:
    """Cut a name to at most `LONGEST` bytes, without splitting a character."""
    data = os.fsencode(name)
    return name if len(data) <= LONGEST else data[:LONGEST].decode("utf-8", "ignore")


@functools.cache
def _machine() -> str:
    """8 hexadecimal digits for the space of process ids: a machine since its last start, or a container on it."""
    parts = [platform.node()]
    with suppress(OSError):  # not Linux
        parts += [Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii"), os.readlink("/proc/self/ns/pid")]
    return hashlib.sha256("".join(parts).encode()).hexdigest()[:8]


def is_abandoned(path: Path) -> bool:
    """Whether the process that made this temporary file or folder has been killed.

    If it was a process of this machine, the process id is looked up. Otherwise (another machine, a name by an earlier
    version, or Windows, where `os.kill` would end the process), a path is abandoned if it has not changed for a day.
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
    """Remove what killed processes left in a folder in which other processes may be writing.

    Args:
        folder: the folder; its subfolders are left alone.
        names: final names of the files and folders to clean up.
    """
    for left in folder.glob(".*"):
        named = INCOMPLETE.fullmatch(left.name)
        if named and _is_of(named["final"], names) and is_abandoned(left):
            _remove(left)


def sweep_folder(folder: Path, shared: Collection[str] = ()) -> None:
    """Remove everything incomplete in a folder in which no other process writes.

    Args:
        folder: the folder; its subfolders are left alone.
        shared: final names of files that other processes may nevertheless be writing.
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
