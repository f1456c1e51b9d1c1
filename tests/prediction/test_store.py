"""A prediction on disk: block by block, interrupted, shared among processes, and at last a TIFF or OME-Zarr."""

import re
import shutil
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import tifffile
import zarr

from src.data.sources import labels_within
from src.files.image import Image, open_image, open_stored, read_image
from src.files.stored import OF_PREDICT
from src.prediction import store as module
from src.prediction.store import Store, drop, made_from, unfinished
from src.tiles.blocks import blocks
from src.tiles.overlap import Window

SIDE = 16
SIZE = 37, 50
STACKS = {"one plane": "", "a stack": "Z", "a series of stacks": "TZ"}
LENGTHS = {"T": 2, "Z": 3}
PIXEL_SIZE = {"Z": 2.0, "Y": 0.5, "X": 0.25}

kinds = pytest.mark.parametrize("stack", STACKS.values(), ids=STACKS)
classes = pytest.mark.parametrize("count", [1, 3], ids=["K=1", "K=3"])
endings = pytest.mark.parametrize("ending", [".tif", ".zarr"])


def an_image(stack="", size=SIZE, pixel_size=None):
    shape = (*(LENGTHS[axis] for axis in stack), *size)
    return Image(Path("a.tif"), np.zeros(shape, np.uint8), f"{stack}YX", pixel_size or {})


def a_store(final, stack="", count=1, recipe="made so", side=SIDE, dtype="float32", **options):
    return Store(final, an_image(stack, **options), count, dtype, side, recipe)


def some_values(store, seed=0):
    values = np.random.default_rng(seed).random(store.array.shape) * 200 + 1
    return values.astype(store.array.dtype)


def block(values, store, plane, window):
    """The part of all values that a block holds."""
    planes = values.reshape(store.image.planes, *values.shape[len(store.image.stack_shape) :])
    return planes[plane, ..., window.top : window.top + window.height, window.left : window.left + window.width]


def filled(store, values=None):
    values = some_values(store) if values is None else values
    for plane, window in store.missing():
        store.write(plane, window, block(values, store, plane, window))
    return values


def everything(final):
    """All values of a result, read by other means than ours."""
    return tifffile.imread(final) if final.suffix == ".tif" else zarr.open_array(final / "0", mode="r")[...]


def names(folder):
    return sorted(file.name for file in folder.iterdir())


@kinds
@classes
def test_each_block_is_missing_until_it_is_written_and_then_read_as_it_was_written(stack, count, tmp_path):
    store = a_store(tmp_path / "a.tif", stack, count)
    every = [(plane, window) for plane in range(store.image.planes) for window in blocks(*SIZE, SIDE)]
    values = some_values(store)
    assert store.missing() == every
    left = list(every)
    for place in np.random.default_rng(1).permutation(len(every)):
        part = block(values, store, *every[place])
        assert part.shape == (*((3,) if count == 3 else ()), *every[place][1][2:])
        store.write(*every[place], part)
        left.remove(every[place])
        assert store.missing() == left
    for plane, window in every:
        assert np.array_equal(store.read(plane, window), block(values, store, plane, window))
    across = Window(9, 11, 20, 35)  # several blocks
    for plane in range(store.image.planes):
        assert np.array_equal(store.read(plane, across), block(values, store, plane, across))


@kinds
@classes
def test_a_block_of_zeros_is_a_block_that_is_written(stack, count, tmp_path):
    store = a_store(tmp_path / "a.tif", stack, count)
    filled(store, np.zeros(store.array.shape, np.float32))
    assert store.missing() == []
    assert a_store(tmp_path / "a.tif", stack, count).missing() == []


def test_a_block_may_be_written_again_even_with_zeros(tmp_path):
    store = a_store(tmp_path / "a.tif")
    filled(store)
    window = store.blocks[0]
    store.write(0, window, np.full(window[2:], 7))
    assert (store.read(0, window) == 7).all()
    store.write(0, window, np.zeros(window[2:]))
    assert (store.read(0, window) == 0).all()
    assert store.missing() == []


