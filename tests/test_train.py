"""Training: each experiment runs, and the run directory is complete and is the unit of work."""

import json
import re
import time
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import tifffile
import torch
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from src import CONF, training
from src.data.appearance import of_slice
from src.data.datamodule import SliceData
from src.data.phantom import phantom
from src.instances import Watershed
from src.model.archive import read
from src.restore import restore
from src.run import directory as runs
from src.run.directory import checkpoint_file, read_config
from src.run.report import PANELS
from tests.conftest import SLIM, TINY, weights_digest
from tests.data.drawn import membranes
from tests.data.own import cell_tracking_film, change_image, change_labels, folder

EXPERIMENTS = sorted(file.stem for file in (CONF / "experiment").glob("*.yaml"))


# Fewer than there are, where these are many.
FEWER = {
    "isbi_full": ["data.held_out=30-33"],
    "nuclei": ["data.train='00071*,003ce*,0287e*'", "data.validation=03398*", "data.held_out='0280f*,04aca*'"],
}


def isbi(folder: Path) -> None:
    """Synthetic micrographs, laid out as ISBI-2012."""
    folder.mkdir(parents=True)
    for part, seed in (("train", 0), ("test", 1)):
        stack = phantom(slices=30, size=64, seed=seed)
        tifffile.imwrite(folder / f"{part}-volume.tif", stack.images, photometric="minisblack")
        tifffile.imwrite(folder / f"{part}-labels.tif", stack.targets * np.uint8(255), photometric="minisblack")


def nuclei(root: Path) -> None:
    """Images with some of the names that the experiment splits by."""
    names = [name.strip(" '*") for part in FEWER["nuclei"] for name in part.partition("=")[2].split(",")]
    folder(root, len(names))
    for file in [*root.glob("*/cell_*")]:
        file.rename(file.with_stem(f"{names[int(file.stem[5:])]}f00d"))


def own_folders(home: Path) -> Path:
    """Folders of one's own: with cells, membranes and classes."""
    folder(home / "own")
    folder(home / "membranes")
    change_labels(home / "membranes", lambda cells: np.uint8(cells == 0) * 255)
    folder(home / "classes")
    change_labels(home / "classes", lambda cells: np.uint8((cells > 0) * (1 + cells % 2)))
    return home


@pytest.fixture
def own_layouts(tmp_path) -> Path:
    return own_folders(tmp_path / "data")


@pytest.fixture(scope="module")
def data_sets(tmp_path_factory) -> Path:
    """A data directory with small data sets of each layout that an experiment reads; none is changed."""
    home = own_folders(tmp_path_factory.mktemp("data"))
    isbi(home / "isbi2012")
    nuclei(home / "nuclei_fluo")
    folder(home / "phase_t98g", 15)
    for name, frames in (("PhC-C2DH-U373", {"01": 15, "02": 4}), ("DIC-C2DH-HeLa", {"01": 9, "02": 3})):
        for film, count in frames.items():
            cell_tracking_film(home / name, film, count)
    return home


def small_source(experiment: str, home: Path) -> list[str]:
    if experiment.startswith("demo"):
        return ["data.source.size=64"]
    own = {
        "cells": ["own"],
        "cells_paper": ["own"],
        "membranes": ["membranes"],
        "classes": ["classes", "model.classes=3"],
    }.get(experiment)
    if own:
        return [f"data.root={home / own[0]}", *own[1:]]
    return [f"data_dir={home}", *["data.source.verify=false"] * experiment.startswith("isbi")]


HELD_OUT = {"isbi_full": 4, "phase": 3, "nuclei": 2, "phc_u373": 4, "dic_hela": 3} | dict.fromkeys(
    ("cells", "cells_paper", "membranes", "classes"), 2
)


def held_out_files(directory: Path, place: Path) -> str:
    """Write the held-out slices of a run as files, and their truth in the form that is scored; → the kind of scores."""
    config = runs.read_config(directory)
    data = training.make_data(config)
    data.setup()
    stack = data.split["held_out"]
    kind = {"cells": "instances", "classes": "semantic"}.get(next(iter(config["metrics"])), "isbi")
    for each in ("images", "truth"):
        (place / each).mkdir()
    for name, image, target, cells in zip(stack.names, stack.images, stack.targets, stack.instances, strict=True):
        colours = {"photometric": "rgb" if image.ndim == 3 else "minisblack"}
        tifffile.imwrite(place / "images" / f"{name}.tif", image, **colours)
        tifffile.imwrite(place / "truth" / f"{name}.tif", cells if kind == "instances" else target.astype(np.uint8))
    return kind


