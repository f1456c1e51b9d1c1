"""Score predictions against the truth from files alone."""

import csv
import json

import numpy as np
import pytest
import tifffile
from imageio.v3 import imwrite
from PIL import Image
from scipy.ndimage import distance_transform_edt

from src.data.phantom import phantom
from tests.conftest import imported_by
from tests.data import own

STACK = phantom(slices=2, size=64, organelles=True)
CELLS = (STACK.targets > 0).astype(np.uint8)
CLASSES = np.eye(3, dtype=np.float32)[STACK.targets].transpose(0, 3, 1, 2)
ISBI = {"v_rand": 1, "v_info": 1, "rand_error": 0, "pixel_error": 0, "wrong_pixels": 0, "warping_error": 0}
ISBI |= {"v_rand_labels": 1, "v_info_labels": 1}
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
    best = {name: score for name, score in scores["scores"].items() if not name.endswith("_labels")}
    assert best == pytest.approx({name: ISBI[name] for name in best}, abs=1e-6)
    assert scores["scores"]["v_rand_labels"] < 1  # of components at 0.5, which nothing parts


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
        (CELLS * np.float32(0.5), CELLS, "whole numbers"),
        (CELLS, CELLS * np.float32(1.5), "[0, 1]"),
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


def test_probabilities_of_cells_are_numbered_as_asked_whatever_lies_beside_them(run_command, tmp_path):
    write(tmp_path, truth=CELLS[0], a_labels=np.zeros_like(CELLS[0]), a_probabilities=CELLS[0].astype(np.float32))
    given = [f"truth={tmp_path / 'truth.tif'}", f"prediction={tmp_path / 'a_probabilities.tif'}", "metrics=instances"]
    status, _, error = run_command("score", *given, f"output={tmp_path / 'scores.json'}")
    assert status == 0, error
    assert json.loads((tmp_path / "scores.json").read_text())["scores"]["ap50"] == 1


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


NUMBERED = own.draw(0)[1].astype(np.uint8)  # seven cells that do not touch
ALL_BUT_ONE = NUMBERED * (NUMBERED != 3)


def as_tiff(file, labels, **options):
    tifffile.imwrite(file, labels, photometric="minisblack", **options)


def as_picture(mode, file, labels):
    picture = Image.fromarray(labels).convert(mode) if mode != "P" else Image.fromarray(labels)
    if mode == "P":
        picture.putpalette(np.random.default_rng(0).integers(0, 256, 768).astype(np.uint8).tobytes())
    picture.save(file)


def of_one_bit(file, labels):
    Image.fromarray(labels > 0).save(file)


def as_probability(kind, file, labels):
    """Steep, but for the 0.5 between cells and background."""
    inside = distance_transform_edt(labels > 0) - distance_transform_edt(labels == 0)
    cell = 1 / (1 + np.exp(-inside))
    values = cell.astype(np.float32) if kind == np.float32 else np.rint(cell * np.iinfo(kind).max).astype(kind)
    (as_tiff if file.suffix == ".tif" else imwrite)(file, values)


def beside_its_image(file, labels):
    as_tiff(file, labels)
    as_tiff(file.with_name(f"{file.stem.removesuffix('_masks')}.tif"), own.draw(0)[0])


def one_file_a_cell(folder, labels):
    folder.mkdir()
    for number in range(1, labels.max() + 1):
        imwrite(folder / f"{number}.png", (labels == number) * np.uint8(255))


FORMS = {  # what a tool writes for image a, by its name
    "tiff": ("a.tif", as_tiff),
    "of 32 bits": ("a_labels.tif", lambda file, labels: as_tiff(file, labels.astype(np.int32))),
    "real numbers": ("a.tif", lambda file, labels: as_tiff(file, labels.astype(np.float32))),
    "_mask": ("a_mask.tif", as_tiff),
    "Cellpose": ("a_cp_masks.png", imwrite),
    "beside its image": ("a_masks.tif", beside_its_image),
    "OME-TIFF": ("a.ome.tif", as_tiff),
    "upper case": ("a.TIF", as_tiff),
    "palette": ("a.png", lambda file, labels: as_picture("P", file, labels)),
    "RGB": ("a.png", lambda file, labels: as_picture("RGB", file, labels)),
    "grey and alpha": ("a.png", lambda file, labels: as_picture("LA", file, labels)),
    "one bit": ("a.png", of_one_bit),
    "mask": ("a.png", lambda file, labels: imwrite(file, (labels > 0) * np.uint8(255))),
    "mask of 16 bits": ("a.tif", lambda file, labels: as_tiff(file, (labels > 0) * np.uint16(65535))),
    "1×H×W": ("a.tif", lambda file, labels: as_tiff(file, labels[None, None])),
    "H×W×1": ("a.tif", lambda file, labels: as_tiff(file, labels[..., None], metadata={"axes": "YXZ"})),
    "−1 as background": ("a.tif", lambda file, labels: as_tiff(file, np.where(labels, labels.astype(np.int16), -1))),
    "BMP": ("a.bmp", imwrite),
    "OME-Zarr": ("a.zarr", own.write),
    "one file a cell": ("a", one_file_a_cell),
    "probability": ("a_probabilities.tif", lambda file, labels: as_probability(np.float32, file, labels)),
    "probability of 8 bits": ("a.png", lambda file, labels: as_probability(np.uint8, file, labels)),
    "probability of 16 bits": ("a.tif", lambda file, labels: as_probability(np.uint16, file, labels)),
}


