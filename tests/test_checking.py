"""Data are looked at before they are learnt from, once, and read once for both."""

import os

import pytest

from src import checking
from src.data.annotated import ReadTwice
from src.data.folder import read_folder
from src.data.matching import matched
from tests.conftest import composed
from tests.data.own import IMAGES, change_labels, folder
from tests.findings.broken import choices


@pytest.fixture
def own(tmp_path):
    return folder(tmp_path / "own")


def test_what_was_checked_is_learnt_from_without_being_read_again(own, tmp_path):
    config = composed("experiment=cells", f"data.root={own}", f"cache_dir={tmp_path / 'cache'}")
    read, wanted = ReadTwice(), read_folder(own)
    found = checking.summary(config, chosen=True, read=read)
    assert found["slices"] == len(read.held) == IMAGES
    for pair, _ in zip(matched(own)[0], range(IMAGES), strict=True):
        for file in (pair.image, pair.labels):
            os.truncate(file, 0)  # whoever reads it again will notice
    stack = read_folder(own, read=read)
    assert stack.content == wanted.content and read.held == {}


def test_findings_are_those_of_these_files_and_choices(own):
    first = checking.fingerprint(own, choices())
    assert checking.fingerprint(own, choices()) == first != checking.fingerprint(own, choices(include="cell_0*"))
    change_labels(own, lambda labels: labels[::-1], [3])
    assert checking.fingerprint(own, choices()) != first


def test_data_of_others_are_not_looked_at_before_training(tmp_path):
    assert checking.before_training(composed("experiment=demo")) is None
