"""Stacks on disk and in memory: slices by number, grey values, TIFF and PNG, damaged files."""

import imageio.v3 as iio
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from src.data.stack import Stack, normalise
from src.files.arrays import content_hash, read, scaled, write_tiff


def test_normalise_sends_the_percentiles_to_0_and_1_and_clips():
    image = np.arange(1001, dtype=np.uint16).reshape(7, 143)  # 0.5 % of it is 5, 99.5 % is 995
    result = normalise(image)
    assert result.dtype == np.float32
    assert (result[image <= 5] == 0).all()
    assert (result[image >= 995] == 1).all()
    inside = (image > 5) & (image < 995)
    np.testing.assert_allclose(result[inside], (image[inside] - 5) / 990, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
def test_normalise_of_a_constant_image_is_zero(dtype):
    result = normalise(np.full((4, 5), 200, dtype))
    assert result.dtype == np.float32
    assert result.shape == (4, 5)
    assert not result.any()


@given(st.integers(0, 2**32), st.floats(0.01, 1000), st.floats(-100, 100))
@settings(max_examples=30, deadline=None)
def test_normalise_does_not_depend_on_unit_and_dtype(seed, scale, offset):
    image = np.random.default_rng(seed).integers(0, 256, (20, 21), dtype=np.uint8)
    expected = normalise(image)
    np.testing.assert_allclose(normalise(image.astype(np.uint16) * 257), expected, atol=1e-5)
    np.testing.assert_allclose(normalise(image * scale + offset), expected, atol=1e-3 if scale < 1 else 1e-4)


def test_normalise_takes_channels_together():
    image = np.stack([np.zeros((10, 10)), np.ones((10, 10))], axis=2)
    np.testing.assert_array_equal(normalise(image), image)


def drawing(*shape, dtype=np.uint8):
    return np.random.default_rng(0).integers(0, 200, shape).astype(dtype)


# Stacks of three and four slices look like colours to a TIFF writer that guesses.
@pytest.mark.parametrize("shape", [(8, 9), (1, 8, 9), (2, 8, 9), (3, 8, 9), (4, 8, 9), (8, 9, 3), (2, 3, 8, 9)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.float32])
def test_tiff_comes_back_as_it_was_written(tmp_path, shape, dtype):
    array = drawing(*shape, dtype=dtype)
    write_tiff(tmp_path / "a.tif", array)
    result = read(tmp_path / "a.tif")
    assert result.dtype == array.dtype
    np.testing.assert_array_equal(result, array)


@pytest.mark.parametrize("slices", [3, 4])
def test_a_stack_of_slices_is_not_written_as_colours(tmp_path, slices):
    write_tiff(tmp_path / "a.tif", drawing(slices, 8, 9))
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert len(file.pages) == slices
        assert {page.photometric.name for page in file.pages} == {"MINISBLACK"}


def test_png_comes_back_as_it_was_written(tmp_path):
    for name, array in (("grey.png", drawing(8, 9)), ("deep.png", drawing(8, 9, dtype=np.uint16) * 300)):
        iio.imwrite(tmp_path / name, array)
        np.testing.assert_array_equal(read(tmp_path / name), array)


def test_write_makes_folders_replaces_the_old_file_and_leaves_no_other(tmp_path):
    file = tmp_path / "결과 (1)" / "a.tif"
    write_tiff(file, drawing(8, 9))
    write_tiff(file, drawing(5, 6))
    assert read(file).shape == (5, 6)
    assert list(file.parent.iterdir()) == [file]


def test_write_that_fails_keeps_the_old_file_and_leaves_no_other(tmp_path, monkeypatch):
    file = tmp_path / "a.tif"
    write_tiff(file, drawing(8, 9))

    def full_disk(partial, *_, **__):
        partial.write_bytes(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr(tifffile, "imwrite", full_disk)
    with pytest.raises(OSError, match="no space left"):
        write_tiff(file, drawing(5, 6))
    assert list(tmp_path.iterdir()) == [file]
    assert read(file).shape == (8, 9)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none at .*nowhere\.tif"):
        read(tmp_path / "nowhere.tif")


def test_an_unknown_kind_of_file_is_named(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"x")
    with pytest.raises(ValueError, match=r"ending in \.tif, \.tiff, \.png, but got .*a\.jpg"):
        read(tmp_path / "a.jpg")


@pytest.mark.parametrize("name", ["a.tif", "a.png"])
@pytest.mark.parametrize("share", [0, 0.002, 0.1, 0.2, 0.5, 0.75, 0.9])
def test_a_truncated_file_is_refused_by_name(tmp_path, name, share):
    if name.endswith(".png"):
        iio.imwrite(tmp_path / name, drawing(40, 40))
    else:
        write_tiff(tmp_path / name, drawing(4, 20, 20))
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match=name):
        read(tmp_path / name)


def test_a_file_that_is_not_what_its_name_says_is_refused_by_name(tmp_path):
    for name in ("a.tif", "a.png"):
        (tmp_path / name).write_text("<html>404</html>")
        with pytest.raises(ValueError, match=name):
            read(tmp_path / name)


def stack(slices=4):
    numbers = np.arange(slices)[:, None, None]
    images = np.zeros((slices, 5, 6), np.uint8) + numbers.astype(np.uint8)
    return Stack(images, images * 2, images.astype(np.int32) * 3, [f"slice {i}" for i in range(slices)])


def test_take_gives_the_slices_in_the_order_asked_for():
    taken = stack().take([3, 1])
    assert len(taken) == 2
    assert taken.names == ["slice 3", "slice 1"]
    assert taken.images[:, 0, 0].tolist() == [3, 1]
    assert taken.targets[:, 0, 0].tolist() == [6, 2]
    assert taken.instances[:, 0, 0].tolist() == [9, 3]


def test_take_of_nothing_is_a_stack_of_no_slices():
    taken = stack().take([])
    assert len(taken) == 0
    assert taken.images.shape == (0, 5, 6)


@pytest.mark.parametrize("part", ["images", "targets", "instances", "names"])
def test_a_stack_whose_parts_differ_in_size_is_refused(part):
    parts = vars(stack()) | {part: getattr(stack(3), part)}
    with pytest.raises(ValueError, match=r"expected images, targets, instances and names of equal size, but got"):
        Stack(**parts)


def test_a_stack_may_have_channels():
    parts = vars(stack()) | {"images": np.zeros((4, 5, 6, 3), np.uint8)}
    assert len(Stack(**parts)) == 4


def test_the_content_hash_sees_values_shape_and_dtype():
    array = np.arange(12, dtype=np.uint8)
    others = [array[::-1], array.reshape(3, 4), array.astype(np.uint16)]
    assert content_hash(array) == content_hash(array.copy())
    assert len({content_hash(array), *map(content_hash, others)}) == 4


@pytest.mark.parametrize("dtype", ["int32", "uint32", "float64"])
def test_grey_values_far_from_zero_keep_their_contrast(dtype):
    image = (10**9 + np.arange(101)).astype(dtype).reshape(1, -1)
    assert len(np.unique(scaled(image, 10**9, 10**9 + 100))) == 101
