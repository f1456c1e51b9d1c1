"""Images at the training pixel size: what is predicted of them is that of the rescaled image, and fits the input."""

from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
import torch
from PIL import Image as Picture

from src.files import limits
from src.files.image import Image, open_image, read_image
from src.files.legend import NUMBERS
from src.files.resampled import Resampled
from src.instances import Classes, Components, Decoder
from src.metrics.calibration import Calibration
from src.model.unet import UNet
from src.prediction import job, labelling
from src.prediction.job import Wishes, begin, finish
from src.prediction.predictor import Predictor, fill, verify
from src.prediction.rescaling import Returned, Scale, scale
from tests.data.own import draw

CPU, DECODER = torch.device("cpu"), Decoder(Components(), 0.6)
TRAINING = [{"pixel_size": 0.5}, {"pixel_size": 0.5}, {"sharpness": 0.4}]


def a_predictor(classes: int = 2, tile: int | None = None) -> Predictor:
    torch.manual_seed(3)
    network = UNet(base_channels=4, depth=2, classes=classes, norm="batch").eval()
    return Predictor([network], CPU, torch.float32, "none", tile)


def micrograph(file: Path, size: tuple[int, int], pixel: float | None, planes: int = 1) -> Path:
    """A file of blobs whose pixels have a size in µm, if any."""
    random = np.random.default_rng(0)
    noise = random.normal(0, 1, (planes, *size))
    stack = np.stack([cv2.GaussianBlur(plane, (0, 0), 4) for plane in noise])
    stack = (255 * (stack - stack.min()) / np.ptp(stack)).astype(np.uint8)
    tags = {} if pixel is None else {"resolution": (1e4 / pixel,) * 2, "resolutionunit": "CENTIMETER"}
    tifffile.imwrite(file, stack[0] if planes == 1 else stack, photometric="minisblack", **tags)
    return file


def predicted(file: Path, output: Path, predictor: Predictor | None = None, decoder: Decoder = DECODER, **wishes):
    """What is written of an image, by kind."""
    asked = Wishes(output, wishes.pop("write", ("probabilities", "labels")), **wishes)
    with closing(open_image(file)) as image:
        begun = begin(image, predictor or a_predictor(), decoder, asked, NUMBERS)
        assert not isinstance(begun, str), begun
        fill(begun.probabilities, predictor or a_predictor(), 0, 1)
        finish(begun)
    assert not [each for each in output.iterdir() if each.name.startswith(".")]
    return {kind: read_image(output / f"{file.stem}_{kind}.tif")[0] for kind in asked.write}


@pytest.mark.parametrize(
    ("size", "pixel", "asked", "expected"),
    [
        ((100, 80), 1.0, "auto", (200, 160)),
        ((101, 83), 0.25, "auto", (50, 42)),
        ((100, 80), 0.51, "auto", (100, 80)),  # nearly the same
        ((100, 80), None, "auto", (100, 80)),  # nobody knows
        ((100, 80), 1.0, "none", (100, 80)),
        ((100, 80), 1.0, 0.5, (50, 40)),
        ((100, 80), None, 3, (300, 240)),
        ((3, 100), None, 0.1, (1, 10)),
    ],
)
def test_an_image_is_predicted_at_the_pixel_size_of_the_training_images(size, pixel, asked, expected, tmp_path):
    with closing(open_image(micrograph(tmp_path / "a.tif", size, pixel))) as image:
        found = scale(asked, None, TRAINING)(image)
    assert (found.height, found.width) == expected
    assert found.pixel_size.get("Y") == (pixel and pytest.approx(pixel * size[0] / expected[0]))
    assert (found is image) == (size == expected)


def test_a_given_pixel_size_takes_the_place_of_what_files_say(tmp_path):
    for pixel in (None, 7.0):
        with closing(open_image(micrograph(tmp_path / "a.tif", (100, 80), pixel))) as image:
            given = scale("auto", 1.0, TRAINING)
            found = given(given.sized(image))
        assert (found.height, found.width, found.pixel_size["X"]) == (200, 160, 0.5)


def test_pixels_that_are_no_squares_become_those_of_the_training_images():
    image = Image(Path("a.tif"), np.zeros((50, 60), np.uint8), "YX", {"Y": 1.0, "X": 0.5})
    found = scale("auto", None, TRAINING)(image)
    assert (found.height, found.width, found.pixel_size) == (100, 60, {"Y": 0.5, "X": 0.5})


