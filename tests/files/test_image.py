"""Images on disk, read in bands: TIFF of many kinds, PNG, OME-Zarr, damaged files, open file handles."""

import contextlib
import gc
import os
import shutil
import struct
import zlib
from dataclasses import replace
from pathlib import Path

import imagecodecs
import imageio.v3 as iio
import numpy as np
import pytest
import tifffile
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow

from src.files.channels import has_equal_channels
from src.files.grey import grey_range
from src.files.image import Image, open_image, read_image
from src.files.names import IMAGE_SUFFIXES
from src.files.stored import Reading
from tests.files.micrographs import GREY, TIFFS, noise, opened, planes_of, write_tiff
from tests.files.test_microscopes import czi, lif

ROOT = Path(__file__).parents[2]

MEMORY_MAPPED = ("plain", "pages", "big-endian", "BigTIFF", "float32", "colour planar", "ImageJ hyperstack", "OME TZC")


def write_zarr(
    file: Path, array: np.ndarray, zarr_format: int, axes: list, scale: list | None, levels: int = 1
) -> Path:
    """An OME-Zarr by hand: version 0.4 in Zarr 2, 0.5 in Zarr 3."""
    group = zarr.open_group(file, mode="w", zarr_format=zarr_format)
    datasets = []
    for level in range(levels):
        values = array[..., :: 2**level, :: 2**level]
        group.create_array(f"s{level}", data=values, chunks=tuple(min(7, length) for length in values.shape))
        datasets.append({"path": f"s{level}"})
        if scale:
            sizes = [*scale[:-2], *(size * 2**level for size in scale[-2:])]
            datasets[-1]["coordinateTransformations"] = [{"type": "scale", "scale": sizes}]
    described = [{"axes": axes, "datasets": datasets, "name": "image"}]
    if zarr_format == 2:
        group.attrs["multiscales"] = [described[0] | {"version": "0.4"}]
    else:
        group.attrs["ome"] = {"version": "0.5", "multiscales": described}
    return file


def axes_of_zarr(letters: str, unit: str | None) -> list[dict]:
    kinds = {"t": "time", "c": "channel"}
    return [
        {"name": a, "type": kinds.get(a, "space")} | ({"unit": unit} if unit and a not in kinds else {})
        for a in letters
    ]


def assert_shows(image: Image, array: np.ndarray, axes: str, pixel_size: dict[str, float]) -> None:
    planes = planes_of(array, axes)
    assert image.axes == axes
    assert (image.planes, image.in_channels, image.height, image.width) == planes.shape
    assert image.stack_axes == "".join(axis for axis in axes if axis not in "CSYX")
    assert image.stack_shape == tuple(array.shape[axes.index(axis)] for axis in image.stack_axes)
    assert image.pixel_size == pytest.approx(pixel_size)
    for number, plane in enumerate(planes):
        found = image.band(number, 0, image.height)
        assert found.dtype.newbyteorder("=") == array.dtype
        np.testing.assert_array_equal(found, plane)


def assert_bands(image: Image, planes: np.ndarray, draws: int = 25) -> None:
    """Random rows, planes and channels equal the same part of the array."""

    @given(st.data())
    @settings(max_examples=draws, deadline=None, database=None)
    def check(data):
        plane = data.draw(st.integers(0, len(planes) - 1))
        top = data.draw(st.integers(0, image.height - 1))
        bottom = data.draw(st.integers(top + 1, image.height))
        step = data.draw(st.integers(1, 4))
        chosen = data.draw(st.lists(st.integers(0, planes.shape[1] - 1), min_size=1, max_size=4))
        part = planes[plane, :, top:bottom:step]
        np.testing.assert_array_equal(image.band(plane, top, bottom)[:, ::step], part)
        few = replace(image, channels=tuple(chosen))
        assert few.in_channels == len(chosen)
        np.testing.assert_array_equal(few.band(plane, top, bottom)[:, ::step], part[chosen])

    check()


@pytest.mark.parametrize("name", TIFFS)
def test_a_tiff_of_any_kind_is_what_was_written(tmp_path, name):
    file, array = write_tiff(tmp_path, name)
    with opened(file) as image:
        assert image.file == file
        assert_shows(image, array, *TIFFS[name][3:])


