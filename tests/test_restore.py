"""A checkpoint gives a trained network, and calls only what conf/ calls."""

import math
from dataclasses import asdict

import pytest
import torch

from src import training
from src.files.legend import NUMBERS, Legend, plain
from src.files.stored import EARLIER, Reading
from src.instances import Auto, Components
from src.model import archive
from src.model.layout import part_of
from src.model.trained import logits
from src.restore import restore
from tests.conftest import composed


def saved(config, folder, **changes):
    module = training.make_segmenter(config)
    file = folder / "some.ckpt"
    content = {"hyper_parameters": dict(module.hparams), "state_dict": module.state_dict(), "threshold": 0.7}
    archive.write(file, content | changes)
    return module, file


def test_a_segmenter_restores_from_its_checkpoint_alone(tmp_path):
    module, file = saved(composed("model.base_channels=2", "model.depth=2"), tmp_path)
    restored = restore(file)
    assert restored.decoder.threshold == 0.7
    assert not restored.model.training
    image = torch.rand(1, 1, 60, 60)
    with torch.inference_mode():
        assert torch.equal(logits(restored.model, image), module.eval()(image))


@pytest.mark.parametrize("target", ["os.system", "torch.hub.load", "torch.save", "src.files.arrays.write_tiff"])
def test_a_checkpoint_may_call_only_what_conf_calls(target, tmp_path):
    config = composed("model.base_channels=2", "model.depth=2")
    module, file = saved(config, tmp_path)
    parts = dict(module.hparams) | {"loss": {"nested": [{"_target_": target}]}}
    archive.write(file, {"hyper_parameters": parts, "state_dict": {}, "threshold": 0.5})
    with pytest.raises(ValueError, match=target):
        restore(file)


def test_a_checkpoint_may_not_hide_a_call_in_an_interpolation(tmp_path):
    module, file = saved(composed("model.base_channels=2", "model.depth=2"), tmp_path)
    hidden = "${oc.create:'{_target_: os.system, command: ls}'}"
    parts = dict(module.hparams) | {"loss": hidden}
    archive.write(file, {"hyper_parameters": parts, "state_dict": {}, "threshold": 0.5})
    with pytest.raises(ValueError, match="would call"):
        restore(file)


def test_what_is_no_checkpoint_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="none at"):
        restore(tmp_path / "missing.ckpt")
    (tmp_path / "text.ckpt").write_text("not a checkpoint")
    with pytest.raises(ValueError, match=r"text\.ckpt"):
        restore(tmp_path / "text.ckpt")


def test_how_pixels_were_seen_is_restored_and_an_earlier_checkpoint_means_what_it_did(tmp_path):
    config = composed("model.base_channels=2", "model.depth=2")
    reading = Reading("shown", "shown", "ZYX", "objects")
    assert restore(saved(config, tmp_path, reading=asdict(reading))[1]).reading == reading
    assert restore(saved(config, tmp_path)[1]).reading == EARLIER == Reading("stored", "stored", None, "percentiles")


@pytest.mark.parametrize(
    "wrong", ["shown", {"scaling": "log"}, {"orientation": "up"}, {"axes": "/etc"}, {"mirror": "yes"}, {"axes": 3}]
)
def test_another_reading_is_refused(wrong, tmp_path):
    _, file = saved(composed("model.base_channels=2", "model.depth=2"), tmp_path, reading=wrong)
    with pytest.raises(ValueError, match=r"some\.ckpt is not one: expected"):
        restore(file)


def test_the_legend_of_the_classes_is_restored_and_must_be_of_as_many(tmp_path):
    config = composed("model.base_channels=2", "model.depth=2")
    legend = Legend((0, 255), ("ground", "vessel"), ((0, 0, 0), (9, 9, 9)))
    assert restore(saved(config, tmp_path, legend=plain(legend))[1]).legend == legend
    assert restore(saved(config, tmp_path)[1]).legend == NUMBERS
    for wrong in ({"values": [0, 1, 5]}, {"values": ["0", "1"]}, {"names": ["a", {"_target_": "os.system"}]}, [], None):
        with pytest.raises(ValueError, match=r"a checkpoint written by src\.train, but .* is not one: expected"):
            restore(saved(config, tmp_path, legend=wrong)[1])


