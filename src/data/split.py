"""Splits the images into training, validation and held-out images."""

import re
from collections import Counter
from collections.abc import Iterator
from fnmatch import fnmatch, translate

from src.data.finding import ERROR, Finding, Refused
from src.data.patterns import beginning

GROUPS = ("train", "validation", "held_out")
HELD_OUT, VALIDATION = 0.2, 0.1  # shares of all images
AUTOMATIC = "data.train=auto data.validation=auto data.held_out=auto"
FEWEST = 3  # with fewer training files, none of them becomes a validation file
OPEN = re.compile(r"\{([A-Za-z_]\w*)\}")  # the part of a pattern that names a group
FEWEST_GROUPS = 3  # fewest different first numbers in names such as p1_01 that are taken for groups
MOST_LETTERS = 6  # most different endings of names, such as L and R, that are taken for images of one group


def split(
    groups: dict[str, str],
    names: list[str],
    files: list[str] | None = None,
    parts: list[str] | None = None,
    pattern: str | None = None,
) -> dict[str, list[int]]:
    """Return the indices of the images in each of the `GROUPS`: train, validation and held_out.

    Args:
        groups: which images are in each of the `GROUPS`, as a text that `chosen` reads; or ``auto`` for all three,
            which takes the split from the folders if they define one (see `of_folders`), else from `automatic_split`.
        names: names of the images.
        files: source file of each image; None means that all images are slices of one file.
        parts: train, validation or held_out for each image if its folders say so, else empty; None if no folder does.
        pattern: a name pattern, as in `together`, that tells which images the automatic split must keep together; None
            means images of the same file.

    Raises:
        Refused: an image is missing or in two groups, no image is left for training or scoring, only some groups are
            ``auto``, or the pattern does not match the names.
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
    """Return the indices of the images that a text selects: ``0-19`` (inclusive), ``0-9,15``, ``plate3_*`` or nothing.

    Args:
        text: indices, ranges of indices and name patterns, separated by commas; empty for no images.
        names: names of all images.

    Raises:
        Refused: the text has another form, or selects an image twice or an image that does not exist.
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
    """Return the name of each image's group, which is for example a patient or a tissue block.

    A split keeps the images of a group together. Slices of one file always belong to one group.

    Args:
        names: names of the images.
        files: source file of each image.
        pattern: a pattern that matches whole image names, such as ``{patient}[LR]`` or ``{patient}_*``. The part in
            braces stands for the group name and matches as little as possible; ``*``, ``?`` and ``[LR]`` match as in
            file name patterns.

    Raises:
        Refused: the pattern does not have exactly one part in braces, or does not match a name.

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
    """Convert a pattern of `together` to a regular expression; None if it does not have exactly one part in braces."""
    if len(OPEN.findall(pattern)) != 1:
        return None
    return re.compile(translate(OPEN.sub("\0", pattern)).replace("\0", "(?P<group>.+?)"))


def _fitting(names: list[str]) -> str:
    """Return a valid setting of data.groups as an example: the first of some common patterns that matches all names."""
    usual = ("{patient}_*", "{patient}-*", "{patient}.*", "{patient} *", "{patient}?", "{patient}")
    fitting = (each for each in usual if (fits := _named(each)) and all(fits.match(name) for name in names))
    return f"data.groups='{next(fitting)}'"


def grouping_pattern(names: list[str]) -> str | None:
    """Infer a pattern for `together` from names such as 01L and 01R, or p1_01 and p1_02; None if there is none.

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
    """Yield candidate patterns, each with the smallest number of groups that it must produce to be accepted."""
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
    """Return the match of a regular expression with each whole name; empty if one of the names does not match."""
    found = [match for name in names if (match := re.fullmatch(pattern, name))]
    return found if len(found) == len(names) else []


def of_folders(parts: list[str], files: list[str]) -> dict[str, list[int]]:
    """Take the split from folders such as train/, val/ and test/; images in other folders are left out.

    If there are no held-out images, the second half of the validation files becomes held out; if there is only one
    validation file, it does too. If no validation images are left, the last tenth of the training files, and at least
    one, becomes validation files, unless there are fewer than three training files.

    Args:
        parts: train, validation or held_out for each image, or empty; train and at least one other part must occur.
        files: source file of each image.

    Returns:
        The indices of the images in each of the `GROUPS`.
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
    """Return the source files of the images with the given indices, each file once, in order."""
    return list(dict.fromkeys(files[number] for number in numbers))


def _divided(numbers: list[int], files: list[str], count: int) -> tuple[list[int], list[int]]:
    """Divide image indices into those of the first ``count`` source files and the rest."""
    first = set(_files(numbers, files)[:count])
    return [n for n in numbers if files[n] in first], [n for n in numbers if files[n] not in first]


def _share(share: float, count: int) -> int:
    """Return a share of a number of files or images, rounded, but at least 1."""
    return max(1, round(share * count))


def automatic_split(files: list[str]) -> dict[str, list[int]]:
    """Split images into about 70 % for training, 10 % for validation and 20 % held out, at least one of each.

    Each group consists of consecutive files, because files with neighbouring names are often neighbours in a tissue or
    film. Slices of one file stay together. If there is only one file, its slices are split into contiguous groups, with
    one slice left out between groups. Two files, or one file of fewer than five slices, leave no validation images.

    Args:
        files: source file of each image.

    Returns:
        The indices of the images in each of the `GROUPS`.

    Raises:
        Refused: there is only one file, and it has fewer than 3 slices; neighbouring slices are too similar.
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
    """Refuse a split in which an image is in two groups, which would be data leakage, or a needed group is empty.

    Args:
        numbers: indices of the images in each of the `GROUPS`.
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
    """Make the error that refuses a split.

    Args:
        expected: what was expected.
        found: what was found instead.
        nearest: the nearest valid setting, if known.
    """
    message = f"expected {expected}, but got {found}" + (f"; nearest valid: {nearest}" if nearest else "")
    fix = nearest or "data.train=… data.validation=… data.held_out=…"
    return Refused(Finding("split", ERROR, "the data", found, expected, fix), message)
