"""Choose the decoder by its score on the validation images at the end of training, and store it in the checkpoint."""

import math
from dataclasses import dataclass, field
from pathlib import Path

import lightning
import numpy as np

from src.data.datamodule import SliceData
from src.files.whole import complete_file, without_nan
from src.instances import Auto, Decoder, Numbering
from src.metrics.choosing import Choice, Contest, Judged, best_of
from src.metrics.evaluator import Evaluator, Probabilities, best_threshold
from src.metrics.goodness import goodness
from src.metrics.pooled import Pooled
from src.model import archive
from src.model.layout import part_of
from src.model.segmenter import Segmenter, truth
from src.run.ranks import gathered
from src.tiles.symmetry import AVERAGES

# Largest number of pixels of validation images on which the decoder is chosen: 64 images of 512×512, or half a GiB.
MOST_PIXELS = 2**24
# Number of these pixels that are predicted with every test-time augmentation: 8 images of 512×512.
COMPARED_PIXELS = 2**21


@dataclass(frozen=True)
class Average:
    """The score and the computing time of a test-time augmentation on validation images.

    Attributes:
        score: the score by which decoders are chosen, at the threshold where it is best.
        seconds: prediction time per image, in seconds.
    """

    score: float
    seconds: float


@dataclass(frozen=True)
class Chosen:
    """The decoder that was chosen for a checkpoint, and the scores that led to the choice.

    Attributes:
        decoder: the decoder.
        validation_scores: the scores of the validation images with this decoder, by name.
        score: the name of the score by which the decoder was chosen.
        mode: ``max`` if a higher score is better, ``min`` if a lower one is.
        choices: all candidate decoders with their scores; empty if there are no validation images.
        averages: the score and computing time of each test-time augmentation, by name.
    """

    decoder: Decoder
    validation_scores: dict[str, float]
    score: str = ""
    mode: str = "max"
    choices: list[Choice] = field(default_factory=list)
    averages: dict[str, Average] = field(default_factory=dict)


def choose(trainer: lightning.Trainer, module: Segmenter, data: SliceData, asked: Numbering, monitor: str) -> Chosen:
    """Choose the decoder of a network by its score on the validation images.

    Without validation images, the configured decoder is kept. All ranks must call this, and make the same choice.

    Args:
        trainer: the trainer of the run.
        module: the module, with the weights and the test-time augmentation that will be scored.
        data: the data of the run.
        asked: the configured decoder (``instances=``); unless it is `Auto`, only its threshold is chosen.
        monitor: name of the score to optimise.
    """
    if not len(data.split["validation"]):
        numbering = asked.meanwhile if isinstance(asked, Auto) else asked
        return Chosen(Decoder(numbering, module.threshold), module.validation_scores)
    module.seen, module.compared_pixels = [], COMPARED_PIXELS // trainer.world_size
    trainer.predict(module, data.choosing_dataloader(MOST_PIXELS), return_predictions=False)
    known = [truth(batch) for batch, _ in module.seen]
    images = [Judged(found[module.tta][0], *true) for (_, found), true in zip(module.seen, known, strict=True)]
    contest = Contest(module.metrics, monitor, module.model.classes, module.device)
    decoder, choices = contest.choose(images, asked)
    averages = {}
    for tta in AVERAGES:
        compared = [(found[tta], true) for (_, found), true in zip(module.seen, known, strict=True) if len(found) > 1]
        judged = [Judged(probabilities, *true) for (probabilities, _), true in compared]
        scores = contest.judge(judged, [decoder.numbering])[0].scores
        seconds = [each for share in gathered([taken for (_, taken), _ in compared]) for each in share]
        averages[tta] = Average(scores[best_threshold(scores, contest.mode)], float(np.mean(seconds)))
    pooled = Pooled(Evaluator(module.metrics, decoder.threshold, monitor, classes=module.model.classes))
    pooled.to(module.device)
    for each in images:
        pooled.update(Probabilities(each.probabilities, decoder.numbering), each.target, each.instances, each.known)
    module.seen = []
    return Chosen(decoder, pooled.compute()[0], contest.score, contest.mode, choices, averages)


def keep(checkpoint: Path, chosen: Chosen, tta: str, precision: str) -> None:
    """Store the chosen decoder, and how its scores were computed, in a checkpoint file, which is replaced atomically.

    Args:
        checkpoint: the checkpoint file.
        chosen: the decoder and its scores.
        tta: the test-time augmentation with which the scores were computed.
        precision: the precision in which the scores were computed, in Lightning's spelling.
    """
    content = archive.read(checkpoint)
    parts = content["hyper_parameters"] | {"instances": part_of("instances", chosen.decoder.numbering)}
    choices = [
        {"instances": part_of("instances", each.numbering), "ranks": ranks(each, chosen.mode)}
        for each in chosen.choices
    ]
    content |= {"hyper_parameters": parts, "threshold": chosen.decoder.threshold, "tta": tta, "precision": precision}
    content |= {"choices": choices, "validation_scores": without_nan(chosen.validation_scores)}
    with complete_file(checkpoint) as partial:
        archive.write(partial, content)


def ranks(choice: Choice, mode: str) -> list[float | None]:
    """Return the score of a candidate decoder at each threshold, negated if lower is better; None if undefined."""
    found = (goodness(score, mode) for score in choice.scores.values())
    return [rank if math.isfinite(rank) else None for rank in found]


def described(chosen: Chosen, tta: str) -> list[str]:
    """Describe the chosen decoder and the cost of each test-time augmentation.

    Args:
        chosen: the decoder with all results.
        tta: name of the test-time augmentation that is used.

    Returns:
        Lines of text; an empty list if there were no validation images.
    """
    if not chosen.choices:
        return []
    score, mode = chosen.score, chosen.mode

    def best(choices: list[Choice]) -> float:
        scores = best_of(choices, mode).scores
        return scores[best_threshold(scores, mode)]

    kinds: dict[str, list[Choice]] = {}
    for each in chosen.choices:
        kinds.setdefault(type(each.numbering).__name__.lower(), []).append(each)
    others = " · ".join(f"{name} {best(each):.4f}" for name, each in kinds.items())
    part = part_of("instances", chosen.decoder.numbering)
    given = {key: value for key, value in part.items() if key != "name" and value is not None and value is not False}
    values = ", ".join(key if value is True else f"{key} {value}" for key, value in given.items())
    decoder = f"decoder {part['name']}{f' ({values})' if values else ''} at threshold {chosen.decoder.threshold:.1f}"
    costs = " · ".join(
        f"{name}{' (used)' if name == tta else ''} {each.score:.4f} in {each.seconds:.2f} s"
        for name, each in chosen.averages.items()
    )
    lines = [f"{decoder}: {score} on the validation images {others}", f"tta, {score} and time per image: {costs}"]
    used, plain = chosen.averages[tta], chosen.averages["none"]
    if tta != "none":
        times, change = used.seconds / plain.seconds, plain.score - used.score
        lines.append(
            f"src.predict uses {tta}; tta=none is {times:.1f} times as fast, and {score} changes by {change:+.4f}"
        )
    return lines
