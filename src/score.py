"""Score predictions of any tool against the truth: ``python -m src.score truth=PATH prediction=PATH metrics=isbi``."""

import csv
import inspect
from collections import defaultdict
from pathlib import Path

import numpy as np
from omegaconf import DictConfig

from src import build, command
from src.data.comparison import Comparison, comparisons, doubts, match
from src.files.whole import complete_file, spreadsheet_safe, write_json
from src.metrics.evaluator import THRESHOLDS, Evaluator, Labels, Prediction, Probabilities
from src.metrics.instance import numbered
from src.metrics.mistakes import OF_CELLS, OF_CLASSES, cell_mistakes, class_mistakes
from src.pages.page import worst_first, write_score_page
from src.pages.pictures import panels

MOST_PICTURES = 12  # of images, the worst ones


@command.verb("score")
def main(config: DictConfig) -> None:
    command.check_probability("threshold", config.threshold)
    if config.output and Path(config.output).suffix != ".json":
        raise ValueError(f"expected output to end in .json, but got {config.output}")
    metrics, segment = build.metrics(config), build.instances(config)
    membranes = any(metric.best_over_thresholds for metric in metrics.values())
    pairs, alone = match(Path(config.truth), Path(config.prediction), "_probabilities" if membranes else "_labels")
    for file in alone:
        command.warn(f"{file} has no counterpart and is left out")

    of_classes = any("classes" in inspect.signature(type(metric).update).parameters for metric in metrics.values())
    monitor, mode = next(item for metric in metrics.values() for item in metric.modes.items())
    evaluator, rows, doubtful, worst, shown = None, [], defaultdict(list), [], {}
    failures = command.Failures(len(pairs), config.debug)
    for pair in pairs:
        with failures.noted(pair[1]):
            # All slices of a stack are read before the first of them counts.
            for image in list(comparisons(*pair, config.ignore_label)):
                if evaluator is None:
                    probable = image.is_probable
                    evaluator = Evaluator(metrics, config.threshold, thresholds=THRESHOLDS if probable else (0.0,))
                if image.is_probable != probable:
                    raise ValueError(
                        f"expected probabilities or labels throughout, but {image.name} differs from {rows[0]['name']}"
                    )
                prediction = Probabilities(image.prediction, segment) if probable else Labels(image.prediction)
                rows.append(
                    {
                        "name": image.name,
                        **evaluator.update(prediction, image.truth, numbered(image.truth), image.known),
                    }
                )
                worst = worst_first([*worst, rows[-1]], monitor, mode)[:MOST_PICTURES]
                if config.output and rows[-1] in worst:
                    shown[image.name] = pictures(image, prediction, config.threshold, of_classes)
                    shown = {row["name"]: shown[row["name"]] for row in worst}
                for doubt in doubts(image, membranes):
                    doubtful[doubt].append(image.name)
    for doubt, names in doubtful.items():
        command.warn(f"{doubt} ({len(names)} of {len(rows)} images, first {names[0]})")

    if rows:
        scores = {"scores": evaluator.compute(), "per_image": rows}
        command.print_scores(scores)
    failures.check("scored")
    if config.output:
        write_json(Path(config.output), scores)
        write_rows(Path(config.output).with_suffix(".csv"), rows)
        page = Path(config.output).with_suffix(".html")
        kinds = OF_CLASSES if of_classes else OF_CELLS
        write_score_page(page, scores, monitor, mode, shown, kinds, command.shown)
        command.say(f"report: {page}")


def pictures(image: Comparison, prediction: Prediction, threshold: float, of_classes: bool) -> dict[str, bytes]:
    """Truth, prediction and what is wrong with it, as of `pages.pictures.panels`."""
    known = np.ones(image.truth.shape, bool) if image.known is None else image.known
    within = prediction.within(known)
    labels = within.classes(threshold) if of_classes else within.labels(threshold)
    truth = (image.truth if of_classes else numbered(image.truth)) * known
    kinds = (class_mistakes if of_classes else cell_mistakes)(labels, truth)
    return panels(None, truth, labels, kinds)


def write_rows(file: Path, rows: list[dict]) -> None:
    """Write a CSV file with a line an image; a score that an image does not have is left empty."""
    columns = dict.fromkeys(name for row in rows for name in row)
    how = {"newline": "", "encoding": "utf-8", "errors": "backslashreplace"}  # a name may be no UTF-8
    with complete_file(file) as partial, partial.open("w", **how) as lines:
        table = csv.DictWriter(lines, columns)
        table.writeheader()
        known = ({name: value for name, value in row.items() if value == value} for row in rows)  # no nan
        table.writerows(row | {"name": spreadsheet_safe(row["name"])} for row in known)


if __name__ == "__main__":
    command.run(main)
