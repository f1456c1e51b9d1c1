"""Score predictions of any tool against the truth: ``python -m src.score truth=PATH prediction=PATH metrics=isbi``."""

import csv
from collections import defaultdict
from pathlib import Path

import hydra
from omegaconf import DictConfig

from src import build, command
from src.data.comparison import comparisons, doubts, match
from src.data.stack import complete_file
from src.metrics.evaluator import THRESHOLDS, Evaluator, Labels, Probabilities
from src.metrics.instance import numbered
from src.run.directory import write_json


@hydra.main(config_path=str(build.CONF), config_name="score", version_base="1.3")
@command.one_message
def main(config: DictConfig) -> None:
    command.check_probability("threshold", config.threshold)
    if config.output and Path(config.output).suffix != ".json":
        raise ValueError(f"expected output to end in .json, but got {config.output}")
    metrics, segment = build.metrics(config), build.instances(config)
    membranes = any(metric.best_over_thresholds for metric in metrics.values())
    pairs, alone = match(Path(config.truth), Path(config.prediction), "_probabilities" if membranes else "_labels")
    for file in alone:
        command.warn(f"{file} has no counterpart and is left out")

    evaluator, rows, doubtful = None, [], defaultdict(list)
    for image in (image for pair in pairs for image in comparisons(*pair, config.ignore_label)):
        if evaluator is None:
            probable = image.is_probable
            evaluator = Evaluator(metrics, config.threshold, thresholds=THRESHOLDS if probable else (0.0,))
        if image.is_probable != probable:
            raise ValueError(
                f"expected probabilities or labels throughout, but {image.name} differs from {rows[0]['name']}"
            )
        prediction = Probabilities(image.prediction, segment) if probable else Labels(image.prediction)
        rows.append(
            {"name": image.name, **evaluator.update(prediction, image.truth, numbered(image.truth), image.known)}
        )
        for doubt in doubts(image, membranes):
            doubtful[doubt].append(image.name)
    for doubt, names in doubtful.items():
        command.warn(f"{doubt} ({len(names)} of {len(rows)} images, first {names[0]})")

    scores = {"scores": evaluator.compute(), "per_image": rows}
    command.print_scores(scores)
    if config.output:
        write_json(Path(config.output), scores)
        write_rows(Path(config.output).with_suffix(".csv"), rows)


def write_rows(file: Path, rows: list[dict]) -> None:
    """Write a CSV file with a line an image; a score that an image does not have is left empty."""
    columns = dict.fromkeys(name for row in rows for name in row)
    with complete_file(file) as partial, partial.open("w", newline="", encoding="utf-8") as lines:
        table = csv.DictWriter(lines, columns)
        table.writeheader()
        table.writerows({name: value for name, value in row.items() if value == value} for row in rows)  # no nan


if __name__ == "__main__":
    command.run(main)
