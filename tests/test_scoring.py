"""Predictions of any tool, added up image by image; what values mean, and what looks as if not meant."""

import os
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from src.data.comparison import EDGED, FLAT, GRADED, Comparison, Facts, comparisons, look, match
from src.data.finding import Refused
from src.data.numbers import Drawn
from src.data.phantom import phantom
from src.instances import Components
from src.metrics.instance import Instances
from src.metrics.mistakes import OF_CELLS, OF_CLASSES
from src.metrics.pixel import PixelError
from src.metrics.semantic import Semantic
from src.scoring import MOST_PICTURES, Meant, Scoring, doubts, meanings, scales_of

TRUTH = np.kron(np.array([[1, 0], [0, 2]]), np.ones((6, 6), int))


def scoring(metric, with_pictures=False):
    return Scoring({"any": metric}, Components(), 0.5, with_pictures)


def images(count):
    """Images of which each has one pixel more wrong than the one before."""
    for number in range(count):
        prediction = TRUTH.copy()
        prediction.ravel()[np.flatnonzero(prediction)[:number]] = 0
        yield Comparison(f"image {number}", TRUTH, prediction)


def test_scores_are_those_of_all_images_and_of_each():
    added = scoring(Semantic())
    for image in images(3):
        added.add(image)
    found = added.scores()
    assert [row["name"] for row in found["per_image"]] == ["image 0", "image 1", "image 2"]
    assert found["per_image"][0]["iou"] == 1 > found["scores"]["iou"] > found["per_image"][2]["iou"]


@pytest.mark.parametrize(("metric", "classes", "kinds"), [(Semantic, True, OF_CLASSES), (Instances, False, OF_CELLS)])
def test_what_is_scored_are_classes_or_cells(metric, classes, kinds):
    assert (scoring(metric()).of_classes, scoring(metric()).kinds) == (classes, kinds)
    assert not scoring(metric()).membranes and scoring(PixelError()).membranes


def test_pictures_are_of_the_worst_images_and_only_where_they_are_wanted():
    added, without = scoring(Semantic(), True), scoring(Semantic())
    for image in images(MOST_PICTURES + 3):
        added.add(image)
        without.add(image)
    assert sorted(added.pictures) == sorted(f"image {number}" for number in range(3, MOST_PICTURES + 3))
    assert set(added.pictures["image 5"]) == {"truth", "prediction", "mistakes"} and without.pictures == {}


def test_labels_and_probabilities_are_not_mixed():
    added = scoring(Semantic())
    added.add(next(images(1)))
    probable = np.stack([TRUTH == 0, TRUTH > 0]).astype(np.float32)
    with pytest.raises(ValueError, match="but image 9 differs from image 0"):
        added.add(Comparison("image 9", TRUTH, probable))


def test_labels_and_probabilities_are_not_mixed_after_an_image_that_was_not_scored():
    added = scoring(Semantic())
    with pytest.raises(ValueError, match="metrics=instances"):
        added.add(Comparison("a", TRUTH, TRUTH * 100))
    with pytest.raises(ValueError, match="but b differs from a"):
        added.add(Comparison("b", TRUTH, np.stack([TRUTH == 0, TRUTH > 0]).astype(np.float32)))


def test_probabilities_are_of_all_classes_of_the_truth():
    probable = np.stack([TRUTH == 0, TRUTH > 0]).astype(np.float32)
    with pytest.raises(ValueError, match="expected probabilities of all 3 classes of the truth, but got 2 for a"):
        scoring(Semantic()).add(Comparison("a", TRUTH, probable))
    scoring(Instances()).add(Comparison("a", TRUTH, probable))


def test_what_looks_wrong_is_said_once_with_the_number_of_images():
    added = scoring(PixelError())
    for name in "ab":
        added.add(Comparison(name, (TRUTH > 0).astype(int), (TRUTH == 0).astype(int)))
    (warning,) = added.warnings()
    assert "looks inverted" in warning and warning.endswith("(2 of 2 images, first a)")


def facts(*held, dtype="uint8", grain="", name="file", **more):
    """Facts of one file for each set of values."""
    return [
        Facts(Path(f"{name}_{number}"), dtype, grain, dict.fromkeys(values, 1), **more)
        for number, values in enumerate(held)
    ]


@pytest.mark.parametrize(("dtype", "scale"), [("uint8", 255), ("uint16", 65535)])
@pytest.mark.parametrize("grain", [GRADED, EDGED])
def test_grey_levels_in_one_file_are_probabilities_in_all_of_its_type(dtype, scale, grain, capsys):
    blank, mask = facts({0}, {0, scale}, dtype=dtype)
    (graded,) = facts(range(0, scale, 9), dtype=dtype, grain=grain)
    assert scales_of([blank, mask, graded]) == {dtype: scale}
    assert f"probabilities from 0 to {scale}, divided by {scale} (3 files)" in capsys.readouterr().out
    assert scales_of([blank, mask]) == {}


