"""Choice of the decoder on validation images: drawings whose best decoder is known, and an exhaustive search."""

import itertools

import cv2
import numpy as np
import pytest

from src.instances import Auto, Classes, Components, Distance, Membranes, Watershed, components
from src.metrics.choosing import Choice, Contest, Judged, best_of, candidates, judging_score
from src.metrics.evaluator import THRESHOLDS, Evaluator, Probabilities
from src.metrics.instance import Instances
from src.metrics.rand import AfterThinning, OfLabels
from src.metrics.semantic import Semantic

CELLS = {"cells": Instances()}
ISBI = {"after_thinning": AfterThinning(), "labels": OfLabels()}


def discs(*centres, radius=10, side=64):
    """Cells ``(H, W)``, each a disc; where discs overlap, a pixel belongs to the nearest centre."""
    rows, columns = np.mgrid[:side, :side]
    distances = np.stack([np.hypot(rows - y, columns - x) for y, x in centres])
    return np.where(distances.min(axis=0) <= radius, distances.argmin(axis=0) + 1, 0)


def judged(cells, cell_probability):
    probabilities = np.stack([1 - cell_probability, cell_probability]).astype(np.float32)
    return Judged(probabilities, (cells > 0).astype(np.int64), cells, np.ones(cells.shape, bool))


TOUCHING = discs((30, 20), (30, 37))
LONG = np.zeros((64, 64), int)
LONG[28:34, 4:60] = 1
WAISTS = np.minimum(1, 0.35 + 0.1 * np.abs(np.arange(64) % 20 - 10))[None] * (LONG > 0)  # surer here, less sure there


def contest(metrics=CELLS, monitor="ap50", classes=2):
    return Contest(metrics, monitor, classes)


def test_merged_cells_are_separated_at_a_narrow_neck():
    decoder, _ = contest().choose([judged(TOUCHING, 0.9 * (TOUCHING > 0))], Auto(min_size=10))
    assert isinstance(decoder.numbering, Distance)
    assert len(np.unique(decoder(judged(TOUCHING, 0.9 * (TOUCHING > 0)).probabilities))) == 3


def test_long_cells_are_not_split_where_the_probability_is_lower():
    slices = [judged(LONG, WAISTS)]
    assert Watershed(0.5)(slices[0].probabilities, 0.3).max() > 1, "which would cut them"
    decoder, _ = contest().choose(slices, Auto(min_size=10))
    assert decoder(slices[0].probabilities).max() == 1


def test_a_boundary_class_separates_cells_that_touch_along_a_side():
    tall = np.zeros((40, 40), int)
    tall[5:35, 4:20], tall[5:35, 20:36] = 1, 2  # two that touch along their whole side
    rim = (tall > 0) & (
        cv2.erode((tall == 1) * 1.0, np.ones((7, 7))) + cv2.erode((tall == 2) * 1.0, np.ones((7, 7))) == 0
    )
    probabilities = np.stack([tall == 0, (tall > 0) & ~rim, rim]).astype(np.float32) * 0.9 + 0.05
    slices = [
        Judged(probabilities / probabilities.sum(0), (tall > 0).astype(np.int64), tall, np.ones(tall.shape, bool))
    ]
    decoder, choices = contest(classes=3).choose(slices, Auto(boundary=2, min_size=10))
    np.testing.assert_array_equal(decoder(slices[0].probabilities) > 0, tall > 0)
    assert decoder(slices[0].probabilities).max() == 2 and decoder.numbering.boundary == 2
    blind = Auto(min_size=10)
    assert max(contest(classes=3).choose(slices, blind)[1][0].scores.values()) < 1
    markers = [each.numbering.marker for each in choices if isinstance(each.numbering, Watershed)]
    assert len(set(markers)) > 1 and {each.boundary for each in candidates(Auto(boundary=2))[1:]} == {2}


