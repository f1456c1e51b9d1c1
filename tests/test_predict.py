"""Prediction from a checkpoint: inputs, outputs, continuation after an interruption, and refusals."""

import contextlib
import functools
import itertools
import multiprocessing
import os
import subprocess
import sys
import time
from dataclasses import asdict

import cv2
import numpy as np
import pytest
import tifffile
import torch
import zarr
from imageio.v3 import imread, imwrite

from src import command, predict, training
from src.data.appearance import of_slice
from src.data.phantom import phantom
from src.files.grey import normalise
from src.files.image import open_image
from src.files.incomplete import unique
from src.files.stored import Reading
from src.model import archive
from src.model.trained import predict_window
from src.prediction import job
from src.prediction.predictor import Predictor
from src.prediction.store import made_from
from src.restore import restore
from src.tiles import overlap
from src.tiles.overlap import Window, reader
from tests.conftest import composed
from tests.data.drawn import types
from tests.data.own import folder, write
from tests.files.test_tiffs import spread

# Processes of their own, forked in a blink from one that has imported torch.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["src.predict"])
SIZE = {"Z": 0.05, "Y": 0.008, "X": 0.004}  # µm
OME = {f"PhysicalSize{axis}": size for axis, size in SIZE.items()} | {f"PhysicalSize{axis}Unit": "µm" for axis in SIZE}


@pytest.fixture(scope="module")
def checkpoint(finished_run, tmp_path_factory):
    """What src.train wrote after one step."""
    return finished_run(tmp_path_factory.mktemp("trained") / "run") / "checkpoints" / "best.ckpt"


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """Write an untrained network: → its checkpoint."""
    folder, number = tmp_path_factory.mktemp("untrained"), itertools.count()

    @functools.cache
    def call(*overrides, threshold=0.5, seed=0):
        torch.manual_seed(seed)
        module = training.make_segmenter(composed("model.base_channels=2", "model.depth=2", *overrides))
        file = folder / f"{next(number)}.ckpt"
        content = {"hyper_parameters": dict(module.hparams), "state_dict": module.state_dict(), "threshold": threshold}
        archive.write(file, content)
        return file

    return call


@pytest.fixture(scope="module")
def images():
    return phantom(slices=2, size=70).images


@pytest.fixture
def cell(images, tmp_path):
    imwrite(tmp_path / "cell.png", images[0])
    return tmp_path / "cell.png"


@pytest.fixture
def larger_cell(images, tmp_path):
    """One that is not predicted anew in a moment."""
    imwrite(tmp_path / "cell.png", np.pad(images[0], 100, mode="reflect"))
    return tmp_path / "cell.png"


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """The file of an image of six rows of six blocks."""
    noise = np.random.default_rng(0).integers(0, 256, (1500, 1500), np.uint8)
    file = tmp_path_factory.mktemp("large") / "large.tif"
    tifffile.imwrite(file, noise, photometric="minisblack")
    return file


@pytest.fixture
def run_predict(checkpoint, run_command, tmp_path):
    """Predict, by default with the trained network into the folder out: → (status, output, error)."""

    def call(file, *options, **choices):
        given = {"checkpoint": checkpoint, "input": file, "output": tmp_path / "out", "precision": 32} | choices
        return run_command("predict", *(f"{key}={value}" for key, value in given.items()), *options)

    return call


@pytest.fixture
def predicted(run_predict):
    """Predict without an error: → what is printed."""

    def call(file, *options, **choices):
        status, printed, error = run_predict(file, *options, **choices)
        assert status == 0, error
        return printed

    return call


@pytest.fixture
def refused(run_predict):
    """Predict in vain: → the message."""

    def call(file, *options, **choices):
        status, _, error = run_predict(file, *options, **choices)
        assert status == 1 and "error: " in error and "Traceback" not in error, error
        return error

    return call


def read(file):
    """A result, its axes and the size of a pixel along each, by other readers than ours."""
    if file.suffix == ".zarr":
        group = zarr.open_group(file, mode="r")
        (described,) = group.attrs["ome"]["multiscales"]
        (level,) = described["datasets"]
        axes = "".join(axis["name"] for axis in described["axes"]).upper()
        scale = level["coordinateTransformations"][0]["scale"]
        units = [axis.get("unit") for axis in described["axes"]]
        return group[level["path"]][:], axes, {a: s for a, s, unit in zip(axes, scale, units, strict=True) if unit}
    with tifffile.TiffFile(file) as tiff:
        pixels = tifffile.xml2dict(tiff.ome_metadata)["OME"]["Image"]["Pixels"]
        sizes = {axis: pixels.get(f"PhysicalSize{axis}") for axis in "ZYX"}
        return tiff.asarray(), tiff.series[0].axes, {axis: size for axis, size in sizes.items() if size}


def probabilities_of(checkpoint, *planes):
    """Class probabilities of planes ``(H, W[, C])``, by the network at once, without tiles or files."""
    model = restore(checkpoint).model
    seen = [
        torch.from_numpy(normalise(plane, "objects")).reshape(*plane.shape[:2], -1).permute(2, 0, 1) for plane in planes
    ]
    with torch.inference_mode():
        whole = [predict_window(model, reader(image[None]), Window(0, 0, *image.shape[1:])) for image in seen]
        return np.stack([each[0].numpy() for each in whole])


def call_predict(folder, arguments):
    """The body of a process that runs ``python -m src.predict``."""
    os.chdir(folder)
    sys.argv = ["src.predict", *arguments]
    command.run(predict.main, "predict")


@contextlib.contextmanager
def process(*arguments, folder="."):
    started = PROCESSES.Process(target=call_predict, args=(folder, [str(argument) for argument in arguments]))
    started.start()
    try:
        yield started
    finally:
        started.kill()
        started.join()


def chunks(store):
    """The finished blocks of a store, and when each was written; a block that is being written is NUMBER.x.partial."""
    finished = [file for file in store.glob("0/c/*/*") if file.name.isdigit()]
    return {str(file.relative_to(store)): file.stat().st_mtime_ns for file in finished}


