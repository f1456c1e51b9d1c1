"""The split into training, validation and held-out images."""

import re
from collections import Counter
from collections.abc import Iterator
from fnmatch import fnmatch, translate

from src.data.finding import ERROR, Finding, Refused
from src.data.patterns import beginning

GROUPS = ("train", "validation", "held_out")
HELD_OUT, VALIDATION = 0.2, 0.1  # shares of all images
AUTOMATIC = "data.train=auto data.validation=auto data.held_out=auto"
FEWEST = 3  # training files; with fewer, none of them becomes a validation file
OPEN = re.compile(r"\{([A-Za-z_]\w*)\}")  # the part of a pattern that names a group
FEWEST_GROUPS = 3  # different numbers before a second number that are taken for groups
MOST_LETTERS = 6  # different endings of names that are taken for the images of one group


def split(
    groups: dict[str, str],
    names: list[str],
    files: list[str] | None = None,
    parts: list[str] | None = None,
    pattern: str | None = None,
) -> dict[str, list[int]]:
    """Return the numbers of the training, validation and held-out images.

    Args:
        groups: the choice for each group, as `chosen` reads it; or ``auto`` for all three: then the split that the
            folders give, see `of_folders`, or else `automatic_split`.
        names: names of the images.
        files: source file of each image; None: one for all.
        parts: train, validation or held_out for each image, where its folders give the split, else empty.
        pattern: a pattern of names by which images belong together, see `together`; the automatic split keeps them
            together.

    Raises:
        Refused: a group names an image that is missing or in another group; no image is left for training or for
            scoring; the pattern does not fit.
    """
    files = files or [""] * len(names)
    if pattern is not None:
        files = together(names, files, pattern)
    automatic = [group for group in GROUPS if groups[group] == "auto"]
    if len(automatic) == len(GROUPS):
        if parts and "train" in parts and {"validation", "held_out"} & set(parts):
            return of_folders(parts, files)
        if pattern is not None and len(set(files)) == 1:
            raise refused("a pattern data.groups that makes several groups", f"one of {pattern}", "data.groups=null")
        return automatic_split(files)
    if automatic:
        expected = "all of data.train, data.validation and data.held_out to be auto, or none"
        nearest = f"data.{automatic[0]}=0-{max(0, len(names) - 1)}"
        raise refused(expected, f"auto in {', '.join(automatic)}", nearest)
    numbers = {group: chosen(groups[group], names) for group in GROUPS}
    check_groups(numbers)
    return numbers


def chosen(text: str, names: list[str]) -> list[int]:
    """Choose images by a text such as ``0-19`` (both ends included), ``0-9,15``, ``plate3_*`` (names) or nothing.

    Raises:
        Refused: the text has another form, or names an image twice or one that is missing.
    """
    numbers: list[int] = []
    for part in map(str.strip, text.split(",") if text.strip() else ()):
        match = re.fullmatch(r"([0-9]+)\s*(?:-\s*([0-9]+))?", part)
        if match:
            found = list(range(int(match[1]), int(match[2] or match[1]) + 1))
            if found and found[-1] >= len(names):
                last = len(names) - 1
                raise refused(f"images from 0 to {last}", repr(text), str(last))
        else:
            found = [number for number, name in enumerate(names) if part and fnmatch(name, part)]
        if not found or not set(found).isdisjoint(numbers):
            named = names[0] if names else "plate1"
            got = f"{part!r}, {'for the second time' if found else 'of which there is none'}" if part else repr(text)
            raise refused(f"images such as 0-19 or 0-9,15, or names such as {named}*, each once", got, AUTOMATIC)
        numbers.extend(found)
    return numbers


def together(names: list[str], files: list[str], pattern: str) -> list[str]:
    """Name the group of each image, so that sections of one block, or images of one patient, stay together.

    Slices of one file always belong to one group.

    Args:
        names: names of the images.
        files: source file of each image.
        pattern: a pattern of whole names, such as ``{patient}[LR]`` or ``{patient}_*``. Its one part in braces names
            the group and matches as little as possible; ``*``, ``?`` and ``[LR]`` match as in file names.

    Raises:
        Refused: the pattern has no part in braces, or several, or a name does not fit it.

    >>> together(["01L", "01R", "02L"], ["01L.png", "01R.png", "02L.png"], "{patient}[LR]")
    ['01', '01', '02']
    """
    fits = _named(pattern)
    if not fits:
        raise refused("data.groups with one open part such as {patient}", repr(pattern), _fitting(names))
    of_file: dict[str, str] = {}
    for name, file in zip(names, files, strict=True):
        match = fits.match(name)
        if not match:
            raise refused(f"names that data.groups={pattern} fits", f"the name {name}", _fitting(names))
        of_file.setdefault(file, match["group"])
    return [of_file[file] for file in files]


def _named(pattern: str) -> re.Pattern[str] | None:
    """The pattern as a regular expression with its open part as a group; None if it has no such part, or several."""
    if len(OPEN.findall(pattern)) != 1:
        return None
    return re.compile(translate(OPEN.sub("\0", pattern)).replace("\0", "(?P<group>.+?)"))


