"""A fold as a run whose split is said in numbers, and the folds of a command line."""

import pytest

from src import folding
from tests.conftest import composed

SIZE = "data.source.size=32"


def test_a_fold_is_a_split_in_numbers_and_any_other_run_stays_as_it_is():
    data = folding.resolved(composed(SIZE, "folds=5", "fold=1"))["data"]
    assert [data[part] for part in ("train", "validation", "held_out")] == ["0-3,14-22", "11-12", "5-9"]
    plain = composed(SIZE)
    assert folding.resolved(plain) is plain


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["folds=5", "fold=5"], "expected a fold from 0 to 4, but got fold=5; nearest valid: fold=4"),
        (["folds=5"], "expected fold to be a whole number from 0 on"),
        (["fold=1"], "expected folds to be a whole number from 2 on"),
        (["folds=2", "fold=0", "data.train=0-5", "data.validation="], "score=last"),
    ],
)
def test_a_fold_that_there_is_not_is_refused(given, message):
    with pytest.raises(ValueError, match=message):
        folding.resolved(composed(SIZE, *given))


def test_without_anything_to_choose_by_the_last_checkpoint_can_be_scored():
    given = ["folds=2", "fold=0", "data.train=0-5", "data.validation=", "score=last"]
    assert folding.resolved(composed(SIZE, *given))["data"]["validation"] == ""


def test_the_folds_of_a_command_line_in_words():
    found = folding.of_command([SIZE, "folds=4", "data.train='0-20'", "data.validation='21-23'"])
    assert folding.described(found) == [
        "4 folds of 23 images, 5 to 6 each: contiguous slices, with a slice left out between",
        "6 held-out images are left for the mean of the networks",
        "1 images take no part, because they are too much like those held out",
    ]


def test_check_and_preview_show_the_parts_of_a_fold(run_command, tmp_path):
    status, printed, error = run_command("check", "data=phantom", SIZE, "folds=5", "fold=1")
    assert status == 0, error
    assert "training images: 13 (" in printed and "held-out images: 5 (slice_05 … slice_09)" in printed
