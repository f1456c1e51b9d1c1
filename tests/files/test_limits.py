"""Limits on what files may announce, and one message for all errors of decoders."""

import math
import os

import pytest

from src.files import limits
from src.files.limits import allow, check_plain, check_regular, check_size, decoding, reason


@pytest.fixture(autouse=True)
def as_before():
    before = dict(limits._limits)
    yield
    limits._limits.update(before)


def test_too_many_pixels_are_refused_with_the_key_that_allows_them():
    allow(100)
    check_size((10, 10), 1)
    with pytest.raises(ValueError, match="nearest valid: max_pixels=110"):
        check_size((10, 11), 1)
    allow(110)
    check_size((10, 11), 1)


def test_more_bytes_than_the_file_can_hold_and_too_many_planes_are_refused():
    check_size((10, 10), 1, capacity=100, announced=100)
    with pytest.raises(ValueError, match="more than a file of its size can hold"):
        check_size((10, 10), 1, capacity=99, announced=100)
    with pytest.raises(ValueError, match="nearest valid: 100,000 planes"):
        check_size((10, 10), 100_001)


def test_only_regular_files_are_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.tif")
    (tmp_path / "folder.tif").mkdir()
    (tmp_path / "a.zarr").mkdir()
    check_regular(tmp_path / "a.zarr")
    for name in ("pipe.tif", "folder.tif"):
        with pytest.raises(ValueError, match=f"expected a file, but .*{name} is a folder, a pipe or a device"):
            check_regular(tmp_path / name)
    with pytest.raises(FileNotFoundError, match=r"none at .*nowhere\.tif"):
        check_regular(tmp_path / "nowhere.tif")


@pytest.mark.parametrize("error", [KeyError("x"), RuntimeError(), ZeroDivisionError("division by zero")])
def test_any_error_of_a_decoder_names_the_file(error, tmp_path):
    with (
        pytest.raises(ValueError, match=r"expected a complete image, but .*a\.tif cannot be read: \w+"),
        decoding(tmp_path / "a.tif"),
    ):
        raise error


def test_too_little_memory_has_its_own_message(tmp_path):
    with (
        pytest.raises(ValueError, match=r"fits into memory, .*nearest valid: a smaller part"),
        decoding(tmp_path / "a.tif"),
    ):
        raise MemoryError


def test_a_reason_is_one_informative_line():
    assert reason(ValueError("the first line\nthe second")) == "the first line"
    assert "KeyError 17" in reason(KeyError(17)) and "is invalid" in reason(RuntimeError())


@pytest.mark.parametrize("value", [None, True, 3, 1.5, "a", [], {"a": [1, {"b": None}]}])
def test_plain_values_are_taken(value):
    check_plain(value, "choices")


@pytest.mark.parametrize("value", [(1,), {1: 2}, math.nan, math.inf, b"a", object(), [[(1,)]], {"a": {2}}])
def test_values_that_json_would_change_are_refused(value):
    with pytest.raises(ValueError, match="expected choices of plain values"):
        check_plain(value, "choices")


def test_a_container_within_itself_is_refused():
    circle = []
    circle.append(circle)
    with pytest.raises(ValueError, match="nested at most 24 deep"):
        check_plain(circle, "choices")