def check_the_files_are_what_was_scored(directory: Path, place: Path, run_command) -> None:
    """Predict and score the held-out slices with no options: the files and the scores of the run."""
    kind, scores = held_out_files(directory, place), json.loads((directory / "scores.json").read_text())
    checkpoint = directory / "checkpoints" / f"{yaml.safe_load((directory / 'config.yaml').read_text())['score']}.ckpt"
    given = (f"checkpoint={checkpoint}", f"input={place / 'images'}", f"output={place / 'predicted'}")
    status, _, error = run_command("predict", *given)
    assert status == 0, error
    for file in (directory / "predictions").glob("*.tif"):
        np.testing.assert_array_equal(tifffile.imread(place / "predicted" / file.name), tifffile.imread(file))
    compared = (f"truth={place / 'truth'}", f"prediction={place / 'predicted'}", f"metrics={kind}")
    status, _, error = run_command("score", *compared, f"output={place / 'scores.json'}")
    assert status == 0, error
    found = json.loads((place / "scores.json").read_text())
    assert found["scores"] == pytest.approx(scores["scores"], rel=1e-6, nan_ok=True)
    assert {row["name"]: row for row in found["per_image"]} == {row["name"]: row for row in scores["per_image"]}


@pytest.mark.parametrize(
    "experiment",
    [
        pytest.param(name, marks=[pytest.mark.slow] * name.endswith(("_paper", "_full", "_u373")))
        for name in EXPERIMENTS
    ],
)
def test_each_experiment_trains_and_its_files_are_what_was_scored(experiment, train, run_command, data_sets, tmp_path):
    directory, status, printed, error = train(
        *(f"experiment={experiment}", *small_source(experiment, data_sets), "~callbacks.samples"),
        *("trainer.max_steps=3", "trainer.val_check_interval=100"),  # as one tries it first
        *FEWER.get(experiment, ()),
    )
    assert status == 0, error
    scores = json.loads((directory / "scores.json").read_text())
    assert len(scores["per_image"]) == HELD_OUT.get(experiment, 6)
    shown = ((f"{value:.4f}", f"{value:.6f}", f" {value:.0f} ") for value in scores["scores"].values())
    assert all(any(text in printed for text in texts) for texts in shown)
    check_the_files_are_what_was_scored(directory, tmp_path, run_command)


@pytest.mark.parametrize("target", ["border", "core"])
def test_targets_with_a_boundary_are_scored_as_cells_and_their_files_are_what_was_scored(
    target, train, run_command, data_sets, tmp_path
):
    given = ("experiment=cells", *small_source("cells", data_sets), f"target={target}", "monitor=ap50")
    directory, status, _, error = train(*given, "trainer.max_steps=2", "~callbacks.samples")
    assert status == 0, error
    content = read(checkpoint_file(directory, "best"))
    assert content["hyper_parameters"]["model"]["classes"] == 3
    tried = {each["instances"].get("boundary") for each in content["choices"]}
    assert tried == {None, 2}, "components know of no boundary"
    check_the_files_are_what_was_scored(directory, tmp_path, run_command)
    given = (f"checkpoint={checkpoint_file(directory, 'best')}", f"input={tmp_path / 'images'}", "instances=watershed")
    status, _, error = run_command("predict", *given, f"output={tmp_path / 'other'}")
    assert status == 0, error
    config, probabilities = read_config(directory), next((tmp_path / "other").glob("*_probabilities.tif"))
    assert config["model"]["classes"] == 2, "which counts the classes of the labels"
    found = Watershed(0.5, 2, 20, True)(tifffile.imread(probabilities), content["threshold"])
    labels = probabilities.with_name(probabilities.name.replace("probabilities", "labels"))
    np.testing.assert_array_equal(tifffile.imread(labels), found)