@pytest.mark.parametrize(
    ("asked", "pixel_size", "training", "message"),
    [
        ("auto", None, [{"sharpness": 0.4}], "expected a checkpoint with the pixel size .* rescale=FACTOR"),
        ("auto", None, [], "expected a checkpoint with the pixel size"),
        ("half", None, TRAINING, "none, auto or a factor from 1/16 to 16, but got half"),
        *((wrong, None, TRAINING, "none, auto or a factor") for wrong in (0, -1, 100, True, float("nan"), None, [2])),
        *(("none", wrong, TRAINING, "expected pixel_size in µm") for wrong in (0, -0.5, "0.5 nm", float("inf"), True)),
    ],
)
def test_other_choices_are_refused(asked, pixel_size, training, message):
    with pytest.raises(ValueError, match=message):
        scale(asked, pixel_size, training)


def test_sizes_that_cannot_be_meant_are_refused(monkeypatch):
    image = Image(Path("a.tif"), np.zeros((50, 60), np.uint8), "YX", {"Y": 353.0, "X": 353.0})
    with pytest.raises(ValueError, match=r"a factor from 1/16 to 16, but got 706 of a\.tif; .*pixel_size="):
        scale("auto", None, TRAINING)(image)
    monkeypatch.setitem(limits._limits, "pixels", 10_000)
    with pytest.raises(ValueError, match=r"expected to rescale a\.tif, but it .* max_pixels=12000"):
        scale(2, None, [])(image)


@pytest.mark.parametrize("factor", [0.37, 0.5, 2.0, 1.7])
@pytest.mark.parametrize("size", [(57, 91), (270, 281)], ids=["held", "stored"])
def test_probabilities_are_those_of_the_rescaled_image_on_the_pixels_of_the_input(size, factor, tmp_path):
    file = micrograph(tmp_path / "a.tif", size, 0.5)
    found = predicted(file, tmp_path / "out", scale=Scale(factor))
    assert found["probabilities"].shape == found["labels"].shape == size
    small = tuple(max(1, round(side * factor)) for side in size)
    with closing(open_image(file)) as image:
        array = Resampled(image.in_memory().array, "YX", *small)[...]
        assert open_image(tmp_path / "out/a_labels.tif").pixel_size == pytest.approx(image.pixel_size)
    tifffile.imwrite(tmp_path / "b.tif", array)
    expected = predicted(tmp_path / "b.tif", tmp_path / "out")
    back = Picture.fromarray(expected["probabilities"]).resize(size[::-1], Picture.Resampling.BILINEAR)
    np.testing.assert_allclose(found["probabilities"], np.asarray(back), atol=1e-4)
    places = [(np.arange(side) + 0.5) * other / side for side, other in zip(size, small, strict=True)]
    rows, columns = (np.floor(place).astype(int) for place in places)
    np.testing.assert_array_equal(found["labels"], expected["labels"][rows][:, columns])
    assert len(np.unique(found["labels"])) > 5


@pytest.mark.parametrize("factor", [0.5, 1.7])
def test_tiles_of_a_rescaled_image_equal_one_pass(factor, tmp_path, capsys):
    file = micrograph(tmp_path / "a.tif", (133, 150), 0.5)
    with closing(open_image(file)) as image:
        verify(Scale(factor)(image), a_predictor(), 0)
    assert "tiles against one pass" in capsys.readouterr().out
    tiled = predicted(file, tmp_path / "tiled", a_predictor(tile=60), scale=Scale(factor))
    whole = predicted(file, tmp_path / "whole", scale=Scale(factor))
    np.testing.assert_allclose(tiled["probabilities"], whole["probabilities"], atol=1e-5)
    np.testing.assert_array_equal(tiled["labels"], whole["labels"])


@pytest.mark.parametrize("factor", [0.6, 2.0])
def test_block_by_block_it_is_the_same_as_at_once(factor, tmp_path, monkeypatch):
    file = micrograph(tmp_path / "a.tif", (110, 150), 0.5, planes=2)
    whole = predicted(file, tmp_path / "whole", scale=Scale(factor))
    for module, name in ((job, "IN_MEMORY"), (labelling, "AT_ONCE")):
        monkeypatch.setattr(module, name, 0)
    monkeypatch.setattr("src.prediction.rescaling.block_side", lambda *_: 64)
    parts = predicted(file, tmp_path / "parts", a_predictor(tile=92), scale=Scale(factor))
    assert parts["labels"].shape == (2, 110, 150)
    np.testing.assert_allclose(parts["probabilities"], whole["probabilities"], atol=1e-5)
    for one, other in zip(parts["labels"], whole["labels"], strict=True):
        pairs = set(zip(one.ravel().tolist(), other.ravel().tolist(), strict=True))
        assert len(pairs) == len(np.unique(one)) == len(np.unique(other))


