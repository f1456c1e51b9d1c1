"""Names of what is being written or removed, by which what a killed process has left is known.

Such a file or folder lies beside its final name: ``.NAME.DIGITS``, or ``.NAME.DIGITS.dropped`` while it is removed.
What has the name ``.NAME.partial``, which a prediction has while it grows, is gone on with and no leftover.
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
LONGEST = 213  # bytes of NAME, so that all of such a name fits into the 255 that a file system takes
ABANDONED = 24 * 3600  # seconds in which nobody has changed it


def unique() -> str:
    """32 hexadecimal digits that no other call gives, and that say which process of which machine made them."""
    return f"{_machine()}{os.getpid():08x}{secrets.token_hex(8)}"


def beside(final: Path, ending: str = "") -> Path:
    """A name that nothing else has, for what is being written as, or removed under, the name ``final``."""
    return final.with_name(f".{shortened(final.name)}.{unique()}{ending}")


def shortened(name: str) -> str:
    """The first `LONGEST` bytes of a name, in whole characters."""
    data = os.fsencode(name)
    return name if len(data) <= LONGEST else data[:LONGEST].decode("utf-8", "ignore")


@functools.cache
def _machine() -> str:
    """8 hexadecimal digits of where processes are counted: a machine since its start, or a container on it."""
    parts = [platform.node()]
    with suppress(OSError):  # not Linux
        parts += [Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii"), os.readlink("/proc/self/ns/pid")]
    return hashlib.sha256("".join(parts).encode()).hexdigest()[:8]


def is_abandoned(path: Path) -> bool:
    """Whether what has such a name is left of a process that has been killed.

    Of a process of this machine that is looked up. Of another one, and of an earlier version of ours, it is what nobody
    has changed for a day; and so it is on Windows, where to ask for a process would end it.
    """
    named = INCOMPLETE.fullmatch(path.name)
    if not named:
        return False
    if BETWEEN_PROCESSES and named["digits"][:8] == _machine():
        return not _lives(int(named["digits"][8:16], 16))
    with suppress(FileNotFoundError):  # it was completed just now
        return time.time() - path.lstat().st_mtime > ABANDONED
    return False


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # it is of another user
        return True
    return True


def sweep_beside(folder: Path, names: Collection[str]) -> None:
    """Remove what killed processes left of files and folders in a folder in which several may be writing.

    Args:
        folder: where they lie.
        names: those of files and folders, when they are complete.
    """
    for left in folder.glob(".*"):
        named = INCOMPLETE.fullmatch(left.name)
        if named and _is_of(named["final"], names) and is_abandoned(left):
            _remove(left)


def sweep_folder(folder: Path, shared: Collection[str] = ()) -> None:
    """Remove all that is not complete in a folder in which nobody else writes.

    Args:
        folder: not what lies in folders of it.
        shared: names of files that others may be writing all the same.
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
