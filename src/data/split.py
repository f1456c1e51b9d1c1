"""Which slices are learnt from, which choose checkpoint and threshold, and which are scored at the end."""

import re
from collections import Counter
from collections.abc import Iterator
from fnmatch import fnmatch, translate

from src.data.finding import ERROR, Finding, Refused
from src.data.patterns import beginning

GROUPS = ("train", "validation", "held_out")
HELD_OUT, VALIDATION = 0.2, 0.1  # shares of what is split
AUTOMATIC = "data.train=auto data.validation=auto data.held_out=auto"
FEWEST = 3  # files to learn from, of which the last may choose the checkpoint instead
OPEN = re.compile(r"\{([A-Za-z_]\w*)\}")  # the part of a pattern that names a group
FEWEST_GROUPS = 3  # numbers before a second number, from which they are taken for groups
MOST_LETTERS = 6  # different endings of names, up to which they tell the images of one group apart


def split(
    groups: dict[str, str],
    names: list[str],
    files: list[str] | None = None,
    said: list[str] | None = None,
    pattern: str | None = None,
) -> dict[str, list[int]]:
    """Return the numbers of the slices of each group.

    Args:
        groups: what to choose, by group, as `chosen` reads it; or ``auto`` for all three: then what the folders say,
            see `of_folders`, or else `automatic_split`.
        names: of the slices.
        files: of each slice; None: all are of one.
        said: train, validation or held_out for each slice, where its folder says so, else empty.
        pattern: of names, by which slices belong together, see `together`; the automatic split does not part them.

    Raises:
        Refused: a group names what is not there, or a slice of another group; there is nothing to learn from or
            to score; the pattern does not fit.
    """
    files = files or [""] * len(names)
    if pattern is not None:
        files = together(names, files, pattern)
    automatic = [group for group in GROUPS if groups[group] == "auto"]
    if len(automatic) == len(GROUPS):
        if said and "train" in said and {"validation", "held_out"} & set(said):
            return of_folders(said, files)
        if pattern is not None and len(set(files)) == 1:
            raise _refused("a pattern data.groups that makes several groups", f"one of {pattern}", "data.groups=null")
        return automatic_split(files)
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
            got = f"{part!r}, {'which is there already' if found else 'of which there is none'}" if part else repr(text)
            raise _refused(f"slices such as 0-19 or 0-9,15, or names such as {named}*, each once", got, AUTOMATIC)
        numbers.extend(found)
    return numbers


def together(names: list[str], files: list[str], pattern: str) -> list[str]:
    """Name the group of each slice: sections of one block, or images of one patient, are never split.

    Slices of one file stay together, whatever their names are.

    Args:
        names: of the slices.
        files: of each slice.
        pattern: of whole names, such as ``{patient}[LR]`` or ``{patient}_*``. The part in braces, of which there is
            one, names the group and is as short as it can be; ``*``, ``?`` and ``[LR]`` stand for what they do in
            names of files.

    Raises:
        Refused: the pattern is none, or a name does not fit it.

    >>> together(["01L", "01R", "02L"], ["01L.png", "01R.png", "02L.png"], "{patient}[LR]")
    ['01', '01', '02']
    """
    fits = _named(pattern)
    if not fits:
        raise _refused("data.groups with one open part such as {patient}", repr(pattern), _fitting(names))
    of_file: dict[str, str] = {}
    for name, file in zip(names, files, strict=True):
        match = fits.match(name)
        if not match:
            raise _refused(f"names that data.groups={pattern} fits", f"the name {name}", _fitting(names))
        of_file.setdefault(file, match["group"])
    return [of_file[file] for file in files]


def _named(pattern: str) -> re.Pattern | None:
    """What a pattern fits, with its open part as a group; None if it has none, or several."""
    if len(OPEN.findall(pattern)) != 1:
        return None
    return re.compile(translate(OPEN.sub("\0", pattern)).replace("\0", "(?P<group>.+?)"))


def _fitting(names: list[str]) -> str:
    """The first usual pattern that fits all names, as an example."""
    usual = ("{patient}_*", "{patient}-*", "{patient}.*", "{patient} *", "{patient}?", "{patient}")
    return f"data.groups='{next(each for each in usual if all(_named(each).match(name) for name in names))}'"


def told_groups(names: list[str]) -> str | None:
    """The pattern by which names such as 01L and 01R, or p1_01 and p1_02, belong together; None if they tell nothing.

    >>> told_groups(["01L", "01R", "02L", "02R"]), told_groups(["cell_01", "cell_02", "cell_03"])
    ('{patient}[LR]', None)
    """
    for pattern, fewest in _patterns(names):
        try:
            sizes = Counter(together(names, names, pattern)).values()
        except Refused:
            continue
        if len(sizes) >= fewest and sum(size > 1 for size in sizes) >= len(sizes) / 2:
            return pattern
    return None


