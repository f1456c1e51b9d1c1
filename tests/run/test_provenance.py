"""A finished run is accepted for the data that it was trained on, and refused for others."""

import json
import os
import shutil
import sys
from pathlib import Path
from unittest.mock import ANY

import imageio.v3 as iio
import pytest

from src.data import folder as folders
from src.data.phantom import phantom
from src.model.segmenter import Segmenter
from src.run import device, provenance
from src.run import directory as runs
from tests.conftest import TINY, called

SHORT = [*TINY, "experiment=membranes", "page=false", "logger=csv", "~callbacks.samples", "~callbacks.overlay"]
RUN = [*SHORT, "data.root=mine", "hydra.run.dir=run", "cache_dir=cache"]


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A place with a folder of three annotated images and a run that was trained on it."""
    place = tmp_path_factory.mktemp("made")
    stack = phantom(slices=3, size=64)
    for name, slices in (("images", stack.images), ("labels", stack.targets * 255)):
        (place / "mine" / name).mkdir(parents=True)
        for number, each in enumerate(slices):
            iio.imwrite(place / "mine" / name / f"a{number}.png", each)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setattr(sys, "argv", ["src.train", *RUN])
        assert called("train") == 0
    return place


@pytest.fixture
def run(made, run_command, tmp_path, monkeypatch):
    """Run the same command again, on copies of both: → (exit status, output, error)."""
    for name in ("mine", "run"):
        shutil.copytree(made / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    return lambda: run_command("train", *RUN)


def repaint(file: Path) -> None:
    image = iio.imread(file)
    image[0, 0] = 255 - image[0, 0]
    iio.imwrite(file, image)


CHANGES = {
    "a pixel of an image": lambda mine: repaint(mine / "images" / "a0.png"),
    "a pixel of the labels": lambda mine: repaint(mine / "labels" / "a2.png"),
    "an image more": lambda mine: [shutil.copy(mine / n / "a0.png", mine / n / "b.png") for n in ("images", "labels")],
    "an image less": lambda mine: [(mine / name / "a0.png").unlink() for name in ("images", "labels")],
    "other names": lambda mine: [(mine / n / "a0.png").rename(mine / n / "A0.png") for n in ("images", "labels")],
    "labels of another image": lambda mine: shutil.copy(mine / "labels" / "a0.png", mine / "labels" / "a1.png"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_finished_run_is_none_of_data_that_have_changed(change, run, tmp_path):
    before = (tmp_path / "run" / "scores.json").read_bytes()
    change(tmp_path / "mine")
    status, _, error = run()
    assert status == 1 and error.startswith("error: expected the data that ") and "mine have changed" in error, error
    assert (tmp_path / "run" / "scores.json").read_bytes() == before


MEASURED = [*RUN, "trainer.precision=auto", "trainer.max_steps=2", "trainer.val_check_interval=1"]


@pytest.mark.parametrize(("begun", "elsewhere"), [("32-true", 3.0), ("bf16-mixed", 0.5)])
def test_a_run_goes_on_in_the_precision_in_which_it_was_begun(
    begun, elsewhere, made, run_command, tmp_path, monkeypatch
):
    """Even on a machine on which the other precision would be chosen."""
    shutil.copytree(made / "mine", tmp_path / "mine")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(device, "speed_in_bf16", lambda *_: 3.0 if begun == "bf16-mixed" else 0.5)
    step = Segmenter.training_step
    with monkeypatch.context() as patch:
        patch.setattr(Segmenter, "training_step", lambda self, *given: self.steps or step(self, *given))
        assert run_command("train", *MEASURED)[0] == 1, "its second step gives no loss"
    monkeypatch.setattr(device, "speed_in_bf16", lambda *_: elsewhere)
    status, printed, error = run_command("train", *MEASURED)
    assert status == 0, error
    assert f"precision {begun} ·" in printed and "precision" not in error
    assert json.loads((tmp_path / "run" / "environment.json").read_text())["precision"] == begun
    other = "32-true" if begun == "bf16-mixed" else "bf16-mixed"
    status, printed, error = run_command("train", *MEASURED, "hydra.run.dir=other")
    assert status == 0 and f"precision {other} ·" in printed, "a new run is of this machine"


def test_what_was_damaged_or_is_no_precision_is_chosen_anew(made, tmp_path, capsys):
    assert provenance.precision_of(tmp_path / "run") is None
    shutil.copytree(made / "run", tmp_path / "run")
    before = json.loads((tmp_path / "run" / "environment.json").read_text())
    for said, expected in (("32-true", "32-true"), ("fast", None)):
        (tmp_path / "run" / "environment.json").write_text(json.dumps(before | {"precision": said}))
        assert provenance.precision_of(tmp_path / "run") == expected
    (tmp_path / "run" / "environment.json").write_text("{")
    assert provenance.precision_of(tmp_path / "run") is None


def test_data_that_were_copied_or_have_company_are_the_same(run, tmp_path):
    for file in (tmp_path / "mine").rglob("*.png"):
        os.utime(file, (1, 1))
    (tmp_path / "mine" / "notes.txt").write_text("taken on Monday")
    status, printed, error = run()
    assert (status, error) == (0, "") and "is finished" in printed


def test_unchanged_data_are_not_even_read(run, monkeypatch):
    monkeypatch.setattr(folders, "read_pair", lambda pair: pytest.fail("was read"))
    assert run()[0] == 0


@pytest.mark.parametrize("lost", ["mine", "run/environment.json"])
def test_scores_of_data_that_are_not_known_are_shown_with_a_line_that_says_so(lost, run, tmp_path):
    path = tmp_path / lost
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    status, printed, error = run()
    (line,) = error.splitlines()
    assert status == 0 and "v_rand" in printed
    assert line.startswith("warning: the data behind these scores") and lost in line


@pytest.mark.slow
def test_data_are_read_once_for_all_points_of_a_sweep(run, run_command, tmp_path, monkeypatch):
    sweep = [*SHORT, "data.root=mine", "cache_dir=cache", "-m", "seed=1,2", "hydra.sweep.dir=sweep"]
    assert run_command("train", *sweep)[0] == 0
    for file in (tmp_path / "mine").rglob("*.png"):
        os.utime(file, (1, 1))
    reads = []
    monkeypatch.setattr(folders, "read_pair", lambda pair, read=folders.read_pair: reads.append(pair) or read(pair))
    monkeypatch.setattr(provenance, "_known_hashes", {})
    status, printed, error = run_command("train", *sweep)
    assert (status, error) == (0, "") and printed.count("is finished") == 2
    assert len(reads) == 3


def test_cells_and_names_count_beside_images_and_targets():
    one = {"data_hash": "a", "cells_hash": "b"}
    assert not provenance.different(one, dict(one))
    assert provenance.different(one, one | {"cells_hash": "c"})
    assert provenance.different(one, one | {"data_hash": "c"})
    assert not provenance.different({"data_hash": "a"}, one), "written by an earlier version"


def test_a_run_goes_on_with_the_kind_of_labels_that_it_began_with(run, tmp_path):
    assert provenance.judged_before(tmp_path / "run") == {"kind": "boundary", "values": None, "classes": ANY}
    file = tmp_path / "run/check.json"
    (tmp_path / "run/scores.json").unlink()
    found = json.loads(file.read_text())
    status, _, error = run()
    assert status == 0, error
    # As a version without membranes would infer it; the training images are the same for this kind.
    file.write_text(json.dumps(found | {"kind": "binary"}))
    (tmp_path / "run/scores.json").unlink()
    status, _, error = run()
    assert status == 0, error
    assert json.loads(file.read_text())["kind"] == "binary"


def test_a_run_that_has_not_begun_is_judged_anew(tmp_path):
    assert provenance.judged_before(tmp_path) is None
    (tmp_path / "check.json").write_text(json.dumps({"kind": "binary", "values": None, "classes": {}}))
    assert provenance.judged_before(tmp_path) is None


def test_a_damaged_check_is_judged_anew_with_a_word(run, tmp_path, capsys):
    (tmp_path / "run/check.json").write_text("{")
    assert provenance.judged_before(tmp_path / "run") is None
    assert "the meaning of its labels is inferred again" in capsys.readouterr().err


def test_keys_that_were_added_mean_to_an_earlier_run_what_they_meant(tmp_path):
    before = {"overrides": [], "trainer": {"max_steps": 5}, "data": {"source": {"kind": "auto"}}}
    source = {"kind": "auto", "orientation": "auto", "axes": None, "order": "natural"}
    now = before | {"scaling": "objects", "data": {"groups": "{patient}_*", "source": source}}
    assert provenance.as_started(tmp_path, now) == {}, "a new run"
    runs.open_run(tmp_path, before)
    checkpoint = runs.checkpoint_file(tmp_path, "last")
    checkpoint.parent.mkdir()
    checkpoint.touch()
    meant = provenance.as_started(tmp_path, now)
    assert meant == {
        **{"target": {"_target_": "src.data.targets.Classes"}, "trainer.max_steps": 5},
        **{"scaling": "percentiles", "data.source.orientation": "stored", "data.source.axes": None},
        **{"data.source.order": "plain", "data.groups": None},
    }
    with pytest.raises(ValueError, match=r"values of data\.source\.orientation, data\.source\.order, data\.groups, sc"):
        runs.open_run(tmp_path, now)
    earlier = {"kind": "auto", "orientation": "stored", "axes": None, "order": "plain"}
    runs.open_run(tmp_path, now | {"scaling": "percentiles", "data": {"source": earlier}})
    assert provenance.as_started(tmp_path, now | {"overrides": ["scaling=objects"]}).keys() == meant.keys() - {
        "scaling"
    }


def a_run(directory: Path, **config: object) -> None:
    """A run that was started with a configuration."""
    runs.open_run(directory, config)
    runs.checkpoint_file(directory, "last").parent.mkdir()
    runs.checkpoint_file(directory, "last").touch()


WATERSHED, AUTO = ({"_target_": f"src.instances.{name}", "min_size": 20} for name in ("Watershed", "Auto"))


def test_a_choice_that_a_version_has_changed_stays_with_an_earlier_run(tmp_path):
    a_run(tmp_path, overrides=["experiment=cells"], instances=WATERSHED)
    now = {"overrides": ["experiment=cells", "page=false"], "instances": AUTO}
    assert provenance.as_started(tmp_path, now)["instances"] == WATERSHED


def test_a_length_and_a_schedule_that_a_version_has_changed_stay_with_an_earlier_run(tmp_path):
    cosine, plateau = ({"_target_": name} for name in ("torch.optim.lr_scheduler.CosineAnnealingLR", "Plateau"))
    a_run(tmp_path, overrides=["experiment=cells"], scheduler=cosine, trainer={"max_steps": 2000})
    core, trainer = {"_target_": "src.data.targets.Core"}, {"max_steps": 6000, "val_check_interval": 200}
    now = {"scheduler": plateau, "target": core, "trainer": trainer}
    meant = provenance.as_started(tmp_path, {"overrides": ["experiment=cells", "trainer=cpu"], **now})
    earlier = {"scheduler": cosine, "target": {"_target_": "src.data.targets.Classes"}, "trainer.max_steps": 2000}
    assert meant == earlier
    chosen = ["experiment=cells", "trainer.max_steps=9", "target.rim=0.3"]
    assert provenance.as_started(tmp_path, {"overrides": chosen, **now}) == {"scheduler": cosine}


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (["instances=watershed"], []),
        ([], ["instances=auto"]),
        ([], ["instances.min_size=20"]),
        (["experiment=cells"], ["experiment=membranes"]),
    ],
)
def test_a_choice_that_somebody_has_made_is_theirs(before, now, tmp_path):
    a_run(tmp_path, overrides=before, instances=WATERSHED)
    assert "instances" not in provenance.as_started(tmp_path, {"overrides": now, "instances": AUTO})
