"""Files of two annotators, or of two tools, told apart by patterns of their names: no file need be renamed."""

import glob
import re
from pathlib import Path

from src.data.comparison import Pair, Source


def are_patterns(truth: str, prediction: str) -> bool:
    """Whether both name files by a pattern such as ``labels/*_1stHO.tif``, rather than files or folders that exist."""
    return all("*" in path and not Path(path).exists() for path in (truth, prediction))


def match_patterns(truth: str, prediction: str) -> tuple[list[Pair], list[Path]]:
    """Pairs of files in whose names the same stands for ``*``, and files without a partner.

    Args:
        truth: such as ``labels/*_1stHO.tif``.
        prediction: such as ``labels/*_2ndHO.tif``.

    Raises:
        FileNotFoundError: the patterns have no pair of files in common.
    """
    true, predicted = _named(truth), _named(prediction)
    both = sorted(true.keys() & predicted.keys())
    if not both:
        counts = f"{len(true)} and {len(predicted)} files"
        raise FileNotFoundError(
            f"expected files of {truth} and {prediction} in whose names the same stands for *, but got {counts} "
            f"without a pair; nearest valid: one * in each pattern, where the name of the image stands"
        )
    pairs = [(Source(true[name], name=name), Source(predicted[name], name=name)) for name in both]
    alone = [files[name] for files in (true, predicted) for name in sorted(files.keys() - set(both))]
    return pairs, alone


def _named(pattern: str) -> dict[str, Path]:
    """The files of a pattern by what stands for ``*`` in their names."""
    parts = re.split(r"\*+", Path(pattern).name)
    name = re.compile("(.*)".join(map(re.escape, parts)), re.DOTALL)
    found = {}
    for file in sorted(map(Path, glob.glob(pattern))):
        if stands := name.fullmatch(file.name):
            found["_".join(stands.groups())] = file
    return found
