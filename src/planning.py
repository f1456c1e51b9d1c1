"""Check the settings of a run, and choose the interval between validations."""

import copy
import functools
import math

from src.arguments import NO_VALIDATION, check_choice, check_least, check_steps
from src.build import PlainConfig
from src.files.stored import SCALINGS
from src.tiles.symmetry import AVERAGES

# The minimum of each integer setting that Lightning or PyTorch would refuse too late or with an unclear message.
LEAST = {"trainer.max_steps": 1, "trainer.val_check_interval": 1, "trainer.accumulate_grad_batches": 1}
LEAST |= {"trainer.num_nodes": 1, "data.batch_size": 1, "trainer.log_every_n_steps": 0, "data.workers": 0, "seed": 0}
VALIDATIONS, STEP = 40, 10  # most validations in a run; the interval between them is a multiple of STEP steps


def check_numbers(config: PlainConfig) -> None:
    """Refuse settings with which training or the choice of a checkpoint is impossible.

    Raises:
        ValueError: a setting is refused; the message names the key and the nearest valid value.
    """
    check_steps("extend", config["extend"])
    for key, least in LEAST.items():
        noun, _, name = key.rpartition(".")
        value = (config[noun] if noun else config)[name]
        if (key, value) != ("trainer.val_check_interval", "auto"):
            check_least(key, value, least)
    devices = config["trainer"]["devices"]
    if isinstance(devices, int) and devices != -1:  # -1 means all
        check_least("trainer.devices", devices, 1)
    check_choice("score", config["score"], ("best", "last"))
    check_choice("tta", config["tta"], AVERAGES)
    check_choice("scaling", config["scaling"], SCALINGS)
    check_choice("compile", config["compile"], ("auto", True, False))
    check_choice("freeze", config["freeze"], (None, "encoder"))
    if config["freeze"] is not None and config["start_from"] is None:
        raise ValueError(
            f"expected start_from with freeze={config['freeze']}, but got none; nearest valid: freeze=null"
        )
    if config["score"] == "best" and config["fold"] is None and not str(config["data"]["validation"]).strip():
        raise ValueError(NO_VALIDATION)


def steps_between(cost: float, steps: int) -> int:
    """Return the number of training steps between validations with which validation takes a fifth of the time.

    A run has at most `VALIDATIONS` validations, because the best of very many would be chosen by luck, and at least a
    quarter as many, because a learning rate schedule may depend on them.

    Args:
        cost: the duration of a validation, in training steps.
        steps: the number of training steps of the run.
    """
    least, most = steps / VALIDATIONS, 4 * steps / VALIDATIONS
    return STEP * math.ceil(max(least, min(most, 4 * cost)) / STEP)


def with_interval(config: PlainConfig, every: int) -> PlainConfig:
    """Return a configuration in which ``every`` steps replaces ``auto`` as the interval between validations.

    The settings of the learning rate schedule and of the last checkpoint that follow the interval are replaced too.

    Args:
        config: the configuration, which is not changed.
        every: the number of steps between validations.
    """
    named = (("trainer", "val_check_interval"), ("scheduler", "every"), ("callbacks", "last", "every"))
    config = copy.deepcopy(config)
    for *nouns, name in named:
        node = functools.reduce(lambda node, noun: node.get(noun, {}), nouns, config)
        if node.get(name) == "auto":
            node[name] = every
    return config
