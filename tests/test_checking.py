"""Data are looked at before they are learnt from, once, and read once for both; the line that is printed runs."""

import os
import re
import shlex
import subprocess
import sys

import numpy as np
import pytest
import tifffile
import torch

from src import build, checking, planning, training
from src.arguments import PATH_KEYS, SPLIT_KEYS, quote
from src.data.annotated import ReadTwice
from src.data.folder import read_folder
from src.data.matching import matched
from src.data.split import AUTOMATIC
from tests.conftest import composed
from tests.data.drawn import KINDS, mask, types
from tests.data.own import IMAGES, change_image, change_labels, draw, folder, write
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


@pytest.fixture
def check(run_command, tmp_path):
    """Check a folder as a person does: → (what is printed, the arguments that it says to train with)."""

    def call(*arguments: str) -> tuple[str, list[str]]:
        status, printed, error = run_command("check", *arguments, f"cache_dir={tmp_path / 'cache'}")
        assert status == 0, printed + error
        return printed, printed_arguments(printed)

    return call


def printed_arguments(printed: str) -> list[str]:
    """What a shell makes of the line that a check prints."""
    (line,) = re.findall(r"^train:\n  (python -m src\.train .*)$", printed, re.MULTILINE)
    return shlex.split(line)[3:]


def begin(arguments: list[str]) -> dict:
    """Go as far as the first tile with what was printed, and ask the network for its shape: → the configuration."""
    config = composed(*(quote(each, (*PATH_KEYS, *SPLIT_KEYS)) for each in arguments))
    planning.check_numbers(config)
    data = training.make_data(config)
    data.setup()
    assert config["score"] == "last" or len(data.split["validation"])
    tile = data.patches[0]
    with torch.device("meta"):
        network = build.make(config, "model")
    logits = network(tile["image"][None].to("meta"))
    assert logits.shape == (1, config["model"]["classes"], *tile["target"].shape)
    assert tile["target"].max() < config["model"]["classes"] and tile["weight"].isfinite().all()
    return config


def draw_kind(root, kind, count=5):
    """A folder in which images and labels are drawn by a function of their numbers."""
    folder(root, count)
    for number in range(count):
        labels, image = kind(number)
        change_image(root, lambda _, new=image: new, [number])
        change_labels(root, lambda _, new=labels: new, [number], ".png")
    return root


def void(number):
    labels, image = types(number)
    labels[:10] = 255
    return labels, image


def in_colours(number):
    labels, image = types(number)
    return np.array([[255, 255, 255], [200, 0, 0], [0, 0, 200]], np.uint8)[labels], image


def coloured(number):
    labels, image = mask(number)
    return labels, np.stack([image, image // 2, 255 - image], -1)


def elongated(number):
    labels, image = mask(number)
    return np.tile(labels[40:70], (1, 8)), np.tile(image[40:70], (1, 8))


def of_many_sizes(number):
    labels, image = mask(number)
    return (np.tile(each[: 96 - 8 * number], (1, 1 + number)) for each in (labels, image))


OTHERS = {
    "void": void,
    "colours": in_colours,
    "coloured images": coloured,
    "elongated": elongated,
    "many sizes": of_many_sizes,
    "16 bits": lambda number: (mask(number)[0], mask(number)[1] * np.uint16(200)),
}
ALL = {name: kind for name, (*_, kind) in KINDS.items()} | OTHERS


QUICK = ("nine cells", "mask", "white membranes", "organs", "void", "colours", "elongated", "many sizes")
ONE_EACH = ("nine cells", "mask", "white membranes", "organs", "vessels", *OTHERS)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in QUICK else [pytest.mark.slow]) for name in ALL]
)
def test_the_printed_line_is_learnt_from(name, check, tmp_path):
    root = draw_kind(tmp_path / "own", ALL[name])
    printed, arguments = check(f"data.root={root}")
    assert re.search(
        r"^memory: about [0-9.]+ GiB to train \(batch 1, tile \d+, 32 channels\)\ntrain:\n  python", printed, re.M
    )
    config = begin(arguments)
    found = re.search(r"(\d+) images of (\d+)×(\d+)( to (\d+)×(\d+))? px", printed)
    sides = [int(side) for side in found.groups() if side and side.isdigit()][1:]
    learnt = config["data"]["tile"] - 184
    assert learnt <= 260 and (learnt == 260 or learnt**2 < 2 * max(sides) ** 2)


def stack(root):
    for name, part in (("images", 0), ("labels", 1)):
        (root / name).mkdir(parents=True)
        tifffile.imwrite(root / name / "film.tif", np.stack([draw(number)[part] for number in range(6)]))


def flat(root):
    root.mkdir()
    for number in range(4):
        image, cells = draw(number)
        write(root / f"a{number}.tif", image)
        write(root / f"a{number}_label.tif", cells)


def folder_an_image(root):
    for number in range(4):
        image, cells = draw(number)
        for name, each in (
            ("images/image", image),
            *((f"masks/{number}{n}", np.uint8(cells == n) * 255) for n in range(1, 8)),
        ):
            file = root / f"id{number}" / f"{name}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            write(file, each)


def parts_of_a_split(root):
    for part, numbers in (("train", range(3)), ("val", range(3, 5)), ("test", range(5, 7))):
        for number in numbers:
            for name, each in zip(("images", "labels"), draw(number), strict=True):
                (root / part / name).mkdir(parents=True, exist_ok=True)
                write(root / part / name / f"{number}.tif", each)


@pytest.mark.parametrize("lay_out", [stack, flat, folder_an_image, parts_of_a_split])
def test_the_printed_line_is_learnt_from_in_each_layout(lay_out, check, tmp_path):
    lay_out(tmp_path / "own")
    arguments = check(f"data.root={tmp_path / 'own'}")[1]
    assert "experiment=cells" in arguments and "data.tile=284" in arguments
    begin(arguments)


