"""The run directory: the keys that may change when a run is resumed, and that no file is incomplete."""

import json
import re
import select
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from filelock import FileLock

from src import CONF
from src.files.whole import write_json, write_text
from src.run import directory as runs
from src.run.checkpoint import last_checkpoint

CONFIG = {"seed": 0, "data": {"tile": 572, "workers": 2}, "optimizer": {"lr": 0.1, "momentum": 0.99}}


def changed(**keys):
    return CONFIG | keys


def scored(**more) -> dict:
    """The smallest valid scores.json."""
    return {"scores": {"v_rand": 0.9}, "per_image": [{"name": "a"}], "threshold": 0.5, "seconds": 1.0, **more}


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
    assert last_checkpoint(tmp_path) is None
    write_json(tmp_path / "scores.json", scored())
    assert runs.finished_scores(tmp_path)["scores"] == {"v_rand": 0.9}


def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path):
    write_json(tmp_path / "scores.json", {"v_rand": 0.9})
    with pytest.raises(TypeError):
        write_json(tmp_path / "scores.json", {"v_rand": object()})
    assert json.loads((tmp_path / "scores.json").read_text()) == {"v_rand": 0.9}
    assert [file.name for file in tmp_path.iterdir()] == ["scores.json"]


def trained(directory: Path, config: dict, steps: int | None = None) -> None:
    """A directory as a run leaves it: with its configuration, and with scores if it is finished."""
    runs.open_run(directory, config)
    write_text(runs.checkpoint_file(directory, "last"), "a checkpoint")
    if steps is not None:
        write_json(directory / "scores.json", scored(steps=steps))


def planned(steps: int, extend: object = None, **keys) -> dict:
    return {"trainer": {"max_steps": steps}, "extend": extend, **keys}


def stored(directory: Path) -> dict:
    return yaml.safe_load((directory / "config.yaml").read_text(encoding="utf-8"))