def unplugged(*_):
    raise OSError("pulled the plug")


# What is written


def test_an_image_becomes_probabilities_and_labels_of_its_size(checkpoint, cell, predicted, tmp_path):
    assert "cell_labels.tif" in predicted(cell)
    probabilities = tifffile.imread(tmp_path / "out" / "cell_probabilities.tif")
    labels = tifffile.imread(tmp_path / "out" / "cell_labels.tif")
    assert probabilities.shape == labels.shape == (70, 70)
    assert probabilities.dtype == np.float32 and labels.dtype == np.int32
    np.testing.assert_array_equal(labels > 0, probabilities > restore(checkpoint).decoder.threshold)
    assert sorted(os.listdir(tmp_path / "out")) == ["cell_labels.tif", "cell_probabilities.tif"]


def test_a_stack_stays_a_stack_and_equals_its_slices(images, cell, predicted, tmp_path):
    tifffile.imwrite(tmp_path / "stack.tif", images, photometric="minisblack")
    predicted(tmp_path)
    stack = tifffile.imread(tmp_path / "out" / "stack_probabilities.tif")
    assert stack.shape == (2, 70, 70)
    np.testing.assert_array_equal(stack[0], tifffile.imread(tmp_path / "out" / "cell_probabilities.tif"))
    assert not np.array_equal(stack[0], stack[1])


def write_zarr(version):
    def write(file, array):
        axes = [
            {"name": axis.lower(), "type": "space", "unit": "nanometer" if axis == "Z" else "micrometer"}
            for axis in "ZYX"
        ]
        scale = {"type": "scale", "scale": [50.0, SIZE["Y"], SIZE["X"]]}
        scales = [{"axes": axes, "datasets": [{"path": "full", "coordinateTransformations": [scale]}]}]
        group = zarr.open_group(file, mode="w", zarr_format=version)
        group.attrs.update({"multiscales": scales} if version == 2 else {"ome": {"multiscales": scales}})
        group.create_array("full", data=array, chunks=(1, 32, 32))

    return write


def write_tiff(**options):
    return lambda file, array: tifffile.imwrite(file, array, photometric="minisblack", **options)


IMAGEJ = {"axes": "ZYX", "unit": "micron", "spacing": SIZE["Z"]}
PER_CM = tuple(1e4 / SIZE[axis] for axis in "XY")
KINDS = {  # name of the file, where it differs from NAME.tif; how it is written; shape, dtype; axes and size that stay
    "a.png": (imwrite, (70, 60), np.uint8, "YX", ""),
    "deep.png": (imwrite, (70, 60), np.uint16, "YX", ""),
    "bare.tif": (write_tiff(), (70, 60), np.uint16, "YX", ""),
    "real.tiff": (write_tiff(), (70, 60), np.float32, "YX", ""),
    "packed.TIF": (write_tiff(compression="zlib"), (70, 60), np.uint8, "YX", ""),
    "tiled.tif": (write_tiff(compression="zlib", tile=(32, 32)), (70, 60), np.uint8, "YX", ""),
    "huge.tif": (write_tiff(bigtiff=True), (2, 70, 60), np.uint8, "ZYX", ""),
    "other end.tif": (write_tiff(byteorder=">"), (2, 70, 60), np.uint16, "ZYX", ""),
    "tiny.tif": (write_tiff(), (9, 13), np.uint8, "YX", ""),
    "pixel.tif": (write_tiff(), (1, 1), np.uint8, "YX", ""),
    "row.png": (imwrite, (1, 70), np.uint8, "YX", ""),
    "a.ome.tif": (write_tiff(ome=True, metadata={"axes": "ZYX", **OME}), (2, 70, 60), np.uint16, "ZYX", "ZYX"),
    "flat.ome.tif": (write_tiff(ome=True, metadata={"axes": "YX", **OME}), (70, 60), np.uint8, "YX", "YX"),
    "film.ome.tif": (write_tiff(ome=True, metadata={"axes": "TZYX", **OME}), (2, 3, 40, 30), np.uint8, "TZYX", "ZYX"),
    "imagej.tif": (
        write_tiff(imagej=True, metadata=IMAGEJ, resolution=tuple(1 / SIZE[a] for a in "XY")),
        *((2, 70, 60), np.uint16, "ZYX", "ZYX"),
    ),
    "dots.tif": (write_tiff(resolution=PER_CM, resolutionunit="CENTIMETER"), (70, 60), np.uint8, "YX", "YX"),
    "two.zarr": (write_zarr(2), (2, 70, 60), np.uint16, "ZYX", "ZYX"),
    "three.ome.zarr": (write_zarr(3), (2, 70, 60), np.float32, "ZYX", "ZYX"),
}