def test_the_simplest_numbering_and_the_middle_threshold_win_a_tie():
    apart = discs((16, 16), (44, 44))
    decoder, _ = contest().choose([judged(apart, 1.0 * (apart > 0))], Auto(min_size=10))
    assert decoder.numbering == Components(10, False) and decoder.threshold == 0.5


def noisy(seed):
    random = np.random.default_rng(seed)
    cells = discs(*random.integers(8, 56, (7, 2)), radius=8)
    return judged(cells, np.clip(0.3 + 0.5 * (cells > 0) + random.normal(0, 0.15, cells.shape), 0, 1))


def test_the_choice_is_that_of_an_exhaustive_search():
    slices, asked = [noisy(seed) for seed in range(2)], Auto(min_size=5, fill_holes=True)
    decoder, choices = contest().choose(slices, asked)

    def score(way, threshold):
        evaluator = Evaluator(CELLS, threshold, "ap50")
        for each in slices:
            evaluator.update(Probabilities(each.probabilities, way), each.target, each.instances, each.known)
        return evaluator.compute()["ap50"]

    tried = {way: [score(way, threshold) for threshold in THRESHOLDS[1:]] for way in candidates(asked)}
    for choice in choices[: len(tried)]:
        np.testing.assert_allclose(list(choice.scores.values()), tried[choice.numbering])
    larger = choices[len(tried) :]
    assert [choice.numbering.min_size for choice in larger] == [10, 20]
    best = max(itertools.chain(*tried.values(), *(choice.scores.values() for choice in larger)))
    assert score(decoder.numbering, decoder.threshold) == pytest.approx(best)


def test_a_configured_numbering_is_kept_and_only_its_threshold_chosen():
    cells = discs((16, 16), (44, 44))
    faint = judged(cells, np.where(cells > 0, 0.35, 0.25))
    for way in (Components(), Watershed(0.5), Distance(1.0), Classes()):
        metrics, monitor = ({"classes": Semantic()}, "iou") if way.of_classes else (CELLS, "ap50")
        decoder, choices = contest(metrics, monitor).choose([faint], way)
        assert decoder.numbering == way and len(choices) == 1
        assert decoder.threshold == 0.3


def test_scores_of_label_images_choose_the_threshold_for_membranes():
    assert judging_score(ISBI, "v_rand") == "v_rand_labels"
    assert judging_score(CELLS, "f1_50") == "f1_50"
    assert judging_score({"classes": Semantic()}, "iou_class_1") == "iou_class_1"
    cells = discs((16, 16), (44, 44), radius=18)
    decoder, choices = contest(ISBI, "v_rand").choose([judged(cells, np.where(cells > 0, 0.85, 0.75))], Membranes())
    assert decoder.threshold == 0.8 and choices[0].scores[0.8] > choices[0].scores[0.7]


def test_a_score_of_mode_min_is_minimised():
    worse, better = (Choice(Components(size), {0.5: score}) for size, score in ((1, 3.0), (2, 1.0)))
    assert best_of([worse, better], "min") is better
    assert best_of([worse, better], "max") is worse
    assert best_of([Choice(Components(), {0.5: np.nan}), worse], "max") is worse


def test_empty_images_choose_the_simplest_numbering():
    empty = judged(np.zeros((20, 20), int), np.zeros((20, 20)))
    assert contest().choose([empty], Auto(min_size=3))[0].numbering == Components(3)


def test_pixels_without_annotation_do_not_influence_the_choice():
    cells = discs((16, 16), (44, 44))
    slices = judged(cells, np.where(cells > 0, 0.9, 0.1))
    known = np.ones(cells.shape, bool)
    known[:, 32:] = False
    wrong = np.where(known, slices.instances, components(np.ones(cells.shape, bool)))
    unknown = Judged(slices.probabilities, slices.target, wrong, known)
    choice = contest().judge([unknown], [Components()])[0]
    assert choice.scores[0.5] == 1
