"""The files of a folder by their names, and those that are not read."""

import unicodedata

from src.data.listing import by_stem, unread


def test_files_are_listed_by_their_names_and_others_of_one_name_are_named(tmp_path):
    for name in ("b.tif", "a.png", "a.tif", ".c.tif", "notes.txt"):
        (tmp_path / name).touch()
    files, (one,) = by_stem(tmp_path, (".tif", ".png"))
    assert files == {"a": tmp_path / "a.png", "b": tmp_path / "b.tif"}
    assert (one.code, one.file, one.found) == ("same-name", str(tmp_path / "a.tif"), "a.png beside it")
    assert by_stem(tmp_path, (".tif", ".png"), [tmp_path / "b.tif"]) == ({"b": tmp_path / "b.tif"}, [])


def test_one_letter_has_one_spelling(tmp_path):
    decomposed = unicodedata.normalize("NFD", "é_1")
    (tmp_path / f"{decomposed}.tif").touch()
    assert [*by_stem(tmp_path, (".tif",))[0]] == [unicodedata.normalize("NFC", decomposed)]


def test_files_that_are_not_read_are_counted(tmp_path):
    for name in ("a.tif", "a.vsi", "b.vsi", "c.MRC", "notes.txt", ".hidden.vsi", "README"):
        (tmp_path / name).touch()
    (tmp_path / "folder.d").mkdir()
    (one,) = unread(tmp_path)
    assert (one.code, one.severity) == ("unread-files", "warning")
    assert one.found == "files in formats that are not read: 1 of .mrc, 2 of .vsi"
    (tmp_path / "own").mkdir()
    assert unread(tmp_path / "own") == []
