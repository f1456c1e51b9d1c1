"""The command line: paths as they are, errors as one message, scores as a table."""

import re
from pathlib import Path

import pytest
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from src import arguments, build, command, terminal
from src.files.whole import spreadsheet_safe


@pytest.mark.parametrize(
    "path",
    [
        "plain.tif",
        "with space.tif",
        "a=b,c (1).tif",
        "현미경/그림.tif",
        "it's.tif",
        'say "x".tif',
        "[1].tif",
        "{a}.tif",
        "C:\\images\\",
        "a\\'b\\\\.tif",
        "a${b}\\${c}.tif",
        "~#%*?:!",
        " spaces around ",
    ],
)
@pytest.mark.parametrize("key", ["input", "data.root", "hydra.run.dir", "truth", "prediction", "output"])
def test_a_path_reaches_the_configuration_unchanged(key, path):
    (override,) = OverridesParser.create().parse_overrides([arguments.quote(f"{key}={path}")])
    assert override.key_or_group == key
    as_it_is = (
        OmegaConf.create({"path": override.value()}) if not key.startswith("hydra.") else {"path": override.value()}
    )
    assert as_it_is["path"] == path
    assert arguments.unquote(arguments.quote(f"{key}={path}")) == f"{key}={path}"


PATHS = st.text(st.sampled_from("ab \\'\"${}[]()=,:~#%*?!현\t"), min_size=1, max_size=12).filter(
    lambda path: path[0] not in "'\""
)


@settings(max_examples=300, deadline=None)
@given(PATHS)
def test_any_path_reaches_the_configuration_unchanged(path):
    quoted = arguments.quote(f"input={path}")
    (override,) = OverridesParser.create().parse_overrides([quoted])
    config = OmegaConf.create({"input": override.value(), "other": "${input}"})
    assert config.input == path == OmegaConf.to_container(config, resolve=True)["other"]
    assert build.make({"any": {"_target_": "argparse.Namespace", "input": [path]}}, "any").input == [path]
    assert arguments.unquote(quoted) == f"input={path}"
    assert arguments.quote(quoted) == quoted


@settings(max_examples=100, deadline=None)
@given(st.lists(PATHS.filter(lambda path: "," not in path and path == path.strip()), min_size=1, max_size=3))
def test_any_list_of_checkpoints_reaches_the_configuration_unchanged(paths):
    (override,) = OverridesParser.create().parse_overrides([arguments.quote(f"checkpoint=[{','.join(paths)}]")])
    assert (
        OmegaConf.to_container(OmegaConf.create({"checkpoint": override.value()}), resolve=True)["checkpoint"] == paths
    )


def test_what_hydra_makes_of_its_own_directories_is_left_to_it():
    assert arguments.quote("hydra.run.dir=runs/${now:%Y}") == "hydra.run.dir='runs/${now:%Y}'"


def test_what_is_quoted_or_no_path_stays_as_it_is():
    for argument in ("input='a b.tif'", "seed=1,2", "-m", "trainer.max_steps=5", "input="):
        assert arguments.quote(argument) == argument


def test_slices_with_commas_are_one_value_unless_they_are_swept(run_command, tmp_path):
    small = ("data=phantom", "data.source.size=64", f"cache_dir={tmp_path}")
    status, printed, error = run_command("check", *small, "data.train=0-9,15", "data.held_out=20", "data.validation=18")
    assert status == 0, error
    assert "train: 11 slices" in printed
    status, _, error = run_command("check", "-m", *small, "data.train=0-9,15", f"hydra.sweep.dir={tmp_path}")
    assert status == 0, error


def test_what_a_person_can_mend_is_one_message_and_a_fault_of_ours_a_traceback(capsys):
    def failing(error):
        @command.one_message
        def main(config):
            raise error

        return main

    with pytest.raises(SystemExit, match="error: no such slice"):
        failing(ValueError("no such slice"))(OmegaConf.create({"debug": False}))
    with pytest.raises(ValueError, match="no such slice"):
        failing(ValueError("no such slice"))(OmegaConf.create({"debug": True}))
    with pytest.raises(KeyError):
        failing(KeyError("ours"))(OmegaConf.create({"debug": False}))


