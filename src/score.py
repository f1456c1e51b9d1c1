"""Score predictions of any tool against the truth: ``python -m src.score truth=PATH prediction=PATH metrics=isbi``."""

from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig, ListConfig

from src import command
from src.arguments import check_probability
from src.saying import say, warn
from src.terminal import print_scores, shown

if TYPE_CHECKING:
    from src.data.comparison import Pair


@command.verb("score")
def main(config: DictConfig) -> None:
    """Match the files of truth and prediction, score each pair, and print and write the scores."""
    from src import build
    from src.data.comparison import comparisons, look
    from src.files.whole import write_json, write_rows
    from src.micrographs import Micrographs
    from src.pages.page import write_score_page
    from src.scoring import Scoring
    from src.values import agreed

    check_probability("threshold", config.threshold)
    output = Path(config.output) if config.output else None
    if config.images and not output:
        raise ValueError(
            "expected output=FILE.json with images=…, because a page shows them; nearest valid: output=scores.json"
        )
    if output and output.suffix != ".json":
        raise ValueError(f"expected output to end in .json, but got {output}")
    micrographs = Micrographs(config.images) if output else None
    metrics, instances = (build.make(config, name) for name in ("metrics", "instances"))
    scoring = Scoring(metrics, instances, config.threshold, micrographs)
    values = _values(config["values"], scoring.of_classes)
    pairs, alone = _matched(config.truth, config.prediction, scoring.membranes)
    for file in alone:
        warn(f"{file} has no counterpart and is left out")

    failures = command.Failures(len(pairs), config.debug)
    facts = {}
    for pair in pairs:
        with failures.noted(pair[1].file):
            facts[pair] = look(pair, scoring.of_classes, config.ignore_label)
    true, predicted = ([each[side] for each in facts.values()] for side in (0, 1))
    meant, scales = agreed(true, predicted, scoring.of_classes, values, Path(config.truth))
    for pair in facts:
        with failures.noted(pair[1].file):  # a stack counts only if all of it can be read
            for image in list(comparisons(pair, meant, scales, scoring.of_classes, config.ignore_label)):
                scoring.add(image)
    for warning in scoring.warnings():
        warn(warning)
    if scoring.rows:
        print_scores(scoring.scores(), *scoring.monitor)
    failures.check("scored")
    if output:
        write_json(output, scoring.scores())
        write_rows(output.with_suffix(".csv"), scoring.rows)
        page = output.with_suffix(".html")
        write_score_page(page, scoring.scores(), *scoring.monitor, scoring.pictures, scoring.kinds, shown)
        say(f"report: {page}")


def _matched(truth: str, prediction: str, membranes: bool) -> tuple["list[Pair]", list[Path]]:
    """Return the pairs of truth and prediction, and the files that have no counterpart.

    Of predictions in both forms, probabilities are taken if ``membranes``, label images otherwise.
    """
    from src.data.annotators import are_patterns, match_patterns
    from src.data.comparison import match

    if are_patterns(truth, prediction):
        return match_patterns(truth, prediction)
    return match(Path(truth), Path(prediction), "_probabilities" if membranes else "_labels")


def _values(values: object, of_classes: bool) -> tuple[int, ...] | None:
    """Return the values of class 0, 1, … in the truth as the user gave them, or None if the user gave none."""
    if values is None:
        return None
    given = list(values) if isinstance(values, ListConfig) else []
    whole = all(type(value) is int and value >= 0 for value in given)
    if not whole or not len(set(given)) == len(given) > 1:
        raise ValueError(f"expected values of class 0, 1, … from 0 up, but got values={values}; nearest valid: [0,1,5]")
    if not of_classes:
        raise ValueError(
            "expected values=… with scores of classes, but got other metrics; nearest valid: metrics=semantic"
        )
    return tuple(given)


if __name__ == "__main__":
    command.run(main, "score")
