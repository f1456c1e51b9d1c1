"""Which slices are learnt from, which choose checkpoint and threshold, and which are scored at the end."""

import re
from fnmatch import fnmatch

from src.data.finding import ERROR, Finding, Refused

GROUPS = ("train", "validation", "held_out")


def split(groups: dict[str, str], names: list[str], files: list[str] | None = None) -> dict[str, list[int]]:
    """Return the numbers of the slices of each group.

    Args:
        groups: what to choose, by group, as `chosen` reads it; or ``auto`` for all three, see `automatic_split`.
        names: of the slices.
        files: of each slice; None: all are of one.

    Raises:
        Refused: a group names what is not there, or a slice of another group; there is nothing to learn from or
            to score.
    """
    automatic = [group for group in GROUPS if groups[group] == "auto"]
    if len(automatic) == len(GROUPS):
        return automatic_split(files or [""] * len(names))
    if automatic:
        expected = "all of data.train, data.validation and data.held_out to be auto, or none"
        nearest = f"data.{automatic[0]}=0-{max(0, len(names) - 1)}"
        raise _refused(expected, f"auto in {', '.join(automatic)}", nearest)
    numbers = {group: chosen(groups[group], names) for group in GROUPS}
    check_groups(numbers)
    return numbers


def chosen(text: str, names: list[str]) -> list[int]:
    """Choose slices by a text such as ``0-19`` (both ends included), ``0-9,15``, ``plate3_*`` (names) or nothing.

    Raises:
        Refused: the text says something else, a slice twice, or one that is not there.
    """
    numbers: list[int] = []
    for part in map(str.strip, text.split(",") if text.strip() else ()):
        match = re.fullmatch(r"([0-9]+)\s*(?:-\s*([0-9]+))?", part)
        if match:
            found = list(range(int(match[1]), int(match[2] or match[1]) + 1))
            if found and found[-1] >= len(names):
                last = len(names) - 1
                raise _refused(f"slices from 0 to {last}", repr(text), str(last))
        else:
            found = [number for number, name in enumerate(names) if part and fnmatch(name, part)]
        if not found or not set(found).isdisjoint(numbers):
            named = names[0] if names else "plate1"
            raise _refused(f"slices such as 0-19 or 0-9,15, or names such as {named}*, each once", repr(text))
        numbers.extend(found)
    return numbers


def automatic_split(files: list[str]) -> dict[str, list[int]]:
    """Choose train, validation and held-out slices: about 70, 10 and 20 of a hundred, at least one of each.

    In the order of the files, because neighbours in a name are often neighbours in a tissue or film. Slices of
    one file stay together; of a single file the groups are contiguous, with a slice left out between them.

    Args:
        files: of each slice.

    Raises:
        Refused: there are fewer than 3 files, or fewer than 5 slices in a single one.
    """
    order = list(dict.fromkeys(files))
    if len(order) >= 3:
        held_out, validation = (max(1, round(share * len(order))) for share in (0.2, 0.1))
        starts = {"train": 0, "validation": len(order) - held_out - validation, "held_out": len(order) - held_out}
        of_file = {file: next(g for g, s in reversed(starts.items()) if n >= s) for n, file in enumerate(order)}
        return {group: [n for n, file in enumerate(files) if of_file[file] == group] for group in starts}
    slices = len(files)
    if len(order) == 2 or slices < 5:
        expected = "at least 3 files, or a stack of at least 5 slices, to split into train, validation and held-out"
        raise _refused(expected, f"{len(order)} files of {slices} slices", "data.train=… data.held_out=…")
    held_out, validation = (max(1, round(share * slices)) for share in (0.2, 0.1))
    first = slices - held_out - validation - 1
    return {
        "train": list(range(first - 1)),
        "validation": list(range(first, first + validation)),
        "held_out": list(range(slices - held_out, slices)),
    }


def check_groups(numbers: dict[str, list[int]]) -> None:
    """Refuse a split in which a slice belongs to two groups, because its score would be flattered.

    Raises:
        Refused: names the slice; or there is nothing to learn from or to score.
    """
    for group in ("train", "held_out"):
        if not numbers[group]:
            raise _refused(f"at least one slice in data.{group}", "none")
    seen: dict[int, str] = {}
    for group, members in numbers.items():
        for number in members:
            if number in seen:
                raise _refused("each slice in one group", f"slice {number} in {seen[number]} and {group}")
            seen[number] = group


def _refused(expected: str, found: str, nearest: str = "") -> Refused:
    message = f"expected {expected}, but got {found}" + (f"; nearest valid: {nearest}" if nearest else "")
    fix = nearest or "data.train=… data.validation=… data.held_out=…"
    return Refused(Finding("split", ERROR, "the data", found, expected, fix), message)