@pytest.mark.parametrize("name", KINDS)
def test_of_any_kind_of_image_values_name_shape_axes_and_pixel_size_are_right(name, checkpoint, predicted, tmp_path):
    write, shape, dtype, axes, sized = KINDS[name]
    array = (np.random.default_rng(0).random(shape) * (1 if dtype == np.float32 else 250)).astype(dtype)
    write(tmp_path / name, array)
    predicted(tmp_path / name)
    first, suffix = name.split(".")[0], ".zarr" if name.endswith("zarr") else ".tif"
    expected = probabilities_of(checkpoint, *array.reshape(-1, *shape[-2:]))[:, 1].reshape(shape)
    for kind in ("probabilities", "labels"):
        found, found_axes, size = read(tmp_path / "out" / f"{first}_{kind}{suffix}")
        assert (found.shape, found_axes) == (shape, axes)
        assert size == pytest.approx({axis: SIZE[axis] for axis in sized}, rel=1e-6)
        if kind == "probabilities":
            np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_colour_image_is_seen_in_one_channel_or_all(network, images, predicted, tmp_path):
    colour = np.stack([images[0], 255 - images[1], images[1] // 2], axis=-1)
    imwrite(tmp_path / "colour.png", colour)
    tifffile.imwrite(tmp_path / "planar.ome.tif", np.moveaxis(colour, -1, 0), metadata={"axes": "CYX"}, ome=True)
    one, all_three = network(), network("model.in_channels=3", seed=3)
    for name, checkpoint, channels, array in (
        ("colour.png", one, "[1]", colour[..., 1]),
        ("colour.png", all_three, "null", colour),
        ("planar.ome.tif", one, "[1]", colour[..., 1]),
        ("planar.ome.tif", all_three, "[2,0,1]", colour[..., [2, 0, 1]]),
    ):
        predicted(tmp_path / name, "write=[probabilities]", checkpoint=checkpoint, channels=channels, overwrite=True)
        found = read(tmp_path / "out" / f"{name.split('.')[0]}_probabilities.tif")[0]
        np.testing.assert_allclose(found, probabilities_of(checkpoint, array)[0, 1], atol=1e-5)


@pytest.mark.parametrize(("stack", "axes"), [(False, "CYX"), (True, "ZCYX")])
@pytest.mark.parametrize("suffix", ["tif", "zarr"])
def test_of_three_classes_each_has_its_probabilities(stack, axes, suffix, network, images, predicted, tmp_path):
    file = network("model.classes=3", "experiment=demo_classes")
    tifffile.imwrite(tmp_path / "a.tif", images if stack else images[0], photometric="minisblack")
    predicted(tmp_path / "a.tif", checkpoint=file, format=suffix)
    found, found_axes, _ = read(tmp_path / "out" / f"a_probabilities.{suffix}")
    expected = probabilities_of(file, *(images if stack else images[:1]))
    assert found_axes == axes
    np.testing.assert_allclose(found, expected if stack else expected[0], atol=1e-5)
    labels, label_axes, _ = read(tmp_path / "out" / f"a_labels.{suffix}")
    assert label_axes == axes.replace("C", "")
    np.testing.assert_array_equal(labels, found.argmax(axis=axes.index("C")))
    assert len(np.unique(labels)) > 1


@pytest.mark.parametrize("option", ["tile=64", "tta=d4", "tta=rot7", "precision=bf16"])
def test_each_way_of_predicting_agrees_roughly_with_the_plain_one(option, cell, predicted, tmp_path):
    results = []
    for name, options in (("plain", []), ("other", [option])):
        predicted(cell, "write=[probabilities]", *options, output=tmp_path / name)
        assert os.listdir(tmp_path / name) == ["cell_probabilities.tif"]
        results.append(tifffile.imread(tmp_path / name / "cell_probabilities.tif"))
    assert np.abs(results[0] - results[1]).mean() < 0.05


def test_labels_alone_can_be_written(cell, predicted, tmp_path):
    predicted(cell, "write=[labels]")
    assert os.listdir(tmp_path / "out") == ["cell_labels.tif"]


def test_the_format_can_be_chosen(images, predicted, tmp_path):
    write_zarr(3)(tmp_path / "a.zarr", images)
    imwrite(tmp_path / "b.png", images[0])
    for chosen in ("tif", "zarr"):
        predicted(tmp_path / "?.*", format=chosen, output=tmp_path / chosen)
        names = [f"{name}_{kind}.{chosen}" for name in "ab" for kind in ("labels", "probabilities")]
        assert sorted(os.listdir(tmp_path / chosen)) == names
    for name in ("a_labels", "a_probabilities", "b_labels"):
        one, other = (read(tmp_path / chosen / f"{name}.{chosen}") for chosen in ("tif", "zarr"))
        np.testing.assert_array_equal(one[0], other[0])
        assert one[1] == other[1] and one[2] == pytest.approx(other[2])


def test_in_auto_a_very_large_image_becomes_a_zarr(cell, predicted, monkeypatch, tmp_path):
    monkeypatch.setattr(job, "LARGEST_TIFF", 70 * 70 - 1)
    predicted(cell)
    assert sorted(os.listdir(tmp_path / "out")) == ["cell_labels.zarr", "cell_probabilities.zarr"]


def test_a_mean_of_networks_is_the_mean_of_their_probabilities_and_thresholds(network, cell, predicted, tmp_path):
    files = [network(seed=1, threshold=0.4), network(seed=2, threshold=0.48)]
    found = []
    for name, chosen in (("a", files[0]), ("b", files[1]), ("both", f"[{files[0]},{files[1]}]")):
        predicted(cell, "instances=components", checkpoint=chosen, output=tmp_path / name)
        found.append(tifffile.imread(tmp_path / name / "cell_probabilities.tif"))
    assert np.abs(found[0] - found[1]).max() > 0.01
    np.testing.assert_allclose(found[2], (found[0] + found[1]) / 2, atol=1e-6)
    labels = tifffile.imread(tmp_path / "both" / "cell_labels.tif")
    np.testing.assert_array_equal(labels > 0, found[2] > np.float32(0.44))


def test_verify_says_how_far_tiles_are_from_one_pass(cell, predicted):
    printed = predicted(cell, tile=60, verify=True)
    assert "tiles against one pass, 40×40 px" in printed
    assert 0 <= float(printed.split("largest difference ")[1].split()[0]) < 1e-4


def test_verify_refuses_tiles_that_differ_from_one_pass(cell, refused, monkeypatch, tmp_path):
    exact = overlap.kept_side  # tiles that overlap in another phase than the network pools in
    monkeypatch.setattr(overlap, "kept_side", lambda *given: exact(*given) - 1)
    assert "expected tiles to equal one pass" in refused(cell, tile=60, verify=True)
    assert not list((tmp_path / "out").glob("cell*"))


def test_paths_may_hold_anything(images, predicted, tmp_path):
    folder = tmp_path / "현미경 (a=1), b"
    folder.mkdir()
    imwrite(folder / "세포 [1] 1.png", images[0])
    predicted(folder / "세포 [1] 1.png", output=folder)
    assert (folder / "세포 [1] 1_labels.tif").exists()


# Which images


def test_a_folder_means_its_images_but_not_hidden_ones_or_our_own(images, predicted, tmp_path):
    for name in ("a.png", "b.tif", ".hidden.tif", "c_labels.tif", "c_probabilities.png"):
        imwrite(tmp_path / name, images[0])
    (tmp_path / "notes.txt").write_text("no image")
    write_zarr(3)(tmp_path / "d.zarr", images)
    before = set(os.listdir(tmp_path))
    for _ in range(2):  # the second time its own results lie among them
        predicted(tmp_path, output=tmp_path)
        written = {f"{name}_{kind}.tif" for name in "ab" for kind in ("labels", "probabilities")}
        assert set(os.listdir(tmp_path)) - before == written | {"d_labels.zarr", "d_probabilities.zarr"}


@pytest.mark.parametrize("labels", ["{}_mask.png", "{}_labels.png", "{}_1stHO.png", "{}.png"])
def test_a_folder_with_labels_beside_its_images_means_the_images(labels, images, predicted, tmp_path):
    (tmp_path / "both").mkdir()
    for name in ("a", "b"):
        write(tmp_path / f"both/{name}.tif", images[0])
        imwrite(tmp_path / "both" / labels.format(name), (images[0] > 128).astype(np.uint8))
    printed = predicted(tmp_path / "both", tile=44)
    assert sorted(file.name for file in (tmp_path / "out").glob("*_labels.tif")) == ["a_labels.tif", "b_labels.tif"]
    if "_labels" in labels:
        return  # which are not looked at in any folder
    assert "note: 2 files are left out as labels: a" in printed
    all_of_them = printed.partition("input=")[2].splitlines()[0].strip("'")
    if labels != "{}.png":
        predicted(all_of_them, tile=44, output=tmp_path / "all")
        assert len(list((tmp_path / "all").glob("*_labels.tif"))) == 4


def test_channels_that_lie_in_a_file_each_are_one_image(images, network, predicted, tmp_path):
    checkpoint = network("model.in_channels=2")
    (tmp_path / "apart").mkdir()
    for name in ("a", "b"):
        for number, image in enumerate(images):
            imwrite(tmp_path / f"apart/{name}_{number:04d}.png", image)
    tifffile.imwrite(tmp_path / "c.tif", np.stack(images), photometric="minisblack", metadata={"axes": "CYX"})
    predicted(tmp_path / "apart", checkpoint=checkpoint)
    predicted(tmp_path / "c.tif", "axes=CYX", checkpoint=checkpoint)
    assert sorted(file.name for file in (tmp_path / "out").glob("*_labels.tif")) == [f"{n}_labels.tif" for n in "abc"]
    for name in "ab":
        found, together = (tifffile.imread(tmp_path / f"out/{each}_probabilities.tif") for each in (name, "c"))
        np.testing.assert_array_equal(found, together)
    assert "is predicted already" in predicted(tmp_path / "apart", checkpoint=checkpoint)
    imwrite(tmp_path / "apart/a_0001.png", images[0])
    predicted(tmp_path / "apart", checkpoint=checkpoint, overwrite="true")
    assert (tifffile.imread(tmp_path / "out/a_probabilities.tif") != together).any()


def test_a_pattern_means_the_images_that_it_fits(images, predicted, tmp_path):
    for name in ("a1.tif", "a2.tif", "b1.tif", "a_labels.tif", "a3.txt"):
        imwrite(tmp_path / name, images[0], extension=".tif")
    predicted(tmp_path / "a*", "write=[labels]")
    assert sorted(os.listdir(tmp_path / "out")) == ["a1_labels.tif", "a2_labels.tif"]


@pytest.mark.parametrize("name", ["empty", "*.tif"])
def test_no_image_is_an_error(name, refused, tmp_path):
    (tmp_path / "empty").mkdir()
    assert "expected images (.tif" in refused(tmp_path / name)


def test_two_images_of_one_name_are_refused_before_anything_is_computed(images, refused, tmp_path):
    for name in ("a.png", "a.ome.tif", "b.png"):
        imwrite(tmp_path / name, images[0])
    message = refused(tmp_path)
    assert "a.png" in message and "a.ome.tif" in message and "b.png" not in message
    assert not (tmp_path / "out").exists()


# Once more


def test_the_same_command_on_a_finished_result_reports_it_and_changes_nothing(cell, predicted, tmp_path):
    predicted(cell)
    result = tmp_path / "out" / "cell_labels.tif"
    before = result.stat().st_mtime_ns
    printed = predicted(cell)
    assert "is predicted already" in printed and str(result) in printed
    assert result.stat().st_mtime_ns == before
    predicted(cell, "overwrite=true")
    assert result.stat().st_mtime_ns > before


@pytest.mark.parametrize("option", ["tta=d4", "threshold=0.9", "precision=bf16", "instances=watershed", "checkpoint"])
def test_another_command_replaces_a_result_only_if_asked(option, network, cell, predicted, refused, tmp_path):
    given = {"checkpoint": network(seed=1)} if option == "checkpoint" else dict([option.split("=")])
    predicted(cell)
    contents = {file.name: file.read_bytes() for file in (tmp_path / "out").iterdir()}
    message = refused(cell, **given)
    assert "overwrite=true" in message and "cell_labels.tif" in message
    assert contents == {file.name: file.read_bytes() for file in (tmp_path / "out").iterdir()}
    predicted(cell, "overwrite=true", **given)
    assert contents != {file.name: file.read_bytes() for file in (tmp_path / "out").iterdir()}


def test_an_image_that_changed_is_not_predicted_already(images, cell, predicted, refused, tmp_path):
    predicted(cell)
    imwrite(cell, images[1])
    assert "overwrite=true" in refused(cell)


@pytest.mark.parametrize("suffix", ["tif", "zarr"])
def test_a_foreign_file_is_not_replaced(suffix, images, cell, refused, tmp_path):
    other = tmp_path / "out" / f"cell_labels.{suffix}"
    other.parent.mkdir()
    tifffile.imwrite(other, images) if suffix == "tif" else write_zarr(3)(other, images)
    assert str(other) in refused(cell, format=suffix)


@pytest.mark.parametrize("option", ["threshold=0.45", "instances=watershed"])
def test_how_cells_are_numbered_concerns_only_the_labels(option, cell, predicted, tmp_path):
    predicted(cell, output=tmp_path / "a")
    predicted(cell, option, output=tmp_path / "b")
    same = {
        kind: made_from(tmp_path / "a" / f"cell_{kind}.tif") == made_from(tmp_path / "b" / f"cell_{kind}.tif")
        for kind in ("probabilities", "labels")
    }
    assert same == {"probabilities": True, "labels": False}
    assert "already" in predicted(cell, option, "write=[probabilities]", output=tmp_path / "a")


def test_threshold_and_instances_can_be_chosen_anew(cell, predicted, tmp_path):
    def results(name, *options):
        predicted(cell, *options, output=tmp_path / name)
        return (tifffile.imread(tmp_path / name / f"cell_{kind}.tif") for kind in ("probabilities", "labels"))

    probabilities, _ = results("plain")
    median = float(np.median(probabilities))
    _, labels = results("median", f"threshold={median}", "instances=components", "instances.min_size=0")
    np.testing.assert_array_equal(labels > 0, probabilities > median)
    _, large = results("large", f"threshold={median}", "instances=watershed", "instances.min_size=100")
    assert np.bincount(labels.ravel())[1:].min() < 100 <= np.bincount(large.ravel())[1:].min()


# Interrupted and shared


@pytest.fixture(scope="module")
def alone(network, large, tmp_path_factory):
    """Predict the large image in one process: → the command's arguments, and its results."""
    folder = tmp_path_factory.mktemp("alone")
    given = [f"checkpoint={network()}", f"input={large}", "precision=32", "tile=292"]  # blocks of 256 px
    with process(*given, f"output={folder}") as running:
        running.join()
    assert running.exitcode == 0
    return given, {file.name: tifffile.imread(file) for file in folder.iterdir()}


def check_equal(folder, expected):
    assert set(os.listdir(folder)) - {".sweep"} == set(expected)  # .sweep is Hydra's, of a sweep
    for name, array in expected.items():
        np.testing.assert_array_equal(tifffile.imread(folder / name), array)


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["tif", "zarr"])
def test_a_killed_prediction_continues_where_it_was(suffix, alone, tmp_path):
    given, expected = alone
    given, out, name = [*given, f"format={suffix}"], tmp_path / "out", f"large_probabilities.{suffix}"
    partial = out / f".{name}.partial"
    with process(*given, f"output={out}") as running:
        while len(chunks(partial)) < 5 and running.is_alive():
            time.sleep(0.001)
    assert running.exitcode == -9
    written = chunks(partial)
    assert 5 <= len(written) < 36
    assert os.listdir(out) == [partial.name]
    with process(*given, f"output={out}") as running:
        running.join()
    assert running.exitcode == 0
    if suffix == "tif":
        check_equal(out, expected)
    else:  # its chunks are the blocks themselves
        assert written.items() <= chunks(out / name).items()
        np.testing.assert_array_equal(read(out / name)[0], expected["large_probabilities.tif"])


def test_what_a_killed_prediction_left_is_swept_and_what_a_living_one_writes_is_not(cell, predicted, tmp_path):
    out, living = tmp_path / "out", unique()
    ended = subprocess.Popen(["true"])
    ended.wait()
    killed = f"{living[:8]}{ended.pid:08x}{living[16:]}"
    kept = {f".cell_labels.tif.{living}", f".others_labels.tif.{killed}"}
    for name in (f".cell_labels.tif.{killed}", f".cell_probabilities.tif.partial.{killed}", *kept):
        (out / name).mkdir(parents=True)
    predicted(cell)
    assert set(os.listdir(out)) == kept | {"cell_labels.tif", "cell_probabilities.tif"}


def test_an_unfinished_prediction_of_another_kind_is_replaced_only_if_asked(
    network, larger_cell, predicted, refused, monkeypatch, tmp_path
):
    first, other, out = network(seed=1), network(seed=2), tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(job, "write_results", unplugged)
        assert "pulled the plug" in refused(larger_cell, checkpoint=first)
    assert sorted(os.listdir(out)) == [".cell_probabilities.tif.partial"]
    message = refused(larger_cell, checkpoint=other)
    assert ".cell_probabilities.tif.partial" in message and "overwrite=true" in message
    predicted(larger_cell, "overwrite=true", checkpoint=other)
    assert sorted(os.listdir(out)) == ["cell_labels.tif", "cell_probabilities.tif"]
    found = tifffile.imread(out / "cell_probabilities.tif")
    np.testing.assert_allclose(found, probabilities_of(other, imread(larger_cell))[0, 1], atol=1e-5)


def test_what_was_computed_before_an_interruption_is_not_computed_again(larger_cell, predicted, refused, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(job, "write_results", unplugged)
        refused(larger_cell)
    monkeypatch.setattr(Predictor, "__call__", lambda *_: pytest.fail("computed again"))
    predicted(larger_cell)


def test_an_unfinished_prediction_continues_with_another_threshold(
    larger_cell, predicted, refused, monkeypatch, tmp_path
):
    with monkeypatch.context() as patch:
        patch.setattr(job, "write_results", unplugged)
        refused(larger_cell)
    predicted(larger_cell, "threshold=0.45")
    assert sorted(os.listdir(tmp_path / "out")) == ["cell_labels.tif", "cell_probabilities.tif"]


@pytest.mark.slow
def test_shards_one_after_another_equal_one_process(alone, tmp_path):
    given, expected = alone
    for shard in (2, 0, 1):
        assert not list((tmp_path / "out").glob("large*"))
        with process(*given, f"output={tmp_path / 'out'}", f"shard={shard}", "shards=3") as running:
            running.join()
        assert running.exitcode == 0
        if shard != 1:
            rows = {int(name.split("/")[2]) for name in chunks(tmp_path / "out" / ".large_probabilities.tif.partial")}
            assert rows == ({2, 5} if shard == 2 else {0, 2, 3, 5})
    check_equal(tmp_path / "out", expected)


@pytest.mark.slow
def test_shards_at_the_same_time_equal_one_process(alone, tmp_path):
    given, expected = alone
    with contextlib.ExitStack() as stack:
        shards = [
            stack.enter_context(process(*given, f"output={tmp_path / 'out'}", f"shard={shard}", "shards=3"))
            for shard in range(3)
        ]
        for shard in shards:
            shard.join()
    assert [shard.exitcode for shard in shards] == [0, 0, 0]
    check_equal(tmp_path / "out", expected)


@pytest.mark.slow
def test_a_hydra_sweep_over_shards_leaves_nothing_but_results(alone, tmp_path):
    given, expected = alone
    (tmp_path / "here").mkdir()
    with process("-m", *given, "output=out", "shard=0,1,2", "shards=3", folder=tmp_path / "here") as running:
        running.join()
    assert running.exitcode == 0
    check_equal(tmp_path / "here" / "out", expected)
    assert os.listdir(tmp_path / "here") == ["out"]


@pytest.mark.slow
def test_a_sweep_predicts_all_it_can_where_one_image_is_bad(images, network, large, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "large.tif").symlink_to(large)
    (tmp_path / "in" / "bad.tif").write_text("no image")
    given = [
        f"checkpoint={network()}",
        f"input={tmp_path / 'in'}",
        f"output={tmp_path / 'out'}",
        "write=[labels]",
        "tile=292",
    ]
    with process("-m", *given, "shard=0,1,2", "shards=3", folder=tmp_path / "in") as running:
        running.join()
    assert running.exitcode == 1
    assert set(os.listdir(tmp_path / "out")) == {"large_labels.tif", ".sweep"}


def test_a_shard_that_stopped_while_it_wrote_the_result_can_be_run_again(
    cell, predicted, refused, monkeypatch, tmp_path
):
    with monkeypatch.context() as patch:
        patch.setattr(job, "write_results", unplugged)
        refused(cell, "shard=0", "shards=2")
    predicted(cell, "shard=0", "shards=2")
    assert sorted(os.listdir(tmp_path / "out")) == ["cell_labels.tif", "cell_probabilities.tif"]


# What is refused


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"tile": "570"}, ["570", "nearest valid: 568 and 572"]),
        ({"tile": "big"}, ["big", "auto"]),
        ({"tta": "rot8"}, ["rot8", "rot7"]),
        ({"threshold": "2"}, ["threshold", "from 0 to 1"]),
        ({"precision": "8"}, ["precision", "bf16"]),
        ({"format": "png"}, ["format", "zarr", "png"]),
        ({"write": "[pictures]"}, ["pictures", "probabilities"]),
        ({"write": "[]"}, ["write", "probabilities"]),
        ({"input": "none.tif"}, ["none.tif"]),
        ({"checkpoint": "none.ckpt"}, ["none.ckpt"]),
        ({"shard": "3", "shards": "3"}, ["shard", "3 of 3"]),
        ({"shard": "-1"}, ["shard", "-1"]),
        ({"shards": "0"}, ["shards", "1"]),
        ({"channels": "[1]"}, ["channels", "[1]", "cell.png"]),
        ({"channels": "1"}, ["channels", "[1]"]),
    ],
)
def test_a_mistake_is_one_message(changes, expected, cell, refused, tmp_path):
    error = refused(**({"file": cell} | changes)) if "input" not in changes else refused(changes["input"])
    assert all(word in error for word in expected), error
    assert not (tmp_path / "out").exists()