@pytest.mark.parametrize(
    "name",
    "plain|one pixel|big-endian|zlib in strips|tiles compressed|colour|colour tiles|colour planar|"
    "colour pages|ImageJ hyperstack|ImageJ compressed|OME TZC|OME TCZ compressed|OME CZ|bits".split("|"),
)
def test_any_band_of_a_tiff_is_that_part_of_the_array(tmp_path, name):
    file, array = write_tiff(tmp_path, name)
    with opened(file) as image:
        assert_bands(image, planes_of(array, TIFFS[name][3]))


@pytest.mark.parametrize("name", MEMORY_MAPPED)
def test_an_uncompressed_tiff_is_mapped_and_not_read(tmp_path, name):
    file, _ = write_tiff(tmp_path, name)
    image = open_image(file)
    assert isinstance(image.array, np.memmap)
    assert Path(image.array.filename).resolve() == file.resolve()  # the file itself, not a copy of it
    assert not image.array.flags.writeable


def test_suffixes_may_be_upper_case_and_the_name_a_text(tmp_path):
    file, array = write_tiff(tmp_path, "plain")
    upper = file.rename(tmp_path / "IMAGE.TIFF")
    np.testing.assert_array_equal(open_image(str(upper)).band(0, 0, 20)[0], array)


def test_level_0_of_a_tiff_pyramid_is_taken(tmp_path):
    array, file = noise((64, 64), "u1"), tmp_path / "image.tif"
    with tifffile.TiffWriter(file) as writer:
        writer.write(array, subifds=1, tile=(16, 16))
        writer.write(array[::2, ::2], subfiletype=1, tile=(16, 16))
    with opened(file) as image:
        assert_shows(image, array, "YX", {})


def test_the_first_series_of_a_tiff_is_taken(tmp_path):
    array, file = noise((20, 30), "u1"), tmp_path / "image.tif"
    with tifffile.TiffWriter(file) as writer:
        writer.write(array)
        writer.write(noise((9, 9), "u2"))
    assert_shows(open_image(file), array, "YX", {})


def test_pages_that_were_written_one_by_one_are_a_stack(tmp_path):
    array, file = noise((4, 20, 30), "u1"), tmp_path / "image.tif"
    first, *others = (Pillow.fromarray(page) for page in array)
    first.save(file, save_all=True, append_images=others)
    with opened(file) as image:
        assert_shows(image, array, "ZYX", {})


def test_a_stack_axis_never_has_the_name_of_another(tmp_path):
    array, file = noise((2, 3, 2, 3, 6, 5), "u1"), tmp_path / "image.tif"
    tifffile.imwrite(file, array, **GREY)
    with pytest.raises(ValueError, match=r"expected an image with axes .*ZTQQYX"):
        open_image(file)


def test_channels_in_colour_are_refused(tmp_path):
    array, file = noise((2, 20, 30, 3), "u1"), tmp_path / "image.ome.tif"
    tifffile.imwrite(file, array, photometric="rgb", metadata={"axes": "CYXS"})
    with pytest.raises(ValueError, match=r"one of channels, but .*CYXS"):
        open_image(file)


@pytest.mark.parametrize(
    ("shape", "dtype", "axes"),
    [
        ((20, 30), "u1", "YX"),
        ((20, 30), "u2", "YX"),
        ((20, 30, 3), "u1", "YXS"),
        ((20, 30, 4), "u1", "YXS"),
        ((20, 30, 2), "u1", "YXS"),
        ((20, 30, 3), "u2", "YXS"),
        ((1, 1), "u1", "YX"),
    ],
)
def test_a_png_is_what_was_written(tmp_path, shape, dtype, axes):
    array, file = noise(shape, dtype), tmp_path / "image.png"
    file.write_bytes(imagecodecs.png_encode(array))
    image = open_image(file)
    assert_shows(image, array, axes, {})
    assert_bands(image, planes_of(array, axes), draws=10)


