"""Command-line arguments: quoting of paths, names of directories, and values that are null."""

import re
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from src import arguments, build


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
@pytest.mark.parametrize(
    "key", ["input", "data.root", "data.source.labels", "hydra.run.dir", "truth", "prediction", "output"]
)
def test_a_path_reaches_the_configuration_unchanged(key, path):
    (override,) = OverridesParser.create().parse_overrides([arguments.quote(f"{key}={path}")])
    assert override.key_or_group == key
    as_it_is = (
        OmegaConf.create({"path": override.value()}) if not key.startswith("hydra.") else {"path": override.value()}
    )
    assert as_it_is["path"] == path
    assert arguments.unquote(arguments.quote(f"{key}={path}")) == f"{key}={path}"


PATHS = st.text(st.sampled_from("ab \\'\"${}[]()=,:~#%*?!현\t"), min_size=1, max_size=12).filter(
    lambda path: path[0] not in "'\"" and path != "???"  # which OmegaConf takes for what is not given
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


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["data.root=a b"], True),
        (["data=folder", "data.root='a b'", "model.depth=3"], True),
        (["-m", "data.root=a", "seed=1,2"], True),
        (["data.root=a", "experiment=cells"], False),
        (["data.root=a", "+experiment=cells"], False),
        (["-m", "data.root=a", "experiment=cells,membranes"], False),
        (["experiment.root=a", "data.source.root=a"], False),
        (["data=isbi2012", "data.root=a"], False),
        (["data.root=a", "--help"], False),
        (["seed=1"], False),
        ([], False),
    ],
)
def test_an_experiment_is_lacking_where_a_folder_is_named_and_nothing_else_chosen(given, expected):
    assert arguments.lacks_experiment(given) == expected
