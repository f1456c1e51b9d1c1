"""Names of images and labels: by a pattern of their paths, or by what they have in common."""

import glob
import re
from collections.abc import Sequence
from pathlib import Path

from src.data.finding import ERROR, Finding

NAME = "{name}"


def is_pattern(text: str) -> bool:
    """Whether a text stands for several paths: with one ``*`` or ``{name}`` where the name of an image is."""
    return "*" in text or NAME in text


def by_pattern(root: Path, key: str, pattern: str, suffixes: Sequence[str]) -> tuple[dict[str, Path], list[Finding]]:
    """The files that a pattern fits, by the names that it leaves open, and those that no name tells apart.

    Args:
        root: the folder that the pattern begins in.
        key: in the configuration, which messages name.
        pattern: such as ``labels/mask_{name}.png``, ``labels/mask_{name}.*`` or ``*_1stHO``.
        suffixes: of the files, where the pattern says none.

    Raises:
        ValueError: nothing of the pattern is open, or more than one part.
        FileNotFoundError: it fits no file.
    """
    text = pattern.replace(NAME, "*").removesuffix(".*")
    if text.count("*") != 1:
        raise ValueError(f"expected {key} with one {NAME}, but got {pattern}; nearest valid: labels/{NAME}_mask.png")
    ended = text.lower().endswith(tuple(suffixes))
    before, after = text.split("*")
    named = re.compile(f"{re.escape(before)}(.+){re.escape(after)}")
    files: dict[str, Path] = {}
    findings = []
    for file in sorted(root.glob(f"{glob.escape(before)}*{glob.escape(after)}{'' if ended else '.*'}")):
        path = file.relative_to(root).as_posix()
        match = named.fullmatch(path if ended else path.removesuffix(file.suffix).removesuffix(".ome"))
        if file.suffix.lower() not in suffixes or not match:
            continue
        if files.setdefault(match[1], file) != file:
            found, fix = f"{files[match[1]].name} beside it", "say the ending too, such as labels/*.png"
            findings.append(Finding("same-name", ERROR, str(file), found, f"one file that {pattern} fits", fix))
    if not files:
        there = ", ".join(sorted(path.name for path in root.iterdir())[:5]) or "nothing"
        raise FileNotFoundError(f"expected {key}={pattern} to fit files in {root}, but it fits none of {there}")
    return files, findings


def aligned(images: Sequence[str], labels: Sequence[str]) -> dict[str, str] | None:
    """Of each name of labels that of its image, if all are alike but for one beginning and one ending; else None.

    >>> aligned(["image_1", "image_2"], ["2_mask", "1_mask"])
    {'2_mask': 'image_2', '1_mask': 'image_1'}
    """
    of_images, of_labels = ({_without_affixes(name, names): name for name in names} for names in (images, labels))
    if len(of_images) < 2 or not len(images) == len(labels) == len(of_images) or of_images.keys() != of_labels.keys():
        return None
    return {name: of_images[key] for key, name in of_labels.items()}


def _beginning(names: Sequence[str]) -> str:
    """What all names begin with, which is what the first and the last of them in order do."""
    first, last = min(names), max(names)
    return first[
        : next((place for place, pair in enumerate(zip(first, last, strict=False)) if pair[0] != pair[1]), None)
    ]


def _without_affixes(name: str, names: Sequence[str]) -> str:
    """What of a name no other one begins or ends with; of a number without zeros before it."""
    start = _beginning(names).rstrip("0123456789")
    end = _beginning([each[len(start) :][::-1] for each in names]).rstrip("0123456789")
    key = name[len(start) : len(name) - len(end)]
    return key.lstrip("0") or "0" if key.isdecimal() else key