def test_a_png_with_frames_is_refused_or_read_as_a_stack(tmp_path):
    array, file = noise((4, 20, 30), "u1"), tmp_path / "image.png"
    first, *others = (Pillow.fromarray(page) for page in array)
    first.save(file, save_all=True, append_images=others)
    try:
        image = open_image(file)
    except ValueError as error:
        assert str(file) in str(error)
    else:
        np.testing.assert_array_equal(image.band(0, 0, 20)[0], array[0])


def test_a_png_of_many_pixels_opens_without_a_warning(tmp_path):
    side, file = 9500, tmp_path / "image.png"  # more than the 89 megapixels from which on Pillow warns
    zeros = zlib.compress(bytes(side * (side // 8 + 2)), 1)
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zeros), (b"IEND", b"")]
    body = b"".join(struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks)
    file.write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    assert open_image(file).height == side


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize(
    ("letters", "unit", "to_micrometres"),
    [
        ("yx", "nanometer", 1e-3),
        ("zyx", "micrometer", 1),
        ("cyx", "millimeter", 1e3),
        ("tczyx", "micrometer", 1),
        ("tzcyx", "micrometer", 1),
        ("zyx", None, None),
    ],
)
def test_level_0_of_an_ome_zarr_is_what_was_written(tmp_path, zarr_format, letters, unit, to_micrometres):
    array = noise((2, 3, 4, 20, 30)[5 - len(letters) :], "u2")
    scale = [3.0, 1.0, 2.0, 0.5, 0.25][5 - len(letters) :]
    file = write_zarr(tmp_path / "image.ome.zarr", array, zarr_format, axes_of_zarr(letters, unit), scale, levels=3)
    sizes = {a.upper(): size * to_micrometres for a, size in zip(letters, scale, strict=True) if unit and a in "zyx"}
    image = open_image(file)
    assert_shows(image, array, letters.upper(), sizes)
    assert_bands(image, planes_of(array, letters.upper()), draws=5)


@pytest.mark.parametrize(
    ("unit", "to_micrometres"),
    [("picometer", 1e-6), ("angstrom", 1e-4), ("centimeter", 1e4), ("inch", 25_400), ("meter", 1e6)],
)
def test_units_of_length_of_an_ome_zarr_are_known(tmp_path, unit, to_micrometres):
    file = write_zarr(tmp_path / "image.zarr", noise((20, 30), "u1"), 3, axes_of_zarr("yx", unit), [1, 2])
    assert open_image(file).pixel_size == pytest.approx({"Y": to_micrometres, "X": 2 * to_micrometres})


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_an_ome_zarr_may_lack_scales_and_name_its_axes_only(tmp_path, zarr_format):
    array = noise((3, 20, 30), "f4")
    file = write_zarr(tmp_path / "image.zarr", array, zarr_format, ["z", "y", "x"], None)
    assert_shows(open_image(file), array, "ZYX", {})


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_scale_of_all_levels_multiplies_that_of_the_level(tmp_path, zarr_format):
    file = write_zarr(
        tmp_path / "image.zarr", noise((20, 30), "u1"), zarr_format, axes_of_zarr("yx", "micrometer"), [1, 2]
    )
    group = zarr.open_group(file, mode="r+")
    ome = group.attrs.asdict() if zarr_format == 2 else group.attrs["ome"]
    ome["multiscales"][0]["coordinateTransformations"] = [{"type": "scale", "scale": [3.0, 5.0]}]
    group.attrs.update(ome if zarr_format == 2 else {"ome": ome})
    assert open_image(file).pixel_size == {"Y": 3.0, "X": 10.0}


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize(("shape", "axes"), [((20, 30), "YX"), ((3, 20, 30), "ZYX"), ((1, 1), "YX")])
def test_a_plain_zarr_array_is_a_plane_or_a_stack(tmp_path, zarr_format, shape, axes):
    array, file = noise(shape, "u2"), tmp_path / "image.zarr"
    zarr.create_array(file, data=array, chunks=tuple(min(8, length) for length in shape), zarr_format=zarr_format)
    assert_shows(open_image(file), array, axes, {})


def assert_refused(file: Path, kind: type[Exception] = ValueError) -> None:
    with pytest.raises((ValueError, FileNotFoundError)) as caught:
        open_image(file)
    assert type(caught.value) is kind
    assert str(file) in str(caught.value)


@pytest.mark.parametrize("suffix", [".tif", ".png", ".zarr", ".jpg"])
def test_a_missing_file_is_refused(tmp_path, suffix):
    assert_refused(tmp_path / f"image{suffix}", FileNotFoundError)


def test_a_wrong_suffix_is_refused_and_the_right_ones_are_named(tmp_path):
    file = tmp_path / "image.tga"
    iio.imwrite(file, noise((20, 30), "u1"))
    with pytest.raises(ValueError, match=r"\.tif, .*, \.png, .*, \.zarr, .*, but got .*image\.tga"):
        open_image(file)


@pytest.mark.parametrize("suffix", [".tif", ".tiff", ".png", ".zarr"])
@pytest.mark.parametrize("content", [b"", b"II", b"II*\0", b"hello" * 99, bytes(999), b"\x89PNG\r\n\x1a\n", b"MM\0+"])
def test_garbage_and_empty_files_are_refused(tmp_path, suffix, content):
    file = tmp_path / f"image{suffix}"
    file.write_bytes(content)
    assert_refused(file)


@pytest.mark.parametrize("suffix", [".tif", ".png", ".zarr"])
def test_an_empty_folder_is_refused(tmp_path, suffix):
    file = tmp_path / f"image{suffix}"
    file.mkdir()
    assert_refused(file)


def test_a_tiff_under_the_name_of_a_png_is_refused_and_the_other_way_round(tmp_path):
    file, array = write_tiff(tmp_path, "plain")
    png = file.rename(tmp_path / "image.png")
    assert_refused(png)
    png.with_suffix(".tif").write_bytes(imagecodecs.png_encode(array))
    assert_refused(png.with_suffix(".tif"))


def test_images_of_one_axis_are_refused(tmp_path):
    tifffile.imwrite(tmp_path / "image.tif", noise((20,), "u1"))
    zarr.create_array(tmp_path / "image.zarr", data=noise((20,), "u1"))
    write_zarr(tmp_path / "ome.zarr", noise((20,), "u1")[None], 3, axes_of_zarr("zx", None), None)
    for name in ("image.tif", "image.zarr", "ome.zarr"):
        with pytest.raises(ValueError, match=rf"expected an image with axes Y and X.*{name}"):
            open_image(tmp_path / name)


def test_a_zarr_array_of_four_axes_without_names_is_refused(tmp_path):
    zarr.create_array(tmp_path / "image.zarr", data=noise((2, 3, 4, 5), "u1"))
    assert_refused(tmp_path / "image.zarr")


def test_an_empty_zarr_array_is_refused(tmp_path):
    zarr.create_array(tmp_path / "image.zarr", shape=(0, 20), dtype="u1", chunks=(1, 1))
    assert_refused(tmp_path / "image.zarr")


def test_complex_values_are_refused_by_name(tmp_path):
    tifffile.imwrite(tmp_path / "image.tif", np.ones((20, 30), "c8"), **GREY)
    assert_refused(tmp_path / "image.tif")


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"ome": None},
        {"ome": {}},
        {"ome": {"multiscales": []}},
        {"ome": {"multiscales": [{"datasets": [{"path": "s0"}]}]}},  # no axes
        {"ome": {"multiscales": [{"axes": [{"name": "y"}, {"name": "x"}], "datasets": []}]}},
        {"ome": {"multiscales": [{"axes": [{"name": "y"}, {"name": "x"}], "datasets": [{"path": "gone"}]}]}},
        {"ome": {"multiscales": [{"axes": axes_of_zarr("zyx", None), "datasets": [{"path": "s0"}]}]}},
        {"ome": {"multiscales": [{"axes": axes_of_zarr("zy", None), "datasets": [{"path": "s0"}]}]}},
    ],
)
def test_a_zarr_group_that_describes_no_image_is_refused(tmp_path, attributes):
    group = zarr.open_group(tmp_path / "image.zarr", mode="w")
    group.create_array("s0", data=noise((20, 30), "u1"))
    group.attrs.update(attributes)
    assert_refused(tmp_path / "image.zarr")


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_zarr_without_its_metadata_or_with_part_of_it_is_refused(tmp_path, zarr_format):
    axes = axes_of_zarr("yx", "micrometer")
    file = write_zarr(tmp_path / "image.zarr", noise((20, 30), "u1"), zarr_format, axes, [1, 2])
    names = {2: [".zgroup", ".zattrs", "s0/.zarray"], 3: ["zarr.json", "s0/zarr.json"]}[zarr_format]
    for name in names:
        damaged = Path(shutil.copytree(file, tmp_path / "damaged.zarr"))
        whole = (damaged / name).read_bytes()
        for part in (whole[: len(whole) // 2], b"", None):
            (damaged / name).unlink() if part is None else (damaged / name).write_bytes(part)
            assert_refused(damaged)
        shutil.rmtree(damaged)


def cuts(file: Path) -> list[int]:
    """Lengths to cut a TIFF to: evenly spaced, and just at, before and behind the ends of its parts."""
    size = file.stat().st_size
    ends = {0, 1, 4, 8, 16, size}
    with tifffile.TiffFile(file) as tiff:
        for page in tiff.pages:
            page = page.aspage()
            ends |= {page.offset, *map(sum, zip(page.dataoffsets, page.databytecounts, strict=True))}
            ends |= {tag.valueoffset for tag in page.tags}
    near = {end + shift for end in ends for shift in (-2, -1, 0, 1)}
    return sorted(length for length in near | set(range(0, size, size // 12)) if 0 <= length < size)


@pytest.mark.parametrize(
    "name",
    "plain|zlib|zlib in strips|pages|pages without metadata|BigTIFF|tiles|tiles compressed|colour|colour planar|bits|"
    "ImageJ|ImageJ compressed|OME Z|OME TCZ compressed|OME tiles".split("|"),
)
def test_a_truncated_tiff_is_refused_unless_every_pixel_is_there(tmp_path, name):
    file, array = write_tiff(tmp_path, name)
    whole, planes = file.read_bytes(), planes_of(array, TIFFS[name][3])
    wrong, short = [], tmp_path / "short.tif"
    for length in cuts(file):
        short.write_bytes(whole[:length])
        try:
            with opened(short) as image:
                found = np.stack([image.band(plane, 0, image.height) for plane in range(image.planes)])
            if not np.array_equal(found, planes):
                wrong.append(f"{length} of {len(whole)} bytes read as {image.axes} {image.array.shape}")
        except Exception as error:
            if type(error) is not ValueError or str(short) not in str(error):
                wrong.append(f"{length} of {len(whole)} bytes: {error!r}")
    assert not wrong


def test_a_truncated_png_is_refused_unless_every_pixel_is_there(tmp_path):
    array, file = noise((20, 30), "u1"), tmp_path / "image.png"
    whole = imagecodecs.png_encode(array)
    refused = 0
    for length in range(0, len(whole), 5):
        file.write_bytes(whole[:length])
        try:
            np.testing.assert_array_equal(open_image(file).band(0, 0, 20)[0], array)
        except ValueError as error:
            assert str(file) in str(error)
            refused += 1
    assert refused > len(whole) // 5 - 10


def write_any(folder: Path, kind: str) -> Path:
    if kind == "png":
        iio.imwrite(folder / "image.png", noise((20, 30), "u1"))
        return folder / "image.png"
    if kind == "zarr":
        return write_zarr(folder / "image.zarr", noise((20, 30), "u1"), 3, axes_of_zarr("yx", None), None)
    return write_tiff(folder, kind)[0]


def open_files(folder: Path) -> int:
    """The number of open file handles of this process for files in a folder."""
    handles = Path("/proc/self/fd")
    if not handles.exists():
        pytest.skip("needs /proc")
    return sum(os.path.realpath(handle).startswith(str(folder.resolve())) for handle in handles.iterdir())


KINDS = ("plain", "pages", "big-endian", "zlib", "tiles compressed", "OME tiles", "png", "zarr")


@pytest.fixture
def no_collector():
    """Disable the garbage collector, so that only explicit closing closes files."""
    gc.disable()
    yield
    gc.enable()


# Each memory-mapped file has one open handle while it is used.
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("plain", "pages", "big-endian")])
def test_many_open_images_hold_no_file_open(tmp_path, no_collector, kind):
    file = write_any(tmp_path, kind)
    images = [open_image(file) for _ in range(20)]
    assert open_files(tmp_path) == 0
    assert len(images) == 20


@pytest.mark.parametrize("kind", KINDS)
def test_images_that_are_no_longer_used_hold_no_file_open(tmp_path, no_collector, kind):
    file = write_any(tmp_path, kind)
    for _ in range(20):
        open_image(file)
    assert open_files(tmp_path) == 0


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("plain", "pages", "big-endian")])
def test_a_closed_image_leaves_no_file_open(tmp_path, no_collector, kind):
    image = open_image(write_any(tmp_path, kind))
    image.band(0, 0, 9)
    grey_range(image, 0)
    image.close()
    assert open_files(tmp_path) == 0


@pytest.mark.parametrize("kind", ["plain", "zlib", "OME tiles", "png"])
def test_a_refused_image_leaves_no_file_open(tmp_path, no_collector, kind):
    file = write_any(tmp_path, kind)
    file.write_bytes(file.read_bytes()[:200])
    for _ in range(5):
        with pytest.raises(ValueError, match="expected a complete image"):
            open_image(file)
    assert open_files(tmp_path) == 0


def drawing(*shape, dtype=np.uint8):
    return np.random.default_rng(0).integers(0, 200, shape).astype(dtype)


def test_png_comes_back_as_it_was_written(tmp_path):
    for name, array in (("grey.png", drawing(8, 9)), ("deep.png", drawing(8, 9, dtype=np.uint16) * 300)):
        iio.imwrite(tmp_path / name, array)
        np.testing.assert_array_equal(read_image(tmp_path / name)[0], array)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none at .*nowhere\.tif"):
        read_image(tmp_path / "nowhere.tif")


def test_an_unknown_kind_of_file_is_named(tmp_path):
    (tmp_path / "a.eps").write_bytes(b"x")
    with pytest.raises(ValueError, match=r"ending in .*, but got .*a\.eps"):
        read_image(tmp_path / "a.eps")


@pytest.mark.parametrize("name", ["a.tif", "a.png"])
@pytest.mark.parametrize("share", [0, 0.002, 0.1, 0.2, 0.5, 0.75, 0.9])
def test_a_truncated_file_is_refused_by_name(tmp_path, name, share):
    if name.endswith(".png"):
        iio.imwrite(tmp_path / name, drawing(40, 40))
    else:
        tifffile.imwrite(tmp_path / name, drawing(4, 20, 20), photometric="minisblack")
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match=name):
        read_image(tmp_path / name)


