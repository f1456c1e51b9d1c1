"""What the scores of images say, how sure that is, and what to do next."""

from collections.abc import Sequence
from statistics import median

from src.metrics.bootstrap import of_mean
from src.metrics.goodness import goodness, is_known

COUNTED = {"splits": "split", "merges": "merged", "missed": "missed", "extra": "extra"}  # scores that count cells
MOST = 1 / 3  # share of the mistakes from which a kind of them is what to work on
FEW = 5  # images, of which an interval says next to nothing
FAR = 4.0  # times the median distance from the median, from which an image is unlike the others
ADVICE = {
    "split": (
        "The commonest mistakes are cells in pieces. See which way of numbering the validation images prefer (the line "
        "on it when training ended); a larger instances.min_size, or annotating more cells like those, may help."
    ),
    "merged": (
        "The commonest mistakes are cells run together. Learn their borders as a class with target=border, "
        "or weigh them more with weight_map=plugin; annotating more cells that touch helps both."
    ),
    "missed": (
        "The commonest mistakes are cells that were not found. See whether they are fainter or smaller than those "
        "learnt from, and annotate more like them."
    ),
    "extra": (
        "The commonest mistakes are cells where nothing is annotated. See whether they were forgotten when the images "
        "were annotated: each counts as a mistake of the network."
    ),
}


def verdict(scores: dict, rows: Sequence[dict], monitor: str, what: str, places: dict[str, list]) -> str:
    """What the scores say, in a sentence or two.

    Args:
        scores: of all images together.
        rows: of each image, the worst first.
        monitor: the score that is spoken of.
        what: was scored, such as ``held-out images``.
        places: of each image, kind, row and column of mistakes, the largest first.
    """
    what = what if len(rows) != 1 else what.replace("images", "image")
    if not is_known(scores.get(monitor)):
        return f"{len(rows)} {what}; there was nothing to judge {monitor} by."
    each = [row[monitor] for row in rows if is_known(row.get(monitor))]
    text = f"On {len(rows)} {what}, {monitor} is {scores[monitor]:.3f}"
    if len(each) > 1:
        low, high = of_mean(each)
        sure = f"95 % interval of their mean {low:.3f} to {high:.3f}"
        sure = sure if len(each) >= FEW else "too few to say how sure that is"
        text += f" (from {min(each):.3f} to {max(each):.3f} an image; {sure}). The worst is {rows[0]['name']}"
        if found := places.get(rows[0]["name"]):
            kind, row, column = found[0]
            text += f", where the largest mistake ({kind}) is near row {row}, column {column}"
    counts = {kind: scores.get(name) for name, kind in COUNTED.items()}
    if all(map(is_known, counts.values())) and any(counts.values()):
        text += f". Mistakes among cells: {', '.join(f'{int(count)} {kind}' for kind, count in counts.items())}"
    return f"{text}."


def next_steps(scores: dict, rows: Sequence[dict], monitor: str, mode: str, diagnosis: Sequence[str]) -> list[str]:
    """What to do next, each with the evidence for it.

    Args:
        scores: of all images together.
        rows: of each image, the worst first.
        monitor: the score that is spoken of.
        mode: whether ``max`` or ``min`` of it is better.
        diagnosis: what was said while the network trained.
    """
    rising = [line for line in diagnosis if "still rising" in line]
    steps = [f"Train longer: {line}. The same command with extend=+{_half(line)} goes on." for line in rising]
    counts = {kind: int(scores.get(name) or 0) for name, kind in COUNTED.items()}
    most = max(counts, key=counts.get)
    if counts[most] > MOST * sum(counts.values()):
        steps.append(f"{ADVICE[most]} ({counts[most]} of {sum(counts.values())})")
    if (odd := unlike(rows, monitor, mode)) is not None:
        others = median(row[monitor] for row in rows if is_known(row.get(monitor)))
        steps.append(
            f"Look at {odd['name']}, which is unlike the others: {monitor} is {odd[monitor]:.3f} there and "
            f"{others:.3f} in the middle of all. If it is of another kind, annotate more of that kind to learn from."
        )
    known = [row for row in rows if is_known(row.get(monitor))]
    if not steps and known:
        steps.append(
            f"No single cause stands out. Annotate a few more images like {known[0]['name']}, the worst one, and learn "
            f"from them too."
        )
    return steps


def unlike(rows: Sequence[dict], monitor: str, mode: str) -> dict | None:
    """The worst image, if it is far worse than the others; None if it is not, or there are too few to tell."""
    known = [row for row in rows if is_known(row.get(monitor))]
    if len(known) < 4:
        return None
    ranks = [goodness(row[monitor], mode) for row in known]
    middle = median(ranks)
    spread = median(abs(rank - middle) for rank in ranks)
    worst = min(range(len(known)), key=ranks.__getitem__)
    return known[worst] if middle - ranks[worst] > FAR * max(spread, 0.01 * abs(middle)) else None


def _half(line: str) -> int:
    """Half as many steps as there were when the best validation was made."""
    return max(1, int(line.rsplit(" ", 1)[1]) // 2)