def test_an_image_with_too_many_channels_is_refused(refused, tmp_path):
    colours = np.zeros((2, 70, 70, 3), np.uint8)
    colours[1, 60, 60, 0] = 1
    tifffile.imwrite(tmp_path / "rgb.tif", colours, photometric="rgb")
    message = refused(tmp_path / "rgb.tif")
    assert f"expected 1 channel, but got 3 in {tmp_path / 'rgb.tif'}" in message
    assert "(2, 70, 70, 3)" in message and message.strip().endswith("channels=[0] chooses")


def test_an_image_with_too_few_channels_is_refused(network, cell, refused):
    assert "expected 3 channels, but got 1 in" in refused(cell, checkpoint=network("model.in_channels=3"))


def test_networks_of_different_shape_have_no_mean(network, cell, refused):
    files = network(seed=1), network("model.in_channels=3", seed=2)
    assert "expected networks of one depth" in refused(cell, checkpoint=f"[{files[0]},{files[1]}]")


def test_an_output_that_is_a_file_is_named(cell, refused, tmp_path):
    (tmp_path / "out").write_text("a file")
    message = refused(cell)
    assert "expected" in message and "folder" in message and str(tmp_path / "out") in message


def truncated(file):
    tifffile.imwrite(file, np.random.default_rng(0).integers(0, 255, (70, 70), np.uint8))
    file.write_bytes(file.read_bytes()[:-99])