def test_a_target_that_adds_a_class_is_refused_for_classes(train_slim):
    for chosen in (["metrics=semantic", "monitor=iou"], ["metrics=instances", "monitor=ap50", "instances=classes"]):
        _, status, _, error = train_slim("target=core", *chosen)
        assert status == 1 and "nearest valid: metrics=instances instances=auto, or target=classes" in error


@pytest.mark.parametrize(("made", "times"), [(0.1, 1), (1e9, 0)])
def test_a_loader_is_spoken_of_once_and_only_if_it_does_not_keep_up(made, times, train_slim, monkeypatch):
    monkeypatch.setattr(SliceData, "tiles_per_second", lambda data: made)
    accumulated = ("trainer.accumulate_grad_batches=2", "trainer.val_check_interval=18")
    _, status, printed, error = train_slim("trainer.max_steps=9", *accumulated)
    assert status == 0, error
    assert printed.count("the data loader hardly keeps up: it prepares 0.1 tiles/s, and ") == times


def test_a_run_directory_is_complete(train):
    directory, *_ = train("experiment=demo", "data.source.size=64")
    for file in ("config.yaml", "metrics.csv", "environment.json", "scores.json", "report.html"):
        assert (directory / file).stat().st_size > 0
    assert list((directory / "tensorboard").glob("events.*"))
    assert {file.name for file in (directory / "checkpoints").iterdir()} == {"best.ckpt", "last.ckpt"}
    names = {file.name for file in (directory / "predictions").iterdir()}
    kinds = (".png", "_labels.tif", "_probabilities.tif")
    assert names == {f"slice_{number}{kind}" for number in range(24, 30) for kind in kinds}
    pictures = {str(file.relative_to(directory / "pictures")) for file in (directory / "pictures").rglob("*.*")}
    panels = {f"held_out/slice_{n}_{kind}.webp" for n in range(24, 30) for kind in PANELS}
    assert pictures == panels | {"slices.webp", "tiles.webp", "validation/step_000001.png", "mistakes.json"}
    environment = json.loads((directory / "environment.json").read_text())
    assert environment["world_size"] == 1
    assert environment["packages"]["torch"] == torch.__version__
    assert environment["precision"] == "32-true"
    assert len(environment["data_hash"]) == 64
    assert not [file for file in directory.rglob(".*")], "a partial file was left behind"


def test_each_validation_leaves_a_picture_that_tensorboard_shows_too(train_slim):
    directory, status, _, error = train_slim("trainer.max_steps=2")
    assert status == 0, error
    files = sorted((directory / "pictures" / "validation").iterdir())
    assert [file.name for file in files] == ["step_000001.png", "step_000002.png"]
    events = EventAccumulator(str(directory / "tensorboard"), size_guidance={"images": 0}).Reload()
    assert events.Tags()["images"] == ["validation/slice_21"]
    logged = events.Images("validation/slice_21")
    assert [image.step for image in logged] == [1, 2]
    for image, file in zip(logged, files, strict=True):
        np.testing.assert_array_equal(iio.imread(image.encoded_image_string), iio.imread(file))


@pytest.mark.slow
def test_without_validation_slices_there_is_a_report_all_the_same(train):
    directory, status, _, error = train("data.source.size=64", "data.validation=''", "score=last")
    assert status == 0, error
    assert not (directory / "pictures" / "validation").exists()
    assert "nothing" not in (directory / "report.html").read_text()[:5000]


