"""The numbers of a run: impossible ones are refused, and the interval between validations is computed."""

import pytest
import yaml

from src import planning, training
from tests.conftest import composed

AUTO = ("trainer.val_check_interval=auto", "trainer.max_steps=4000")


@pytest.mark.parametrize(
    ("cost", "steps", "expected"),
    [
        (10, 4000, 100),  # a fortieth of the run
        (50, 4000, 200),  # four times what a validation costs
        (41, 4000, 170),  # in tens, rounded up
        (1000, 4000, 400),  # a tenth of the run
        (0, 100, 10),
        (0, 1, 10),
    ],
)
def test_a_validation_takes_a_fifth_within_bounds(cost, steps, expected):
    assert planning.steps_between(cost, steps) == expected


def test_what_follows_the_interval_gets_its_number():
    config = composed("experiment=cells", "data.root=.", *AUTO)
    found = planning.with_interval(config, 70)
    assert [found["trainer"]["val_check_interval"], found["scheduler"]["every"]] == [70, 70]
    assert found["callbacks"]["last"]["every"] == 70 and config["scheduler"]["every"] == "auto"
    config = composed("trainer.val_check_interval=30", "callbacks.last.every=7")
    assert planning.with_interval(config, 70) == config


def test_the_interval_counts_the_pixels_of_a_validation_and_of_steps(tmp_path):
    sizes = ["data.source.size=128", "data.tile=60", "model.depth=2", "model.base_channels=2", "data.workers=0"]
    config = composed(*sizes, "trainer.val_check_interval=auto", "trainer.max_steps=400", f"run_dir={tmp_path}")
    made = training.parts(config)
    asked, chosen, counted = training.with_counted_interval(config, config, made)
    # Two images of 128×128 px, each from a tile of 168×168, cost as much as 5.2 steps of 3 × 60×60: four times is 20.9.
    assert asked["trainer"]["val_check_interval"] == counted.trainer.val_check_interval == 30
    assert asked == chosen and counted.data is made.data
    assert training.with_counted_interval(asked, chosen, counted) == (asked, chosen, counted)


@pytest.mark.slow
def test_the_number_is_written_down_and_kept(train_slim):
    auto = ("trainer.val_check_interval=auto", "trainer.max_steps=12")
    directory, status, _, error = train_slim(*auto)
    assert status == 0, error
    stored = yaml.safe_load((directory / "config.yaml").read_text())
    assert stored["trainer"]["val_check_interval"] == stored["callbacks"]["last"]["every"] == 10
    for arguments in (auto, (*auto[1:], "trainer.val_check_interval=10")):
        _, status, printed, error = train_slim(*arguments)
        assert status == 0 and "is finished" in printed, error
    _, status, _, error = train_slim(*auto[1:], "trainer.val_check_interval=20")
    assert status == 1 and "trainer.val_check_interval" in error
    _, status, printed, error = train_slim(*auto, "extend=8")
    assert status == 0 and "step 20/20" in printed, error
