"""JSON and YAML files are returned as they were written, or refused by name."""

import os

import pytest

from src.files.reading import Layout, Number, damaged, read_json, read_text, read_yaml, set_aside, unless_damaged


class Scored(Layout):
    name: str
    score: Number


GOOD = '{"name": "a", "score": 0.5, "more": [1]}'


def test_content_with_the_layout_is_returned_unchanged(tmp_path):
    (tmp_path / "a.json").write_text(GOOD)
    (tmp_path / "a.yaml").write_text(GOOD)
    assert read_json(tmp_path / "a.json", Scored) == read_yaml(tmp_path / "a.yaml", Scored)
    assert read_json(tmp_path / "a.json", Scored)["more"] == [1]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is not: "),
        (GOOD[:-5], "is not: "),
        ("[1, 2]", r"expected values by name, but got \[1, 2\]"),
        ('{"name": "a"}', "at score, field required"),
        ('{"name": 3, "score": 0.5}', "at name, "),
        ('{"name": "a", "score": NaN}', "NaN|at score"),
        ('{"name": "a", "score": Infinity}', "Infinity|at score"),
        ('{"name": "\\ud800", "score": 0.5}', "surrogates not allowed|unacceptable|is invalid"),
    ],
)
@pytest.mark.parametrize("read", [read_json, read_yaml])
def test_content_with_another_layout_is_refused_by_name(read, content, said, tmp_path):
    file = tmp_path / "a.txt"
    file.write_text(content)
    with pytest.raises(ValueError, match=said) as raised:
        read(file, Scored)
    assert str(raised.value).startswith(f"expected what src.train has written, but {file} is not: ")


def test_a_byte_order_mark_is_dropped_and_a_pipe_is_not_opened(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfcontent")
    assert read_text(tmp_path / "a.txt") == "content"
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="a pipe"):
        read_text(tmp_path / "pipe")


def test_a_damaged_optional_file_is_a_warning(tmp_path, capsys):
    file = tmp_path / "a.json"
    file.write_text("{}")
    found = unless_damaged(lambda file: read_json(file, Scored), file, {}, "it goes on without")
    assert found == {} and capsys.readouterr().err.endswith("; it goes on without\n")


def test_a_damaged_file_is_renamed_to_an_unused_name(tmp_path):
    for number, expected in enumerate(["a.damaged.json", "a.damaged-2.json", "a.damaged-3.json"]):
        (tmp_path / "a.json").write_text(str(number))
        assert set_aside(tmp_path / "a.json") == tmp_path / expected
    assert [(tmp_path / f"a.damaged{end}.json").read_text() for end in ("", "-2", "-3")] == ["0", "1", "2"]
    assert set_aside(tmp_path / "a.json").name == "a.damaged-4.json"  # another process has renamed it


def test_a_message_contains_no_control_characters(tmp_path):
    assert "\x1b" not in str(damaged(tmp_path / "a", "a\x1b[2J"))