def test_real_numbers_are_probabilities_unless_all_are_whole_and_some_are_larger_than_1():
    (blank, mask), (numbers,) = facts({0}, {0, 1}, dtype="float32"), facts({0, 1, 7}, dtype="float32", grain=FLAT)
    real = Facts(Path("real"), "float32", None, {})
    assert scales_of([blank, mask]) == scales_of([blank, real]) == scales_of([real, numbers]) == {"float32": 1}
    assert scales_of([blank, mask, numbers]) == {}


@pytest.mark.parametrize(
    ("dtype", "values"),
    [
        ("uint8", range(101)),
        ("uint16", range(256)),
        ("uint8", range(18, 179)),
        ("int32", range(256)),
        ("float32", range(256)),
    ],
)
def test_grey_levels_that_do_not_span_their_type_are_refused(dtype, values):
    expected = f"grey levels of {dtype} from {min(values)} to {max(values)} in b_0 .*nearest valid: real numbers from 0"
    with pytest.raises(ValueError, match=expected):
        scales_of([*facts({0}, dtype=dtype), *facts(values, dtype=dtype, grain=GRADED, name="b")])


def test_grey_levels_and_numbers_of_one_type_are_refused():
    with pytest.raises(ValueError, match="grey levels in b_0 and numbers in a_0"):
        scales_of([*facts(range(9), grain=FLAT, name="a"), *facts(range(256), grain=GRADED, name="b")])


def classes(true, predicted, values=None, names=None):
    """What values mean where classes are scored: of truth, of prediction."""
    return meanings(facts(*true, name="true"), facts(*predicted, name="predicted"), True, values, names)


NUMBERS, MASKS = Meant(masks=False), Meant()


@pytest.mark.parametrize(
    ("true", "predicted", "expected"),
    [
        ([{0, 1}, {0, 2}], [{0, 1, 2}], (NUMBERS, NUMBERS)),
        ([{0, 1}, {0, 255}], [{0, 255}], (MASKS, MASKS)),
        ([{0, 255}], [{0, 1}, {0}], (MASKS, MASKS)),
        ([{255}], [{0, 1}], (MASKS, MASKS)),
        ([{0}], [{0, 1}], (MASKS, MASKS)),
        ([{0, 1}], [{0, 1, 2}], (MASKS, NUMBERS)),
        ([{-1, 1, 2}], [{0, 1, 2}], (NUMBERS, NUMBERS)),
        ([set(range(40))], [set(range(40))], (NUMBERS, NUMBERS)),  # cells, which are no classes
        ([{0, 1, 5}], [{0, 5}], (NUMBERS, NUMBERS)),
        ([{0, 1}, {0, 5}], [{0, 1}, {5}], (NUMBERS, NUMBERS)),
        ([{1, 2}], [{1, 2}], (NUMBERS, NUMBERS)),
        ([{0, 100, 201}], [{0}, {201}], (Meant((0, 100, 201)),) * 2),
    ],
)
def test_values_mean_the_same_on_both_sides_where_they_fit(true, predicted, expected, capsys):
    assert classes(true, predicted) == expected
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("true", "predicted", "nearest"),
    [
        ([{0, 1, 5}], [{0, 1, 2}], "values=[0,1,5]"),
        ([{0, 1}, {5}], [{0, 1}, {0, 2}], "values=[0,1,5]"),
        ([{0, 100, 201}], [{0, 1, 2}], "values=[0,100,201]"),
        ([{0, 2}], [{0, 1}], "values=[0,2] or values=[0,1,2]"),
        ([{0, 2}], [{0, 1, 2}], "values=[0,1,2]"),
        ([{1, 2}], [{0, 1}], "values=[1,2] or values=[0,1,2]"),
        ([{0, 1, 2, 255}], [{0, 1, 2, 3}], "ignore_label=255 or values=[0,1,2,255]"),
        ([{0, 1, 2, 255}], [], "ignore_label=255 or values=[0,1,2,255]"),  # probabilities
        ([{0, 1, 65535}], [{0, 7}], "ignore_label=65535"),
        ([{0, 1, 5}], [{0, 255}], "the values of the truth in the prediction"),
        ([{0, 1, 5}], [{0, 9}], "the values of the truth in the prediction"),
    ],
)
def test_values_that_do_not_fit_are_refused_with_what_would(true, predicted, nearest):
    with pytest.raises(ValueError, match=re.escape(f"nearest valid: {nearest}") + "$") as raised:
        classes(true, predicted)
    listed = ", ".join(map(str, sorted(set().union(*true))))
    assert f"expected the same values in truth and prediction, but got {listed} in the" in str(raised.value)


