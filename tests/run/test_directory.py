"""The run directory: what may differ when a run continues, and that nothing is half-written."""

import json

import pytest

from src.run import directory as runs

CONFIG = {"seed": 0, "data": {"tile": 572, "workers": 2}, "optimizer": {"lr": 0.1, "momentum": 0.99}}


def changed(**keys):
    return CONFIG | keys


def test_keys_that_change_the_result_are_listed_with_dots():
    now = changed(seed=1, optimizer={"lr": 0.2, "nesterov": True})
    assert runs.differing_keys(CONFIG, now) == ["seed", "optimizer.lr", "optimizer.momentum", "optimizer.nesterov"]


def test_keys_that_cannot_change_the_result_are_free():
    now = changed(data={"tile": 572, "workers": 0}, run_dir="elsewhere", logger={"csv": None}, debug=True)
    assert runs.differing_keys(CONFIG, now) == []


def test_callbacks_may_only_lie_elsewhere_or_show_something_else():
    before = changed(callbacks={"bar": {}, "last": {"directory": "a", "every": 5}, "average": {"decay": 0.99}})
    moved = changed(callbacks={"last": {"directory": "b", "every": 5}, "average": {"decay": 0.99}})
    assert runs.differing_keys(before, moved) == []
    other = changed(callbacks={"bar": {}, "last": {"directory": "a", "every": 5}, "average": {"decay": 0.5}})
    assert runs.differing_keys(before, other) == ["callbacks.average.decay"]


def test_a_directory_takes_another_configuration_until_something_was_trained(tmp_path):
    runs.open_run(tmp_path, changed(seed=1))
    runs.open_run(tmp_path, CONFIG)
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "last.ckpt").touch()
    runs.open_run(tmp_path, CONFIG)
    with pytest.raises(ValueError, match="seed"):
        runs.open_run(tmp_path, changed(seed=1))


def test_a_run_is_finished_when_it_has_scores(tmp_path):
    assert runs.finished_scores(tmp_path) is None
    assert runs.last_checkpoint(tmp_path) is None
    runs.write_json(tmp_path / "scores.json", {"scores": {"v_rand": 0.9}, "per_image": []})
    assert runs.finished_scores(tmp_path)["scores"] == {"v_rand": 0.9}


def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path):
    runs.write_json(tmp_path / "scores.json", {"v_rand": 0.9})
    with pytest.raises(TypeError):
        runs.write_json(tmp_path / "scores.json", {"v_rand": object()})
    assert json.loads((tmp_path / "scores.json").read_text()) == {"v_rand": 0.9}
    assert [file.name for file in tmp_path.iterdir()] == ["scores.json"]