def _patterns(names: list[str]) -> Iterator[tuple[str, int]]:
    """Patterns that may fit all names, and how many groups they have to make at least."""
    letters = [re.fullmatch(r".*(?:[0-9]|([_\-. ]))([A-Za-z])", name) for name in names]
    if all(letters):
        ends, separators = ({match[number] or "" for match in letters} for number in (2, 1))
        if 1 < len(ends) <= MOST_LETTERS and len(separators) == 1:
            yield f"{{patient}}{separators.pop()}[{''.join(sorted(ends))}]", 2
    words = [re.fullmatch(r"[^_\- ]*[0-9]([_\- ])([A-Za-z]+)", name) for name in names]
    if all(words):
        ends, separators = ({match[number] for match in words} for number in (2, 1))
        if 1 < len(ends) <= MOST_LETTERS and len(separators) == 1:
            yield f"{{patient}}{separators.pop()}*", 2
    start = beginning(names).rstrip("0123456789")
    numbers = [re.match(r"[A-Za-z]{0,2}[0-9]+([_\- ]).", name[len(start) :]) for name in names]
    if all(numbers) and len({match[1] for match in numbers}) == 1 and not set(start) & set("[]*?{}"):
        yield f"{start}{{patient}}{numbers[0][1]}*", FEWEST_GROUPS


def of_folders(said: list[str], files: list[str]) -> dict[str, list[int]]:
    """Take the split that folders such as train/, val/ and test/ say; slices of other folders are left out.

    Where they say no held-out images, the first half of the files of validation chooses the checkpoint and the rest
    is held out; a single one is held out. Where they then say none for validation, the last tenth of the files to
    learn from, at least one, chooses; of less than three none does.

    Args:
        said: train, validation or held_out for each slice, else empty; some are train, and some are another.
        files: of each slice.
    """
    numbers = {group: [number for number, part in enumerate(said) if part == group] for group in GROUPS}
    if not numbers["held_out"]:
        judged = _files(numbers["validation"], files)
        numbers["validation"], numbers["held_out"] = _divided(numbers["validation"], files, len(judged) // 2)
    learnt = _files(numbers["train"], files)
    if not numbers["validation"] and len(learnt) >= FEWEST:
        kept = len(learnt) - _share(VALIDATION, len(learnt))
        numbers["train"], numbers["validation"] = _divided(numbers["train"], files, kept)
    return numbers


def _files(numbers: list[int], files: list[str]) -> list[str]:
    """The files of some slices, in their order."""
    return list(dict.fromkeys(files[number] for number in numbers))


def _divided(numbers: list[int], files: list[str], count: int) -> tuple[list[int], list[int]]:
    """The slices of the first ``count`` files, and the others."""
    first = set(_files(numbers, files)[:count])
    return [n for n in numbers if files[n] in first], [n for n in numbers if files[n] not in first]


def _share(share: float, count: int) -> int:
    """A share of a number of files or slices, at least one of them."""
    return max(1, round(share * count))


def automatic_split(files: list[str]) -> dict[str, list[int]]:
    """Choose train, validation and held-out slices: about 70, 10 and 20 of a hundred, at least one of each.

    In the order of the files, because neighbours in a name are often neighbours in a tissue or film. Slices of
    one file stay together; of a single file the groups are contiguous, with a slice left out between them. Where that
    leaves nothing to choose the checkpoint by, as of two files, there is no validation.

    Args:
        files: of each slice.

    Raises:
        Refused: there is one file of fewer than 3 slices: neighbours in a stack are near copies.
    """
    order = list(dict.fromkeys(files))
    if len(order) >= 2:
        held_out, validation = (_share(share, len(order)) for share in (HELD_OUT, VALIDATION))
        validation = validation if len(order) >= 3 else 0
        starts = {"train": 0, "validation": len(order) - held_out - validation, "held_out": len(order) - held_out}
        of_file = {file: next(g for g, s in reversed(starts.items()) if n >= s) for n, file in enumerate(order)}
        return {group: [n for n, file in enumerate(files) if of_file[file] == group] for group in starts}
    slices = len(files)
    if slices < 3:
        expected = "at least 2 files, or a stack of at least 3 slices, to split into train and held-out"
        raise _refused(expected, f"{len(order)} files of {slices} slices", "data.train=… data.held_out=…")
    held_out, validation = (_share(share, slices) for share in (HELD_OUT, VALIDATION))
    if slices < 5:
        return {"train": list(range(slices - 2)), "validation": [], "held_out": [slices - 1]}
    first = slices - held_out - validation - 1
    return {
        "train": list(range(first - 1)),
        "validation": list(range(first, first + validation)),
        "held_out": list(range(slices - held_out, slices)),
    }


def check_groups(numbers: dict[str, list[int]], needed: tuple[str, ...] = ("train", "held_out")) -> None:
    """Refuse a split in which a slice belongs to two groups, because its score would be flattered.

    Args:
        numbers: of the slices of each group.
        needed: groups that must not be empty.

    Raises:
        Refused: names the slice; or there is nothing to learn from or to score.
    """
    for group in needed:
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