@pytest.mark.parametrize(
    ("predicted", "expected"),
    [
        ([{0, 1}, {5}], Meant((0, 1, 5))),
        ([{0, 1}, {2}], MASKS),
        ([{0, 1}], Meant((0, 1, 5))),  # the same in either way
        ([{0, 255}, {0}], MASKS),  # a mask is of class 1
    ],
)
def test_a_prediction_holds_the_values_that_were_chosen_or_the_numbers_of_their_classes(predicted, expected):
    assert classes([{0, 1}, {5}], predicted, (0, 1, 5)) == (Meant((0, 1, 5)), expected)


@pytest.mark.parametrize(
    ("true", "predicted", "expected"),
    [
        ([{0, 2, 5}], [{0, 2}], "0, 2, 5 or, as numbers of these classes, 0 to 2 .*got 0, 2 .*which may be either"),
        ([{0, 2, 5}], [{0, 1, 2}, {5}], r"but got 0, 1, 2, 5 \(predicted_0\)"),
        ([{0, 2, 5}], [{0, 2}, {0, 9}], r"but got 0, 2, 9 \(predicted_1\); nearest valid: the values of the truth"),
        ([{0, 2}, {0, 7}], [{0}], "expected 0, 2, 5 in the truth, but got 0, 7 in true_1"),
    ],
)
def test_values_that_fit_no_choice_are_refused(true, predicted, expected):
    with pytest.raises(ValueError, match=expected):
        classes(true, predicted, (0, 2, 5))


def test_a_value_that_may_mark_what_nobody_annotated_is_said(capsys):
    assert classes([{0, 1, 2, 255}], [{0, 1, 2}]) == (Meant((0, 1, 2, 255)),) * 2
    printed = capsys.readouterr()
    assert printed.err == "warning: 255 is scored as a class; where nobody has annotated: ignore_label=255\n"
    assert printed.out == "note: classes 0 to 3 are 0, 1, 2, 255 in truth and prediction\n"


@pytest.mark.parametrize(("true", "predicted"), [([{0, 1, 2}], [{0, 1, 5}]), ([{0, 1, 2}], [{0, 255}, {0}])])
def test_a_prediction_of_other_classes_is_said(true, predicted, capsys):
    classes(true, predicted)
    assert "the prediction holds 0," in capsys.readouterr().err


RED, BLUE = 0xFF0000, 0x0000FF


def coloured(*held, name="coloured"):
    return [*facts(*held, name=name, in_colours=True)]


def test_colours_of_the_truth_are_classes_in_the_order_of_the_labelmap_or_by_frequency(capsys):
    grey = facts({0}, was_grey=True)
    (often,) = coloured({0, RED})
    seldom = Facts(Path("seldom"), "uint8", "", {0: 9, RED: 1, BLUE: 2}, True)
    for names, values in ((None, (0, BLUE, RED)), ({0: "ground", RED: "red", BLUE: "blue"}, (0, RED, BLUE))):
        truth, prediction = meanings([seldom, *grey], facts({0, 1, 2}, name="p"), True, None, names)
        assert truth == Meant(values, in_colours=True) and prediction == MASKS
        assert "classes by their colours: 0" in capsys.readouterr().out
        assert meanings([seldom, often], coloured({RED, 0}), True, None, names)[1] == truth
    with pytest.raises(ValueError, match=r"got \(0, 0, 0\), \(0, 255, 0\) \(coloured_0\)"):
        meanings([seldom], coloured({0, 0x00FF00}), True)
    with pytest.raises(Refused, match="coloured_0: expected numbers"):
        meanings(facts({0, 1}), coloured({0, RED}), True)
    with pytest.raises(Refused, match="expected colours, as in most files, but got numbers"):
        meanings([seldom, often, *facts({0, 1})], facts({0, 1}), True)


def test_numbers_of_palettes_that_differ_are_told_by_their_colours():
    one, other = (facts({0, 1}, palette=(0, colour))[0] for colour in (RED, BLUE))
    truth, prediction = meanings([one, other], [other, one], True, None, {0: "ground", RED: "red", BLUE: "blue"})
    assert truth == prediction == Meant((0, RED, BLUE), in_colours=True)
    drawn = Drawn(np.array([[0, 1]]), palette=other.palette)
    assert prediction(drawn, None).tolist() == [[0, 2]]
    assert meanings([one], [other], True) == (MASKS, MASKS)  # each side by itself says nothing else


