"""One image and its labels in a repaired copy: the written files, and the reported changes."""

import numpy as np
import pytest
import tifffile

from src.data.annotated import read_pair
from src.data.folder import Meaning
from src.data.kinds import Judgement
from src.data.matching import matched
from src.files.image import open_image, read_image
from src.repairs import Numbering, content_of, names_others, write_pair
from tests.data.own import draw, folder, write

CELLS = Numbering(Meaning(Judgement("instances")), None, None)


@pytest.fixture
def own(tmp_path):
    return folder(tmp_path / "own", 1)


@pytest.fixture
def written(own, tmp_path):
    """Write the only pair of a folder into a copy: → its slices, and what was written."""

    def call(numbering=CELLS, one_channel=False):
        (pair,), _ = matched(own)
        slices = read_pair(pair)
        return slices, write_pair(slices, one_channel, numbering, tmp_path / "copy", "")

    return call


def replace_image(own, array, **options):
    (own / "images/cell_00.png").unlink()
    tifffile.imwrite(own / "images/cell_00.tif", array, **options)


@pytest.mark.parametrize(
    ("numbers", "dtype"),
    [((1, 2, 255), np.uint8), ((7, 300), np.uint16), ((1, 70000), np.int32), ((5, 2**40), np.uint8)],
)
def test_cells_keep_their_numbers_in_the_smallest_type_that_holds_them(numbers, dtype, own, written, tmp_path):
    labels = np.zeros((96, 96), np.float64)
    for place, number in enumerate(numbers):
        labels[10 * place : 10 * place + 8, :20] = number
    write(own / "labels/cell_00.tif", labels)
    _, found = written()
    stored = tifffile.imread(tmp_path / "copy" / found.labels)
    assert stored.dtype == dtype
    kept = max(numbers) < 2**31
    np.testing.assert_array_equal(stored, labels if kept else np.searchsorted([0, *numbers], labels))
    assert ("values" in {change.code for change in found.changes}) != kept


def test_the_size_of_a_pixel_is_kept_in_image_and_labels(own, written, tmp_path):
    options = {"imagej": True, "resolution": (4, 2), "metadata": {"unit": "um"}}
    replace_image(own, 255 - draw(0)[0], photometric="miniswhite", **options)
    _, found = written()
    assert [change.code for change in found.changes] == ["white-is-zero"]
    for name in (found.image, found.labels):
        assert open_image(tmp_path / "copy" / name).pixel_size == pytest.approx({"X": 0.25, "Y": 0.5})
    np.testing.assert_array_equal(read_image(tmp_path / "copy" / found.image)[0], draw(0)[0])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_colours_are_written_so_that_all_viewers_show_them(dtype, own, written, tmp_path):
    colours = np.dstack([draw(number)[0] for number in range(3)] + [np.full((96, 96), 255)]).astype(dtype)
    replace_image(own, colours, photometric="rgb", resolution=(1e4, 2e4), resolutionunit="CENTIMETER")
    _, found = written()
    assert [change.code for change in found.changes] == ["alpha"]
    with tifffile.TiffFile(tmp_path / "copy" / found.image) as tiff:
        assert tiff.pages.first.photometric == tifffile.PHOTOMETRIC.RGB
        np.testing.assert_array_equal(tiff.asarray(), colours[..., :3])
    assert open_image(tmp_path / "copy" / found.image).pixel_size == pytest.approx({"X": 1, "Y": 0.5})


def test_grey_that_was_saved_as_colours_is_one_channel_where_all_images_are_grey(own, written, tmp_path):
    write(own / "images/cell_00.png", np.repeat(draw(0)[0][..., None], 3, axis=2))
    _, found = written()
    assert not found.changes
    _, found = written(one_channel=True)
    assert [change.code for change in found.changes] == ["grey-as-colour"]
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "copy" / found.image), draw(0)[0])


@pytest.mark.parametrize("dtype", [">u2", np.int64, np.float16, bool])
def test_images_of_any_type_of_numbers_are_written_in_one_that_holds_them(dtype, own, written, tmp_path):
    image = draw(0)[0].astype(dtype)
    (own / "images/cell_00.png").unlink()
    write(own / "images/cell_00.zarr", image)
    _, found = written()
    stored = tifffile.imread(tmp_path / "copy" / found.image)
    assert stored.dtype.isnative
    np.testing.assert_array_equal(stored, image)


def test_a_tiff_that_names_other_files_is_no_file_to_copy(own, written, tmp_path):
    plain, ome = tmp_path / "plain.tif", tmp_path / "some.ome.tif"
    tifffile.imwrite(plain, draw(0)[0])
    tifffile.imwrite(ome, draw(0)[0], metadata={"axes": "YX"})
    assert not names_others(plain) and not names_others(ome)
    with tifffile.TiffFile(ome) as tiff:
        said = tiff.ome_metadata
    data = '<TiffData IFD="0" PlaneCount="1"><UUID FileName="some.ome.tif">urn:uuid:1</UUID></TiffData>'
    replace_image(own, draw(0)[0], description=said.replace('<TiffData IFD="0" PlaneCount="1"/>', data))
    assert names_others(own / "images/cell_00.tif")
    _, found = written()
    assert [change.code for change in found.changes] == ["ome-files"]
    assert not names_others(tmp_path / "copy" / found.image)


def test_the_content_of_a_slice_is_that_of_its_copy_and_of_no_other(written, own, tmp_path):
    (each,), found = written()
    assert found.content == {"cell_00": content_of(each, CELLS.meaning, None)}
    (pair,), _ = matched(tmp_path / "copy")
    (copied,) = read_pair(pair)
    assert content_of(copied, CELLS.meaning, None) == found.content["cell_00"]
    write(tmp_path / "copy" / found.labels, np.where(each.labels == 3, 0, each.labels))
    (changed,) = read_pair(pair)
    assert content_of(changed, CELLS.meaning, None)[0] == found.content["cell_00"][0]
    assert content_of(changed, CELLS.meaning, None)[1] != found.content["cell_00"][1]


def test_a_pixel_that_nobody_has_annotated_has_a_value_of_its_own(own, written, tmp_path):
    numbering = Numbering(Meaning(Judgement("binary")), 3, (0, 1), 255)
    (each,), found = written(numbering)
    stored = tifffile.imread(tmp_path / "copy" / found.labels)
    np.testing.assert_array_equal(stored == 255, each.labels == 3)
    np.testing.assert_array_equal(stored == 1, (each.labels > 0) & (each.labels != 3))