def test_a_warning_goes_to_standard_error(capsys):
    terminal.warn("a.tif is left out")
    assert capsys.readouterr() == ("", "warning: a.tif is left out\n")


def test_only_a_choice_that_exists_is_taken():
    arguments.check_choice("tta", "d4", ("none", "d4"))
    with pytest.raises(ValueError, match="expected tta to be one of none, d4, but got d5"):
        arguments.check_choice("tta", "d5", ("none", "d4"))


@pytest.mark.parametrize("value", [0, 0.5, 1, 1.0])
def test_a_probability_is_a_number_from_0_to_1(value):
    arguments.check_probability("threshold", value)


@pytest.mark.parametrize("value", [-0.1, 1.001, 2, "0.5", None, float("nan"), [0.5]])
def test_what_is_no_probability_is_refused_by_its_key(value):
    with pytest.raises(ValueError, match="expected threshold to be a number from 0 to 1, but got"):
        arguments.check_probability("threshold", value)


@pytest.mark.parametrize("value", [None, 0, 1, 10_000])
def test_steps_are_a_whole_number_or_null(value):
    arguments.check_steps("extend", value)


@pytest.mark.parametrize("value", [-1, 0.5, 2.0, "10", True, False, [1], float("nan")])
def test_what_is_no_number_of_steps_is_refused_by_its_key(value):
    with pytest.raises(ValueError, match="expected extend to be a number of steps, but got"):
        arguments.check_steps("extend", value)


@pytest.mark.parametrize(
    ("overrides", "readable"),
    [
        ("seed=1", "seed-1"),
        ("experiment=demo,seed=1", "demo_seed-1"),
        ("model.unet.depth=3,loss=dice", "depth-3_loss-dice"),
        ("optimizer.lr=0.0012345678901234", "lr-0.001235"),
        ("optimizer.lr=1.2345678901234e-05", "lr-1.235e-05"),
        ("optimizer.lr=-0.0012345678901234", "lr-0.001235"),
        ("optimizer.lr=0.001", "lr-0.001"),
        ("data.held_out=24-29", "held_out-24-29"),
        ("data.train=1000-1999", "train-1000-1999"),
        ("data.train=2026-11-23", "train-2026-11-23"),
        ("data.root=/a b/현미경 (1)", "root-a-b-현미경-1"),
        ("trainer.max_time=00:01:00:00", "max_time-00-01-00-00"),
        ("+model.new=1", "new-1"),
        ("~logger", "logger"),
        ("data.train=[0,1,2]", "train-0_1_2"),
    ],
)
def test_a_choice_becomes_a_readable_name(overrides, readable):
    assert arguments.slug(overrides) == f"{readable}_{arguments.slug(overrides)[-8:]}"
    assert re.fullmatch(r"[0-9a-f]{8}", arguments.slug(overrides)[-8:])


def test_no_choice_at_all_is_a_run():
    assert arguments.slug("") == "run"


# Each of these had its own run, so each needs a name of its own, also where what can be read is the same.
ALIKE = (
    "seed=1",
    "seed=2",
    "model.seed=1",
    "data.root=a b",
    "data.root=a-b",
    "data.root=a=b",
    "optimizer.lr=0.00123456789",
    "optimizer.lr=0.00123456788",
    f"data.root={'a' * 300}1",
    f"data.root={'a' * 300}2",
    "a=1,b=2",
    "a=12,b=",
)


def test_names_of_unlike_choices_are_unlike_and_those_of_the_same_one_the_same():
    names = [arguments.slug(overrides) for overrides in ALIKE]
    assert len(set(names)) == len(ALIKE)
    assert names == [arguments.slug(overrides) for overrides in ALIKE]
    assert max(len(name.encode()) for name in names) <= 255
    assert all(re.fullmatch(r"[\w.-]+", name) and name[0] not in ".-" for name in names)


def test_the_name_does_not_change_with_the_version_of_python():
    assert arguments.slug("experiment=demo,optimizer.lr=0.0012345678901234") == "demo_lr-0.001235_fccb8d7c"


def test_only_a_sweep_has_a_directory_for_it():
    assert arguments.sweep_directory(["seed=1,2"]) is None
    assert arguments.sweep_directory(["seed=1", "hydra.sweep.dir=a"]) is None
    assert arguments.sweep_directory(["-m", "seed=1,2"]) == arguments.sweep_directory(["seed=1,2", "--multirun"])