def written(folder, form, labels):
    name, write_form = FORMS[form]
    folder.mkdir()
    write_form(folder / name, labels)


@pytest.fixture
def scores_of_forms(score_folders, tmp_path):
    """Write truth and prediction in a form each, and score cells: → (status, scores or None, standard error)."""

    def call(truth: str, prediction: str):
        for side, form, labels in (("truth", truth, NUMBERED), ("prediction", prediction, ALL_BUT_ONE)):
            name, write_form = FORMS[form]
            (tmp_path / side).mkdir()
            write_form(tmp_path / side / name, labels)
        status, _, error = score_folders("metrics=instances", f"output={tmp_path / 'scores.json'}")
        return status, None if status else json.loads((tmp_path / "scores.json").read_text()), error

    return call


# One of seven cells is missed, and all others are found as they are.
PLAIN = {"ap50": 6 / 7, "ap": 6 / 7, "f1": 12 / 13, "pq": 12 / 13, "seg": 6 / 7, "splits": 0, "merges": 0, "missed": 1}


@pytest.mark.parametrize("form", FORMS)
def test_a_prediction_in_any_form_scores_as_the_plain_one(form, scores_of_forms):
    status, scores, error = scores_of_forms("tiff", form)
    assert status == 0, error
    assert {name: scores["scores"][name] for name in PLAIN} == pytest.approx(PLAIN)
    assert [row["name"] for row in scores["per_image"]] == ["a"]


@pytest.mark.parametrize("form", FORMS)
def test_a_truth_in_any_form_scores_as_the_plain_one_but_probabilities_are_none(form, scores_of_forms, tmp_path):
    status, scores, error = scores_of_forms(form, "tiff")
    if "probability" in form:
        assert status == 1 and error.count("\n") == 1
        assert "expected labels" in error and str(tmp_path / "truth" / FORMS[form][0]) in error
    else:
        assert status == 0, error
        assert {name: scores["scores"][name] for name in PLAIN} == pytest.approx(PLAIN)


@pytest.mark.parametrize("tag", ["channels", "colours"])
def test_slices_that_are_tagged_as_channels_or_colours_are_slices(tag, run_command, tmp_path):
    stack = np.stack([own.draw(number)[1].astype(np.uint16) for number in range(3)])
    if tag == "channels":
        tifffile.imwrite(tmp_path / "a.tif", stack, imagej=True, metadata={"axes": "CYX"})
    else:
        tifffile.imwrite(tmp_path / "a.tif", stack, photometric="rgb", planarconfig="separate")
    arguments = (f"truth={tmp_path / 'a.tif'}", f"prediction={tmp_path / 'a.tif'}", "metrics=instances")
    status, _, error = run_command("score", *arguments, f"output={tmp_path / 'scores.json'}")
    assert status == 0, error
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert [row["name"] for row in scores["per_image"]] == ["a_00", "a_01", "a_02"] and scores["scores"]["ap"] == 1


CLASS_MAP = np.kron(np.array([[0, 1], [2, 0]], np.uint8), np.ones((8, 8), np.uint8))
IN_VALUES = np.array([0, 1, 5], np.uint8)[CLASS_MAP]


@pytest.mark.parametrize(
    ("truth", "prediction", "options", "expected"),
    [
        (IN_VALUES, CLASS_MAP, ["values=[0,1,5]"], {"iou": 1, "iou_class_2": 1}),
        (IN_VALUES, IN_VALUES, ["values=[0,1,5]"], {"iou": 1, "iou_class_2": 1}),
        (IN_VALUES, IN_VALUES, [], {"iou": 1, "iou_class_5": 1}),
        (IN_VALUES * 20, IN_VALUES * 20, [], {"iou": 1, "iou_class_2": 1}),
        (IN_VALUES * 20, CLASS_MAP, ["values=[0,20,100]"], {"iou": 1, "iou_class_2": 1}),
        (
            np.where(np.arange(16) < 3, 255, CLASS_MAP).astype(np.uint8),
            CLASS_MAP,
            ["ignore_label=255"],
            {"iou": 1, "iou_class_2": 1},
        ),
        (
            np.where(CLASS_MAP == 2, 255, CLASS_MAP),
            CLASS_MAP * (CLASS_MAP < 2),
            ["ignore_label=255"],
            {"iou_class_1": 1},
        ),
        (IN_VALUES, np.eye(3, dtype=np.float32)[CLASS_MAP].transpose(2, 0, 1), ["values=[0,1,5]"], {"iou": 1}),
    ],
)
def test_values_of_classes_are_read_as_they_are_meant(truth, prediction, options, expected, score):
    status, scores, error = score(truth, prediction, "semantic", *options)
    assert status == 0 and error == ""
    assert {name: scores["scores"][name] for name in expected} == expected


