"""Score predictions against the truth from files alone."""

import csv
import json

import numpy as np
import pytest
import tifffile
from imageio.v3 import imwrite

from src.data.phantom import phantom
from tests.conftest import imported_by

STACK = phantom(slices=2, size=64, organelles=True)
CELLS = (STACK.targets > 0).astype(np.uint8)
CLASSES = np.eye(3, dtype=np.float32)[STACK.targets].transpose(0, 3, 1, 2)
ISBI = {"v_rand": 1, "v_info": 1, "rand_error": 0, "pixel_error": 0, "warping_error": 0}
COUNTS = ("splits", "merges", "missed", "extra")


def write(folder, **images):
    """Write arrays as TIFF into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, image in images.items():
        tifffile.imwrite(folder / f"{name}.tif", image, photometric="minisblack")
    return folder


@pytest.fixture
def score(run_command, tmp_path):
    """Score arrays through files: → (status, scores.json or None, standard error)."""

    def call(truth: np.ndarray, prediction: np.ndarray, metrics: str = "isbi", *options: str):
        write(tmp_path, truth=truth, prediction=prediction)
        files = (f"truth={tmp_path / 'truth.tif'}", f"prediction={tmp_path / 'prediction.tif'}")
        output = tmp_path / "scores.json"
        status, _, error = run_command("score", *files, f"metrics={metrics}", f"output={output}", *options)
        return status, json.loads(output.read_text()) if output.exists() else None, error

    return call


@pytest.fixture
def score_folders(run_command, tmp_path):
    """Score the folders truth and prediction: → (status, standard output, standard error)."""

    def call(*options: str):
        return run_command("score", f"truth={tmp_path / 'truth'}", f"prediction={tmp_path / 'prediction'}", *options)

    return call


@pytest.mark.parametrize(
    "prediction",
    [CELLS, CELLS * np.uint8(255), CELLS > 0, CELLS.astype(np.float32), CLASSES, STACK.instances],
    ids=["mask", "mask of 255", "bool", "probability", "of each class", "numbered"],
)
def test_the_truth_itself_scores_perfectly_in_any_encoding(prediction, score):
    status, scores, error = score(CELLS * np.uint8(255), prediction)
    assert status == 0, error
    assert scores["scores"] == pytest.approx(ISBI, abs=1e-6)
    assert [row["name"] for row in scores["per_image"]] == ["prediction_00", "prediction_01"]


def test_for_membranes_the_best_of_ten_thresholds_counts(score):
    faint = 0.25 * CELLS.astype(np.float32) + np.float32(0.1)  # parted by 0.1, 0.2 and 0.3 alone, so not by 0.5
    status, scores, error = score(CELLS, faint, "isbi", "threshold=0.5")
    assert status == 0, error
    assert scores["scores"] == pytest.approx(ISBI, abs=1e-6)


def test_a_slice_without_a_cell_is_scored(score):
    stack = np.stack([CELLS[0], CELLS[0] * 0])
    status, scores, error = score(stack, stack)
    assert status == 0, error
    assert scores["scores"] == pytest.approx(ISBI, abs=1e-6)


def test_a_gap_in_a_membrane_costs_more_v_rand_than_pixel_error(score):
    truth = np.ones((1, 40, 41), np.uint8)
    truth[:, :, 20] = 0
    gap = truth.copy()
    gap[:, 20, 20] = 1
    _, scores, _ = score(truth, gap)
    assert scores["scores"]["pixel_error"] < 0.001
    assert scores["scores"]["v_rand"] == pytest.approx(2 / 3, abs=0.01)  # all pairs joined, half of them rightly
    assert scores["scores"]["warping_error"] == pytest.approx(1 / truth.size)


# Two cells that touch at a bridge of one pixel.
BRIDGE = np.zeros((9, 17), np.uint8)
BRIDGE[2:7, 2:8], BRIDGE[2:7, 9:15] = 1, 2
JOINED = (BRIDGE > 0).astype(np.float32) * np.float32(0.9)
JOINED[4, 8] = 0.6


@pytest.mark.parametrize("prediction", [BRIDGE, BRIDGE.astype(np.int32) * 7, (BRIDGE > 0) * np.uint8(255), BRIDGE > 0])
def test_cells_are_found_in_labels_and_in_the_components_of_a_mask(prediction, score):
    status, scores, error = score(BRIDGE, prediction, "instances")
    assert status == 0, error
    found = scores["scores"]
    assert [found[name] for name in ("ap50", "ap", "f1", "pq", "seg", "det")] == [1] * 6
    assert [found[name] for name in COUNTS] == [0] * 4


def test_the_cells_of_a_true_mask_are_its_components(score):
    found = score((BRIDGE > 0) * np.uint8(255), BRIDGE, "instances")[1]["scores"]
    assert [found["ap50"], *(found[name] for name in COUNTS)] == [1, 0, 0, 0, 0]


def test_numbered_cells_may_touch_but_in_a_mask_they_are_one(score):
    touching = np.array([[1, 1, 2, 2]] * 4, np.uint8)
    assert score(touching, touching, "instances")[1]["scores"]["merges"] == 0
    assert score(touching, (touching > 0) * np.uint8(255), "instances")[1]["scores"]["merges"] == 1


@pytest.mark.parametrize(
    ("options", "merges"),
    [
        (["threshold=0.5"], 1),
        (["threshold=0.7"], 0),
        (["threshold=0.5", "instances=watershed"], 0),
        (["threshold=0.5", "instances=watershed", "instances.marker=0.1"], 1),
    ],
)
def test_cells_are_numbered_in_probabilities_as_asked(options, merges, score):
    status, scores, error = score(BRIDGE, JOINED, "instances", *options)
    assert status == 0, error
    assert scores["scores"]["merges"] == merges
    assert scores["scores"]["missed"] == scores["scores"]["extra"] == 0


def test_small_cells_are_left_out_as_asked(score):
    assert score(BRIDGE, JOINED, "instances", "threshold=0.7", "instances.min_size=31")[1]["scores"]["missed"] == 2


def test_classes_are_scored_as_classes(score):
    status, scores, error = score(STACK.targets, STACK.targets.astype(np.int32), "semantic")
    assert status == 0, error
    assert all(value == 1 for value in scores["scores"].values())
    assert {"iou", "dice_class_2", "recall_per_image"} <= scores["scores"].keys()
    swapped = np.choose(STACK.targets, [0, 2, 1]).astype(np.uint8)
    scores = score(STACK.targets, swapped, "semantic")[1]["scores"]
    assert scores["iou"] == 0
    assert scores["iou_class_0"] == 1


def test_probabilities_of_each_class_are_read(score):
    status, scores, error = score(STACK.targets, CLASSES, "semantic")
    assert status == 0, error
    assert scores["scores"]["iou"] == 1


def test_the_threshold_decides_between_two_classes(score):
    faint = CELLS * np.float32(0.4)
    assert score(CELLS, faint, "semantic", "threshold=0.3")[1]["scores"]["iou"] == 1
    assert score(CELLS, faint, "semantic", "threshold=0.5")[1]["scores"]["iou"] == 0


@pytest.mark.parametrize(
    ("truth", "prediction", "expected"),
    [
        (CELLS, CELLS[:, :32], "(2, 64, 64)"),
        (CELLS, CELLS[:1], "(2, 64, 64)"),
        (CELLS.astype(np.float32), CELLS, "whole numbers"),
        (CELLS, CELLS * np.float32(2), "[0, 1]"),
        (CELLS, np.where(CELLS, np.nan, 0).astype(np.float32), "NaN"),
    ],
)
def test_what_cannot_be_compared_is_one_message(truth, prediction, expected, score):
    status, scores, error = score(truth, prediction)
    assert status == 1 and scores is None
    assert expected in error and error.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["threshold=2"], "expected threshold to be a number from 0 to 1, but got 2"),
        (["metrics=instances", "instances=watershed", "instances.boundary=1"], "expected instances.boundary"),
        (["metrics=instances", "+instances.min_sise=3"], "nearest valid: min_size"),
    ],
)
def test_a_wrong_option_is_one_message(options, expected, score):
    status, scores, error = score(CELLS, CELLS.astype(np.float32), "isbi", *options)
    assert status == 1 and scores is None
    assert expected in error and error.count("\n") == 1


def test_numbered_cells_are_no_classes(score):
    many = np.arange(40, dtype=np.uint8).reshape(5, 8)
    status, scores, error = score(many, many, "semantic")
    assert status == 1 and scores is None
    assert "metrics=instances" in error and error.count("\n") == 1


def test_what_looks_inverted_is_said_and_scored(score):
    status, scores, error = score(CELLS[[0, 1, 1]], np.stack([CELLS[0], 1 - CELLS[1], 1 - CELLS[1]]))
    assert status == 0
    assert scores["scores"]["pixel_error"] > 0
    (line,) = error.splitlines()
    assert line.startswith("warning: the prediction looks inverted")
    assert line.endswith("(2 of 3 images, first prediction_01)")


def test_good_data_are_scored_without_a_warning(score):
    assert score(CELLS, CELLS)[2] == ""
    assert score(STACK.instances, STACK.instances, "instances")[2] == ""


def test_png_is_read_too(run_command, tmp_path):
    imwrite(tmp_path / "truth.png", CELLS[0] * np.uint8(255))
    arguments = (f"truth={tmp_path / 'truth.png'}", f"prediction={tmp_path / 'truth.png'}")
    status, printed, error = run_command("score", *arguments)
    assert status == 0, error
    assert "1.0000" in printed


def test_files_of_the_same_name_are_scored_and_the_others_named(score_folders, tmp_path):
    write(tmp_path / "truth", a=BRIDGE, b=BRIDGE, c=BRIDGE)
    write(tmp_path / "prediction", b_labels=BRIDGE, b_probabilities=JOINED, a=BRIDGE, d=BRIDGE)
    status, _, error = score_folders("metrics=instances", f"output={tmp_path / 'scores.json'}")
    assert status == 0, error
    assert error.splitlines() == [
        f"warning: {tmp_path / folder / name} has no counterpart and is left out"
        for folder, name in (("truth", "c.tif"), ("prediction", "d.tif"))
    ]
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert [row["name"] for row in scores["per_image"]] == ["a", "b"]
    assert scores["scores"]["merges"] == 0  # the labels of b were taken


def test_for_membranes_probabilities_are_preferred(score_folders, tmp_path):
    write(tmp_path / "truth", a=CELLS[0])
    write(tmp_path / "prediction", a_labels=np.zeros_like(CELLS[0]), a_probabilities=CELLS[0].astype(np.float32))
    status, _, error = score_folders(f"output={tmp_path / 'scores.json'}")
    assert status == 0, error
    assert json.loads((tmp_path / "scores.json").read_text())["scores"]["pixel_error"] == 0


def test_probabilities_and_labels_are_not_mixed(score_folders, tmp_path):
    write(tmp_path / "truth", a=BRIDGE, b=BRIDGE)
    write(tmp_path / "prediction", a=BRIDGE, b=JOINED)
    status, _, error = score_folders("metrics=instances")
    assert status == 1
    message = "b.tif: expected probabilities or labels throughout, but b differs from a"
    assert error.endswith(f"error: 1 of 2 images were not scored:\n{tmp_path / 'prediction' / message}\n")


def test_one_bad_pair_ends_no_others_and_no_score_of_a_part_is_written(score_folders, tmp_path):
    write(tmp_path / "truth", a=BRIDGE, b=BRIDGE, c=BRIDGE)
    write(tmp_path / "prediction", a=BRIDGE, b=BRIDGE[:-1], c=BRIDGE)
    (tmp_path / "prediction" / "a.tif").write_bytes(b"not a TIFF")
    status, printed, error = score_folders("metrics=instances", f"output={tmp_path / 'scores.json'}")
    assert status == 1 and "Traceback" not in error
    assert "│ c " in printed and "│ a " not in printed and "│ b " not in printed
    assert "error: 2 of 3 images were not scored:" in error and "a.tif" in error and "b.tif" in error
    assert not list(tmp_path.glob("scores.*"))


def test_the_table_and_both_files_hold_the_same_scores(score_folders, tmp_path):
    empty = np.zeros_like(BRIDGE)
    write(tmp_path / "truth", a=BRIDGE, b=empty)
    write(tmp_path / "prediction", a=(JOINED > 0).astype(np.uint8), b=empty)
    status, printed, error = score_folders("metrics=instances", f"output={tmp_path / 'new folder' / 'scores.json'}")
    assert status == 0, error
    text = (tmp_path / "new folder" / "scores.json").read_text()
    assert "NaN" not in text
    scores = json.loads(text)
    assert scores.keys() == {"scores", "per_image"}
    full, lacking = scores["per_image"]
    assert full.keys() == lacking.keys() == {"name", *scores["scores"]}
    assert (full["name"], full["merges"], full["splits"]) == ("a", 1, 0)
    assert (lacking["name"], lacking["ap"], lacking["missed"]) == ("b", None, 0)

    table = next(line for line in printed.splitlines() if line.startswith("│ b "))
    assert [cell.strip() for cell in table.strip("│").split("│")] == ["b", *["–"] * 8, *["0"] * 4]
    with (tmp_path / "new folder" / "scores.csv").open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert len(rows) == 2
    for row, expected in zip(rows, scores["per_image"], strict=True):
        assert row.pop("name") == expected.pop("name")
        assert {name: float(value or "nan") for name, value in row.items()} == pytest.approx(
            {name: np.nan if value is None else value for name, value in expected.items()}, nan_ok=True, rel=1e-12
        )


def test_a_class_that_an_image_lacks_leaves_its_field_empty(score_folders, tmp_path):
    one, two = np.array([[0, 1]] * 3, np.uint8), np.array([[0, 2]] * 3, np.uint8)
    write(tmp_path / "truth", a=one, b=two)
    write(tmp_path / "prediction", a=one, b=two)
    status, printed, error = score_folders("metrics=semantic", f"output={tmp_path / 'scores.json'}")
    assert status == 0, error
    with (tmp_path / "scores.csv").open(encoding="utf-8", newline="") as lines:
        rows = [(row["name"], row["iou_class_1"], row["iou_class_2"]) for row in csv.DictReader(lines)]
    assert rows == [("a", "1.0", ""), ("b", "", "1.0")]
    assert "mean of images" in printed


def test_nothing_is_written_unless_asked(score_folders, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "truth", a=CELLS[0])
    write(tmp_path / "prediction", a=CELLS[0])
    assert score_folders()[0] == 0
    assert {file.name for file in tmp_path.iterdir()} == {"truth", "prediction"}


def test_the_output_is_written_whole_or_not_at_all(score, tmp_path, monkeypatch):
    class Full(csv.DictWriter):
        def writerows(self, rows):
            raise OSError("no space left on device")

    (tmp_path / "scores.csv").write_text("of yesterday")
    monkeypatch.setattr(csv, "DictWriter", Full)
    status, _, error = score(CELLS, CELLS)
    assert (status, error) == (1, "error: no space left on device\n")
    assert (tmp_path / "scores.csv").read_text() == "of yesterday"
    assert {file.name for file in tmp_path.iterdir()} <= {"truth.tif", "prediction.tif", "scores.json", "scores.csv"}


def test_paths_may_hold_spaces_and_hangul(run_command, tmp_path):
    folder = write(tmp_path / "현미경 그림 (1)", 정답=CELLS, 예측_labels=CELLS)
    output = folder / "점수, 첫째.json"
    files = (f"truth={folder / '정답.tif'}", f"prediction={folder / '예측_labels.tif'}", f"output={output}")
    status, printed, error = run_command("score", *files)
    assert status == 0, error
    assert "예측_00" in printed
    assert "예측_00" in output.read_text(encoding="utf-8")
    assert "예측_00" in output.with_suffix(".csv").read_text(encoding="utf-8")


@pytest.mark.parametrize("metrics", ["isbi", "instances", "semantic"])
def test_scores_of_label_files_need_no_torch(metrics, tmp_path):
    folder = write(tmp_path, truth=CELLS, prediction=CELLS)
    files = (f"truth={folder / 'truth.tif'}", f"prediction={folder / 'prediction.tif'}", f"metrics={metrics}")
    assert not imported_by("score", *files) & {"torch", "lightning", "torchmetrics", "albumentations"}
