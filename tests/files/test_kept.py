"""Cache files: read, computed again if damaged, and never the reason for a failed run."""

import os

import numpy as np
import pytest

from src.files.kept import kept, stamp, stamped


@pytest.fixture
def keep(tmp_path):
    """Cache a text; returns it, and how often it was computed."""
    made = []

    def make():
        made.append("content")
        return "content"

    def read(file):
        text = file.read_text()
        if text != "content":
            raise RuntimeError("damaged")
        return text

    def call(file=tmp_path / "cache" / "a.txt"):
        return kept(file, read, make, lambda file, content: file.write_text(content)), len(made)

    return call


def test_the_content_is_computed_once(keep):
    assert [keep(), keep(), keep()] == [("content", 1)] * 3


def test_a_damaged_cache_is_named_and_computed_again(keep, tmp_path, capsys):
    keep()
    (tmp_path / "cache" / "a.txt").write_text("conte")
    assert keep() == ("content", 2)
    assert "a.txt is no valid cache" in capsys.readouterr().err
    assert keep() == ("content", 2)


def test_without_a_writable_cache_the_content_is_computed_each_time(keep, tmp_path, capsys):
    (tmp_path / "cache").write_text("a file where the folder should be")
    assert [keep(), keep()] == [("content", 1), ("content", 2)]
    assert "computed again the next time" in capsys.readouterr().err


def test_a_stamp_depends_on_names_sizes_and_times_and_not_on_content(tmp_path):
    file = tmp_path / "a" / "b.txt"
    file.parent.mkdir()
    file.write_text("content")
    os.utime(file, ns=(1, 10**18))
    first = stamp(tmp_path, [file, file.parent])
    assert stamp(tmp_path, [file]) == first  # folders are ignored
    file.write_text("CONTENT")
    os.utime(file, ns=(1, 10**18))
    assert stamp(tmp_path, [file]) == first
    for change in (lambda: os.utime(file, ns=(1, 10**18 + 1)), lambda: file.write_text("more content")):
        change()
        assert stamp(tmp_path, [file]) != first
    assert stamp(file.parent, [file]) != stamp(tmp_path, [file])


def test_a_stamp_depends_on_names_sizes_and_times(tmp_path):
    assert stamped(tmp_path) is None is stamped(tmp_path / "missing")
    (tmp_path / "a").write_bytes(b"1")
    first = stamped(tmp_path)
    os.utime(tmp_path / "a", ns=(1, 1))
    second = stamped(tmp_path)
    (tmp_path / "a").rename(tmp_path / "b")
    third = stamped(tmp_path)
    assert len({first, second, third}) == 3 and np.all([len(each) == 64 for each in (first, second, third)])
