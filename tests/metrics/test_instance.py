"""Instance scores: drawings, discs, brute-force matching, torchmetrics, and py-ctcmetrics for SEG and DET."""

from fractions import Fraction

import numpy as np
import pytest
import tifffile
import torch
from ctc_metrics import evaluate_sequence
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torchmetrics.functional.detection import panoptic_quality

from src.metrics.instance import IOU_PERCENTS, Instances, Overlap, matches, overlap
from tests.metrics.counted import Counted

quick = settings(max_examples=40, deadline=None)
MISTAKES = ("splits", "merges", "missed", "extra")
SYMMETRIC = ("ap50", "ap", "f1_50", "f1", "pq", "pq_mean")
images = arrays(np.int64, (2, 4, 5), elements=st.integers(0, 4))


@st.composite
def pairs(draw):
    """Two true images and two predicted ones that differ in some pixels."""
    true, other, wrong = draw(images), draw(images), draw(arrays(np.bool_, (2, 4, 5)))
    return np.where(wrong, other, true), true


def added(predicted, true):
    """The metric with images ``(N, H, W)``, or one ``(H, W)``, added to it."""
    metric = Counted(Instances())
    metric.update(*(torch.as_tensor(image).reshape(-1, *image.shape[-2:]) for image in (predicted, true)))
    return metric


def scores(predicted, true):
    return {name: score.item() for name, score in added(predicted, true).compute().items()}


def drawn(row):
    """A row of letters, each a cell, and dots."""
    return np.array([[0 if letter == "." else ord(letter) for letter in row]])


def cells(image):
    return {number: set(np.flatnonzero(image == number)) for number in set(image.flat) - {0}}


def best_matching(predicted, true, least):
    """The largest matching of cells with IoU above a threshold, and the largest sum of IoU of such a matching."""
    predicted, true = cells(predicted), list(cells(true).values())

    def best(index, free):
        if index == len(true):
            return 0, Fraction(0)
        found = [best(index + 1, free)]
        for number in free:
            iou = Fraction(len(true[index] & predicted[number]), len(true[index] | predicted[number]))
            if iou > least:
                count, total = best(index + 1, free - {number})
                found.append((count + 1, total + iou))
        return max(found)

    return best(0, frozenset(predicted))


@quick
@given(pairs())
def test_cells_are_matched_as_by_trying_all_pairs_at_every_threshold(pair):
    for predicted, true in zip(*pair, strict=True):
        for percent in IOU_PERCENTS:
            found, total = best_matching(predicted, true, Fraction(percent, 100))
            assert matches(overlap(predicted, true), percent) == (found, pytest.approx(float(total)))


@quick
@given(pairs())
def test_ap_f1_and_pq_count_the_cells_that_trying_all_pairs_finds(pair):
    n_predicted, n_true = (sum(len(cells(image)) for image in stack) for stack in pair)
    assume(n_predicted + n_true)
    ap, f1, pq = [], [], []
    for percent in IOU_PERCENTS:
        each = [best_matching(*image, Fraction(percent, 100)) for image in zip(*pair, strict=True)]
        found, total = sum(count for count, _ in each), sum(iou for _, iou in each)
        extra, missed = n_predicted - found, n_true - found
        ap.append(found / (found + extra + missed))
        f1.append(found / (found + (extra + missed) / 2))
        pq.append(float(total) / (found + (extra + missed) / 2))
    expected = (ap[0], np.mean(ap), f1[0], np.mean(f1), pq[0], np.mean(pq))
    given_scores = scores(*pair)
    assert [given_scores[name] for name in SYMMETRIC] == pytest.approx(expected, abs=1e-6)


@quick
@given(pairs())
def test_pq_is_that_of_torchmetrics(pair):
    assume(any(image.any() for image in pair))
    thing_and_number = [torch.from_numpy(np.stack([image > 0, image], axis=-1).astype(np.int64)) for image in pair]
    expected = panoptic_quality(*thing_and_number, things={1}, stuffs={0}, return_per_class=True)[0, 0]
    assert scores(*pair)["pq"] == pytest.approx(float(expected), abs=1e-6)


def write_sequence(folder, name, frames):
    """Write frames of the Cell Tracking Challenge, and return their tracks, each one frame long."""
    folder.mkdir(parents=True)
    lines = []
    for frame, image in enumerate(frames):
        labels = np.where(image > 0, image + 100 * frame, 0).astype(np.uint16)
        tifffile.imwrite(folder / f"{name}{frame:03}.tif", labels)
        lines += [f"{label} {frame} {frame} 0\n" for label in np.unique(labels[labels > 0])]
    return "".join(lines)


def of_the_challenge(predicted, true, folder):
    """SEG and DET of frames ``(N, H, W)`` by py-ctcmetrics."""
    write_sequence(folder / "01_GT/SEG", "man_seg", true)
    (folder / "01_GT/TRA/man_track.txt").write_text(write_sequence(folder / "01_GT/TRA", "man_track", true))
    (folder / "01_RES/res_track.txt").write_text(write_sequence(folder / "01_RES", "mask", predicted))
    return evaluate_sequence(str(folder / "01_RES"), str(folder / "01_GT"), ["SEG", "DET"], threads=1)


