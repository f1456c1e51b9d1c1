"""The numbers of a run: refused where there is nothing to train with them, counted where nobody has chosen them."""

import copy
import functools
import math

from src.arguments import NO_VALIDATION, check_choice, check_least, check_steps
from src.files.stored import SCALINGS
from src.tiles.symmetry import AVERAGES

# The least value of whole numbers that Lightning or PyTorch would refuse too late, or in words of their own.
LEAST = {"trainer.max_steps": 1, "trainer.val_check_interval": 1, "trainer.accumulate_grad_batches": 1}
LEAST |= {"trainer.num_nodes": 1, "data.batch_size": 1, "trainer.log_every_n_steps": 0, "data.workers": 0, "seed": 0}
VALIDATIONS, STEP = 40, 10  # of a run at most; what the steps between them are a multiple of


def check_numbers(config: dict) -> None:
    """Refuse numbers with which there is nothing to train, or nothing to choose a checkpoint by.

    Raises:
        ValueError: names the key and the nearest valid value.
    """
    check_steps("extend", config["extend"])
    for key, least in LEAST.items():
        noun, _, name = key.rpartition(".")
        value = (config[noun] if noun else config)[name]
        if (key, value) != ("trainer.val_check_interval", "auto"):
            check_least(key, value, least)
    devices = config["trainer"]["devices"]
    if isinstance(devices, int) and devices != -1:  # which means all
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
    """Steps from one validation to the next, which then takes a fifth of the time, in a run of so many steps.

    There are no more than `VALIDATIONS` in a run, because the best of many is chosen by luck, and no fewer than a
    quarter of that, because a schedule may follow them.

    Args:
        cost: of a validation, in training steps.
        steps: of the run.
    """
    least, most = steps / VALIDATIONS, 4 * steps / VALIDATIONS
    return STEP * math.ceil(max(least, min(most, 4 * cost)) / STEP)


def with_interval(config: dict, every: int) -> dict:
    """A configuration with ``every`` where the steps between validations are ``auto``, and where others follow them."""
    named = (("trainer", "val_check_interval"), ("scheduler", "every"), ("callbacks", "last", "every"))
    config = copy.deepcopy(config)
    for *nouns, name in named:
        node = functools.reduce(lambda node, noun: node.get(noun, {}), nouns, config)
        if node.get(name) == "auto":
            node[name] = every
    return config