def damaged(file):
    tifffile.imwrite(file, np.random.default_rng(0).integers(0, 255, (70, 70), np.uint8), compression="zlib")
    content = bytearray(file.read_bytes())
    with tifffile.TiffFile(file) as tiff:
        (start,) = tiff.pages[0].dataoffsets
    content[start + 20 : start + 60] = b"\x55" * 40
    file.write_bytes(content)


def undefined(file):
    tifffile.imwrite(file, np.where(np.eye(70), np.nan, 0.5).astype(np.float32))


def coloured(file):
    tifffile.imwrite(file, np.arange(3 * 70 * 70, dtype=np.uint16).reshape(70, 70, 3), photometric="rgb")


def text(file):
    file.write_text("no image")


@pytest.mark.parametrize("bad", [truncated, damaged, undefined, coloured, text])
def test_one_bad_image_is_listed_and_the_others_are_predicted(bad, images, run_predict, tmp_path):
    for name in ("a.png", "c.png"):
        imwrite(tmp_path / name, images[0])
    bad(tmp_path / "b.tif")
    status, _, error = run_predict(tmp_path, "write=[labels]")
    assert status == 1 and "Traceback" not in error
    assert "error: 1 of 3 images" in error and str(tmp_path / "b.tif") in error.split("error: 1 of 3")[1]
    assert {"a_labels.tif", "c_labels.tif"} == {name for name in os.listdir(tmp_path / "out") if name[0] != "."}