def test_classes_sum_to_1_and_calibration_and_all_other_results_fit_the_input(tmp_path):
    file = micrograph(tmp_path / "a.tif", (45, 61), 1.0)
    classes = predicted(file, tmp_path / "c", a_predictor(3), Decoder(Classes(), 0.5), scale=Scale(2.0))
    assert classes["probabilities"].shape == (3, 45, 61)
    np.testing.assert_allclose(classes["probabilities"].sum(axis=0), 1, atol=1e-5)
    plain = predicted(file, tmp_path / "p", scale=Scale(2.0))
    told = Calibration(1.7, 0.3)
    calibrated = predicted(file, tmp_path / "k", scale=Scale(2.0), calibration=told)
    np.testing.assert_allclose(calibrated["probabilities"], told(plain["probabilities"]), atol=1e-6)
    np.testing.assert_array_equal(calibrated["labels"], plain["labels"])
    rest = ("labels", "table", "rois", "geojson", "overlay")
    asked = Wishes(tmp_path / "r", rest, scale=Scale(2.0))
    with closing(open_image(file)) as image:
        begun = begin(image, a_predictor(), DECODER, asked)
        fill(begun.probabilities, a_predictor(), 0, 1)
        finish(begun)
    rows = (tmp_path / "r/a_table.csv").read_text().splitlines()
    assert len(rows) - 1 == len(np.unique(plain["labels"])) - 1
    assert "area_um2" in rows[0]


def test_a_result_of_another_scale_is_not_replaced_and_the_same_one_is_known(tmp_path):
    file, predictor = micrograph(tmp_path / "a.tif", (90, 123), 1.0), a_predictor()
    predicted(file, tmp_path / "out", predictor, scale=Scale(2.0))
    with closing(open_image(file)) as image:
        same = Wishes(tmp_path / "out", ("probabilities", "labels"), scale=Scale(2.0))
        assert "is predicted already" in begin(image, predictor, DECODER, same)
        for other in (Scale(), Scale(1.5)):
            with pytest.raises(FileExistsError, match="expected no earlier result"):
                begin(image, predictor, DECODER, Wishes(tmp_path / "out", ("labels",), scale=other))


def test_an_interrupted_prediction_goes_on(tmp_path, monkeypatch):
    file = micrograph(tmp_path / "a.tif", (170, 181), 1.0)
    expected = predicted(file, tmp_path / "whole", a_predictor(tile=140), scale=Scale(2.0))
    wishes = Wishes(tmp_path / "out", ("probabilities", "labels"), scale=Scale(2.0))
    predictor, count = a_predictor(tile=140), []

    def stopping(read, window, together=predictor.together):
        count.append(window)
        if len(count) == 3:
            raise KeyboardInterrupt
        return together([read], window)[0]

    with closing(open_image(file)) as image, monkeypatch.context() as patch:
        patch.setattr(Predictor, "__call__", lambda self, read, window: stopping(read, window))
        begun = begin(image, predictor, DECODER, wishes)
        with pytest.raises(KeyboardInterrupt):
            fill(begun.probabilities, predictor, 0, 1)
    with closing(open_image(file)) as image:
        begun = begin(image, predictor, DECODER, wishes)
        assert 0 < len(begun.probabilities.missing()) < len(begun.probabilities.blocks)
        fill(begun.probabilities, predictor, 0, 1)
        finish(begun)
    for kind, values in expected.items():
        np.testing.assert_array_equal(read_image(tmp_path / f"out/a_{kind}.tif")[0], values)


def test_labels_come_back_as_they_were_where_nothing_is_lost(tmp_path):
    _, cells = draw(3)

    class Stored:
        image, classes = Image(Path("a"), cells, "YX"), 1

        def read(self, plane, window):
            top, left, height, width = window
            return cells[top : top + height, left : left + width]

    height, width = cells.shape
    for times in (2, 3):
        large = Image(Path("a"), np.zeros((times * height, times * width)), "YX")
        back = Returned(Stored(), large)
        found = np.zeros(large.array.shape, int)
        for window in back.blocks:
            top, left, rows, columns = window
            found[top : top + rows, left : left + columns] = back.nearest(0, window)
        np.testing.assert_array_equal(found, cells.repeat(times, 0).repeat(times, 1))
