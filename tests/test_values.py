"""The meaning of values in truth and prediction follows from all files together, or is refused."""

import re
from pathlib import Path

import numpy as np
import pytest
import tifffile

from src.data.comparison import Facts, comparisons, look, match
from src.data.finding import Refused
from src.data.grain import EDGED, FLAT, GRADED
from src.data.numbers import Drawn
from src.files.legend import Legend
from src.prediction.tiff import write_prediction
from src.values import Meant, meanings, scales_of


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
    with pytest.raises(ValueError, match="grey levels in b_0 and labels in a_0"):
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
        ([{0, 2, 5}], [{0, 2}], "0, 2, 5 or, as numbers of these classes, 0 to 2 .*got 0, 2 .*which could be either"),
        ([{0, 2, 5}], [{0, 1, 2}, {5}], r"but got 0, 1, 2, 5 \(predicted_0\)"),
        ([{0, 2, 5}], [{0, 2}, {0, 9}], r"but got 0, 2, 9 \(predicted_1\); nearest valid: the values of the truth"),
        ([{0, 2}, {0, 7}], [{0}], "expected 0, 2, 5 in the truth, but got 0, 7 in true_1"),
    ],
)
def test_values_that_fit_no_choice_are_refused(true, predicted, expected):
    with pytest.raises(ValueError, match=expected):
        classes(true, predicted, (0, 2, 5))


def test_a_value_that_may_mark_unannotated_pixels_is_warned_of(capsys):
    assert classes([{0, 1, 2, 255}], [{0, 1, 2}]) == (Meant((0, 1, 2, 255)),) * 2
    printed = capsys.readouterr()
    advice = "if it marks pixels that are not annotated: ignore_label=255"
    assert printed.err == f"warning: 255 is scored as a class; {advice}\n"
    assert printed.out == "note: classes 0 to 3 are 0, 1, 2, 255 in truth and prediction\n"


@pytest.mark.parametrize(("true", "predicted"), [([{0, 1, 2}], [{0, 1, 5}]), ([{0, 1, 2}], [{0, 255}, {0}])])
def test_a_prediction_of_other_classes_is_warned_of(true, predicted, capsys):
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


def test_labels_with_different_palettes_are_identified_by_their_colours():
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


def test_a_prediction_that_states_its_values_is_read_by_them_even_if_ambiguous(tmp_path, capsys):
    values, classes = (0, 2, 1), np.array([[0, 0, 1, 1, 2, 2]] * 4)
    said, unsaid = tmp_path / "said", tmp_path / "unsaid"
    truth = tmp_path / "truth.tif"
    tifffile.imwrite(truth, np.asarray(values, np.uint8)[classes])
    for folder, legend in ((said, Legend(values)), (unsaid, Legend())):
        write_prediction(
            folder, "a", np.full((3, 4, 6), 1 / 3), classes if legend.values else np.take(values, classes), legend
        )
    for folder in (said, unsaid):
        ((pair, _),) = [(pair, None) for pair in match(truth, folder / "a_labels.tif", "_labels")[0]]
        true, predicted = look(pair, True)
        if folder == unsaid:
            with pytest.raises(ValueError, match="which could be either"):
                meanings([true], [predicted], True, values)
            continue
        assert predicted.classes == values
        (image,) = comparisons(pair, meanings([true], [predicted], True, values), {}, True)
        np.testing.assert_array_equal(image.truth, classes)
        np.testing.assert_array_equal(image.prediction, classes)
