"""A preview shows the training images and tiles before training."""

import re

import pytest

from tests.conftest import TINY
from tests.data.own import change_labels, folder


@pytest.fixture
def preview(run_command, tmp_path):
    def call(*arguments: str) -> tuple[int, str, str]:
        return run_command("preview", *TINY, f"cache_dir={tmp_path / 'cache'}", *arguments)

    return call


def test_draws_are_counted_and_shown(preview, tmp_path):
    file = tmp_path / "some where" / "preview.html"
    status, printed, error = preview("data.source.size=64", "draws=50", f"output={file}")
    assert (status, error) == (0, "")
    first, second, last = printed.splitlines()
    found = re.match(
        r"Of 50 tiles drawn, 50 are distinct. They come from 20 training images, each drawn (\d+) to (\d+)", first
    )
    assert found and 0 <= int(found[1]) <= 2 <= int(found[2])
    assert "A tile is 60 pixels wide; the network predicts the inner 20 of them." in first
    assert re.match(
        r"Weights of pixels are 0\.\d+ to \d+\.?\d*. Shares of the total weight: class 0 \d+%, class 1 \d+%.", second
    )
    assert last == f"preview: {file}"
    page = file.read_text()
    assert first in page and page.count("data:image/webp") == 2 and "Scores" not in page
    assert not (tmp_path / "run").exists()


def test_without_an_output_it_lies_in_runs_under_the_name_of_the_experiment(preview, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert preview("experiment=demo_classes", "data.source.size=64", "draws=2")[0] == 0
    assert (tmp_path / "runs" / "preview" / "demo_classes.html").exists()


def test_data_that_training_would_refuse_are_refused(preview, tmp_path):
    root = folder(tmp_path / "own")
    change_labels(root, lambda cells: cells[:-1], [3])
    status, printed, error = preview("experiment=cells", f"data.root={root}", f"output={tmp_path / 'preview.html'}")
    assert (status, printed) == (1, "")
    assert "size-mismatch" in error and "cell_03" in error and "Traceback" not in error
    assert not (tmp_path / "preview.html").exists()


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("output=preview.png", "expected output to end in .html"),
        ("draws=-1", "expected draws"),
        ("draws=0", "expected draws"),
    ],
)
def test_a_mistake_is_one_message(argument, expected, preview):
    status, _, error = preview("data.source.size=64", argument)
    assert status == 1 and error.startswith(f"error: {expected}") and error.count("\n") == 1


def test_for_who_names_no_experiment_the_labels_choose_it(preview, tmp_path):
    root = folder(tmp_path / "own", 4)
    file = tmp_path / "preview.html"
    status, printed, error = preview(f"data.root={root}", "draws=2", f"output={file}")
    assert status == 0, error
    assert printed.startswith("experiment=cells, chosen from the labels: instances") and file.exists()
