"""Checks of TIFF, PNG, JPEG and Zarr: complete files are read; those that announce more than they have are not."""

import struct

import imagecodecs
import numpy as np
import pytest
import tifffile
import zarr

from src.files import guard

GREY = np.arange(400, dtype=np.uint8).reshape(20, 20)


def checked(file):
    with tifffile.TiffFile(file) as tiff:
        guard.check_tiff(tiff, file)


@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}, {"tile": (16, 16)}, {"imagej": True}, {"ome": True}])
@pytest.mark.parametrize("planes", [1, 3])
def test_a_whole_tiff_is_read(planes, options, tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.stack([GREY] * planes), photometric="minisblack", **options)
    checked(tmp_path / "a.tif")


@pytest.mark.parametrize("lost", [1, 50, 300])
def test_a_truncated_tiff_is_refused(lost, tmp_path):
    file = tmp_path / "a.tif"
    tifffile.imwrite(file, GREY)
    file.write_bytes(file.read_bytes()[:-lost])
    with pytest.raises(ValueError, match="truncated"):
        checked(file)


def test_a_tiff_that_announces_more_rows_than_it_has_is_refused(tmp_path):
    file = tmp_path / "a.tif"
    tifffile.imwrite(file, GREY)
    with tifffile.TiffFile(file, mode="r+") as tiff:
        tiff.pages[0].tags["ImageLength"].overwrite(4000)
    with pytest.raises(ValueError, match="announces"):
        checked(file)


def test_a_png_that_announces_more_than_its_bytes_can_hold_is_refused():
    data = imagecodecs.png_encode(GREY)
    guard.check_png(data)
    with pytest.raises(ValueError, match="more than a file of its size can hold"):
        guard.check_png(data[:16] + struct.pack(">II", 40_000, 40_000) + data[24:])
    with pytest.raises(ValueError, match="does not begin like a PNG"):
        guard.check_png(b"<html>" + data)


def test_a_truncated_jpeg_or_one_that_announces_too_many_pixels_is_refused():
    data = imagecodecs.jpeg_encode(GREY)
    guard.check_jpeg(data)
    with pytest.raises(ValueError, match="its end is missing"):
        guard.check_jpeg(data[:-2])
    frame = data.index(b"\xff\xc0")
    large = data[: frame + 5] + struct.pack(">HH", 60_000, 60_000) + data[frame + 9 :]
    with pytest.raises(ValueError, match="announces"):
        guard.check_jpeg(large)


def test_a_large_zarr_without_chunks_is_refused_and_missing_chunks_are_counted(tmp_path):
    small = zarr.create_array(tmp_path / "small.zarr", shape=(40, 40), chunks=(20, 20), dtype="u1")
    guard.check_zarr(small)
    assert guard.missing_chunks(small) == 4
    small[:20, :20] = 7
    assert guard.missing_chunks(small) == 3
    large = zarr.create_array(tmp_path / "large.zarr", shape=(20_000, 20_000), chunks=(500, 500), dtype="u1")
    with pytest.raises(ValueError, match=r"none of its 1,600 chunks"):
        guard.check_zarr(large)
    large[0, 0] = 1
    guard.check_zarr(large)