@pytest.mark.slow
def test_weights_and_biases_gets_each_point_of_a_sweep_by_itself_without_a_network(run_command, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_SILENT", "true")
    directory = f"hydra.sweep.dir={tmp_path / 'sweep'}"
    small = [*SLIM, f"cache_dir={tmp_path / 'cache'}"]
    status, _, error = run_command("train", "-m", *small, "seed=1,2", "logger=wandb", directory)
    assert status == 0, error
    runs = [sorted(point.glob("wandb/offline-run-*/*.wandb")) for point in sorted((tmp_path / "sweep").glob("*seed*"))]
    assert [len(files) for files in runs] == [1, 1]
    assert runs[0][0].name != runs[1][0].name
    for (file,) in runs:
        ends = time.monotonic() + 60  # another process of Weights & Biases writes it
        while file.stat().st_size <= 1000:
            assert time.monotonic() < ends, f"{file} holds nothing"
            time.sleep(0.05)
        assert len(list(file.parent.glob("files/media/images/validation/slice_21*.png"))) == 1


@pytest.mark.slow
def test_a_continued_run_keeps_its_name_at_weights_and_biases(train_slim, tmp_path):
    arguments = ("logger=wandb",)
    directory, status, _, error = train_slim(*arguments)
    assert status == 0, error
    _, status, _, error = train_slim(*arguments, "extend=1")
    assert status == 0, error
    names = [file.name for file in directory.glob("wandb/offline-run-*/*.wandb")]
    assert names and len(set(names)) == 1


@pytest.mark.slow
def test_the_first_lines_say_what_runs_where(train):
    _, _, printed, _ = train("data.source.size=64")
    for fact in (
        "CPU",
        "precision 32-true",
        "channels-last",
        "tiles 60 → 20 px",
        "20 training, 2 validation, 6 held-out",
    ):
        assert fact in printed
    assert "step 1/1 · loss" in printed and "tiles/s" in printed


def test_three_classes_are_written_as_three_probabilities(train_slim):
    directory, *_ = train_slim("experiment=demo_classes")
    probabilities = tifffile.imread(directory / "predictions" / "slice_24_probabilities.tif")
    assert probabilities.shape == (3, 64, 64)
    np.testing.assert_allclose(probabilities.sum(axis=0), 1, atol=1e-5)


def test_both_checkpoints_hold_what_the_training_images_look_like(finished_run, tmp_path):
    directory = finished_run(tmp_path / "run")
    stack = phantom(size=64)
    expected = tuple(of_slice(stack.images[n], stack.instances[n], "objects") for n in range(20))
    assert all("diameter" in row for row in expected)
    for name in ("best", "last"):
        assert restore(directory / "checkpoints" / f"{name}.ckpt").appearance == expected


def test_a_finished_run_returns_at_once_and_keeps_its_files(train, finished_run, tmp_path):
    directory = finished_run(tmp_path / "run")
    before = {file: file.stat().st_mtime_ns for file in directory.rglob("*") if file.is_file()}
    _, status, printed, _ = train("data.source.size=64")
    assert status == 0 and "is finished" in printed
    assert {file: file.stat().st_mtime_ns for file in directory.rglob("*") if file.is_file()} == before


def test_another_configuration_in_the_same_directory_is_refused(train_slim):
    train_slim()
    _, status, _, error = train_slim("optimizer.lr=0.5", "data.tile=64")
    assert status == 1
    assert "optimizer.lr" in error and "data.tile" in error and "Traceback" not in error


def test_a_run_stopped_by_its_time_limit_is_unfinished_and_continues(train_slim):
    arguments = ("trainer.max_steps=100000", "trainer.val_check_interval=5", "compile=false")
    directory, status, _, error = train_slim(*arguments, "trainer.max_time=00:00:00:01")
    assert status == 1 and "hydra.run.dir" in error and "Traceback" not in error
    assert not (directory / "scores.json").exists()
    done = torch.load(directory / "checkpoints" / "last.ckpt", weights_only=True)["global_step"]
    assert done > 0
    _, _, printed, _ = train_slim(*arguments, "trainer.max_time=00:00:00:00")
    assert f"steps {done} to 100000" in printed


def test_choices_beside_the_defaults_train(train_slim, tmp_path):
    choices = ("loss=dice", "optimizer=sgd", "scheduler=poly", "callbacks=default", "augment=shift", "logger=csv")
    for index, more in enumerate((["weight_map=plugin"], ["loss=cross_entropy", "scheduler=constant", "trainer=cpu"])):
        _, status, _, error = train_slim(*choices, *more, directory=tmp_path / str(index))
        assert status == 0, error


def test_two_runs_of_one_seed_are_equal_and_of_another_are_not(train_slim, tmp_path):
    weights = []
    for seed, name in ((1, "a"), (1, "b"), (2, "c")):
        directory, *_ = train_slim(f"seed={seed}", directory=tmp_path / name)
        weights.append(weights_digest(directory))
    assert weights[0] == weights[1] != weights[2]


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("accumulated", [1, 2])
def test_a_run_shorter_than_the_validation_interval_is_validated_once_at_its_end(steps, accumulated, train_slim):
    more = (f"trainer.max_steps={steps}", "trainer.val_check_interval=100")
    directory, status, printed, error = train_slim(*more, f"trainer.accumulate_grad_batches={accumulated}")
    assert status == 0, error
    assert re.findall(r"step (\d+)/\d+ ·", printed) == [str(steps)]
    assert torch.load(directory / "checkpoints" / "best.ckpt", weights_only=True)["global_step"] == steps
    assert json.loads((directory / "scores.json").read_text())["steps"] == steps


def test_intervals_are_counted_in_steps_although_lightning_counts_batches(train_slim):
    more = ("trainer.max_steps=5", "trainer.val_check_interval=2", "trainer.accumulate_grad_batches=3")
    _, status, printed, error = train_slim(*more)
    assert status == 0, error
    assert re.findall(r"step (\d)/5 ·", printed) == ["2", "4"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["trainer.max_steps=0"], ["trainer.max_steps", "but got 0", "nearest valid: 1"]),
        (["trainer.max_steps=-1"], ["trainer.max_steps", "but got -1", "nearest valid: 1"]),
        (["trainer.max_steps=1e3"], ["trainer.max_steps", "nearest valid: 1000"]),
        (["trainer.val_check_interval=0.25"], ["trainer.val_check_interval", "0.25", "nearest valid: 1"]),
        (["trainer.val_check_interval=null"], ["trainer.val_check_interval", "nearest valid: 1"]),
        (["trainer.accumulate_grad_batches=0"], ["trainer.accumulate_grad_batches", "nearest valid: 1"]),
        (["trainer.log_every_n_steps=-1"], ["trainer.log_every_n_steps", "nearest valid: 0"]),
        (["trainer.devices=0"], ["trainer.devices", "nearest valid: 1"]),
        (["trainer=ddp_cpu", "data.batch_size=3"], ["data.batch_size", "2 processes", "nearest valid: 4"]),
        (["data.batch_size=0"], ["data.batch_size", "nearest valid: 1"]),
        (["data.workers=-1"], ["data.workers", "nearest valid: 0"]),
        (["seed=-1"], ["seed", "nearest valid: 0"]),
        (["optimizer.lr=-1"], ["optimizer", "learning rate: -1"]),
        (["score=worst"], ["score", "best, last", "worst"]),
        (["data.validation=''"], ["data.validation", "score=best", "nearest valid: score=last"]),
        (["monitor=v_rnd"], ["monitor", "v_rnd", "nearest valid: v_rand"]),
        (["monitor=v_rand_class_1"], ["monitor", "v_rand_class_1", "nearest valid: v_rand"]),
        (["metrics=semantic", "monitor=iou_class_2"], ["class 0 to 1", "nearest valid: iou_class_1"]),
        (["monitor_mode=min"], ["monitor_mode of v_rand", "max"]),
    ],
)
def test_what_cannot_be_is_refused_before_there_is_a_run_directory(arguments, expected, train_slim, tmp_path):
    directory, status, _, error = train_slim(*arguments, directory=tmp_path / "runs" / "a")
    assert status == 1
    assert all(word in error for word in expected) and error.count("\n") == 1, error
    assert not directory.exists()