def test_the_configuration_is_kept_as_it_was_given(tmp_path):
    config = planned(5, folder="현미경", floats=[1e-4, None])
    runs.open_run(tmp_path / "deep" / "er", config)
    assert stored(tmp_path / "deep" / "er") == config
    assert list(stored(tmp_path / "deep" / "er")) == list(config)
    assert "현미경" in (tmp_path / "deep" / "er" / "config.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["last", "previous"])
def test_a_checkpoint_of_either_name_holds_its_directory(name, tmp_path):
    runs.open_run(tmp_path, planned(5))
    write_text(runs.checkpoint_file(tmp_path, name), "a checkpoint")
    with pytest.raises(ValueError, match=r"trainer\.max_steps.*hydra\.run\.dir"):
        runs.open_run(tmp_path, planned(6))
    assert stored(tmp_path) == planned(5)


def test_scores_alone_hold_their_directory(tmp_path):
    trained(tmp_path, planned(5), steps=5)
    runs.checkpoint_file(tmp_path, "last").unlink()
    with pytest.raises(ValueError, match="seed"):
        runs.open_run(tmp_path, planned(5, seed=1))


def test_a_finished_run_is_extended_and_its_scores_kept(tmp_path):
    trained(tmp_path, planned(5), steps=5)
    before = (tmp_path / "scores.json").read_text()
    for _ in range(2):  # each rank of a run does so
        runs.open_run(tmp_path, planned(5, 3))
    assert stored(tmp_path) == planned(5, 3)
    assert runs.finished_scores(tmp_path) is None
    assert (tmp_path / "scores.5.json").read_text() == before
    assert not runs.is_finished(tmp_path, 8)

    write_json(tmp_path / "scores.json", scored(steps=8))
    runs.open_run(tmp_path, planned(5, 3))
    assert runs.is_finished(tmp_path, 8)
    runs.open_run(tmp_path, planned(5, 4))
    assert {file.name for file in tmp_path.glob("scores*")} == {"scores.5.json", "scores.8.json"}


@pytest.mark.parametrize("extend", [None, 0, 2])
def test_a_run_that_was_extended_does_not_become_shorter(extend, tmp_path):
    trained(tmp_path, planned(5, 3), steps=8)
    with pytest.raises(ValueError, match="values of extend;"):
        runs.open_run(tmp_path, planned(5, extend))
    assert stored(tmp_path) == planned(5, 3)
    assert runs.is_finished(tmp_path, 8)


def test_an_extension_changes_nothing_else(tmp_path):
    trained(tmp_path, planned(5, seed=1), steps=5)
    with pytest.raises(ValueError, match="values of seed;"):
        runs.open_run(tmp_path, planned(5, 3, seed=2))
    assert stored(tmp_path) == planned(5, seed=1)
    assert runs.is_finished(tmp_path, 5)


@pytest.mark.parametrize("moment", ["is_finished", "write_text"])
def test_two_processes_extend_a_run_at_the_same_time(moment, tmp_path, monkeypatch):
    trained(tmp_path, planned(5), steps=5)
    own = getattr(runs, moment)

    def after_the_other(*arguments):
        monkeypatch.undo()
        runs.open_run(tmp_path, planned(5, 3))
        return own(*arguments)

    monkeypatch.setattr(runs, moment, after_the_other)
    runs.open_run(tmp_path, planned(5, 3))
    assert stored(tmp_path) == planned(5, 3)
    assert [file.name for file in tmp_path.glob("scores*")] == ["scores.5.json"]


def test_an_unfinished_run_is_not_extended(tmp_path):
    trained(tmp_path, planned(5))
    with pytest.raises(ValueError, match="its 5 steps; the same command without extend"):
        runs.open_run(tmp_path, planned(5, 3))
    assert stored(tmp_path) == planned(5)


def test_an_unfinished_extension_is_not_extended(tmp_path):
    trained(tmp_path, planned(5), steps=5)
    runs.open_run(tmp_path, planned(5, 3))
    with pytest.raises(ValueError, match="its 8 steps"):
        runs.open_run(tmp_path, planned(5, 4))
    runs.open_run(tmp_path, planned(5, 3))
    assert stored(tmp_path) == planned(5, 3)


def test_a_run_that_knew_no_extension_may_be_extended(tmp_path):
    trained(tmp_path, {"trainer": {"max_steps": 5}}, steps=5)
    runs.open_run(tmp_path, planned(5, 3))
    assert runs.planned_steps(stored(tmp_path)) == 8


@pytest.mark.parametrize(("extend", "expected"), [(None, 5), (0, 5), (3, 8)])
def test_planned_steps_count_the_extension(extend, expected):
    assert runs.planned_steps(planned(5, extend)) == expected


def test_planned_steps_need_no_extension():
    assert runs.planned_steps({"trainer": {"max_steps": 5}}) == 5


LAUGHS = "a: &a [1]\n" + "".join(f"b{n}: &b{n} [{', '.join([f'*b{n - 1}' if n else '*a'] * 9)}]\n" for n in range(9))


@pytest.mark.parametrize(
    "text",
    [
        "- 1",
        "a: 2020-01-01",
        "a: !!set {b}",
        "a: &a [*a]",
        "a: [" * 500,
        "a: .nan",
        "a: !!python/object/apply:os.system [ls]",
        LAUGHS,
    ],
)
def test_a_configuration_that_holds_more_than_plain_values_is_refused(text, tmp_path):
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(ValueError, match=r"config\.yaml is not: \S+ \S+"):
        runs.read_config(tmp_path)


def test_a_run_is_finished_when_as_many_steps_are_scored(tmp_path):
    assert not runs.is_finished(tmp_path, 5)
    write_json(tmp_path / "scores.json", scored(steps=5))
    assert runs.is_finished(tmp_path, 5)
    assert not runs.is_finished(tmp_path, 8)
    write_json(tmp_path / "scores.json", scored())  # as an earlier version wrote it
    assert runs.is_finished(tmp_path, 5)


def test_what_has_changed_is_listed_with_dots():
    before = {"commit": "a", "packages": {"torch": "2", "numpy": "1"}, "device": "CPU", "gone": 1}
    assert runs.changed_facts(before, before) == []
    now = {"commit": "b", "packages": {"torch": "3", "numpy": "1"}, "device": "CPU", "new": 2}
    assert runs.changed_facts(before, now) == ["commit", "packages.torch", "new"]


def test_the_environment_holds_versions_and_facts():
    found = runs.environment(device="CPU", data_hash="abc")
    assert found["packages"]["torch"] == torch.__version__
    assert found["python"] == ".".join(map(str, sys.version_info[:3]))
    assert (found["device"], found["data_hash"]) == ("CPU", "abc")
    assert found["machine"] and "commit" in found


@pytest.mark.parametrize("key", ["data.workers", "trainer.max_time", "callbacks.last.max_time", "extra.callbacks.bar"])
def test_a_key_is_free_only_in_full(key):
    *outer, name = key.split(".")
    before, now = {name: 1}, {name: 2}
    for part in reversed(outer):
        before, now = {part: before}, {part: now}
    expected = [key] if key.startswith("extra") else []
    assert runs.differing_keys(before, now) == expected


def test_devices_are_free_and_what_they_compute_is_not():
    before = {"trainer": {"devices": 1, "precision": "32", "max_steps": 5, "strategy": {"arrival": 60}}}
    now = {
        "trainer": {"devices": 4, "precision": "16", "max_steps": 6, "strategy": {"arrival": 5}, "accelerator": "gpu"}
    }
    assert runs.differing_keys(before, now) == ["trainer.precision", "trainer.max_steps"]


HOLDER = """
import sys
from pathlib import Path
from src.run.directory import only_writer
with only_writer(Path(sys.argv[1]), patience=0):
    print("holds", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that trains in a directory until it is sent a line."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": CONF.parent}
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path / "run")], **pipes) as process:
        assert process.stdout.readline() == "holds\n"
        yield process
        process.kill()


def test_two_processes_do_not_write_in_one_directory(holder, tmp_path, capsys):
    directory = tmp_path / "run"
    busy = f"expected {re.escape(str(directory))} to be free.*hydra.run.dir"
    for _ in range(2):  # the first attempt does not take the lock from its holder
        with pytest.raises(ValueError, match=busy), runs.only_writer(directory, patience=0.1):
            pytest.fail("both write")
        assert capsys.readouterr().out == f"{directory}: waiting for another process that trains in it\n"
    with runs.only_writer(tmp_path / "other", patience=0):
        assert capsys.readouterr().out == ""
    holder.communicate("\n")
    assert holder.returncode == 0
    assert not (directory / "run.lock").exists()
    with runs.only_writer(directory, patience=0):
        assert (directory / "run.lock").exists()
    assert list(directory.iterdir()) == []
    assert capsys.readouterr().out == ""


def test_who_waits_says_so_at_once_and_goes_on_when_the_directory_is_free(holder, tmp_path):
    patient = HOLDER.replace("patience=0", "patience=1000")
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": CONF.parent}
    with subprocess.Popen([sys.executable, "-c", patient, str(tmp_path / "run")], **pipes) as waiting:
        assert select.select([waiting.stdout], [], [], 100)[0], "said nothing"
        assert waiting.stdout.readline().endswith("waiting for another process that trains in it\n")
        holder.communicate("\n")
        assert waiting.stdout.readline() == "holds\n"
        waiting.communicate("\n")
    assert waiting.returncode == 0


def test_the_lock_of_the_next_process_stays(tmp_path, monkeypatch):
    release, following = FileLock.release, FileLock(tmp_path / "run.lock")

    def to_the_next(lock, force=False):
        release(lock, force)
        monkeypatch.undo()
        following.acquire(timeout=0)

    with runs.only_writer(tmp_path):
        monkeypatch.setattr(FileLock, "release", to_the_next)
    assert (tmp_path / "run.lock").exists()
    with pytest.raises(ValueError, match="to be free"), runs.only_writer(tmp_path, patience=0):
        pytest.fail("both write")
    following.release()


def test_a_killed_process_frees_its_directory(holder, tmp_path):
    holder.kill()
    holder.wait()
    assert (tmp_path / "run" / "run.lock").exists()
    with runs.only_writer(tmp_path / "run", patience=0):
        pass
    assert not (tmp_path / "run" / "run.lock").exists()


def test_who_begins_to_train_sweeps_what_killed_processes_left(tmp_path):
    left, kept = [], []
    for folder, name in (
        ("", "scores.json"),
        ("pictures", "mistakes.json"),
        ("pictures/held_out", "slice_1_truth.webp"),
        ("pictures/validation", "step_000001.png"),
        ("predictions", "slice_1_labels.tif"),
    ):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / name).touch()
        kept.append(tmp_path / folder / name)
        left.append(tmp_path / folder / f".{name}.{'0' * 32}")
    (tmp_path / "checkpoints").mkdir()
    left.append(tmp_path / "checkpoints" / ".last.ckpt.partial")
    (tmp_path / "predictions" / ".a_labels.tif.partial").mkdir()  # of src.predict, which resumes it
    kept += [tmp_path / f".report.html.{'0' * 32}", tmp_path / "predictions" / ".a_labels.tif.partial"]
    for file in (*left, kept[-2]):
        file.touch()
    with runs.only_writer(tmp_path):
        assert not [file for file in left if file.exists()]
        assert all(file.exists() for file in kept)


def test_scores_that_are_damaged_are_set_aside_where_there_is_a_checkpoint(tmp_path, capsys):
    trained(tmp_path, planned(5), steps=5)
    runs.set_aside_damaged_scores(tmp_path)
    assert runs.is_finished(tmp_path, 5)
    (tmp_path / "scores.json").write_text("{")
    with pytest.raises(ValueError, match=r"scores\.json is not: .*; the command that started the run scores it again"):
        runs.finished_scores(tmp_path)
    runs.set_aside_damaged_scores(tmp_path)
    assert runs.finished_scores(tmp_path) is None
    assert (tmp_path / "scores.damaged.json").read_text() == "{"
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("warning: ") and str(tmp_path / "scores.json") in line and "scores.damaged.json" in line
    runs.checkpoint_file(tmp_path, "last").unlink()
    (tmp_path / "scores.json").write_text("{")
    with pytest.raises(ValueError, match=r"scores\.json is not: .*no checkpoint to score again; nearest valid: "):
        runs.set_aside_damaged_scores(tmp_path)
    assert (tmp_path / "scores.json").exists()


def test_an_error_frees_the_directory(tmp_path):
    with pytest.raises(KeyError), runs.only_writer(tmp_path / "run"):
        raise KeyError
    assert list((tmp_path / "run").iterdir()) == []


CROWD = """
import os, sys, time
from pathlib import Path
from src.run.directory import only_writer
folder = Path(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
for _ in range(20):
    with only_writer(folder, patience=100):
        (folder / "inside").touch(exist_ok=False)
        time.sleep(0.001)
        (folder / "inside").unlink()
"""


@pytest.mark.slow
def test_of_many_processes_one_writes_at_a_time_also_as_the_lock_comes_and_goes(tmp_path):
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE) | {"text": True, "cwd": CONF.parent}
    crowd = [subprocess.Popen([sys.executable, "-c", CROWD, str(tmp_path)], **pipes) for _ in range(3)]
    assert [process.stdout.readline() for process in crowd] == ["ready\n"] * 3
    for process in crowd:
        process.stdin.write("\n")
        process.stdin.flush()
    errors = [process.communicate()[1] for process in crowd]
    assert [process.returncode for process in crowd] == [0] * 3, errors
    assert list(tmp_path.iterdir()) == []