def test_cells_in_colours_are_pieces_of_few_colours_or_each_colour():
    two = np.array([[RED, 0, RED, BLUE]])
    few, _ = meanings(coloured({0, RED, BLUE}), facts({0, 1}), False)
    assert few.pieced and len(np.unique(few(Drawn(two, in_colours=True), None))) == 4
    many, _ = meanings(coloured({0, RED, BLUE, *range(1, 40)}), facts({0, 1}), False)
    assert not many.pieced and len(np.unique(many(Drawn(two, in_colours=True), None))) == 3


def test_values_become_classes_and_what_is_not_known_class_0():
    found = Meant((5, 0, 9))(Drawn(np.array([[5, 0, 9, 5, -1, 0]])), np.array([[True] * 5 + [False]]))
    assert found.tolist() == [[0, 1, 2, 0, 0, 0]]


STACK = phantom(slices=2, size=128, organelles=True)
INVERTED_PREDICTION, INVERTED_TRUTH, NUMBERED = "the prediction looks", "the truth looks", "the prediction holds"


def found_doubts(truth, prediction, membranes):
    """The beginning of each doubt."""
    found = doubts(Comparison("a", truth, prediction), membranes)
    return {" ".join(doubt.split()[:3]) for doubt in found}


def probable(cells):
    """Unsure probabilities (2, H, W) as a network gives them."""
    cell = gaussian_filter(cells.astype(np.float32), 1) * 0.9 + 0.05
    return np.stack([1 - cell, cell])


@pytest.mark.parametrize("membranes", [True, False])
def test_good_data_raises_no_doubt(membranes):
    for target, numbers in zip(STACK.targets.astype(int), STACK.instances, strict=True):
        cells = (target > 0).astype(int)
        assert not found_doubts(target, cells, membranes)
        assert not found_doubts(numbers, probable(cells), membranes)
        assert not found_doubts(cells, np.eye(3, dtype=np.float32)[target].transpose(2, 0, 1), membranes)


def test_scattered_cells_and_a_cell_with_holes_raise_no_doubt():
    scattered, pierced = np.zeros((2, 9, 9), int)
    scattered[1::3, 1::3] = 1
    pierced[:] = 1 - scattered
    for truth in (scattered, pierced):
        assert not found_doubts(truth, truth, True)


@pytest.mark.parametrize("membranes", [True, False])
def test_an_inverted_prediction_raises_a_doubt(membranes):
    cells = (STACK.targets[0] > 0).astype(int)
    assert found_doubts(cells, 1 - cells, membranes) == {INVERTED_PREDICTION}
    assert found_doubts(cells, probable(1 - cells), membranes) == {INVERTED_PREDICTION}


def test_an_inverted_truth_raises_a_doubt_where_membranes_part_cells():
    for membranes in np.where(STACK.targets > 0, 0, 1):
        image = Comparison("a", membranes, membranes)
        assert found_doubts(image.truth, image.prediction, True) == {INVERTED_TRUTH}
        assert not found_doubts(image.truth, image.prediction, False)
        assert found_doubts(image.truth, probable(1 - image.truth), True) == {INVERTED_TRUTH, INVERTED_PREDICTION}


def test_numbered_cells_raise_a_doubt_where_membranes_part_cells():
    numbers = STACK.instances[0]
    assert found_doubts(numbers, numbers, True) == {NUMBERED}
    assert not found_doubts(numbers, numbers, False)


def test_numbers_that_were_mixed_raise_a_doubt():
    numbers = STACK.instances[0].astype(np.uint8) * 9
    smoothed = cv2.resize(numbers, None, fx=1.5, fy=1.5, interpolation=cv2.INTER_LINEAR)
    wrapped = np.kron(np.arange(900).reshape(30, 30) % 256, np.pad(np.ones((4, 4), int), 1))
    for truth in (smoothed, wrapped.astype(np.uint8)):
        (doubt,) = doubts(Comparison("a", truth, truth), False)
        assert doubt.startswith("the truth looks resized or cut to 8 bits")
        assert not any("resized" in doubt for doubt in doubts(Comparison("a", truth > 0, truth), True))


def test_the_challenge_raises_no_doubt_but_its_inversion_does():
    file = Path(os.environ.get("DATA_DIR", "data")) / "isbi2012" / "train-labels.tif"
    if not file.is_file():
        pytest.skip(f"needs {file} (set DATA_DIR)")
    (pair,), _ = match(file, file, "_labels")
    images = list(comparisons(pair, meanings(*([each] for each in look(pair, False)), False), {}, False))
    assert len(images) == 30
    for image in images:
        assert not found_doubts(image.truth, image.prediction, True)
        assert not found_doubts(image.truth, probable(image.truth), True)
        assert found_doubts(1 - image.truth, image.prediction, True) == {INVERTED_TRUTH, INVERTED_PREDICTION}