def test_a_file_that_is_not_what_its_name_says_is_refused_by_name(tmp_path):
    for name in ("a.tif", "a.png"):
        (tmp_path / name).write_text("<html>404</html>")
        with pytest.raises(ValueError, match=name):
            read_image(tmp_path / name)


@pytest.mark.parametrize(("name", "axes"), [("a.png", "YXS"), ("a.tif", "YXS"), ("b.tif", "ZYX")])
def test_configured_axes_apply_to_stacks_and_not_to_colour_pictures(tmp_path, name, axes):
    array = noise((20, 30, 3), "u1")
    iio.imwrite(tmp_path / "a.png", array)
    tifffile.imwrite(tmp_path / "a.tif", array, photometric="rgb")
    tifffile.imwrite(tmp_path / "b.tif", array, imagej=True, metadata={"axes": "CYX"})
    assert open_image(tmp_path / name, Reading(axes="ZYX")).axes == axes


def test_an_alpha_channel_that_varies_is_kept(tmp_path):
    array = noise((20, 30, 4), "u2")
    for opaque in (False, True):
        array[..., 3] = 65535
        array[7, 8, 3] -= not opaque
        tifffile.imwrite(tmp_path / "a.tif", array, photometric="rgb", extrasamples=["unassalpha"])
        image = open_image(tmp_path / "a.tif")
        np.testing.assert_array_equal(image.band(0, 0, 20), np.moveaxis(array, -1, 0)[: image.in_channels])
        assert image.in_channels == (3 if opaque else 4)
        assert image.choose((2, 0)).in_channels == 2
        np.testing.assert_array_equal(image.choose((2, 0)).band(0, 3, 5)[0], array[3:5, :, 2])