def blobs(points, radius):
    """Discs around points, each pixel in that of the nearest."""
    distances = np.linalg.norm(np.moveaxis(np.indices((48, 48)), 0, -1)[..., None, :] - points, axis=-1)
    return np.where(distances.min(axis=-1) < radius, distances.argmin(axis=-1) + 1, 0)


@pytest.mark.parametrize("seed", range(6))
def test_seg_and_det_are_those_of_py_ctcmetrics(seed, tmp_path):
    random = np.random.default_rng(seed)
    predicted, true = [], []
    for _ in range(3):
        points = random.uniform(0, 48, (15, 2))
        seen = np.concatenate([points[3:] + random.normal(0, 2, (12, 2)), random.uniform(0, 48, (2, 2))])
        joined = np.array([0, 1, 1, 2, 2, *range(3, 13)])  # some cells are merged
        true.append(blobs(points, 6))
        predicted.append(joined[blobs(seen, random.uniform(4, 7))])
    predicted, true = np.stack(predicted), np.stack(true)
    expected, given_scores = of_the_challenge(predicted, true, tmp_path), scores(predicted, true)
    assert 0 < expected["SEG"] < 1 and 0 < expected["DET"] < 1
    assert given_scores["seg"] == pytest.approx(expected["SEG"], abs=1e-6)
    assert given_scores["det"] == pytest.approx(expected["DET"], abs=1e-6)


@pytest.mark.parametrize(
    ("true", "predicted", "seg", "det"),
    [
        ("aa.bb.cc", "dddddddd", 2 / 8, 1 - (5 + 5) / 30),  # one predicted cell covers three
        ("aaaaaa.bb", "ccccdd.ee", (4 / 6 + 1) / 2, 1 - 1 / 20),  # the smaller piece is an extra cell
        ("aa..bb", "cc....", 1 / 2, 1 - 10 / 20),
        ("aa....", "cc..dd", 1, 1 - 1 / 10),
        ("aa", "b.", 0, 0),  # half of a cell is not enough
        ("a...........", "bcdefghijklm", 1, 0),  # correcting costs more than drawing all cells anew
    ],
)
def test_seg_and_det_of_drawings(true, predicted, seg, det):
    given_scores = scores(drawn(predicted), drawn(true))
    assert given_scores["seg"] == pytest.approx(seg, abs=1e-6)
    assert given_scores["det"] == pytest.approx(det, abs=1e-6)


@pytest.mark.parametrize(
    ("true", "predicted", "expected"),
    [
        ("aaaaaa.bb", "ccddee.ff", (2, 0, 0, 0)),
        ("aa.bb.cc", "dddddddd", (0, 2, 0, 0)),
        ("aa..bb", "cc....", (0, 0, 1, 0)),
        ("aa....", "cc..dd", (0, 0, 0, 1)),
        ("aaaa.bb.cc", "ddee.fffff", (1, 1, 0, 0)),
        ("..aaaa", "bbbb..", (0, 0, 1, 1)),  # they share half of each, not more
        ("..aaaa", ".bbb..", (0, 0, 0, 0)),  # most of b lies in a
        ("aabbbb", "cccddd", (0, 0, 0, 0)),  # a border moved
        ("aaaabbbb", "ccddddee", (0, 0, 0, 1)),  # d lies in neither, and neither in d
        ("......", "......", (0, 0, 0, 0)),
    ],
)
def test_mistakes_of_drawings(true, predicted, expected):
    given_scores = scores(drawn(predicted), drawn(true))
    assert tuple(given_scores[name] for name in MISTAKES) == expected


@quick
@given(pairs(), st.permutations(range(1, 5)), st.permutations(range(1, 5)))
def test_numbers_of_cells_change_nothing(pair, one, other):
    renamed = [np.array([0, *order])[image] * 1000 for order, image in zip((one, other), pair, strict=True)]
    assert scores(*renamed) == pytest.approx(scores(*pair), nan_ok=True)


@quick
@given(pairs())
def test_the_order_of_images_changes_nothing(pair):
    assert scores(*(stack[::-1].copy() for stack in pair)) == pytest.approx(scores(*pair), nan_ok=True)


@quick
@given(images)
def test_the_truth_itself_is_perfect(true):
    assume(true.any())
    perfect = dict.fromkeys((*SYMMETRIC, "seg", "det"), 1) | dict.fromkeys(MISTAKES, 0)
    assert scores(true, true) == pytest.approx(perfect)


@quick
@given(pairs())
def test_truth_and_prediction_swapped_swap_mistakes_and_keep_the_rest(pair):
    predicted, true = pair
    one, other = scores(predicted, true), scores(true, predicted)
    for a, b in (("splits", "merges"), ("missed", "extra")):
        assert (one[a], one[b]) == (other[b], other[a])
    assert [one[name] for name in SYMMETRIC] == pytest.approx([other[name] for name in SYMMETRIC], nan_ok=True)


