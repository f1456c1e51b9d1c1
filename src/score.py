"""Score predictions of any tool against the truth: ``python -m src.score truth=PATH prediction=PATH metrics=isbi``."""

from pathlib import Path

from omegaconf import DictConfig

from src import command
from src.arguments import check_probability
from src.terminal import print_scores, say, shown, warn


@command.verb("score")
def main(config: DictConfig) -> None:
    from src import build
    from src.data.comparison import comparisons, match
    from src.files.whole import write_json, write_rows
    from src.pages.page import write_score_page
    from src.scoring import Scoring

    check_probability("threshold", config.threshold)
    output = Path(config.output) if config.output else None
    if output and output.suffix != ".json":
        raise ValueError(f"expected output to end in .json, but got {output}")
    scoring = Scoring(
        build.make(config, "metrics"), build.make(config, "instances"), config.threshold, with_pictures=bool(output)
    )
    preferred = "_probabilities" if scoring.membranes else "_labels"
    pairs, alone = match(Path(config.truth), Path(config.prediction), preferred)
    for file in alone:
        warn(f"{file} has no counterpart and is left out")

    failures = command.Failures(len(pairs), config.debug)
    for pair in pairs:
        with failures.noted(pair[1]):
            for image in list(comparisons(*pair, config.ignore_label)):  # all of a stack are read before any counts
                scoring.add(image)
    for warning in scoring.warnings():
        warn(warning)
    if scoring.rows:
        print_scores(scoring.scores())
    failures.check("scored")
    if output:
        write_json(output, scoring.scores())
        write_rows(output.with_suffix(".csv"), scoring.rows)
        page = output.with_suffix(".html")
        write_score_page(page, scoring.scores(), *scoring.monitor, scoring.pictures, scoring.kinds, shown)
        say(f"report: {page}")


if __name__ == "__main__":
    command.run(main)