def test_an_image_that_was_bad_and_is_mended_is_predicted(images, predicted, refused, tmp_path):
    undefined(tmp_path / "b.tif")
    assert "NaN" in refused(tmp_path / "b.tif")
    tifffile.imwrite(tmp_path / "b.tif", images[0])
    predicted(tmp_path / "b.tif")
    assert sorted(os.listdir(tmp_path / "out")) == ["b_labels.tif", "b_probabilities.tif"]


@pytest.fixture
def full_disk(tmp_path):
    folder = tmp_path / "small"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], capture_output=True).returncode:
        pytest.skip("may not mount a small disk")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_what_the_disk_has_no_room_for_is_refused_before_it_is_computed(
    full_disk, network, large, refused, monkeypatch
):
    monkeypatch.setattr(Predictor, "__call__", lambda *_: pytest.fail("computed"))
    message = refused(large, checkpoint=network(), output=full_disk)
    assert "the result needs 18 MB, but 1 MB are free" in message and str(full_disk) in message
    assert os.listdir(full_disk) == []


@pytest.mark.parametrize("suffix", ["tif", "zarr"])
def test_a_full_disk_is_named_and_leaves_no_half_result(suffix, full_disk, network, large, refused):
    message = refused(large, checkpoint=network(), output=full_disk, format=suffix)
    assert "No space left on device" in message
    assert not [name for name in os.listdir(full_disk) if not name.startswith(".")]


