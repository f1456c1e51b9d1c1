"""Pair the files of two annotators or tools by file name patterns, so that no file has to be renamed."""

import glob
import re
from pathlib import Path

from src.data.comparison import Pair, Source


def are_patterns(truth: str, prediction: str) -> bool:
    """Return whether both arguments are patterns such as ``labels/*_1stHO.tif``, not existing files or folders."""
    return all("*" in path and not Path(path).exists() for path in (truth, prediction))


def match_patterns(truth: str, prediction: str) -> tuple[list[Pair], list[Path]]:
    """Pair each file that matches one pattern with the file for which ``*`` matches the same text in the other.

    Args:
        truth: a pattern such as ``labels/*_1stHO.tif``.
        prediction: a pattern such as ``labels/*_2ndHO.tif``.

    Returns:
        The pairs of truth and prediction, and the files without a partner.

    Raises:
        FileNotFoundError: the patterns match no pair of files.
    """
    true, predicted = _named(truth), _named(prediction)
    both = sorted(true.keys() & predicted.keys())
    if not both:
        counts = f"{len(true)} and {len(predicted)} files"
        raise FileNotFoundError(
            f"expected files of {truth} and {prediction} in whose names * matches the same text, but got {counts} "
            f"without a pair; nearest valid: one * in each pattern, in place of the name of the image"
        )
    pairs = [(Source(true[name], name=name), Source(predicted[name], name=name)) for name in both]
    alone = [files[name] for files in (true, predicted) for name in sorted(files.keys() - set(both))]
    return pairs, alone


def _named(pattern: str) -> dict[str, Path]:
    """Return the files that match a pattern, by the part of their names that ``*`` matches."""
    parts = re.split(r"\*+", Path(pattern).name)
    name = re.compile("(.*)".join(map(re.escape, parts)), re.DOTALL)
    found = {}
    for file in sorted(map(Path, glob.glob(pattern))):
        if match := name.fullmatch(file.name):
            found["_".join(match.groups())] = file
    return found
