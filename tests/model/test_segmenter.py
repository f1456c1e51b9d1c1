from functools import partial

import lightning
import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import Callback
from torch.optim import SGD
from torch.optim.lr_scheduler import ConstantLR, LambdaLR
from torch.utils.data import DataLoader
from torchmetrics import MetricCollection

from src.metrics.pixel import ForegroundIoU, PixelError
from src.metrics.rand import VRand
from src.model.loss import weighted_cross_entropy
from src.model.segmenter import Segmenter
from src.model.unet import UNet

SCORES = {"v_rand", "pixel_error", "iou"}
CONSTANT = partial(ConstantLR, factor=1)


def small_segmenter(scheduler=CONSTANT, **options):
    torch.manual_seed(0)
    metrics = {"v_rand": VRand(), "pixel_error": PixelError(), "iou": ForegroundIoU()}
    return Segmenter(
        model=UNet(base_channels=2, depth=2, **options),
        loss=weighted_cross_entropy,
        metrics=MetricCollection(metrics, compute_groups=False),
        optimizer=partial(SGD, lr=0.01),
        scheduler=scheduler,
    )


def certain_segmenter(foreground):
    """One that gives every pixel the same probability of foreground."""
    segmenter = small_segmenter()
    torch.nn.init.zeros_(segmenter.model.classify.weight)
    segmenter.model.classify.bias.data = torch.tensor([1 - foreground, foreground]).log()
    return segmenter


def trainer(directory, **options):
    return lightning.Trainer(
        accelerator="cpu",
        devices=1,
        default_root_dir=directory,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        **options,
    )


def tiles(count):
    """Tiles of 44 pixels, of which a valid network of depth 2 says something about 4."""
    random = torch.Generator().manual_seed(1)
    tile = {
        "image": torch.rand(1, 44, 44, generator=random),
        "target": torch.randint(2, (4, 4), generator=random),
        "weight": torch.rand(4, 4, generator=random) + 0.5,
    }
    return DataLoader([tile] * count)


def whole_slices(*targets):
    random = torch.Generator().manual_seed(2)
    return DataLoader(
        [{"image": torch.rand(1, *target.shape, generator=random), "target": target} for target in targets]
    )


def two_cells():
    target = torch.ones(9, 14, dtype=torch.int64)
    target[:, 6] = 0
    return target


def test_a_step_in_bf16_changes_the_weights(tmp_path):
    segmenter = small_segmenter()
    before = {name: value.clone() for name, value in segmenter.state_dict().items()}
    stepping = trainer(tmp_path, max_steps=1, precision="bf16-mixed")
    stepping.fit(segmenter, tiles(1), whole_slices(two_cells()))
    assert stepping.global_step == 1
    assert torch.isfinite(stepping.callback_metrics["train/loss"])
    assert not torch.equal(segmenter.model.down[0][0].weight, before["model.down.0.0.weight"])
    assert not torch.equal(segmenter.model.classify.weight, before["model.classify.weight"])
    assert all(value.isfinite().all() and value.dtype == torch.float32 for value in segmenter.parameters())


def test_the_schedule_is_stepped_once_a_training_step(tmp_path):
    segmenter = small_segmenter(partial(LambdaLR, lr_lambda=lambda step: 0.5**step))
    stepping = trainer(tmp_path, max_steps=3)
    stepping.fit(segmenter, tiles(3), whole_slices(two_cells()))
    assert stepping.optimizers[0].param_groups[0]["lr"] == pytest.approx(0.01 * 0.5**3)


@pytest.mark.parametrize("padded", [False, True])
def test_probabilities_have_the_shape_of_the_image_and_sum_to_1(padded):
    segmenter = small_segmenter(padded=padded).eval()
    image = torch.rand(2, 1, 13, 30)
    with torch.inference_mode():
        probabilities = segmenter.probabilities(image)
        tiled = segmenter.probabilities(image, tile=56)
    assert probabilities.shape == (2, 2, 13, 30)
    assert probabilities.dtype == torch.float32
    assert probabilities.min() >= 0
    torch.testing.assert_close(probabilities.sum(dim=1), torch.ones(2, 13, 30))
    torch.testing.assert_close(tiled, probabilities)


def test_probabilities_in_bf16_are_fp32_and_sum_to_1():
    segmenter = small_segmenter().eval()
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        probabilities = segmenter.probabilities(torch.rand(1, 1, 9, 9))
    assert probabilities.dtype == torch.float32
    torch.testing.assert_close(probabilities.sum(dim=1), torch.ones(1, 9, 9))


