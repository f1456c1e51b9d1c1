"""Checkpoints are read back as written, and damage is detected."""

import io
import zipfile
from pathlib import Path

import pytest
import torch

from src.model.archive import is_whole, read
from src.run.checkpoint import last_checkpoint
from src.run.directory import checkpoint_file, remove_previous_checkpoint


@pytest.fixture
def whole(tmp_path) -> Path:
    """A small checkpoint."""
    file = checkpoint_file(tmp_path, "last")
    file.parent.mkdir()
    torch.save({"weights": torch.arange(20.0), "step": 3, "names": ["a", "b"]}, file)
    return file


def loads_as_it_was_written(file: Path) -> bool:
    try:
        content = torch.load(file, weights_only=True)
        weights = content.pop("weights")
        return torch.equal(weights, torch.arange(20.0)) and content == {"step": 3, "names": ["a", "b"]}
    except Exception:
        return False


def test_a_checkpoint_that_was_written_to_its_end_is_whole(whole):
    assert is_whole(whole)
    assert last_checkpoint(whole.parent.parent) == whole


def test_a_truncated_checkpoint_is_not_whole(whole):
    content = whole.read_bytes()
    for length in (0, 1, len(content) // 2, len(content) - 23, len(content) - 1):
        whole.write_bytes(content[:length])
        assert not is_whole(whole), length


def test_a_flipped_bit_of_what_a_checkpoint_holds_is_found(whole):
    content = whole.read_bytes()
    with zipfile.ZipFile(io.BytesIO(content)) as opened:
        parts = [opened.read(name) for name in opened.namelist()]
    for part in parts:
        start = content.index(part)
        for place in range(start, start + len(part)):
            damaged = bytearray(content)
            damaged[place] ^= 1 << place % 8
            whole.write_bytes(damaged)
            assert not is_whole(whole), place


def test_a_checkpoint_damaged_anywhere_is_told_from_a_whole_one(whole):
    # The directory at the end of the archive has no checksum, but damage there must not crash the reader.
    with zipfile.ZipFile(whole) as opened:
        directory = opened.start_dir
    content, wrong = whole.read_bytes(), []
    for place in range(len(content)):
        damaged = bytearray(content)
        damaged[place] ^= 1 << place * 5 % 8
        whole.write_bytes(damaged)
        try:
            if is_whole(whole) and place < directory and not loads_as_it_was_written(whole):
                wrong.append((place, "taken for whole"))
        except Exception as error:
            wrong.append((place, repr(error)))
    assert wrong == []


def test_damaged_checkpoints_are_named_and_passed_over(whole, tmp_path, capsys):
    previous = checkpoint_file(tmp_path, "previous")
    previous.write_bytes(whole.read_bytes())
    whole.write_bytes(whole.read_bytes()[:-1])
    assert last_checkpoint(tmp_path) == previous
    assert capsys.readouterr() == ("", f"warning: {whole} is damaged\n")
    previous.write_bytes(b"")
    assert last_checkpoint(tmp_path) is None
    assert capsys.readouterr().err == f"warning: {whole} is damaged\nwarning: {previous} is damaged\n"


def test_the_previous_checkpoint_is_used_where_the_last_is_missing_and_removed_at_the_end(whole, tmp_path):
    previous = whole.rename(checkpoint_file(tmp_path, "previous"))
    assert last_checkpoint(tmp_path) == previous
    for _ in range(2):
        remove_previous_checkpoint(tmp_path)
        assert last_checkpoint(tmp_path) is None


def test_a_record_that_is_marked_as_a_folder_is_refused(whole):
    content = bytearray(whole.read_bytes())
    with zipfile.ZipFile(whole) as opened:
        entry = opened.start_dir  # entry of the first record in the directory; its attributes follow at byte 38
    content[entry + 38] |= 0x10
    whole.write_bytes(content)
    with pytest.raises(ValueError, match="compressed or folders"):
        read(whole)