def test_a_disk_that_fills_while_the_result_is_written_leaves_no_half_result(
    full_disk, network, predicted, refused, tmp_path
):
    noise = np.random.default_rng(0).integers(0, 256, (480, 480), np.uint8)  # 920 kB of probabilities, twice
    imwrite(tmp_path / "a.png", noise)
    message = refused(tmp_path / "a.png", checkpoint=network(), output=full_disk, write="[probabilities]")
    assert "No space left on device" in message
    assert os.listdir(full_disk) == [".a_probabilities.tif.partial"]
    subprocess.run(["mount", "-o", "remount,size=9m", full_disk], check=True)
    predicted(tmp_path / "a.png", checkpoint=network(), output=full_disk, write="[probabilities]")
    assert os.listdir(full_disk) == ["a_probabilities.tif"]


def result(folder, name: str = "a"):
    return tifffile.imread(folder / f"{name}_probabilities.tif")


def test_an_image_is_predicted_as_viewers_show_it(predicted, checkpoint, images, tmp_path):
    """The checkpoint says so: turned by its tag, white where 0 is white, without an alpha that says nothing."""
    upright = images[0]
    stored = np.rot90(upright)
    kinds = {
        "upright": (upright, {"photometric": "minisblack"}),
        "turned": (stored, {"photometric": "minisblack", "extratags": [(274, "H", 1, 6, True)]}),
        "negative": (255 - upright, {"photometric": "miniswhite"}),
        "colours": (np.dstack([upright] * 3 + [np.full_like(upright, 255)]), {"photometric": "rgb"}),
    }
    for name, (array, options) in kinds.items():
        if name == "colours":
            options = options | {"extrasamples": ["unassalpha"]}
        tifffile.imwrite(tmp_path / f"{name}.tif", array, **options)
        printed = predicted(tmp_path / f"{name}.tif")
        assert ("a file in which 0 is white; taken: inverted grey values" in printed) == (name == "negative")
    for name in kinds:
        np.testing.assert_allclose(result(tmp_path / "out", name), result(tmp_path / "out", "upright"), atol=1e-5)


def test_a_checkpoint_remembers_axes_and_orientation(predicted, network, images, tmp_path):
    file = network(seed=3)
    content = archive.read(file)
    remembering = tmp_path / "remembering.ckpt"
    archive.write(remembering, content | {"reading": asdict(Reading("stored", "shown", "ZYX", "objects"))})
    tifffile.imwrite(tmp_path / "a.tif", np.stack([images[0]] * 5), imagej=True, metadata={"axes": "CYX"})
    predicted(tmp_path / "a.tif", checkpoint=remembering)
    assert result(tmp_path / "out").shape == (5, 70, 70)
    tags = [(274, "H", 1, 3, True)]
    tifffile.imwrite(tmp_path / "b.tif", images[1], extratags=tags)
    tifffile.imwrite(tmp_path / "c.tif", images[1])
    for name in "bc":
        predicted(tmp_path / f"{name}.tif", checkpoint=remembering)
    np.testing.assert_array_equal(result(tmp_path / "out", "b"), result(tmp_path / "out", "c"))


def test_planes_tagged_as_colours_are_named_and_read_as_axes_says(predicted, refused, images, tmp_path):
    rgb = {"photometric": "rgb", "planarconfig": "separate"}
    tifffile.imwrite(tmp_path / "a.tif", np.stack([images[0], images[1], images[0]]), **rgb)
    assert "axes=ZYX for slices, channels=0 for the first channel" in refused(tmp_path / "a.tif")
    predicted(tmp_path / "a.tif", axes="ZYX")
    assert result(tmp_path / "out").shape == (3, 70, 70)
    assert "nearest valid: axes=ZYX" in refused(tmp_path / "a.tif", axes="slices")


def test_an_image_in_several_files_is_predicted_once(predicted, tmp_path):
    (tmp_path / "in").mkdir()
    spread(tmp_path / "in", count=3, planes="Z")
    predicted(tmp_path / "in")
    assert [file.name for file in sorted((tmp_path / "out").glob("*_labels.tif"))] == ["a_0_labels.tif"]
    assert result(tmp_path / "out", "a_0").shape == (3, 20, 30)