def _fitting(names: list[str]) -> str:
    """The first usual pattern that fits all names, as an example."""
    usual = ("{patient}_*", "{patient}-*", "{patient}.*", "{patient} *", "{patient}?", "{patient}")
    fitting = (each for each in usual if (fits := _named(each)) and all(fits.match(name) for name in names))
    return f"data.groups='{next(fitting)}'"


def grouping_pattern(names: list[str]) -> str | None:
    """The pattern by which names such as 01L and 01R, or p1_01 and p1_02, belong together; None if they show none.

    >>> grouping_pattern(["01L", "01R", "02L", "02R"]), grouping_pattern(["cell_01", "cell_02", "cell_03"])
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
    """Patterns that may fit all names, each with the least number of groups that it has to make."""
    if letters := _matches(r".*(?:[0-9]|([_\-. ]))([A-Za-z])", names):
        ends, separators = ({match[number] or "" for match in letters} for number in (2, 1))
        if 1 < len(ends) <= MOST_LETTERS and len(separators) == 1:
            yield f"{{patient}}{separators.pop()}[{''.join(sorted(ends))}]", 2
    if words := _matches(r"[^_\- ]*[0-9]([_\- ])([A-Za-z]+)", names):
        ends, separators = ({match[number] for match in words} for number in (2, 1))
        if 1 < len(ends) <= MOST_LETTERS and len(separators) == 1:
            yield f"{{patient}}{separators.pop()}*", 2
    start = beginning(names).rstrip("0123456789")
    numbers = _matches(r"[A-Za-z]{0,2}[0-9]+([_\- ])..*", [name[len(start) :] for name in names])
    if len({match[1] for match in numbers}) == 1 and not set(start) & set("[]*?{}"):
        yield f"{start}{{patient}}{numbers[0][1]}*", FEWEST_GROUPS


def _matches(pattern: str, names: list[str]) -> list[re.Match[str]]:
    """How a regular expression fits each of the names; empty if it does not fit them all."""
    found = [match for name in names if (match := re.fullmatch(pattern, name))]
    return found if len(found) == len(names) else []


def of_folders(parts: list[str], files: list[str]) -> dict[str, list[int]]:
    """Take the split from folders such as train/, val/ and test/; images in other folders are left out.

    Without held-out images, the second half of the validation files is held out; a single one is held out too. If
    that leaves no validation images, the last tenth of the training files, at least one, becomes validation files; of
    fewer than three none does.

    Args:
        parts: train, validation or held_out for each image, else empty; train and another part occur.
        files: source file of each image.
    """
    numbers = {group: [number for number, part in enumerate(parts) if part == group] for group in GROUPS}
    if not numbers["held_out"]:
        count = len(_files(numbers["validation"], files)) // 2
        numbers["validation"], numbers["held_out"] = _divided(numbers["validation"], files, count)
    count = len(_files(numbers["train"], files))
    if not numbers["validation"] and count >= FEWEST:
        kept = count - _share(VALIDATION, count)
        numbers["train"], numbers["validation"] = _divided(numbers["train"], files, kept)
    return numbers


def _files(numbers: list[int], files: list[str]) -> list[str]:
    """The files of some images, each once, in their order."""
    return list(dict.fromkeys(files[number] for number in numbers))


def _divided(numbers: list[int], files: list[str], count: int) -> tuple[list[int], list[int]]:
    """The images of the first ``count`` files, and the others."""
    first = set(_files(numbers, files)[:count])
    return [n for n in numbers if files[n] in first], [n for n in numbers if files[n] not in first]


def _share(share: float, count: int) -> int:
    """A share of a number of files or images, at least 1."""
    return max(1, round(share * count))


def automatic_split(files: list[str]) -> dict[str, list[int]]:
    """Split into training, validation and held-out images: about 70, 10 and 20 %, at least one of each.

    Each group takes files that follow each other, because neighbouring names often mean neighbours in a tissue or
    film. Slices of one file stay together. The slices of a single file are split into contiguous groups, with one
    slice left out between them. Two files, or fewer than five slices, leave no validation images.

    Args:
        files: source file of each image.

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
        expected = "at least 2 files, or a stack of at least 3 slices, to split into training and held-out images"
        raise refused(expected, f"{len(order)} files of {slices} slices", "data.train=… data.held_out=…")
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
    """Refuse a split in which an image belongs to two groups, which would be data leakage.

    Args:
        numbers: numbers of the images of each group.
        needed: groups that must not be empty.

    Raises:
        Refused: an image is in two groups, or a needed group is empty.
    """
    for group in needed:
        if not numbers[group]:
            raise refused(f"at least one image in data.{group}", "none")
    seen: dict[int, str] = {}
    for group, members in numbers.items():
        for number in members:
            if number in seen:
                raise refused("each image in one group", f"image {number} in {seen[number]} and {group}")
            seen[number] = group


def refused(expected: str, found: str, nearest: str = "") -> Refused:
    """The refusal of a split, as an error to raise."""
    message = f"expected {expected}, but got {found}" + (f"; nearest valid: {nearest}" if nearest else "")
    fix = nearest or "data.train=… data.validation=… data.held_out=…"
    return Refused(Finding("split", ERROR, "the data", found, expected, fix), message)
