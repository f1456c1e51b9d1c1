"""The command line: paths as they are, errors as one message, scores as a table."""

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from src import command


@pytest.mark.parametrize(
    "path",
    [
        "plain.tif",
        "with space.tif",
        "a=b,c (1).tif",
        "현미경/그림.tif",
        "it's.tif",
        'say "x".tif',
        "[1].tif",
        "{a}.tif",
    ],
)
@pytest.mark.parametrize("key", ["input", "data.root", "hydra.run.dir", "truth", "prediction", "output"])
def test_a_path_reaches_the_configuration_unchanged(key, path):
    (override,) = OverridesParser.create().parse_overrides([command.quote(f"{key}={path}")])
    assert override.key_or_group == key
    assert override.value() == path


def test_what_is_quoted_or_no_path_stays_as_it_is():
    for argument in ("input='a b.tif'", "seed=1,2", "-m", "trainer.max_steps=5", "input="):
        assert command.quote(argument) == argument


def test_what_a_person_can_mend_is_one_message_and_a_fault_of_ours_a_traceback(capsys):
    def failing(error):
        @command.one_message
        def main(config):
            raise error

        return main

    with pytest.raises(SystemExit, match="error: no such slice"):
        failing(ValueError("no such slice"))(OmegaConf.create({"debug": False}))
    with pytest.raises(ValueError, match="no such slice"):
        failing(ValueError("no such slice"))(OmegaConf.create({"debug": True}))
    with pytest.raises(KeyError):
        failing(KeyError("ours"))(OmegaConf.create({"debug": False}))


def test_a_warning_goes_to_standard_error(capsys):
    command.warn("a.tif is left out")
    assert capsys.readouterr() == ("", "warning: a.tif is left out\n")


def test_only_a_choice_that_exists_is_taken():
    command.check_choice("tta", "d4", ("none", "d4"))
    with pytest.raises(ValueError, match="expected tta to be one of none, d4, but got d5"):
        command.check_choice("tta", "d5", ("none", "d4"))


@pytest.mark.parametrize("value", [0, 0.5, 1, 1.0])
def test_a_probability_is_a_number_from_0_to_1(value):
    command.check_probability("threshold", value)


@pytest.mark.parametrize("value", [-0.1, 1.001, 2, "0.5", None, float("nan"), [0.5]])
def test_what_is_no_probability_is_refused_by_its_key(value):
    with pytest.raises(ValueError, match="expected threshold to be a number from 0 to 1, but got"):
        command.check_probability("threshold", value)


@pytest.fixture
def printed(capsys, monkeypatch):
    """Print scores on a narrow terminal: → a list of cells a line, without lines of the frame."""
    monkeypatch.setenv("COLUMNS", "40")

    def call(scores: dict, per_image: list[dict]) -> list[list[str]]:
        command.print_scores({"scores": scores, "per_image": per_image})
        lines = capsys.readouterr().out.replace("┃", "│").splitlines()
        return [[cell.strip() for cell in line.strip("│").split("│")] for line in lines if line.startswith("│")]

    return call


def test_scores_are_printed_with_a_row_an_image_and_their_total(printed):
    rows = [
        {"name": "slice_24", "v_rand": 0.91234, "pixel_error": 0.0},
        {"name": "slice_25", "v_rand": 0.8, "pixel_error": 1.0},
    ]
    assert printed({"v_rand": 0.85617, "pixel_error": 0.5}, rows) == [
        ["image", "v_rand", "pixel_error"],
        ["slice_24", "0.9123", "0.0000"],
        ["slice_25", "0.8000", "1.0000"],
        ["all", "0.8562", "0.5000"],
    ]


def test_what_an_image_lacks_is_a_dash(printed):
    rows = [{"name": "a", "ap": float("nan"), "pq": 0.5}, {"name": "b", "ap": None}]
    assert printed({"ap": float("nan"), "pq": 0.5}, rows)[1:] == [
        ["a", "–", "0.5000"],
        ["b", "–", "–"],
        ["all", "–", "0.5000"],
    ]


def test_the_mean_of_images_and_each_class_have_rows_of_their_own(printed):
    scores = {"iou": 0.5, "dice": 0.6, "iou_class_0": 0.1, "iou_class_10": 0.2, "iou_class_2": 0.3, "dice_class_0": 0.4}
    row = {"name": "a", "iou": 0.5, "dice": 0.6, "iou_class_0": 0.1}
    assert printed(scores | {"iou_per_image": 0.7, "dice_per_image": 0.8}, [row]) == [
        ["image", "iou", "dice"],
        ["a", "0.5000", "0.6000"],
        ["all", "0.5000", "0.6000"],
        ["mean of images", "0.7000", "0.8000"],
        ["class", "iou", "dice"],
        ["0", "0.1000", "0.4000"],
        ["2", "0.3000", "–"],
        ["10", "0.2000", "–"],
    ]


def test_counts_are_printed_as_integers(printed):
    assert printed({"ap": 1.0, "splits": 12}, [{"name": "a", "ap": 1.0, "splits": 0}])[1:] == [
        ["a", "1.0000", "0"],
        ["all", "1.0000", "12"],
    ]


@pytest.mark.parametrize(
    ("score", "expected"),
    [
        (0.000353, "0.000353"),
        (0.001, "0.001000"),
        (0.01, "0.0100"),
        (-0.0004, "-0.000400"),
        (-0.5, "-0.5000"),
        (0.0, "0.0000"),
    ],
)
def test_a_small_number_keeps_its_digits(score, expected, printed):
    assert printed({"warping_error": score}, [])[-1] == ["all", expected]


def test_no_number_is_broken_in_a_narrow_terminal(printed):
    names = [f"score_number_{number}" for number in range(12)]
    long = "a long name of a micrograph 현미경 그림"
    header, row, total = printed(dict.fromkeys(names, 0.5), [{"name": long, **dict.fromkeys(names, 0.000353)}])
    assert header == ["image", *names]
    assert row == [long, *["0.000353"] * 12]
    assert total == ["all", *["0.5000"] * 12]