@pytest.mark.parametrize(
    ("truth", "prediction", "options", "expected"),
    [
        (IN_VALUES, CLASS_MAP, ["metrics=semantic"], "prediction.tif); nearest valid: values=[0,1,5]"),
        (IN_VALUES, CLASS_MAP * np.uint8(3), ["metrics=semantic", "values=[0,1,5]"], "but got 0, 3, 6 ("),
        (
            IN_VALUES,
            IN_VALUES,
            ["metrics=semantic", "values=[0,1]"],
            "truth.tif; nearest valid: values=[…] of all classes",
        ),
        (IN_VALUES, IN_VALUES, ["metrics=instances", "values=[0,1,5]"], "nearest valid: metrics=semantic"),
        (IN_VALUES, IN_VALUES, ["metrics=semantic", "values=5"], "got values=5; nearest valid: [0,1,5]"),
        (IN_VALUES, IN_VALUES, ["metrics=semantic", "values=[0,0]"], "got values=[0, 0]; nearest valid: [0,1,5]"),
        (IN_VALUES, CLASS_MAP * np.float32(0.5), ["metrics=semantic"], "0, 1, 5 in the truth and probabilities in the"),
        (own.draw(0)[0], NUMBERED, ["metrics=instances"], "truth.tif holds grey levels from"),
        (NUMBERED, own.draw(0)[0] // np.uint8(3), ["metrics=instances"], "grey levels of uint8 from"),
        (
            NUMBERED,
            -NUMBERED.astype(np.int16) * 2,
            ["metrics=instances"],
            "prediction.tif holds negative labels, the lowest -14",
        ),
    ],
)
def test_what_may_mean_several_things_is_one_message(truth, prediction, options, expected, score):
    status, scores, error = score(truth, prediction, *(option.removeprefix("metrics=") for option in options))
    assert status == 1 and scores is None
    assert expected in error and error.count("\n") == 1


def test_classes_are_settled_over_all_files(score_folders, tmp_path):
    write(tmp_path / "truth", a=IN_VALUES * (IN_VALUES < 5), b=IN_VALUES * (IN_VALUES > 1))
    write(tmp_path / "prediction", a=CLASS_MAP * (CLASS_MAP < 2), b=CLASS_MAP * (CLASS_MAP > 1))
    status, _, error = score_folders("metrics=semantic")
    assert status == 1 and error.count("\n") == 1 and error.startswith("error: ")
    assert "0, 1, 5 in the truth and 0, 1, 2 in the prediction" in error and "b.tif); nearest valid" in error
    status, _, error = score_folders("metrics=semantic", "values=[0,1,5]", f"output={tmp_path / 'scores.json'}")
    assert status == 0 and json.loads((tmp_path / "scores.json").read_text())["scores"]["iou"] == 1


def test_classes_in_colours_have_the_order_of_the_labelmap(score_folders, tmp_path):
    colours = np.array([[0, 0, 0], [200, 0, 0], [0, 0, 200]], np.uint8)
    write(tmp_path / "prediction", a=CLASS_MAP)
    (tmp_path / "truth").mkdir()
    imwrite(tmp_path / "truth" / "a.png", colours[CLASS_MAP])
    (tmp_path / "truth" / "labelmap.txt").write_text("ground:0,0,0::\nred:200,0,0::\nblue:0,0,200::\n")
    status, printed, error = score_folders("metrics=semantic", f"output={tmp_path / 'scores.json'}")
    assert status == 0, error
    assert json.loads((tmp_path / "scores.json").read_text())["scores"]["iou"] == 1
    assert "note: classes by their colours: 0 ground (0, 0, 0), 1 red (200, 0, 0), 2 blue (0, 0, 200)" in printed


def test_minus_one_beside_zero_is_said(score):
    status, _, error = score(NUMBERED.astype(np.int16) - (np.arange(96) < 3), NUMBERED, "instances")
    assert status == 0 and error.startswith("warning: the truth holds -1 beside 0")