def test_a_store_is_hidden_beside_its_final_name(tmp_path):
    final = tmp_path / "deep" / "er" / "a.tif"
    a_store(final)
    assert names(final.parent) == [unfinished(final).name]
    assert unfinished(final).name.startswith(".")


@endings
@pytest.mark.parametrize("side", [SIDE, 32])
def test_a_store_goes_on_where_it_was_with_the_blocks_that_it_had(ending, side, tmp_path):
    first = a_store(tmp_path / f"a{ending}")
    values = some_values(first)
    for plane, window in first.missing()[:5]:
        first.write(plane, window, block(values, first, plane, window))
    second = a_store(tmp_path / f"a{ending}", side=side)
    assert second.blocks == first.blocks
    assert second.missing() == first.missing() == [(0, window) for window in first.blocks[5:]]
    filled(second, values)
    assert first.missing() == []
    assert np.array_equal(np.asarray(first.array), values)


@endings
def test_a_store_of_another_recipe_is_refused_and_left_as_it_is(ending, tmp_path):
    store = a_store(tmp_path / f"a{ending}")
    values = filled(store)
    expected = f"expected .*another kind.*{re.escape(str(store.folder))}.*overwrite=true"
    with pytest.raises(FileExistsError, match=expected):
        a_store(tmp_path / f"a{ending}", recipe="made otherwise", stack="Z")
    assert np.array_equal(np.asarray(a_store(tmp_path / f"a{ending}").array), values)


@pytest.mark.parametrize("largest", [4096, 49], ids=["pages", "tiles"])
@pytest.mark.parametrize("dtype", ["float32", "int32"])
@kinds
@classes
def test_a_tiff_holds_values_axes_pixel_size_and_recipe(stack, count, dtype, largest, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "LARGEST_PAGE", largest)
    final = tmp_path / "a.tif"
    store = a_store(final, stack, count, dtype=dtype, pixel_size=PIXEL_SIZE)
    values = filled(store)
    store.finish()
    assert names(tmp_path) == ["a.tif"]
    with tifffile.TiffFile(final) as tiff:
        (series,), page = tiff.series, tiff.pages.first
        assert series.axes == f"{stack}{'C' if count == 3 else ''}YX"
        assert series.dtype == page.dtype == np.dtype(dtype)
        assert np.array_equal(tiff.asarray(), values)
        assert len(tiff.pages) == int(np.prod(values.shape[:-2]))
        assert page.is_tiled == (largest < 50)
        assert page.tags["Software"].value == "made so"
        assert page.get_resolution("MICROMETER") == pytest.approx((4, 2))
    opened = open_image(final)
    assert opened.pixel_size == {axis: PIXEL_SIZE[axis] for axis in "ZYX" if axis in f"{stack}YX"}
    assert (opened.axes, opened.array.shape) == (series.axes, values.shape)


@classes
def test_any_reader_opens_a_small_tiff(count, tmp_path):
    store = a_store(tmp_path / "a.tif", "Z", count)
    values = filled(store)
    store.finish()
    pages = iio.imread(tmp_path / "a.tif", plugin="pillow", index=...)
    assert np.array_equal(pages.reshape(values.shape), values)


@pytest.mark.parametrize(("size", "tiled"), [((50, 20), False), ((51, 20), True), ((20, 51), True)])
def test_a_page_is_tiled_if_either_side_is_larger_than_the_largest_page(size, tiled, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "LARGEST_PAGE", 50)
    store = a_store(tmp_path / "a.tif", size=size)
    values = filled(store)
    store.finish()
    with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
        assert tiff.pages.first.is_tiled == tiled
        assert np.array_equal(tiff.asarray(), values)


@endings
@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1), (16, 32), (17, 3)])
def test_a_plane_may_be_of_any_size(size, ending, tmp_path):
    store = a_store(tmp_path / f"a{ending}", size=size)
    values = filled(store)
    store.finish()
    opened = open_image(tmp_path / f"a{ending}")
    assert (opened.axes, opened.array.shape) == ("YX", size)
    assert np.array_equal(everything(opened.file), values)


@endings
def test_no_pixel_size_is_made_up(ending, tmp_path):
    store = a_store(tmp_path / f"a{ending}", "Z")
    filled(store)
    store.finish()
    assert open_image(tmp_path / f"a{ending}").pixel_size == {}


