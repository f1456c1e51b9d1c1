"""TIFF and its relatives: tags, choice of the series, and images in several files."""

import contextlib

import numpy as np
import pytest
import tifffile

from src.files.image import open_image, open_stored, read_image
from src.files.stored import Reading
from src.files.tiffs import first_parts
from tests.files.micrographs import noise

UUIDS = [f"urn:uuid:00000000-0000-4000-8000-00000000000{number}" for number in range(3)]


def ome(files: list[str], planes: str, own: int) -> str:
    """OME-XML of an image with one file per plane along an axis such as ``C``."""
    sizes = {axis: len(files) if axis == planes else 1 for axis in "ZCT"}
    data = "".join(
        f'<TiffData IFD="0" First{planes}="{number}" PlaneCount="1">'
        f'<UUID FileName="{file}">{UUIDS[number]}</UUID></TiffData>'
        for number, file in enumerate(files)
    )
    channels = "".join(f'<Channel ID="Channel:0:{number}" SamplesPerPixel="1"/>' for number in range(sizes["C"]))
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" '
        f'UUID="{UUIDS[own]}"><Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint8" '
        f'SizeX="30" SizeY="20" SizeZ="{sizes["Z"]}" SizeC="{sizes["C"]}" SizeT="1">{channels}{data}'
        f"</Pixels></Image></OME>"
    )


def spread(folder, count: int = 2, planes: str = "C") -> tuple[list, np.ndarray]:
    """Write an OME-TIFF in several files; returns the files and the planes."""
    array, names = noise((count, 20, 30), "u1"), [f"a_{number}.ome.tif" for number in range(count)]
    for number, name in enumerate(names):
        tifffile.imwrite(folder / name, array[number], description=ome(names, planes, number), metadata=None)
    return [folder / name for name in names], array


@pytest.mark.parametrize("dtype", ["u1", "u2", "?"])
def test_grey_values_are_inverted_where_0_is_white(tmp_path, dtype):
    array = noise((20, 30), dtype)
    tifffile.imwrite(tmp_path / "a.tif", array, photometric="miniswhite")
    image = open_image(tmp_path / "a.tif")
    np.testing.assert_array_equal(image.band(0, 3, 9)[0], ~array[3:9])
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif")[0], ~array)
    assert [note.code for note in image.notes] == ["white-is-zero"]
    with contextlib.closing(open_image(tmp_path / "a.tif", Reading())) as stored:
        np.testing.assert_array_equal(stored.band(0, 0, 20)[0], array)
    image.close()


def test_floating_point_values_are_inverted_by_their_sign(tmp_path):
    array = noise((20, 30), "f4")
    tifffile.imwrite(tmp_path / "a.tif", array, photometric="miniswhite")
    np.testing.assert_array_equal(open_image(tmp_path / "a.tif").band(0, 0, 20)[0], -array)


@pytest.mark.parametrize("falling", [False, True])
def test_a_look_up_table_of_imagej_counts_like_one_of_tiff(tmp_path, falling):
    array, ramp = noise((20, 30), "u1"), np.arange(256, dtype=np.uint8)
    table = np.stack([ramp[::-1] if falling else ramp] * 3)
    tifffile.imwrite(tmp_path / "a.tif", array, imagej=True, metadata={"LUTs": [table]})
    found = open_image(tmp_path / "a.tif").band(0, 0, 20)[0]
    np.testing.assert_array_equal(found, ~array if falling else array)


def test_a_coloured_look_up_table_does_not_change_intensities(tmp_path):
    array, table = noise((20, 30), "u1"), noise((3, 256), "u2")
    tifffile.imwrite(tmp_path / "a.tif", array, photometric="palette", colormap=table)
    image = open_image(tmp_path / "a.tif")
    np.testing.assert_array_equal(image.band(0, 0, 20)[0], array)
    assert [note.code for note in image.notes] == ["colour-table"]


@pytest.mark.parametrize("orientation", [3, 6, 8])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_the_orientation_tag_applies_to_planes_and_colours(tmp_path, orientation, compression):
    turns = {3: 2, 6: 3, 8: 1}[orientation]
    for shape, photometric in (((20, 30), "minisblack"), ((20, 30, 3), "rgb")):
        array = noise(shape, "u1")
        tags = [(274, "H", 1, orientation, True)]
        tifffile.imwrite(tmp_path / "a.tif", array, photometric=photometric, compression=compression, extratags=tags)
        image = open_image(tmp_path / "a.tif")
        expected = np.rot90(array, turns).reshape(*sides(array, turns), -1)
        np.testing.assert_array_equal(image.band(0, 2, 7), np.moveaxis(expected, -1, 0)[:, 2:7])


def test_the_pixel_size_is_rotated_too(tmp_path):
    options = {"resolution": (2e4, 1e4), "resolutionunit": 3, "extratags": [(274, "H", 1, 6, True)]}
    tifffile.imwrite(tmp_path / "a.tif", noise((20, 30), "u1"), **options)
    assert open_image(tmp_path / "a.tif", Reading()).pixel_size == pytest.approx({"X": 0.5, "Y": 1.0})
    assert open_image(tmp_path / "a.tif").pixel_size == pytest.approx({"X": 1.0, "Y": 0.5})


def sides(array: np.ndarray, turns: int) -> tuple[int, int]:
    """Rows and columns after quarter turns."""
    return array.shape[:2] if turns % 2 == 0 else array.shape[1::-1]


def test_the_largest_series_is_read_and_not_a_thumbnail_before_it(tmp_path):
    large = noise((60, 70), "u1")
    with tifffile.TiffWriter(tmp_path / "a.tif") as tiff:
        tiff.write(noise((20, 30), "u1"), metadata=None)
        tiff.write(large, metadata=None)
        tiff.write(noise((6, 7), "u1"), metadata=None)
    image = open_image(tmp_path / "a.tif")
    np.testing.assert_array_equal(image.band(0, 0, 60)[0], large)
    assert [note.code for note in image.notes] == ["several-series"] and "number 2, 60×70 px" in image.notes[0].taken


