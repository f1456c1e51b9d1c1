"""The methods paragraph says what the configuration of the run says."""

import inspect

import pytest

from src.data.augment import Warp
from src.data.targets import Border, Core
from src.data.weight_map import WeightMap
from src.pages.methods import (
    Augment,
    Described,
    FirstTransform,
    Scheduler,
    Target,
    Weights,
    augmentation,
    methods,
    rate_over_time,
    sources,
    target_and_start,
)
from tests.conftest import composed

CONFIG = {
    "model": {"depth": 4, "base_channels": 64, "padded": False, "norm": "none"},
    "data": {"batch_size": 1, "tile": 572, "validation": "21-22"},
    "weight_map": {"_target_": "src.data.weight_map.WeightMap", "w0": 50},
    "loss": {"_target_": "src.model.loss.weighted_cross_entropy"},
    "optimizer": {"_target_": "torch.optim.SGD", "lr": 0.0001},
    "augment": {"transforms": [{"_target_": "src.data.augment.Warp", "tile": 572}]},
    "instances": {"_target_": "src.instances.Auto"},
    "score": "best",
    "monitor": "v_rand",
    "tta": "rot7",
}
SCORES = {"steps": 10000, "threshold": 0.4, "instances": {"name": "distance"}, "per_image": [{}] * 6}
FACTS = {"packages": {"torch": "2.13.0", "lightning": "2.6", "albumentations": "2.0.8"}}


def test_the_paper_s_own_recipe():
    text = methods(CONFIG, SCORES, FACTS)
    for part in (
        "4 poolings, 64 channels at full resolution, valid (unpadded) convolutions and no normalisation",
        "10000 steps of 1 tile of 572×572 pixels with SGD (learning rate 0.0001) and weighted cross entropy",
        "w0 = 50 and σ = 5 pixels, with class balance",  # σ and balance are the paper's, which WeightMap knows
        "The checkpoint (best), the decoder (distance) and the threshold (0.4) were chosen by v_rand on the validation",
        "the 6 held-out images were predicted by overlapping tiles, averaged over seven rotations, and scored once",
        "torch 2.13.0, lightning 2.6, albumentations 2.0.8",
    ):
        assert part in text, part


def test_schedule_images_hardware_time_and_seed_are_those_of_the_run():
    scheduler = {"_target_": "torch.optim.lr_scheduler.CosineAnnealingLR", "T_max": 10000}
    parts = {"train": "0-19", "validation": "21-22", "held_out": "24-29"}
    config = CONFIG | {"scheduler": scheduler, "seed": 3, "data": CONFIG["data"] | parts}
    facts = {"images_learnt_from": 20, "cells_learnt_from": 812, "device": "NVIDIA H200", "world_size": 2}
    text = methods(
        config, SCORES | {"scored_step": 9500, "seconds": 600.0}, FACTS | facts | {"precision": "bf16-mixed"}
    )
    for part in (
        "The learning rate fell to 0 along half a cosine.",
        "There were 20 training images, with 812 annotated cells.",
        "held-out images was made by hand (train: 0-19, validation: 21-22, held-out: 24-29).",
        "The checkpoint (best, of step 9500), the decoder",
        "Training took 10.0 minutes on NVIDIA H200 × 2 in precision bf16-mixed, with seed 3.",
    ):
        assert part in text, part
    automatic = config | {"data": CONFIG["data"] | dict.fromkeys(parts, "auto")}
    assert "was automatic: no two parts share a file" in methods(automatic, SCORES, FACTS | facts)
    assert "training image" not in methods(config, SCORES, FACTS)


@pytest.mark.parametrize("scheduler", ["constant", "cosine", "plateau", "poly"])
def test_each_schedule_is_described(scheduler):
    assert rate_over_time(Scheduler.model_validate(composed(f"scheduler={scheduler}")["scheduler"]))


def test_of_an_earlier_run_the_decoder_is_what_was_asked_for_and_classes_have_none():
    earlier = {key: value for key, value in SCORES.items() if key != "instances"}
    assert "the decoder (auto) and the threshold" in methods(CONFIG, earlier, FACTS)
    assert "decoder" not in methods(CONFIG, SCORES | {"instances": {"name": "classes"}}, FACTS)


@pytest.mark.parametrize(
    ("layout", "callee", "apart"),
    [
        (FirstTransform, Warp, {"tile", "p"}),
        (Weights, WeightMap, set()),
        (Target, Border, set()),
        (Target, Core, set()),
    ],
)
def test_what_a_configuration_leaves_out_is_what_the_callee_does(layout, callee, apart):
    defaults = {name: field.default for name, field in layout.model_fields.items()}
    parameters = inspect.signature(callee).parameters
    for name in parameters.keys() - apart:
        assert defaults[name] == parameters[name].default, name


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ({}, []),
        ({"target": {"_target_": "src.data.targets.Classes"}}, []),
        ({"target": {"_target_": "src.data.targets.Border", "width": 3}}, ["The outermost 3 pixels of each cell"]),
        ({"target": {"_target_": "src.data.targets.Core"}}, ["as wide as 0.5 of its half-width"]),
        ({"start_from": "other.ckpt"}, ["Training started from the weights of another network."]),
        ({"weight_map": {"balance": 0.5}}, ["w0 = 10 and σ = 5 pixels, with class balance (exponent 0.5)"]),
        ({"weight_map": {"balance": 0}}, ["without class balance"]),
    ],
)
def test_targets_first_weights_and_balance_that_differ_from_the_paper_are_named(chosen, expected):
    text = methods(CONFIG | chosen, SCORES, FACTS)
    for part in expected:
        assert part in text, part
    described = Described.model_validate(CONFIG | chosen)
    assert len(target_and_start(described)) == len([part for part in expected if "balance" not in part])


@pytest.mark.parametrize(
    ("changed", "absent"),
    [
        ({"loss": {"_target_": "src.model.loss.dice"}}, "w0"),
        ({"optimizer": {"_target_": "torch.optim.Adafactor"}}, "learning rate"),
        ({"tta": "none"}, "averaged"),
        ({"data": {**CONFIG["data"], "validation": ""}}, "on the validation images"),
    ],
)
def test_what_was_not_done_is_not_said(changed, absent):
    assert absent in methods(CONFIG, SCORES, FACTS)
    assert absent not in methods(CONFIG | changed, SCORES, FACTS)


def test_what_was_done_to_tiles_is_what_the_configuration_says():
    warp = {"_target_": "src.data.augment.Warp", "tile": 60}
    still = warp | {"rotation": 0, "mirror": False, "elastic": 0}
    assert augmentation(Augment(transforms=[still])) == "Tiles were shifted."
    done = augmentation(Augment(transforms=[warp | {"scale": 2}, {"_target_": "albumentations.GaussNoise"}]))
    assert done == (
        "Tiles were shifted, rotated by up to 180° either way, mirrored, scaled up and down by up to 2, deformed "
        "elastically (σ = 10 pixels on a 3×3 grid), changed by GaussNoise."
    )


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        (["v_rand"], ["Arganda-Carreras"]),
        (["ap50", "seg"], ["Schmidt", "Maška"]),
        (["pq_mean"], ["Kirillov"]),
        (["iou"], []),
    ],
)
def test_scores_are_cited_by_where_they_come_from(scores, expected):
    assert [text.split()[0] for text in sources(scores)] == expected