@endings
def test_a_stack_of_one_plane_is_written(ending, tmp_path):
    image = Image(Path("a.tif"), np.zeros((1, *SIZE), np.uint8), "ZYX")
    store = Store(tmp_path / f"a{ending}", image, 1, "float32", SIDE, "made so")
    values = filled(store)
    store.finish()
    assert np.array_equal(np.squeeze(everything(tmp_path / f"a{ending}")), values[0])


@kinds
def test_labels_lie_where_an_ome_zarr_has_them(stack, tmp_path):
    final = tmp_path / "a_labels.zarr"
    image = an_image(stack, pixel_size=PIXEL_SIZE)
    store = Store(final, image, 1, "int32", SIDE, f"{OF_PREDICT} labels 0", labels="cells")
    values = filled(store)
    store.finish()
    group = zarr.open_group(final, mode="r")
    assert group["labels"].attrs["ome"] == {"version": "0.5", "labels": ["cells"]}
    own = group["labels/cells"].attrs["ome"]
    assert own["image-label"] == {"source": {"image": "../../"}}
    (outer,), (inner,) = group.attrs["ome"]["multiscales"], own["multiscales"]
    assert [each["datasets"][0]["path"] for each in (outer, inner)] == ["labels/cells/0", "0"]
    assert outer["axes"] == inner["axes"] and [axis["name"] for axis in inner["axes"]] == list(f"{stack}YX".lower())
    for place in (final, *labels_within(final)):
        np.testing.assert_array_equal(read_image(place)[0], values)
        assert open_image(place).pixel_size == {axis: PIXEL_SIZE[axis] for axis in "ZYX" if axis in f"{stack}YX"}
        assert open_stored(place).is_prediction
    assert made_from(final) == f"{OF_PREDICT} labels 0"


@kinds
@classes
def test_a_zarr_is_an_ome_zarr_with_axes_and_scale(stack, count, tmp_path):
    final = tmp_path / "a.zarr"
    store = a_store(final, stack, count, pixel_size=PIXEL_SIZE)
    values = filled(store)
    store.finish()
    assert names(tmp_path) == ["a.zarr"]
    assert names(final) == ["0", "zarr.json"]

    group = zarr.open_group(final, mode="r")
    axes = f"{stack}{'C' if count == 3 else ''}YX"
    assert group.metadata.zarr_format == 3
    assert group.attrs["made_from"] == "made so"
    assert group.attrs["ome"]["version"] == "0.5"
    (described,) = group.attrs["ome"]["multiscales"]
    space, others = {"type": "space", "unit": "micrometer"}, {"T": {"type": "time"}, "C": {"type": "channel"}}
    assert described["axes"] == [{"name": axis.lower(), **others.get(axis, space)} for axis in axes]
    (dataset,) = described["datasets"]
    scale = [PIXEL_SIZE.get(axis, 1.0) for axis in axes]
    assert dataset == {"path": "0", "coordinateTransformations": [{"type": "scale", "scale": scale}]}
    assert described["name"] == "a"
    assert group["0"].metadata.dimension_names == tuple(axes.lower())
    assert np.array_equal(group["0"][...], values)

    opened = open_image(final)
    assert opened.axes == axes
    assert opened.pixel_size == {axis: PIXEL_SIZE[axis] for axis in "ZYX" if axis in axes}
    assert np.array_equal(np.asarray(opened.array), values)


def test_a_finished_zarr_says_nothing_of_who_finished_it(tmp_path):
    store = a_store(tmp_path / "a.zarr")
    filled(store)
    assert store.claim()
    store.finish()
    assert names(tmp_path / "a.zarr") == ["0", "zarr.json"]


@endings
def test_finish_replaces_an_earlier_result(ending, tmp_path):
    final = tmp_path / f"a{ending}"
    for recipe, stack in (("first", "Z"), ("second", "")):
        store = a_store(final, stack, recipe=recipe)
        values = some_values(store, len(recipe))
        filled(store, values)
        if recipe == "second":
            assert made_from(final) == "first"  # until the second is whole
        store.finish()
    assert made_from(final) == "second"
    assert np.array_equal(everything(final), values)
    assert names(tmp_path) == [final.name]