@pytest.mark.parametrize(
    "given",
    [
        ["model.depth=6"],
        ["model.depth=2"],
        ["model.padded=true"],
        ["model.padded=true", "model.depth=5"],
        ["experiment=cells"],
        ["experiment=nuclei", *AUTOMATIC.split()],
        ["data.groups=cell_{number}"],
        ["data.train=0-4,6", "data.validation=", "data.held_out=7-9"],
        ["experiment=cells", "data.train=0-6", "data.validation=", "data.held_out=7-9"],
        ["augment=scale", "~callbacks.samples", "+data.source.include=cell_0*", "trainer.accelerator=cpu"],
    ],
)
def test_the_printed_line_keeps_what_was_given_and_is_learnt_from(given, check, tmp_path):
    root = folder(tmp_path / "own")
    arguments = check(f"data.root={root}", *given)[1]
    assert set(given) <= set(arguments)
    begin(arguments)
    assert ("score=last" in arguments) == ("data.validation=" in given)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["data.tile=285"], "nearest valid: 284 and 300"),
        (["model.depth=6", "data.tile=444"], "nearest valid: 764"),
        (["data.train=0-4", "data.validation=", "data.held_out=7-9", "score=best"], "nearest valid: score=last"),
    ],
)
def test_what_training_would_refuse_is_printed_in_no_line(given, expected, run_command, tmp_path):
    root = folder(tmp_path / "own")
    status, printed, error = run_command("check", f"data.root={root}", f"cache_dir={tmp_path / 'cache'}", *given)
    assert status == 1 and "python -m src.train" not in printed
    assert expected in error and error.count("\n") == 1


NAMES = ["it's (1), a=b [x] {y}", '$HOME `ls` \\ "é" 현미경 #;&|~!*?']


@pytest.mark.parametrize("name", NAMES)
def test_any_name_of_a_folder_comes_through_a_shell(name, check, tmp_path):
    root = folder(tmp_path / name, 4)
    for number in range(4):
        (root / f"labels/cell_{number:02d}.tif").rename(root / f"images/cell_{number:02d} {name}'s.tif")
    (root / "labels").rmdir()
    patterns = ["data.source.images=images/{name}.png", f"data.source.labels=images/{{name}} {name}'s.*"]
    printed, arguments = check(f"data.root={root}", *patterns)
    assert {f"data.root={root}", *patterns} <= set(arguments)
    begin(arguments)
    line = re.search(r"^train:\n  python -m src\.train (.*)$", printed, re.MULTILINE)[1]
    told = subprocess.run(
        ["bash", "-c", f"printf '%s\\0' {line}"], capture_output=True, text=True, cwd=root, check=True
    )
    assert told.stdout.split("\0")[:-1] == arguments


@pytest.mark.parametrize("command", ["train", "preview"])
def test_the_line_that_shows_all_findings_runs_as_it_is_printed(command, run_command, tmp_path):
    root = folder(tmp_path / "it's mine, [x]=1", 4)
    change_labels(root, lambda cells: cells[:-1], [3])
    own = (
        ["draws=2", f"output={tmp_path / 'a b.html'}"]
        if command == "preview"
        else [f"hydra.run.dir={tmp_path / 'run'}"]
    )
    given = ["experiment=cells", f"data.root={root}", f"cache_dir={tmp_path / 'cache'}"]
    status, _, error = run_command(command, *given, *own)
    assert status == 1
    line = re.search(r"^all findings:\n  python -m src\.check (.*)$", error, re.MULTILINE)[1]
    status, printed, error = run_command("check", *shlex.split(line))
    assert status == 1 and "size-mismatch" in printed and "1 errors" in error


def test_who_learns_without_validation_has_to_score_the_last_weights(run_command, tmp_path):
    root, directory = folder(tmp_path / "own", 4), tmp_path / "run"
    groups = ["data.train=0-2", "data.validation= ", "data.held_out=3"]
    given = ["experiment=cells", f"data.root={root}", f"cache_dir={tmp_path / 'cache'}", f"hydra.run.dir={directory}"]
    status, _, error = run_command("train", *given, *groups)
    assert status == 1 and "nearest valid: score=last" in error and error.count("\n") == 1
    assert not directory.exists()


def two_images(root):
    folder(root, 2)


def small(root):
    draw_kind(root, lambda number: tuple(each[:40, :40] for each in mask(number)))


STEPS = {name: lambda root, kind=ALL[name]: draw_kind(root, kind) for name in ONE_EACH}
STEPS |= {"two images": two_images, "small images": small, "stack": stack, "parts of a split": parts_of_a_split}


@pytest.mark.slow
@pytest.mark.parametrize("name", STEPS)
def test_the_printed_line_trains_as_it_is_copied_and_what_is_learnt_predicts(name, check, tmp_path):
    root, run = tmp_path / "own", tmp_path / "run"
    STEPS[name](root)
    printed, arguments = check(f"data.root={root}")
    line = re.search(r"^train:\n  python (-m src\.train .*)$", printed, re.MULTILINE)[1]
    shorter = f"trainer.max_steps=2 model.base_channels=4 hydra.run.dir={run}"
    for command in (
        f"{sys.executable} {line} {shorter}",
        f"{sys.executable} -m src.predict checkpoint={run}/checkpoints/last.ckpt input={matched(root)[0][0].image} "
        f"output={tmp_path / 'out'}",
    ):
        ended = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
        assert ended.returncode == 0, ended.stderr
    assert (run / "scores.json").exists() and list((tmp_path / "out").glob("*_probabilities.tif"))
    assert ("score=last" in arguments) == (name == "two images")