def test_networks_trained_on_pixels_seen_otherwise_have_no_mean(network, checkpoint, refused, cell):
    earlier = network(seed=1)
    assert "trained on pixels that were read alike" in refused(cell, checkpoint=f"[{earlier},{checkpoint}]")


VALUES = {
    "gaps": ({0: 0, 1: 1, 2: 5}, [0, 1, 5], ()),
    "hundreds": ({0: 0, 1: 100, 2: 201}, [0, 100, 201], ()),
    "colours": ({0: (0, 0, 0), 1: (255, 0, 0), 2: (0, 99, 0)}, [0, 1, 2], ("ground", "alive", "dead")),
}


@pytest.mark.parametrize("form", VALUES)
def test_classes_come_back_in_the_values_and_names_of_the_annotation(form, train, predicted, tmp_path):
    values, expected, names = VALUES[form]
    root = folder(tmp_path / "own", 6)
    for number in range(6):
        labels, image = types(number)
        write(root / f"images/cell_{number:02d}.png", image)
        (root / f"labels/cell_{number:02d}.tif").unlink()
        write(root / f"labels/cell_{number:02d}.png", np.array(list(values.values()), np.uint8)[labels])
    if names:
        (root / "labelmap.txt").write_text("ground:0,0,0::\nalive:255,0,0::\ndead:0,99,0::\n")
    slim = ("~callbacks.samples", "~callbacks.overlay", "page=false")
    given = (f"data.root={root}", "experiment=classes", "model.classes=3", *slim)
    directory, status, _, error = train(*given)
    assert status == 0, error
    predicted(root / "images", checkpoint=directory / "checkpoints/best.ckpt")
    written = [*(tmp_path / "out").glob("*_labels.tif"), *(directory / "predictions").glob("*_labels.tif")]
    assert len(written) == 7
    found = set()
    for file in written:
        with tifffile.TiffFile(file) as tiff:
            found |= set(np.unique(tiff.asarray()).tolist())
            assert all(f">{name} #" in tiff.ome_metadata for name in names)
    assert len(found) > 1 and found <= set(expected)


@pytest.fixture
def knowing(network, tmp_path):
    """A network that knows what its training images look like, whose pixels are of half a micrometre."""
    sections = phantom(slices=6, size=256)
    rows = [of_slice(*pair, "objects", 0.5) for pair in zip(sections.images, sections.instances, strict=True)]
    reading = asdict(Reading("shown", "shown", None, "objects"))
    archive.write(tmp_path / "knowing.ckpt", archive.read(network(seed=3)) | {"appearance": rows, "reading": reading})
    return tmp_path / "knowing.ckpt"


def a_section(file, pixel=0.5, change=lambda image: image):
    """Write a synthetic section that is like the training images of ``knowing``, but for a change."""
    image = change(phantom(slices=8, size=256).images[7])
    size = {} if pixel is None else {"resolution": (1e4 / pixel,) * 2, "resolutionunit": "CENTIMETER"}
    tifffile.imwrite(file, image, photometric="minisblack", **size)
    return file


def test_images_unlike_the_training_images_are_named_and_nothing_else_changes(run_predict, knowing, network, tmp_path):
    (tmp_path / "in").mkdir()
    a_section(tmp_path / "in/good.tif")
    for number in range(2):
        a_section(tmp_path / f"in/blurred{number}.tif", change=lambda image: cv2.GaussianBlur(image, (0, 0), 3))
    a_section(tmp_path / "in/coarse.tif", pixel=0.8)
    status, _, error = run_predict(tmp_path / "in", checkpoint=knowing, write="[labels]")
    said = " ".join(error.split())
    assert status == 0
    assert "warning: 2 of 4 images, such as blurred0: sharpness" in said and "perhaps out of focus" in said
    assert "warning: coarse: pixel size in µm 0.8, training images 0.5: rescale=auto predicts at" in said
    assert "good:" not in said
    status, _, silent = run_predict(
        tmp_path / "in", checkpoint=network(seed=3), write="[labels]", output=tmp_path / "earlier"
    )
    assert status == 0 and silent == ""


def test_rescaled_the_results_have_the_size_of_the_input_and_its_pixels(predicted, knowing, tmp_path):
    a_section(tmp_path / "a.tif", pixel=0.8)
    printed = predicted(tmp_path / "a.tif", checkpoint=knowing, rescale="auto")
    assert "pixel size" not in printed
    for kind in ("probabilities", "labels"):
        found = tmp_path / f"out/a_{kind}.tif"
        assert tifffile.imread(found).shape == (256, 256)
        assert open_image(found).pixel_size == pytest.approx({"X": 0.8, "Y": 0.8})
    assert "is predicted already" in predicted(tmp_path / "a.tif", checkpoint=knowing, rescale="auto")
    assert "is predicted already" in predicted(tmp_path / "a.tif", checkpoint=knowing, rescale="auto", verify="true")


def test_a_pixel_size_that_nobody_knows_is_asked_for_and_may_be_given(run_predict, refused, knowing, network, tmp_path):
    a_section(tmp_path / "a.tif", pixel=None)
    status, _, error = run_predict(tmp_path / "a.tif", checkpoint=knowing, rescale="auto")
    assert status == 0 and "1 of 1 images have no pixel size" in " ".join(error.split())
    plain = result(tmp_path / "out")
    options = {"rescale": "auto", "pixel_size": 1.0, "output": tmp_path / "given"}
    status, _, error = run_predict(tmp_path / "a.tif", checkpoint=knowing, **options)
    assert status == 0 and "pixel size" not in error
    assert result(tmp_path / "given").shape == plain.shape and not np.array_equal(result(tmp_path / "given"), plain)
    assert open_image(tmp_path / "given/a_labels.tif").pixel_size == pytest.approx({"X": 1.0, "Y": 1.0})
    message = refused(tmp_path / "a.tif", checkpoint=network(seed=3), rescale="auto", output=tmp_path / "none")
    assert "rescale=FACTOR" in " ".join(message.split())
    assert "none, auto or a factor" in " ".join(refused(tmp_path / "a.tif", rescale="half").split())