def test_a_full_disk_leaves_no_result_and_the_store_as_it_was(tmp_path, monkeypatch):
    final = tmp_path / "a.tif"
    store = a_store(final)
    values = filled(store)

    def full(file, *arguments, **options):
        Path(file).write_bytes(b"II*\0 the first bytes")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched, pytest.raises(OSError, match="No space left"):
        patched.setattr(tifffile, "imwrite", full)
        store.finish()
    assert names(tmp_path) == [unfinished(final).name]
    again = a_store(final)
    assert again.missing() == []
    again.finish()
    assert np.array_equal(tifffile.imread(final), values)


def test_a_full_disk_leaves_the_earlier_result(tmp_path, monkeypatch):
    final = tmp_path / "a.tif"
    first = a_store(final, recipe="first")
    values = filled(first)
    first.finish()
    second = a_store(final, recipe="second")
    filled(second, values + 1)

    def full(file, data, **options):
        next(data)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tifffile, "imwrite", full)
    with pytest.raises(OSError, match="No space left"):
        second.finish()
    assert made_from(final) == "first"
    assert np.array_equal(tifffile.imread(final), values)


def test_a_result_that_could_not_be_finished_may_be_claimed_again(tmp_path, monkeypatch):
    # Otherwise no shard would ever finish it.
    final = tmp_path / "a.tif"
    store = a_store(final)
    filled(store)
    assert store.claim()

    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched, pytest.raises(OSError, match="No space left"):
        patched.setattr(tifffile, "imwrite", full)
        store.finish()
    assert not a_store(final).claim()
    store.release()
    assert a_store(final).claim()


def test_a_store_is_claimed_once_and_no_more_when_it_is_finished(tmp_path):
    store, other = a_store(tmp_path / "a.tif"), a_store(tmp_path / "a.tif")
    filled(store)
    assert store.claim()
    assert not store.claim()
    assert not other.claim()
    store.finish()
    assert not other.claim()


def test_a_zarr_that_is_being_finished_is_not_claimed_again(tmp_path, monkeypatch):
    # Who claimed it would remove the result of the first.
    store, other = a_store(tmp_path / "a.zarr"), a_store(tmp_path / "a.zarr")
    filled(store)
    assert store.claim()
    rename, claims = Path.rename, []
    monkeypatch.setattr(Path, "rename", lambda old, new: claims.append(other.claim()) or rename(old, new))
    store.finish()
    assert claims == [False]