@pytest.mark.parametrize("shift", [2, 4, 8, 13, 19])
def test_shifted_discs_are_found_at_thresholds_below_the_iou_of_a_lens(shift, radius=40):
    y, x = np.mgrid[:100, :330]

    def discs(right):
        return sum(
            (n + 1) * ((y - 50) ** 2 + (x - 50 - 105 * n - right) ** 2 < radius**2).astype(int) for n in range(3)
        )

    lens = 2 * radius**2 * np.arccos(shift / 2 / radius) - shift / 2 * np.sqrt(4 * radius**2 - shift**2)
    iou = lens / (2 * np.pi * radius**2 - lens)
    compared = overlap(discs(shift), discs(0))
    for percent in IOU_PERCENTS:
        if abs(percent / 100 - iou) > 0.005:
            assert matches(compared, percent)[0] == (3 if percent / 100 < iou else 0)
    given_scores = scores(discs(shift), discs(0))
    assert given_scores["pq"] == pytest.approx(iou, abs=0.005)
    assert given_scores["seg"] == pytest.approx(iou, abs=0.005)
    assert given_scores["ap"] == pytest.approx(sum(percent / 100 < iou for percent in IOU_PERCENTS) / 10)


@pytest.mark.parametrize(("true", "predicted"), [("aaaa.bb", "ccdd.ee"), ("ccdd.ee", "aaaa.bb")])
def test_a_cell_in_two_halves_is_not_found(true, predicted):
    given_scores = scores(drawn(predicted), drawn(true))
    # One found, the cell beside them; three are left over.
    expected = {"ap50": 1 / 4, "f1_50": 2 / 5, "pq": 2 / 5, "ap": 1 / 4}
    assert {name: given_scores[name] for name in expected} == pytest.approx(expected)


NONE, CELL = "......", ".aa.bb"


def test_where_there_is_no_cell_at_all_every_score_is_nan_and_no_mistake_is_made():
    given_scores = scores(drawn(NONE), drawn(NONE))
    assert [given_scores.pop(name) for name in MISTAKES] == [0, 0, 0, 0]
    assert len(given_scores) == 8 and all(np.isnan(score) for score in given_scores.values())


def test_where_no_cell_is_predicted_every_score_is_0():
    given_scores = scores(drawn(NONE), drawn(CELL))
    assert [given_scores.pop(name) for name in MISTAKES] == [0, 0, 2, 0]
    assert len(given_scores) == 8 and set(given_scores.values()) == {0}


def test_where_there_is_no_true_cell_seg_and_det_have_nothing_to_score_and_the_others_are_0():
    given_scores = scores(drawn(CELL), drawn(NONE))
    assert [given_scores.pop(name) for name in MISTAKES] == [0, 0, 0, 2]
    assert np.isnan(given_scores.pop("seg")) and np.isnan(given_scores.pop("det"))
    assert len(given_scores) == 6 and set(given_scores.values()) == {0}


def test_cells_are_pooled_over_images_and_not_averaged():
    true, predicted = (np.stack([drawn(row) for row in rows]) for rows in (("aa...", "b.c.d"), ("aa...", ".....")))
    given_scores = scores(predicted, true)
    expected = {"ap50": 1 / 4, "f1_50": 2 / 5, "pq": 2 / 5, "seg": 1 / 4, "det": 1 / 4, "missed": 3}
    assert {name: given_scores[name] for name in expected} == pytest.approx(expected)


def test_cells_of_one_number_in_two_images_are_two_cells():
    true, predicted = (np.stack([drawn(row) for row in rows]) for rows in (("aaa.", ".aaa"), ("aaaa", "aaaa")))
    assert scores(predicted, true)["merges"] == 0
    assert scores(predicted, true)["ap50"] == 1


@quick
@given(pairs())
def test_images_one_by_one_score_as_images_together(pair):
    metric = Counted(Instances())
    for index in range(2):
        metric.update(*(torch.from_numpy(stack[index : index + 1]) for stack in pair))
    one_by_one = {name: score.item() for name, score in metric.compute().items()}
    assert one_by_one == pytest.approx(scores(*pair), nan_ok=True)


@quick
@given(pairs(), pairs())
def test_two_processes_merged_score_as_one(one, other):
    merged = added(*one)
    merged.merge_state(added(*other))
    together = scores(*(np.concatenate(stacks) for stacks in zip(one, other, strict=True)))
    assert {name: score.item() for name, score in merged.compute().items()} == pytest.approx(together, nan_ok=True)


def test_every_score_has_a_mode():
    assert scores(drawn(CELL), drawn(CELL)).keys() == Instances.modes.keys()
    assert {name for name, mode in Instances.modes.items() if mode == "min"} == set(MISTAKES)


@pytest.mark.parametrize("percent", IOU_PERCENTS)
@pytest.mark.parametrize("pixels", [100, 100_000_000])
def test_an_iou_that_is_a_threshold_does_not_reach_it_but_a_pixel_more_does(percent, pixels):
    for more in (0, 1):
        shared = np.array([percent * pixels // 100 + more])
        pairs = Overlap(np.array([0]), np.array([0]), shared, np.array([pixels]), shared)
        reached = [other for other in IOU_PERCENTS if matches(pairs, other)[0]]
        assert reached == [other for other in IOU_PERCENTS if other < percent + more]
