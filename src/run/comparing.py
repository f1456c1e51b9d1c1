"""Finished runs held against each other, image by image, from their directories alone."""

from collections.abc import Sequence
from pathlib import Path

from src.metrics.comparing import Difference, difference
from src.run.directory import finished_scores, read_config
from src.run.folds import fold_directories
from src.run.layouts import Judged

MOST_IMAGES = 10_000  # of which it is worth to say how many would tell two runs apart


def compared(directories: Sequence[Path]) -> tuple[str, str, list[dict]]:
    """Compare the first of several runs or cross-validations with each other one, by the score that it is monitored by.

    Args:
        directories: of the runs.

    Returns:
        The name of the score; whether ``max`` or ``min`` of it is better; and of each other run its ``directory``, the
        means of ``both`` over the images that they have in common, and the `Difference`, first run less the other one.

    Raises:
        ValueError: a run is not finished, or has not at least two images in common with the first one.
    """
    if len(directories) < 2:
        raise ValueError("expected at least two runs to compare, but got one; nearest valid: compare=[RUN_A,RUN_B]")
    first, *others = ((each, scores_of(each)) for each in directories)
    config = read_config((fold_directories(first[0]) or [first[0]])[0], Judged)
    monitor, rows = config["monitor"], []
    for directory, scores in others:
        pairs = in_common(first[1], scores, monitor)
        found = difference(*zip(*pairs, strict=True)) if pairs else None
        if found is None:
            raise ValueError(
                f"expected two images or more with {monitor} in {first[0]} and in {directory}, but got {len(pairs)}; "
                f"nearest valid: runs that have scored the same images"
            )
        both = [sum(each) / len(pairs) for each in zip(*pairs, strict=True)]
        rows.append({"directory": directory, "both": both, "difference": found})
    return monitor, config["monitor_mode"], rows


def scores_of(directory: Path) -> dict:
    """The scores of a finished run or cross-validation.

    Raises:
        ValueError: it is not finished, or damaged.
    """
    scores = finished_scores(directory)
    if scores is None:
        raise ValueError(
            f"expected a finished run, but {directory} is none; the command that started it goes on with it"
        )
    return scores


def in_common(one: dict, other: dict, monitor: str) -> list[tuple[float, float]]:
    """The scores of the images that two runs have in common, where both know them.

    Args:
        one, other: scores of a run.
        monitor: the score.
    """
    there = {row["name"]: row.get(monitor) for row in other["per_image"]}
    pairs = ((row.get(monitor), there.get(row["name"])) for row in one["per_image"])
    return [pair for pair in pairs if None not in pair]


def against_first(sweep: Path, rows: Sequence[dict]) -> list[str]:
    """Of each point of a sweep in words whether it can be told from the first one by the images that both have scored.

    Args:
        sweep: its directory.
        rows: as of `ranking.ranking`; an unfinished point, and one of other images, is not compared.
    """
    scores = [finished_scores(sweep / row["directory"]) if row["scores"] else None for row in rows]  # those read before
    told = []
    for row, each in zip(rows, scores, strict=True):
        pairs = in_common(scores[0], each, rows[0]["monitor"]) if each and scores[0] and each is not scores[0] else []
        found = difference(*zip(*pairs, strict=True)) if len(pairs) > 1 and row["scores"] else None
        told.append("" if found is None else in_words(found))
    return told


def in_words(found: Difference) -> str:
    """A difference with its interval, and whether it can be told from none.

    >>> in_words(Difference(0.02, -0.01, 0.05, 6, 40))
    '+0.0200 (-0.0100 to +0.0500), indistinguishable by 6 images; about 40 would tell'
    """
    text = f"{found.mean:+.4f} ({found.low:+.4f} to {found.high:+.4f})"
    if found.significant:
        return text
    if found.needed is None:
        return f"{text}, equal on {found.images} images"
    many = f"about {found.needed}" if found.needed <= MOST_IMAGES else f"more than {MOST_IMAGES}"
    return f"{text}, indistinguishable by {found.images} images; {many} would tell"


def lines(first: Path, monitor: str, mode: str, rows: Sequence[dict]) -> list[str]:
    """What a comparison says, in sentences.

    Args:
        first: the run that was compared with the others.
        monitor, mode, rows: as of `compared`.
    """
    said = []
    for row in rows:
        found, (one, other) = row["difference"], row["both"]
        better = first if (found.mean > 0) == (mode == "max") else row["directory"]
        verdict = f"; {better} is better" if found.significant else ""
        said.append(
            f"{first} less {row['directory']}: mean {monitor} of {found.images} images {one:.4f} and {other:.4f}, "
            f"{in_words(found)}{verdict}"
        )
    return said