def test_a_class_without_validation_pixels_has_no_score_and_training_reports_it(train_slim):
    # A class that is nowhere in the data is predicted nowhere, because training begins with its share.
    classes = ("metrics=semantic", "instances=classes", "model.classes=3", "monitor=iou_class_2")
    directory, status, printed, error = train_slim(*classes, "trainer.max_steps=2", "page=true")
    assert (directory / "report.html").exists()
    assert status == 0, error
    assert json.loads((directory / "scores.json").read_text())["validation"]["iou_class_2"] is None
    assert printed.count("diagnosis: the validation at step 1 had nothing to score iou_class_2 by") == 1
    assert torch.load(directory / "checkpoints" / "best.ckpt", weights_only=True)["global_step"] == 1


@pytest.mark.slow
def test_what_is_scored_may_be_chosen_anew_until_it_is(train_slim):
    unfinished = ("trainer.max_steps=3", "trainer.max_time=00:00:00:00")
    directory, *_ = train_slim(*unfinished)
    _, status, _, error = train_slim("trainer.max_steps=3", "score=last", "tta=d4")
    assert status == 0, error
    config = yaml.safe_load((directory / "config.yaml").read_text())
    assert (config["score"], config["tta"]) == ("last", "d4") and "score=last" in config["overrides"]
    assert train_slim("trainer.max_steps=3", "score=last", "tta=d4")[1] == 0
    _, status, _, error = train_slim("trainer.max_steps=3", "score=last")
    assert status == 1 and "other values of tta;" in error
    _, status, _, error = train_slim("trainer.max_steps=3", "score=best", "extend=1")
    assert status == 0, error
    assert yaml.safe_load((directory / "config.yaml").read_text())["score"] == "best"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["data.tile=61"], ["61", "nearest valid: 60 and 64"]),
        (["model.base_channels=many"], ["model.base_channels", "many", "int"]),
        (["model.norm=instance"], ["instance", "tiled prediction"]),
        (["+model.widht=3"], ["model.widht", "nearest valid"]),
        (["trainer.max_steps=soon"], ["trainer.max_steps", "soon"]),
        (["data.held_out=20-25"], ["image 21", "validation", "held_out"]),
        (["data.train=0-99"], ["0-99", "nearest valid: 29"]),
        (["trainer.accelerator=gpu"], ["gpu"]),
        (["experiment=isbi", "data_dir={folder}/none"], ["none/isbi2012", "http://127.0.0.1:9", "experiment=demo"]),
    ],
)
def test_a_mistake_is_one_message_without_traceback(arguments, expected, train, tmp_path):
    if "trainer.accelerator=gpu" in arguments and torch.cuda.is_available():
        pytest.skip("this machine has the GPU that the mistake asks for")
    isbi = "experiment=isbi" in arguments
    extra = "+data.source.url=http://127.0.0.1:9/none.zip" if isbi else "data.source.size=64"
    _, status, _, error = train(extra, *(argument.replace("{folder}", str(tmp_path)) for argument in arguments))
    assert status == 1
    assert all(word in error for word in expected), error
    assert "Traceback" not in error


