"""Configuration to objects: every config fits the signature of what it calls."""

import inspect

import hydra
import pytest
from hydra.utils import get_object
from omegaconf import OmegaConf
from torch.optim.swa_utils import AveragedModel

from src import CONF, build

FILES = sorted(file.relative_to(CONF).with_suffix("").as_posix() for file in CONF.rglob("*.yaml"))
NOUNS = (
    "data augment target model loss weight_map metrics instances optimizer scheduler trainer callbacks logger".split()
)


def compose(*overrides: str):
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        return hydra.compose("train", overrides=["run_dir=somewhere", *overrides])


def calls(node):
    """Every dictionary with a ``_target_`` in a configuration."""
    if isinstance(node, dict):
        if "_target_" in node:
            yield node
        for child in node.values():
            yield from calls(child)
    elif isinstance(node, list):
        for child in node:
            yield from calls(child)


@pytest.mark.parametrize("file", FILES)
def test_every_argument_in_conf_exists(file):
    for call in calls(OmegaConf.to_container(OmegaConf.load(CONF / f"{file}.yaml"), resolve=False)):
        parameters = dict(inspect.signature(get_object(call["_target_"])).parameters)
        if call["_target_"] == "lightning.pytorch.callbacks.WeightAveraging":  # which passes others on
            parameters |= inspect.signature(AveragedModel).parameters
        unknown = {name for name in call if not name.startswith("_")} - set(parameters)
        assert not unknown, f"{call['_target_']} takes no {unknown}"


@pytest.mark.parametrize("noun", NOUNS)
def test_every_noun_has_choices_and_each_composes(noun):
    choices = [file.split("/")[1] for file in FILES if file.startswith(f"{noun}/")]
    assert len(choices) >= 2
    for choice in choices:
        given = ["data.root=x"] if f"{noun}/{choice}" == "data/folder" else []
        build.check(compose(f"{noun}={choice}", *given)[noun], noun)


def test_a_config_is_two_to_fifteen_lines_and_says_what_it_is():
    for file in FILES:
        lines = [line for line in (CONF / f"{file}.yaml").read_text().splitlines() if line.strip()]
        said = [line for line in lines if line.startswith("#") and "@package" not in line]
        assert said, f"{file} does not say what it is"
        if "/" in file:
            assert len([line for line in lines if not line.lstrip().startswith("#")]) <= 23, file


def test_the_keys_that_people_override_can_be_overridden():
    for key in (
        *("seed=1", "data_dir=x", "debug=true", "trainer.max_steps=1", "trainer.max_time=00:01:00:00"),
        *("trainer.devices=2", "trainer.num_nodes=2", "trainer.precision=32-true"),
        *("model.in_channels=3", "model.classes=3", "model.base_channels=8", "model.depth=3"),
        *("model.padded=true", "model.norm=none", "model.dropout=0.1"),
    ):
        compose(key)


def test_a_type_is_checked_at_any_depth():
    config = compose("data.source.size=large")
    with pytest.raises(ValueError, match=r"data\.source\.size: expected .*int.* but got 'large'"):
        build.check(config.data, "data")


def test_an_unknown_argument_is_named_with_the_nearest():
    config = compose("+optimizer.momentun=0.9", "optimizer=sgd")
    with pytest.raises(ValueError, match=r"optimizer\.momentun; nearest valid: momentum"):
        build.check(config.optimizer, "optimizer")