def test_grey_is_seen_as_0():
    segmenter, seen = small_segmenter().eval(), []
    segmenter.model.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0]))
    for value in (0.0, 0.5, 1.0):
        segmenter(torch.full((1, 1, 44, 44), value))
    assert [image.unique().tolist() for image in seen] == [[-1], [0], [1]]


def test_validation_scores_whole_slices_and_chooses_the_threshold(tmp_path):
    # Everything is foreground at thresholds 0, 0.1 and 0.2, of which 0.1 is the middle; nothing is at 0.3 and above.
    segmenter = certain_segmenter(0.25)
    assert segmenter.threshold == 0.5
    validating = trainer(tmp_path)
    validating.validate(segmenter, whole_slices(torch.ones(9, 14, dtype=torch.int64)), verbose=False)
    scores = {name: value.item() for name, value in validating.callback_metrics.items()}
    assert scores == {"validation/v_rand": 1, "validation/pixel_error": 0, "validation/iou": 0}
    assert segmenter.threshold == 0.1


def test_validation_agrees_with_metrics_of_its_own_probabilities(tmp_path):
    segmenter, slices = small_segmenter(), whole_slices(two_cells(), torch.ones(7, 5, dtype=torch.int64))
    validating = trainer(tmp_path)
    validating.validate(segmenter, slices, verbose=False)
    segmenter.eval()
    rand, error, iou = VRand(), PixelError(), ForegroundIoU()
    with torch.inference_mode():
        for batch in slices:
            for metric in (rand, error, iou):
                metric.update(segmenter.probabilities(batch["image"]), batch["target"])
    scores = {name.removeprefix("validation/"): value for name, value in validating.callback_metrics.items()}
    assert scores == {"v_rand": rand.compute(), "pixel_error": error.compute(), "iou": iou.compute()}
    assert segmenter.threshold == rand.best_threshold()


def test_each_validation_starts_from_nothing(tmp_path):
    segmenter, validating = small_segmenter(), trainer(tmp_path)
    first = validating.validate(segmenter, whole_slices(two_cells()), verbose=False)
    validating.validate(segmenter, whole_slices(torch.ones(8, 8, dtype=torch.int64)), verbose=False)
    assert validating.validate(segmenter, whole_slices(two_cells()), verbose=False) == first


def test_a_checkpoint_of_plain_values_holds_the_threshold(tmp_path):
    segmenter = certain_segmenter(0.25)
    stepping = trainer(tmp_path, max_steps=1)
    # The bias learns too, by too little to matter.
    stepping.fit(segmenter, tiles(1), whole_slices(torch.ones(9, 14, dtype=torch.int64)))
    stepping.save_checkpoint(tmp_path / "last.ckpt")
    content = torch.load(tmp_path / "last.ckpt", weights_only=True)
    assert content["threshold"] == segmenter.threshold == 0.1

    fresh = small_segmenter()
    fresh.load_state_dict(content["state_dict"])
    fresh.on_load_checkpoint(content)
    assert fresh.threshold == 0.1
    image = torch.rand(1, 1, 9, 14)
    with torch.inference_mode():
        assert torch.equal(fresh.eval().probabilities(image), segmenter.eval().probabilities(image))


def test_a_held_out_slice_gives_its_probabilities_and_scores(tmp_path):
    class Rows(Callback):
        def on_test_batch_end(self, trainer, module, outputs, batch, batch_idx, dataloader_idx=0):
            rows.append((outputs, batch))

    rows = []
    segmenter, slices = small_segmenter(), whole_slices(two_cells(), torch.ones(7, 5, dtype=torch.int64))
    (pooled,) = trainer(tmp_path, callbacks=[Rows()]).test(segmenter, slices, verbose=False)
    assert set(pooled) == {f"held_out/{name}" for name in SCORES}
    assert len(rows) == 2
    for outputs, batch in rows:
        alone = VRand()
        alone.update(outputs["probabilities"], batch["target"])
        assert outputs["probabilities"].shape == (1, 2, *batch["target"].shape[1:])
        assert set(outputs["scores"]) == SCORES
        assert all(type(score) is float for score in outputs["scores"].values())
        assert outputs["scores"]["v_rand"] == alone.compute().item()  # of this slice, not of those so far
    together = PixelError()
    for outputs, batch in rows:
        together.update(outputs["probabilities"], batch["target"])
    assert pooled["held_out/pixel_error"] == together.compute().item()
    assert np.isfinite(list(pooled.values())).all()


def test_testing_leaves_the_threshold_alone(tmp_path):
    segmenter = certain_segmenter(0.25)
    trainer(tmp_path).test(segmenter, whole_slices(torch.ones(9, 14, dtype=torch.int64)), verbose=False)
    assert segmenter.threshold == 0.5