def test_the_first_of_equally_large_images_is_read_and_a_note_names_the_others(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.ome.tif") as tiff:
        arrays = [noise((20, 30), "u1", seed) for seed in range(3)]
        for array in arrays:
            tiff.write(array, photometric="minisblack")
    image = open_image(tmp_path / "a.ome.tif")
    np.testing.assert_array_equal(image.band(0, 0, 20)[0], arrays[0])
    assert "3 images of one size" in image.notes[0].found


def test_a_pyramid_is_read_at_its_finest_level_without_a_note(tmp_path):
    array = noise((64, 64), "u1")
    with tifffile.TiffWriter(tmp_path / "a.ome.tif") as tiff:
        tiff.write(array, subifds=1, tile=(16, 16))
        tiff.write(array[::2, ::2], subfiletype=1, tile=(16, 16))
    image = open_image(tmp_path / "a.ome.tif")
    np.testing.assert_array_equal(image.band(0, 0, 64)[0], array)
    assert image.notes == ()
    image.close()


def test_each_part_of_an_image_opens_the_whole_and_the_image_counts_once(tmp_path):
    files, array = spread(tmp_path)
    for file in files:
        image = open_image(file)
        np.testing.assert_array_equal(image.band(0, 0, 20), array)
        image.close()
    other = tmp_path / "b.ome.tif"
    tifffile.imwrite(other, array[0])
    assert first_parts([*files, other]) == [files[0], other]
    assert first_parts([files[1], files[0]]) == [files[1]]


def test_a_missing_part_is_named(tmp_path):
    files, _ = spread(tmp_path)
    files[1].unlink()
    with pytest.raises(ValueError, match=r"a_0\.ome\.tif cannot be read: .*of which a_1\.ome\.tif is not beside it"):
        open_image(files[0])


def test_an_image_opens_though_another_series_is_missing(tmp_path):
    """As for the first position of an experiment whose metadata list all positions."""
    array, names = noise((20, 30), "u1"), ["p0.ome.tif", "p1.ome.tif"]
    first, second = (ome([name], "C", 0) for name in names)
    image = (
        second[second.index("<Image") : second.index("</OME>")]
        .replace("Image:0", "Image:1")
        .replace("Pixels:0", "Pixels:1")
    )
    described = first.replace("</OME>", image.replace(UUIDS[0], UUIDS[1]).replace("Channel:0", "Channel:1") + "</OME>")
    tifffile.imwrite(tmp_path / "p0.ome.tif", array, description=described, metadata=None)
    np.testing.assert_array_equal(read_image(tmp_path / "p0.ome.tif")[0], array)


def test_a_renamed_ome_tiff_opens(tmp_path):
    tifffile.imwrite(tmp_path / "a.ome.tif", noise((3, 20, 30), "u1"), metadata={"axes": "ZYX"})
    (tmp_path / "a.ome.tif").rename(tmp_path / "b.ome.tif")
    assert open_image(tmp_path / "b.ome.tif").planes == 3


def test_a_file_that_points_to_its_master_is_read_by_itself(tmp_path):
    array = noise((20, 30), "u1")
    described = (
        '<?xml version="1.0" encoding="UTF-8"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">'
        f'<BinaryOnly MetadataFile="master.ome.tif" UUID="{UUIDS[0]}"/></OME>'
    )
    tifffile.imwrite(tmp_path / "a.ome.tif", array, description=described, metadata=None)
    np.testing.assert_array_equal(read_image(tmp_path / "a.ome.tif")[0], array)


def test_signed_16_bits_of_imagej_are_known(tmp_path):
    metadata = {"cf": 0, "c0": -32768.0, "c1": 1.0, "vunit": "gray value"}
    tifffile.imwrite(tmp_path / "a.tif", noise((20, 30), "u2"), imagej=True, metadata=metadata)
    assert open_stored(tmp_path / "a.tif").signed
    tifffile.imwrite(tmp_path / "b.tif", noise((20, 30), "u2"), imagej=True, metadata=metadata | {"c0": 0.0, "c1": 2.0})
    assert not open_stored(tmp_path / "b.tif").signed


@pytest.mark.parametrize(("count", "unclear"), [(2, False), (3, True), (4, True), (5, False)])
def test_planes_that_tifffile_tags_as_colours_are_unclear(tmp_path, count, unclear):
    tagged = {"photometric": "rgb", "planarconfig": "separate"} if count in (3, 4) else {"photometric": "minisblack"}
    tifffile.imwrite(tmp_path / "a.tif", noise((count, 20, 30), "u1"), **tagged)
    assert open_stored(tmp_path / "a.tif").unclear == unclear
    assert open_image(tmp_path / "a.tif").unclear == unclear
    slices = open_image(tmp_path / "a.tif", Reading(axes="ZYX"))
    assert (slices.planes, slices.in_channels, slices.unclear) == (count, 1, False)


def test_the_slides_of_aperio_are_read_at_their_finest_level(tmp_path):
    array = noise((64, 80, 3), "u1")
    with tifffile.TiffWriter(tmp_path / "a.svs") as tiff:
        said = {"description": "Aperio Image Library v11\n80x64|AppMag = 20|MPP = 0.5", "metadata": None}
        tiff.write(array, photometric="rgb", tile=(16, 16), **said)
        tiff.write(array[::8, ::8], photometric="rgb", **said)
    np.testing.assert_array_equal(read_image(tmp_path / "a.svs")[0], array)