def test_equal_channels_are_detected(tmp_path):
    array = np.repeat(noise((50, 30, 1), "u1"), 3, axis=2)
    image = Image(tmp_path / "a.tif", array, "YXS")
    assert has_equal_channels(image, rows=7)
    array[49, 29, 1] ^= 1
    assert not has_equal_channels(image, rows=7)


# Formats that data/README.md lists as read: (container, suffix, dtype, axes).
TABLE = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in (ROOT / "data/README.md").read_text().partition("## What is read")[2].partition("\n## ")[0].splitlines()
    if line.startswith("| ") and "`." in line
]
ROWS = [
    (container, ending, dtype, axes)
    for container, endings, dtypes, named, _ in TABLE
    for ending in endings.strip("`").split()
    for dtype in (dtypes.strip("`").split() if dtypes.startswith("`") else ())
    for axes in named.strip("`").split()
    if not (dtype == "bool" and "S" in axes)  # colours of one bit
]


def write_kind(file: Path, container: str, array: np.ndarray, axes: str) -> None:
    """Write values in a container, by a writer that is not ours."""
    tagged = {"photometric": "rgb" if "S" in axes else "minisblack"}
    if container == "OME-Zarr":
        group = zarr.open_group(file, mode="w")
        group.create_array("0", data=array)
        named = [{"name": axis.lower()} for axis in axes]
        group.attrs["ome"] = {"multiscales": [{"axes": named, "datasets": [{"path": "0"}]}]}
    elif container == "Zarr array":
        zarr.save_array(file, array)
    elif container in ("Leica LIF", "Zeiss CZI"):
        full = array.reshape([dict(zip(axes, array.shape, strict=True)).get(axis, 1) for axis in "CZYX"])
        lif(file, full) if container == "Leica LIF" else czi(file, full, array.itemsize - 1)
    elif container == "PNG":
        if array.dtype == bool:
            Pillow.fromarray(array).save(file)
        else:
            file.write_bytes(imagecodecs.png_encode(array))
    elif container == "JPEG 2000":
        file.write_bytes(imagecodecs.jpeg2k_encode(array, level=0, reversible=True))
    elif container in ("JPEG", "BMP", "GIF", "WebP"):
        Pillow.fromarray(array).save(file, **{"WebP": {"lossless": True}, "JPEG": {"quality": 100}}.get(container, {}))
    elif container == "ImageJ TIFF":
        tifffile.imwrite(file, array, imagej=True, metadata={"axes": axes})
    elif container == "OME-TIFF":
        tifffile.imwrite(file, array, ome=True, metadata={"axes": axes}, **tagged)
    else:
        tifffile.imwrite(file, array, **tagged)


def test_the_table_lists_each_suffix_that_is_read():
    endings = {ending for _, named, *_ in TABLE for ending in named.strip("`").split()}
    assert {ending.removeprefix(".ome") for ending in endings} == set(IMAGE_SUFFIXES)


@pytest.mark.parametrize(("container", "ending", "dtype", "axes"), ROWS)
def test_each_format_of_the_table_is_read(tmp_path, container, ending, dtype, axes):
    sides = {"T": 2, "Z": 5, "C": 2, "Y": 20, "X": 30, "S": 3}
    array, file = noise(tuple(sides[axis] for axis in axes), dtype), tmp_path / f"a{ending}"
    if container in ("JPEG", "GIF"):  # smooth values: JPEG is lossy and GIF has few colours
        array = np.broadcast_to(np.arange(20, dtype=dtype).reshape(20, *[1] * (len(axes) - 1)) * 5, array.shape).copy()
    write_kind(file, container, array, axes)
    with contextlib.closing(open_image(file)) as image:
        assert image.axes == axes and image.array.dtype == array.dtype
        planes = np.stack([image.band(plane, 0, 20) for plane in range(image.planes)])
    assert np.abs(planes.astype(float) - planes_of(array, axes)).max() <= (2 if container == "JPEG" else 0)
