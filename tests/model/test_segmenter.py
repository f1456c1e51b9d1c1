from dataclasses import replace
from functools import partial

import lightning
import numpy as np
import pytest
import tifffile
import torch
from lightning.pytorch.callbacks import Callback
from skimage.measure import label
from torch.optim import SGD
from torch.optim.lr_scheduler import ConstantLR, LambdaLR
from torch.utils.data import DataLoader

from src.files.grey import normalise
from src.files.image import open_image
from src.files.stored import SHOWN
from src.instances import Components
from src.metrics.evaluator import Evaluator, Probabilities
from src.metrics.instance import Instances
from src.metrics.pixel import PixelError
from src.metrics.rand import AfterThinning
from src.metrics.semantic import Semantic
from src.model.engine import Engine, fastest
from src.model.loss import weighted_cross_entropy
from src.model.segmenter import Segmenter
from src.model.unet import UNet
from src.prediction.predictor import Predictor, fill
from src.prediction.store import Store
from src.tiles import blocks as tile_blocks
from src.tiles.overlap import Window

SCORES = {"v_rand", "v_info", "pixel_error", "wrong_pixels"}
CONSTANT = partial(ConstantLR, factor=1)


def isbi():
    return {"after_thinning": AfterThinning(), "pixel_error": PixelError()}


def small_segmenter(scheduler=CONSTANT, metrics=None, monitor="v_rand", **options):
    torch.manual_seed(0)
    return Segmenter(
        model=UNet(base_channels=2, depth=2, **options),
        loss=weighted_cross_entropy,
        metrics=metrics or isbi(),
        optimizer=partial(SGD, lr=0.01),
        scheduler=scheduler,
        instances=Components(),
        monitor=monitor,
    )


def certain_segmenter(foreground, **options):
    """A segmenter that gives each pixel the same probability of foreground."""
    segmenter = small_segmenter(**options)
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
    """Tiles of 44 pixels, for which a valid network of depth 2 has an output of 4 pixels."""
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
        [
            {
                "image": torch.rand(1, *target.shape, generator=random),
                "target": target,
                "known": torch.ones_like(target, dtype=torch.bool),
                "instances": torch.from_numpy(label(target.numpy())),
            }
            for target in targets
        ]
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


def trained(directory, compiled):
    segmenter = small_segmenter()
    segmenter.compiled = compiled
    trainer(directory, max_steps=2).fit(segmenter, tiles(2), whole_slices(two_cells()))
    return segmenter


def test_compiled_steps_change_the_weights_as_eager_ones_under_the_same_names(tmp_path, monkeypatch):
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="aot_eager"))  # needs no C++ compiler
    eager, compiled = (trained(tmp_path, choice).state_dict() for choice in (False, True))
    assert list(eager) == list(compiled)
    for name, value in eager.items():
        torch.testing.assert_close(compiled[name], value)


def test_without_a_compiler_training_goes_on_and_says_so(tmp_path, monkeypatch, capsys):
    def broken(function):
        raise RuntimeError("no C++ compiler")

    eager = trained(tmp_path, False).state_dict()
    monkeypatch.setattr(torch, "compile", broken)
    segmenter = trained(tmp_path, True)
    assert capsys.readouterr().out.count("compile: not possible here (RuntimeError)") == 1
    assert not segmenter.compiled
    assert all(torch.equal(value, eager[name]) for name, value in segmenter.state_dict().items())


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
    segmenter = certain_segmenter(0.25, monitor="pixel_error")
    assert segmenter.threshold == 0.5
    validating = trainer(tmp_path)
    validating.validate(segmenter, whole_slices(torch.ones(9, 14, dtype=torch.int64)), verbose=False)
    scores = {name: value.item() for name, value in validating.callback_metrics.items()}
    assert scores == {
        "validation/v_rand": 1,
        "validation/v_info": 1,
        "validation/pixel_error": 0,
        "validation/wrong_pixels": 0,
    }
    assert segmenter.threshold == 0.1


@pytest.mark.parametrize(("metric", "monitor"), [(Instances, "ap50"), (Semantic, "iou"), (Instances, "missed")])
def test_any_score_may_choose_the_threshold_at_which_it_is_reported(metric, monitor, tmp_path):
    segmenter = certain_segmenter(0.25, metrics={"any": metric()}, monitor=monitor)
    validating = trainer(tmp_path)
    validating.validate(segmenter, whole_slices(torch.ones(9, 14, dtype=torch.int64)), verbose=False)
    assert segmenter.threshold == 0.1
    assert validating.callback_metrics[f"validation/{monitor}"] == (0 if monitor == "missed" else 1)
    (held_out,) = validating.test(segmenter, whole_slices(torch.ones(9, 14, dtype=torch.int64)), verbose=False)
    assert held_out[f"held_out/{monitor}"] == (0 if monitor == "missed" else 1)