def test_the_directory_of_a_sweep_follows_from_its_choices_alone():
    first = arguments.sweep_directory(["-m", "seed=1,2", "model.depth=2"])
    assert first.parent == Path("runs/sweeps") and "seed-1" in first.name and "depth-2" in first.name
    same = (
        ["model.depth=2", "-m", "seed=1,2"],
        ["-m", "seed=1,2", "model.depth=2", "hydra/launcher=slurm", "hydra.launcher.timeout_min=5"],
        ["-m", "seed=1,2", "model.depth=2", "hydra.sweeper.n_trials=5", "hydra.verbose=true"],
    )
    assert {arguments.sweep_directory(each) for each in same} == {first}
    others = (
        ["-m", "seed=1,2"],
        ["-m", "seed=1,2,3", "model.depth=2"],
        ["-m", "seed=1,2", "model.depth=3"],
        ["-m", "seed=1,2", "model.depth=2", "loss=dice"],
        ["-m", "seed=1,2", "model.depth=2", "+model.norm=batch"],
    )
    assert len({first, *(arguments.sweep_directory(each) for each in others)}) == 1 + len(others)


@pytest.mark.parametrize("path", ["sweep", "a = b, (1) 현미경", "it's"])
def test_a_given_directory_of_a_sweep_is_taken_as_it_is(path):
    assert arguments.sweep_directory(["-m", "seed=1,2", f"hydra.sweep.dir={path}"]) == Path(path)
    assert arguments.sweep_directory(["-m", "hydra.sweep.dir=first", f"hydra.sweep.dir={path}"]) == Path(path)


def test_what_all_points_share_is_not_in_their_names():
    swept = ["seed=1,2", "optimizer.lr=choice(0.1,0.2)", "model.dropout=interval(0,1)", "model.depth=range(2,4)"]
    shared = ["loss=dice", "data.root=a, b (1)", "+model.norm=batch", "data.held_out=[24,25]", "hydra/launcher=slurm"]
    names = ["loss", "data.root", "model.norm", "data.held_out", "hydra/launcher"]
    assert arguments.constant_keys(["-m", *swept, *shared, "--multirun"]) == names


def cells(printed: str) -> list[list[str]]:
    """The cells of a table, a list a line, without lines of the frame."""
    lines = printed.replace("┃", "│").splitlines()
    return [[cell.strip() for cell in line.strip("│").split("│")] for line in lines if line.startswith("│")]