def test_what_was_tried_and_how_it_was_scored_is_restored(tmp_path):
    config = composed("model.base_channels=2", "model.depth=2")
    tried = [{"instances": part_of("instances", way), "ranks": [None, *[0.5] * 8]} for way in (Components(3), Auto())]
    restored = restore(saved(config, tmp_path, choices=tried, tta="rot7", precision="bf16-mixed")[1])
    assert restored.choices == tuple((way, (-math.inf, *[0.5] * 8)) for way in (Components(3), Auto()))
    assert (restored.tta, restored.precision) == ("rot7", "bf16-mixed")
    earlier = restore(saved(config, tmp_path)[1])
    assert (earlier.tta, earlier.precision, earlier.choices) == ("none", None, ())


@pytest.mark.parametrize(
    "wrong",
    [
        *({"tta": "rot8"}, {"tta": 3}, {"precision": "8-bit"}, {"precision": ["32"]}),
        *({"choices": {}}, {"choices": ["components"]}, {"choices": [{"instances": {"name": "components"}}]}),
        {"choices": [{"instances": {"name": "components"}, "ranks": [0.5] * 8}]},
        {"choices": [{"instances": {"name": "components"}, "ranks": ["high"] * 9}]},
        {"choices": [{"instances": {"name": "components"}, "ranks": [math.nan] * 9}]},
        {"choices": [{"instances": {"name": "components"}, "ranks": [10**400] * 9}]},
        {"choices": [{"instances": {"name": "os.system"}, "ranks": [0.5] * 9}]},
        {"choices": [{"instances": {"name": "components", "_target_": "os.system"}, "ranks": [0.5] * 9}]},
        {"choices": [{"instances": {"name": "components", "min_size": "/etc/passwd"}, "ranks": [0.5] * 9}]},
        {"choices": [{"instances": {"name": "components"}, "ranks": [0.5] * 9}] * 65},
    ],
)
def test_choices_that_are_none_are_refused(wrong, tmp_path):
    _, file = saved(composed("model.base_channels=2", "model.depth=2"), tmp_path, **wrong)
    with pytest.raises(ValueError, match=r"some\.ckpt is not one: expected"):
        restore(file)


def test_what_the_training_images_look_like_is_restored_and_an_earlier_checkpoint_says_nothing(tmp_path):
    config = composed("model.base_channels=2", "model.depth=2")
    rows = [{"sharpness": 0.5, "skewness": -1.0, "pixel_size": 0.65}, {}, {"levels": 200}]
    assert restore(saved(config, tmp_path, appearance=rows)[1]).appearance == tuple(rows)
    assert restore(saved(config, tmp_path)[1]).appearance == ()


@pytest.mark.parametrize(
    "wrong",
    [
        *({}, None, [3], ["sharpness"], [["sharpness", 0.5]], [{}] * 1001),
        *([{"beauty": 0.5}], [{"sharpness": "high"}], [{"sharpness": None}], [{"sharpness": True}], [{"levels": [1]}]),
        *([{"sharpness": math.nan}], [{"skewness": math.inf}], [{"pixel_size": 0.0}], [{"noise": -1.0}]),
        *([{"median": 10**400}], [{"median": {"_target_": "os.system"}}]),
    ],
)
def test_another_appearance_is_refused(wrong, tmp_path):
    _, file = saved(composed("model.base_channels=2", "model.depth=2"), tmp_path, appearance=wrong)
    with pytest.raises(ValueError, match=r"some\.ckpt is not one: expected"):
        restore(file)