def test_held_out_slices_are_judged_at_the_chosen_threshold_and_not_at_their_best(tmp_path):
    segmenter = certain_segmenter(0.25, metrics={"any": Semantic()}, monitor="iou")
    (held_out,) = trainer(tmp_path).test(segmenter, whole_slices(torch.ones(9, 14, dtype=torch.int64)), verbose=False)
    assert segmenter.threshold == 0.5
    assert held_out["held_out/iou"] == 0


def test_a_large_slice_is_predicted_in_the_blocks_in_which_its_file_is(monkeypatch, tmp_path):
    segmenter, image = small_segmenter().eval(), torch.rand(1, 1, 50, 70, generator=torch.Generator().manual_seed(1))
    cpu = torch.device("cpu")
    segmenter.engine = Engine(
        segmenter.model, fastest(cpu, torch.float32), cpu, torch.float32
    )  # as in the final scores
    with torch.inference_mode():
        whole = segmenter.probabilities(image)
        monkeypatch.setattr(tile_blocks, "AT_ONCE", 40 * 70)
        monkeypatch.setattr(tile_blocks, "BLOCK", 32)
        found = segmenter.probabilities(image)
        torch.testing.assert_close(found, whole)
    file = tmp_path / "a.tif"
    grey = (255 * image[0, 0]).round().to(torch.uint8)
    tifffile.imwrite(file, grey.numpy(), photometric="minisblack")
    image = open_image(file, replace(SHOWN, scaling="percentiles"))
    predictor = Predictor([segmenter.model], cpu, torch.float32, "rot7", None)
    store = Store(tmp_path / "b.tif", image, 1, "float32", predictor.block_side(50, 70), "so")
    fill(store, predictor, 0, 1)
    with torch.inference_mode():
        seen = torch.from_numpy(normalise(grey.numpy(), "percentiles"))[None, None]
        scored = segmenter.probabilities(seen, "rot7")[0, 1].numpy()
    np.testing.assert_array_equal(store.read(0, Window(0, 0, 50, 70)), scored)


def test_validation_agrees_with_metrics_of_its_own_probabilities(tmp_path):
    segmenter, slices = small_segmenter(), whole_slices(two_cells(), torch.ones(7, 5, dtype=torch.int64))
    validating = trainer(tmp_path)
    validating.validate(segmenter, slices, verbose=False)
    segmenter.eval()
    expected = Evaluator(isbi(), monitor="v_rand")
    with torch.inference_mode():
        for batch in slices:
            probabilities = segmenter.probabilities(batch["image"])[0].numpy()
            expected.update(Probabilities(probabilities, Components()), *truth(batch))
    scores = {name.removeprefix("validation/"): value.item() for name, value in validating.callback_metrics.items()}
    assert scores == pytest.approx(expected.compute(), abs=1e-6)
    assert segmenter.threshold == expected.chosen_threshold()


def test_each_validation_starts_from_nothing(tmp_path):
    segmenter, validating = small_segmenter(), trainer(tmp_path)
    first = validating.validate(segmenter, whole_slices(two_cells()), verbose=False)
    validating.validate(segmenter, whole_slices(torch.ones(8, 8, dtype=torch.int64)), verbose=False)
    assert validating.validate(segmenter, whole_slices(two_cells()), verbose=False) == first


def test_a_checkpoint_of_plain_values_holds_the_threshold(tmp_path):
    segmenter = certain_segmenter(0.25, monitor="pixel_error")
    stepping = trainer(tmp_path, max_steps=1)
    # The bias is trained too, but changes too little to matter.
    stepping.fit(segmenter, tiles(1), whole_slices(torch.ones(9, 14, dtype=torch.int64)))
    stepping.save_checkpoint(tmp_path / "last.ckpt")
    content = torch.load(tmp_path / "last.ckpt", weights_only=True)
    assert content["threshold"] == segmenter.threshold == 0.1
    assert content["appearance"] == []  # no data module knows

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
    assert pooled.pop("step") == 0, "that of the run, which has none here"
    assert set(pooled) == {f"held_out/{name}" for name in SCORES}
    assert len(rows) == 2
    for outputs, batch in rows:
        assert outputs["probabilities"].shape == (2, *batch["target"].shape[1:])
        assert set(outputs["scores"]) == SCORES
        assert all(type(score) is float for score in outputs["scores"].values())
        assert outputs["scores"] == judged([(outputs, batch)])  # of this image alone, not of all images so far
    assert segmenter.held_out_scores == judged(rows)
    assert pooled == pytest.approx({f"held_out/{name}": score for name, score in judged(rows).items()}, abs=1e-6)


def truth(batch):
    return batch["target"][0].numpy(), batch["instances"][0].numpy()


def judged(rows):
    evaluator = Evaluator(isbi())
    for outputs, batch in rows:
        prediction = Probabilities(outputs["probabilities"], Components())
        evaluator.update(prediction, *truth(batch))
    return evaluator.compute()


def test_testing_leaves_the_threshold_alone(tmp_path):
    segmenter = certain_segmenter(0.25)
    trainer(tmp_path).test(segmenter, whole_slices(torch.ones(9, 14, dtype=torch.int64)), verbose=False)
    assert segmenter.threshold == 0.5