def test_a_store_that_cannot_be_made_says_why(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        a_store(tmp_path / "file" / "a.tif")


PROCESSES, ROUNDS = 4, 6
PROCESS = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from pathlib import Path
import numpy as np
from src.files.image import Image
from src.prediction.store import Store

folder, own = Path(sys.argv[1]), int(sys.argv[2])
image = Image(Path("a.tif"), np.zeros(({PROCESSES}, 20, 20), np.uint8), "ZYX")
print("ready", flush=True)
for line in sys.stdin:
    try:
        store = Store(folder / line.strip(), image, 1, "float32", 16, "made so")
        for window in store.blocks:
            store.write(own, window, np.full(window[2:], own + 1))
        claimed = not store.missing() and store.claim()
        if claimed:
            store.finish()
        print("finished" if claimed else "done", flush=True)
    except Exception as error:
        print(repr(error), flush=True)
"""


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """Several processes that make, fill and finish the same stores at the same time: → (folder, what each said)."""
    folder = tmp_path_factory.mktemp("shared")
    command = [sys.executable, "-c", PROCESS, str(folder)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with ExitStack() as stack:
        running = [stack.enter_context(subprocess.Popen([*command, str(own)], **pipes)) for own in range(PROCESSES)]
        starts = [process.stdout.readline() for process in running]
        said = []
        for number in range(ROUNDS):
            for process in running:
                process.stdin.write(f"{number}{'.tif' if number % 2 else '.zarr'}\n")
                process.stdin.flush()
            said.append([process.stdout.readline().strip() for process in running])
        errors = [process.communicate()[1] for process in running]
    assert starts == ["ready\n"] * PROCESSES, errors
    assert not any(process.returncode for process in running), errors
    return folder, said


@pytest.mark.slow
def test_processes_that_make_one_store_at_the_same_time_all_write_to_it(shared):
    folder, said = shared
    assert [set(answers) for answers in said] == [{"finished", "done"}] * ROUNDS
    expected = np.broadcast_to(np.arange(1, PROCESSES + 1)[:, None, None], (PROCESSES, 20, 20))
    for number in range(ROUNDS):
        final = folder / f"{number}{'.tif' if number % 2 else '.zarr'}"
        assert np.array_equal(everything(final), expected)
    assert len(names(folder)) == ROUNDS


@pytest.mark.slow
def test_of_several_processes_one_finishes(shared):
    _, said = shared
    assert [answers.count("finished") for answers in said] == [1] * ROUNDS


def test_a_store_made_by_another_process_in_the_meantime_is_used(tmp_path, monkeypatch):
    final, exists = tmp_path / "a.tif", Path.exists
    values = filled(a_store(final))
    # As for a process that looked before the other had made the store.
    looked = []

    def not_yet(path):
        looked.append(path)
        return exists(path) and not (path == unfinished(final) and looked.count(path) == 1)

    monkeypatch.setattr(Path, "exists", not_yet)
    store = a_store(final)
    monkeypatch.undo()
    assert np.array_equal(np.asarray(store.array), values)
    assert names(tmp_path) == [unfinished(final).name]


def test_made_from_of_what_we_did_not_write(tmp_path):
    tifffile.imwrite(tmp_path / "foreign.tif", np.zeros((4, 4), np.uint8), software="a microscope")
    tifffile.imwrite(tmp_path / "untagged.tif", np.zeros((4, 4), np.uint8), software=False)
    (tmp_path / "text.tif").write_text("no TIFF but a text")
    (tmp_path / "empty.tif").touch()
    (tmp_path / "folder.zarr").mkdir()
    zarr.open_group(tmp_path / "group.zarr", mode="w")
    zarr.open_array(tmp_path / "array.zarr", mode="w", shape=(2, 2), dtype="uint8")
    assert made_from(tmp_path / "foreign.tif") == "a microscope"
    assert not made_from(tmp_path / "untagged.tif")
    for name in ("missing.tif", "missing.zarr", "text.tif", "empty.tif", "folder.zarr", "group.zarr", "array.zarr"):
        assert made_from(tmp_path / name) is None, name


@pytest.mark.parametrize("length", [4, 8])
def test_made_from_of_a_tiff_that_is_cut_short_is_none(length, tmp_path):
    tifffile.imwrite(tmp_path / "whole.tif", np.zeros((4, 4), np.uint8))
    (tmp_path / "cut.tif").write_bytes((tmp_path / "whole.tif").read_bytes()[:length])
    assert made_from(tmp_path / "cut.tif") is None


@endings
def test_made_from_names_the_recipe_of_a_store_and_of_its_result(ending, tmp_path):
    store = a_store(tmp_path / f"a{ending}", recipe="src.predict labels 0f")
    filled(store)
    assert made_from(tmp_path / f"a{ending}") is None
    assert made_from(unfinished(tmp_path / f"a{ending}")) == "src.predict labels 0f"
    store.finish()
    assert made_from(tmp_path / f"a{ending}") == "src.predict labels 0f"


def test_drop_removes_files_folders_and_what_is_not_there(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "folder" / "deep").mkdir(parents=True)
    (tmp_path / "folder" / "deep" / "file").touch()
    for name in ("file", "folder", "nothing"):
        drop(tmp_path / name)
    assert names(tmp_path) == []


def test_a_folder_that_could_be_dropped_in_part_only_is_gone_under_its_name(tmp_path, monkeypatch):
    (tmp_path / "folder" / "deep").mkdir(parents=True)

    def interrupted(path):
        raise KeyboardInterrupt

    monkeypatch.setattr(shutil, "rmtree", interrupted)
    with pytest.raises(KeyboardInterrupt):
        drop(tmp_path / "folder")
    assert not (tmp_path / "folder").exists()
    assert all(name.startswith(".") for name in names(tmp_path))
