"""Matches image names with label names, by a pattern of their paths or by what the names have in common."""

import glob
import re
from collections.abc import Sequence
from pathlib import Path

from src.data.finding import ERROR, Finding
from src.files.names import SEPARATORS, longer_than

NAME = "{name}"


def is_pattern(text: str) -> bool:
    """Return whether a text is a path pattern, which has ``*`` or ``{name}`` in place of an image name."""
    return "*" in text or NAME in text


def by_pattern(root: Path, key: str, pattern: str, suffixes: Sequence[str]) -> tuple[dict[str, Path], list[Finding]]:
    """Find the files that match a path pattern.

    Args:
        root: the folder to which the pattern is relative.
        key: the configuration key of the pattern, for messages.
        pattern: such as ``labels/mask_{name}.png``, ``labels/mask_{name}.*`` or ``*_1stHO``. The image name is the part
            in place of ``{name}`` or, if the pattern has no ``{name}``, of its one ``*``. Next to a ``{name}``, each
            ``*`` matches any text without a slash.
        suffixes: suffixes of the files to find; a pattern may have one of them or none.

    Returns:
        The files by image name, and an error finding for each further file with the same image name.

    Raises:
        ValueError: the pattern does not have exactly one ``{name}``, or one ``*`` instead.
        FileNotFoundError: no file matches the pattern.
    """
    text = pattern if NAME in pattern else pattern.removesuffix(".*").replace("*", NAME)
    text = text.removesuffix(".*")
    if text.count(NAME) != 1:
        raise ValueError(f"expected {key} with one {NAME}, but got {pattern}; nearest valid: labels/{NAME}_mask.png")
    ended = text.lower().endswith(tuple(suffixes))
    before, after = (part.split("*") for part in text.split(NAME))
    named = re.compile("(.+)".join("[^/]*".join(map(re.escape, part)) for part in (before, after)))
    wild = "*".join("*".join(map(glob.escape, part)) for part in (before, after))
    files: dict[str, Path] = {}
    findings = []
    for file in sorted(root.glob(f"{wild}{'' if ended else '.*'}")):
        path = file.relative_to(root).as_posix()
        match = named.fullmatch(path if ended else path.removesuffix(file.suffix).removesuffix(".ome"))
        if file.suffix.lower() not in suffixes or not match:
            continue
        if files.setdefault(match[1], file) != file:
            found, fix = f"{files[match[1]].name} beside it", "add the ending to the pattern, such as labels/*.png"
            findings.append(Finding("same-name", ERROR, str(file), found, f"one file that {pattern} fits", fix))
    if not files:
        there = ", ".join(sorted(path.name for path in root.iterdir())[:5]) or "nothing"
        raise FileNotFoundError(f"expected {key}={pattern} to fit files in {root}, but it fits none of {there}")
    return files, findings


def alike(images: Sequence[str], labels: Sequence[str]) -> dict[str, str] | None:
    """Return the image name for each label name, or None unless this pairs all images with all labels.

    The names may be `aligned`, differ in capitals and separators only, or one may begin or end with the other.
    """
    return aligned(images, labels) or _same_letters(images, labels) or _contained(images, labels)


def _same_letters(images: Sequence[str], labels: Sequence[str]) -> dict[str, str] | None:
    """Pair names as `alike` does, but only names that differ in nothing but capitals and separators.

    >>> _same_letters(["Cell 1", "Cell 2"], ["cell_1", "cell_2"])
    {'cell_1': 'Cell 1', 'cell_2': 'Cell 2'}
    """
    of_images, of_labels = ({plain(name): name for name in names} for names in (images, labels))
    if not len(images) == len(labels) == len(of_images) or of_images.keys() != of_labels.keys():
        return None
    return {name: of_images[key] for key, name in of_labels.items()}


def plain(name: str) -> str:
    """Return a name in lower case with one kind of separator, so that different spellings become equal."""
    return re.sub(f"[{re.escape(SEPARATORS)}]+", "_", name.casefold())


def _contained(images: Sequence[str], labels: Sequence[str]) -> dict[str, str] | None:
    """Pair names as `alike` does, but only where either all images or all labels have an added prefix or suffix.

    The prefix or suffix, such as an export number, may differ from name to name.

    >>> _contained(["61148fa2-a", "9b21f0c4-b"], ["a", "b"])
    {'a': '61148fa2-a', 'b': '9b21f0c4-b'}
    """
    for shorter, longer in ((images, labels), (labels, images)):
        short, found = set(shorter), {}
        for name in longer if len(images) == len(labels) > 1 else ():
            parts = [*longer_than(name), *(name[place + 1 :] for place, sign in enumerate(name) if sign in SEPARATORS)]
            held = {part for part in parts if part in short}
            if len(held) != 1:
                break
            found[name] = held.pop()
        if len(found) == len(set(found.values())) == len(images) > 0:
            return found if shorter is images else {part: name for name, part in found.items()}
    return None


def aligned(images: Sequence[str], labels: Sequence[str]) -> dict[str, str] | None:
    """Return the image name for each label name, or None unless the varying parts of the names pair all of them.

    The varying part of a name is what remains without the prefix and suffix that all images, or all labels, share;
    leading zeros of numbers are ignored.

    >>> aligned(["image_1", "image_2"], ["2_mask", "1_mask"])
    {'2_mask': 'image_2', '1_mask': 'image_1'}
    """
    of_images, of_labels = (dict(zip(_without_affixes(names), names, strict=True)) for names in (images, labels))
    if len(of_images) < 2 or not len(images) == len(labels) == len(of_images) or of_images.keys() != of_labels.keys():
        return None
    return {name: of_images[key] for key, name in of_labels.items()}


def beginning(names: Sequence[str]) -> str:
    """Return the longest common prefix of all names."""
    first, last = min(names, default=""), max(names, default="")  # what these share, all names between them share
    return first[
        : next((place for place, pair in enumerate(zip(first, last, strict=False)) if pair[0] != pair[1]), None)
    ]


def _without_affixes(names: Sequence[str]) -> list[str]:
    """Remove the common prefix and suffix of all names from each name, and leading zeros if the rest is a number."""
    start = len(beginning(names).rstrip("0123456789"))
    end = len(beginning([name[start:][::-1] for name in names]).rstrip("0123456789"))
    keys = [name[start : len(name) - end] for name in names]
    return [key.lstrip("0") or "0" if key.isdecimal() else key for key in keys]