def test_a_ranking_is_printed_with_a_row_a_point(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    first = {"v_rand": 0.75, "pixel_error": 0.000353, "iou_class_1": 0.1, "iou_per_image": 0.2}
    shared = {"directory": "a", "monitor": "v_rand"}
    terminal.print_ranking(
        [
            shared | {"overrides": ["seed=1", "data.root=[x]"], "validation": 0.5, "scores": first, "seconds": 90.0},
            shared | {"overrides": ["seed=2"], "validation": None, "scores": {"v_rand": None}, "seconds": 0.0},
            shared | {"overrides": ["seed=3"], "validation": None, "scores": None, "seconds": None},
        ]
    )
    assert cells(capsys.readouterr().out) == [
        ["", "validation v_rand", "held-out v_rand", "held-out pixel_error", "minutes", "choices"],
        ["1", "0.5000", "0.7500", "0.000353", "1.5", "seed=1 data.root=[x]"],
        ["2", "–", "–", "–", "0.0", "seed=2"],
        ["3", "–", "–", "–", "unfinished", "seed=3"],
    ]


@pytest.fixture
def printed(capsys, monkeypatch):
    """Print scores on a narrow terminal: → a list of cells a line."""
    monkeypatch.setenv("COLUMNS", "40")

    def call(scores: dict, per_image: list[dict]) -> list[list[str]]:
        terminal.print_scores({"scores": scores, "per_image": per_image})
        return cells(capsys.readouterr().out)

    return call


def test_scores_are_printed_with_a_row_an_image_and_their_total(printed):
    rows = [
        {"name": "slice_24", "v_rand": 0.91234, "pixel_error": 0.0},
        {"name": "slice_25", "v_rand": 0.8, "pixel_error": 1.0},
    ]
    assert printed({"v_rand": 0.85617, "pixel_error": 0.5}, rows) == [
        ["image", "v_rand", "pixel_error"],
        ["slice_24", "0.9123", "0.0000"],
        ["slice_25", "0.8000", "1.0000"],
        ["all", "0.8562", "0.5000"],
    ]


def test_what_an_image_lacks_is_a_dash(printed):
    rows = [{"name": "a", "ap": float("nan"), "pq": 0.5}, {"name": "b", "ap": None}]
    assert printed({"ap": float("nan"), "pq": 0.5}, rows)[1:] == [
        ["a", "–", "0.5000"],
        ["b", "–", "–"],
        ["all", "–", "0.5000"],
    ]


def test_the_mean_of_images_and_each_class_have_rows_of_their_own(printed):
    scores = {"iou": 0.5, "dice": 0.6, "iou_class_0": 0.1, "iou_class_10": 0.2, "iou_class_2": 0.3, "dice_class_0": 0.4}
    row = {"name": "a", "iou": 0.5, "dice": 0.6, "iou_class_0": 0.1}
    assert printed(scores | {"iou_per_image": 0.7, "dice_per_image": 0.8}, [row]) == [
        ["image", "iou", "dice"],
        ["a", "0.5000", "0.6000"],
        ["all", "0.5000", "0.6000"],
        ["mean of images", "0.7000", "0.8000"],
        ["class", "iou", "dice"],
        ["0", "0.1000", "0.4000"],
        ["2", "0.3000", "–"],
        ["10", "0.2000", "–"],
    ]


def test_counts_are_printed_as_integers(printed):
    assert printed({"ap": 1.0, "splits": 12}, [{"name": "a", "ap": 1.0, "splits": 0}])[1:] == [
        ["a", "1.0000", "0"],
        ["all", "1.0000", "12"],
    ]


@pytest.mark.parametrize(
    ("score", "expected"),
    [
        (0.000353, "0.000353"),
        (0.001, "0.001000"),
        (0.01, "0.0100"),
        (-0.0004, "-0.000400"),
        (-0.5, "-0.5000"),
        (0.0, "0.0000"),
    ],
)
def test_a_small_number_keeps_its_digits(score, expected, printed):
    assert printed({"warping_error": score}, [])[-1] == ["all", expected]


def test_no_number_is_broken_in_a_narrow_terminal(printed):
    names = [f"score_number_{number}" for number in range(12)]
    long = "a long name of a micrograph 현미경 그림"
    header, row, total = printed(dict.fromkeys(names, 0.5), [{"name": long, **dict.fromkeys(names, 0.000353)}])
    assert header == ["image", *names]
    assert row == [long, *["0.000353"] * 12]
    assert total == ["all", *["0.5000"] * 12]


@pytest.mark.parametrize("override", ["seed=7", "experiment=demo_classes", "data_dir=a b, (c)"])
def test_what_is_composed_once_is_what_hydra_composes(override, monkeypatch, tmp_path):
    found = []

    @command.verb("train")
    def main(config):
        given = HydraConfig.get()
        found.append((OmegaConf.to_container(config, resolve=True), given.runtime.output_dir, given.overrides.task))
        assert Path(given.runtime.output_dir).is_dir()

    monkeypatch.chdir(tmp_path)
    for flags in ([], ["--run"]):  # with a flag it is left to Hydra
        monkeypatch.setattr("sys.argv", ["src.train", override, "hydra.run.dir=a = b/c", *flags])
        command.run(main)
    assert found[0] == found[1] and found[0][1] == str(tmp_path / "a = b" / "c")


def test_names_steer_neither_terminal_nor_spreadsheet(run_command, tmp_path):
    evil = tmp_path / "=a\x1b[2J\u202e"
    evil.mkdir()
    (evil / "b\x07.tif").write_text("no image")
    status, printed, error = run_command("score", f"truth={evil}", f"prediction={tmp_path}")
    assert status == 1 and "\\x1b[2J" in error and "\\u202e" in error
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f\u202e]", printed + error)
    assert [spreadsheet_safe(name) for name in ("=1+1", "+a", "@a", "a=1", "", 3)] == [
        *("'=1+1", "'+a", "'@a", "a=1", "", 3)
    ]