def test_debug_shows_the_traceback(train):
    _, status, _, error = train("data.tile=61", "debug=true")
    assert status == 1
    assert "Traceback" in error and "nearest valid" in error


@pytest.mark.parametrize("name", ["a = b", "현미경 (1), 가", "it's"])
def test_a_run_directory_may_have_any_name(name, train_slim, tmp_path):
    directory, status, _, error = train_slim(directory=tmp_path / name)
    assert status == 0, error
    assert (directory / "scores.json").exists()


@pytest.mark.slow
def test_the_last_bias_begins_with_the_shares_of_the_classes(train, tmp_path):
    root = folder(tmp_path / "own")
    change_labels(root, lambda cells: np.uint8(cells > 0))
    plain = ("callbacks=default", "optimizer.lr=0", "weight_map.w0=0", "weight_map.balance=false")
    directory, status, _, error = train("experiment=cells", f"data.root={root}", *plain)
    assert status == 0, error
    state = torch.load(directory / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    learnt = [tifffile.imread(file) for file in sorted(root.glob("labels/*"))[:7]]
    assert state["model.classify.bias"].softmax(0)[1].item() == pytest.approx(np.mean(learnt), abs=1e-6)


@pytest.mark.slow
def test_images_of_many_sizes_partly_annotated_are_learnt_from_and_scored(train, run_command, tmp_path):
    root = folder(tmp_path / "own")
    for number in range(10):
        rows = slice(96 - 4 * number)
        change_image(root, lambda image, rows=rows: image[rows], [number])
        change_labels(root, lambda cells, rows=rows: np.where(np.arange(96) < 20, 99, cells)[rows], [number])
    directory, status, _, error = train("experiment=cells", f"data.root={root}", "data.source.ignore_label=99")
    assert status == 0, error
    assert "warning" not in error
    for number in (8, 9):
        labels = tifffile.imread(directory / "predictions" / f"cell_{number:02d}_labels.tif")
        assert labels.shape == (96 - 4 * number, 96)
    arguments = (f"checkpoint={directory / 'checkpoints' / 'best.ckpt'}", f"input={root / 'images'}")
    status, _, error = run_command("predict", *arguments, f"output={tmp_path / 'out'}")
    assert status == 0, error
    truth = (f"truth={root / 'labels'}", f"prediction={tmp_path / 'out'}", "metrics=instances")
    status, _, error = run_command("score", *truth, "ignore_label=99", f"output={tmp_path / 'scores.json'}")
    assert status == 0, error
    assert len(json.loads((tmp_path / "scores.json").read_text())["per_image"]) == 10


# Of one's own images without an experiment, in the shortest time.
OWN = ["~callbacks.samples", "~callbacks.overlay", "page=false"]


@pytest.mark.slow
def test_without_an_experiment_the_labels_choose_it_and_a_line_names_it(train, own_layouts, tmp_path):
    for number in range(10):
        cells, image = membranes(number)
        change_image(own_layouts / "membranes", lambda _, new=image: new, [number])
        change_labels(own_layouts / "membranes", lambda _, new=cells: new, [number])
    for name, experiment in (("own", "cells"), ("membranes", "membranes"), ("classes", "classes")):
        directory, status, printed, error = train(f"data.root={own_layouts / name}", *OWN, directory=tmp_path / name)
        assert status == 0, error
        assert printed.startswith(f"experiment={experiment}, chosen from the labels: ")
        assert printed.splitlines()[1].startswith("memory: about ")
        config = yaml.safe_load((directory / "config.yaml").read_text())
        assert f"experiment={experiment}" in config["overrides"]
        assert config["model"]["classes"] == (3 if name == "classes" else 2)


def test_a_continued_run_keeps_the_experiment_even_if_the_labels_change(train, own_layouts):
    root, given = own_layouts / "own", (f"data.root={own_layouts / 'own'}", *OWN, "trainer.max_steps=2")
    assert train(*given, "trainer.max_time=00:00:00:00")[1] == 1
    drawn = {file: file.read_bytes() for file in root.glob("labels/*")}
    change_labels(root, lambda cells: np.uint8((cells > 0) * (1 + cells % 2)))
    _, status, printed, error = train(*given)
    assert printed.startswith("experiment=cells instances.min_size=") and "as the run began" in printed
    assert status == 1 and "Traceback" not in error  # other data are refused, as ever
    for file, content in drawn.items():
        file.write_bytes(content)
    directory, status, printed, error = train(*given)
    assert status == 0 and printed.startswith("experiment=cells"), error
    assert train(*given)[2].splitlines()[1] == f"{directory} is finished"


def test_values_of_the_user_are_not_replaced(train, own_layouts):
    chosen = ["experiment=membranes", "data.source.values=[0,1]", "data.source.kind=boundary"]
    change_labels(own_layouts / "own", lambda cells: np.uint8(cells > 0))
    directory, status, printed, error = train(f"data.root={own_layouts / 'own'}", *chosen, *OWN)
    assert status == 0, error
    assert "chosen from" not in printed
    config = yaml.safe_load((directory / "config.yaml").read_text())
    assert not {"data.tile=284", "experiment=cells"} & set(config["overrides"])


@pytest.mark.slow
def test_each_point_of_a_sweep_gets_the_experiment_that_the_labels_choose(run_command, own_layouts, tmp_path):
    given = [*TINY, f"data.root={own_layouts / 'classes'}", f"cache_dir={tmp_path}", *OWN, "-m", "seed=1,2"]
    sweep = ["hydra.sweep.dir=" + str(tmp_path / "sweep")]
    for _ in range(2):
        status, printed, error = run_command("train", *given, *sweep)
        assert status == 0, error
        names = sorted(each.name for each in (tmp_path / "sweep").glob("*/"))
        assert [name.partition("_")[0] for name in names] == ["seed-1", "seed-2"]
        for name in names:
            config = yaml.safe_load((tmp_path / "sweep" / name / "config.yaml").read_text())
            assert {"experiment=classes", "model.classes=3"} <= set(config["overrides"])
    assert printed.count("is finished") == 2


def test_data_that_are_wrong_are_refused_before_anything_is_chosen(train, own_layouts):
    change_labels(own_layouts / "own", lambda cells: cells[:-1], [3])
    directory, status, printed, error = train(f"data.root={own_layouts / 'own'}")
    assert status == 1 and printed == "" and "size-mismatch" in error and "Traceback" not in error
    assert "all findings:\n  python -m src.check" in error and not directory.exists()
