"""The LightningModule: the network, its training step and its scores."""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import lightning
import numpy as np
import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torchmetrics import MeanMetric
from typing_extensions import override

from src.data.appearance import Appearance
from src.data.datamodule import SliceData
from src.files.legend import NUMBERS, plain
from src.files.stored import SHOWN
from src.files.whole import without_nan
from src.instances import Decoder, Numbering
from src.metrics.evaluator import Evaluator, Metric, Probabilities
from src.metrics.pooled import Pooled
from src.model.engine import FORMATS, Engine, fastest
from src.model.trained import Trained, in_memory_format, logits, predict_window, stored_scores
from src.model.unet import UNet
from src.saying import say
from src.tiles.blocks import block_side, blocks
from src.tiles.geometry import covering_side
from src.tiles.overlap import reader
from src.tiles.symmetry import AVERAGES

if TYPE_CHECKING:
    from lightning.pytorch.utilities.types import OptimizerLRScheduler


class Segmenter(lightning.LightningModule):
    """Trains a U-Net on tiles and scores it on whole images, by the function that also predicts.

    Args:
        model: the network.
        loss: a function of logits ``(N, K, h, w)``, target ``(N, h, w)`` and weight ``(N, h, w)``.
        metrics: the metrics by name, see `metrics.evaluator.Metric`.
        optimizer: makes an optimiser for parameters.
        scheduler: makes a learning-rate schedule for the optimiser, stepped once per training step.
        instances: the decoder without its threshold: makes label images from class probabilities ``(K, H, W)``.
        monitor: the score by which the threshold is chosen.

    Attributes:
        threshold: probability above which a pixel is foreground; chosen on the validation images and kept in the
            checkpoint.
        reading: how pixels are read from files; kept in the checkpoint.
        legend: the meaning of the classes; kept in the checkpoint.
        appearance: what the training images look like; kept in the checkpoint.
        validation_scores: the scores of the latest validation; kept in the checkpoint.
        predicted_share: share of the validation pixels whose most probable class is not class 0.
        held_out_scores: the scores of all held-out images together, after the test loop.
        compiled: whether training steps run through `torch.compile`; weights and checkpoints are the same.
        tta: the test-time augmentation with which the held-out images are scored, a key of `tiles.symmetry.AVERAGES`.
        engine: computes the network for the final scores; None computes it as in training.
        seen: the images that `predict_step` predicted, each with its predictions ``(K, H, W)`` and the seconds that
            they took, by test-time augmentation.
        averages: the score of each test-time augmentation on validation images that were predicted with all of them.
        steps: number of training steps so far.
        scored_step: the training step of the weights that are scored.
        begun_with: SHA-256 of the checkpoint whose weights training began with; None if it began with random weights.
        taken: the layers whose weights came from that checkpoint.
        frozen: the layers that are not trained; kept in the checkpoint.
        compared_pixels: number of pixels of images that `predict_step` predicts with every test-time augmentation;
            it predicts further images with ``tta`` alone.
    """

    def __init__(
        self,
        model: UNet,
        loss: Callable[[Tensor, Tensor, Tensor], Tensor],
        metrics: dict[str, Metric],
        optimizer: Callable[..., Optimizer],
        scheduler: Callable[[Optimizer], LRScheduler],
        instances: Numbering,
        monitor: str,
    ) -> None:
        super().__init__()
        self.model = in_memory_format(model)
        self.loss = loss
        self.metrics = metrics
        self.validation = Pooled(Evaluator(metrics, monitor=monitor, classes=model.classes))
        self.predicted = MeanMetric()  # share of pixels whose most probable class is not class 0
        self.optimizer, self.scheduler, self.instances = optimizer, scheduler, instances
        self.threshold = 0.5
        self.reading, self.legend = SHOWN, NUMBERS
        self.appearance: list[Appearance] = []
        self.validation_scores: dict[str, float] = {}
        self.predicted_share = 0.0
        self.tta, self.compiled = "none", False
        self.engine: Engine | None = None
        self.seen: list[tuple[dict[str, Any], dict[str, tuple[np.ndarray, float]]]] = []
        self.compared_pixels = 0
        self.averages: dict[str, float] = {}
        self.steps, self.scored_step = 0, 0
        self.begun_with: str | None = None
        self.taken: list[str] = []
        self.frozen: list[str] = []
        self._compiled_forward: Callable[[Tensor], Tensor] | None = None

    def freeze_layers(self, layers: list[str]) -> None:
        """Exclude layers of the network from training, including their batch-normalisation statistics."""
        self.frozen = layers
        for layer in layers:
            self.model.get_submodule(layer).requires_grad_(False)

    def take(self, trained: Trained) -> None:
        """Take over the weights and the decoder of a checkpoint, so that the scores are those of its predictions."""
        self.model.load_state_dict(trained.model.state_dict())
        self.instances, self.threshold = trained.decoder.numbering, trained.decoder.threshold
        self.validation_scores, self.scored_step = trained.validation_scores, trained.step

    @override
    def setup(self, stage: str) -> None:
        if getattr(self.trainer, "datamodule", None) is not None:  # set up before the module
            data = data_of(self.trainer)
            self.reading, self.legend = data.reading, data.legend
            self.appearance = data.appearance

    @property
    def decoder(self) -> Decoder:
        """Makes label images ``(H, W)`` from class probabilities ``(K, H, W)``, at the current threshold."""
        return Decoder(self.instances, self.threshold)

    @override
    def forward(self, image: Tensor) -> Tensor:
        """Logits ``(N, K, h, w)`` of tiles ``(N, C, H, W)`` with values in [0, 1]."""
        return logits(self.model, image)

    def probabilities(self, image: Tensor, tta: str = "none", tile: int | None = None) -> Tensor:
        """Class probabilities ``(N, K, H, W)`` of whole images ``(N, C, H, W)`` with values in [0, 1]."""
        height, width = image.shape[-2:]
        side = block_side(height, width) if tile is None else max(height, width)
        read, windows = reader(image), blocks(height, width, side)
        parts = [predict_window(self.engine or self.model, read, window, tta, tile) for window in windows]
        found = parts[0].new_empty((*parts[0].shape[:2], height, width))
        for (top, left, rows, columns), part in zip(windows, parts, strict=True):
            found[..., top : top + rows, left : left + columns] = part
        return found

    def _of_image(self, batch: dict[str, Any], tta: str = "none") -> np.ndarray:
        """Class probabilities ``(K, H, W)`` of the one image of a batch."""
        return self.probabilities(batch["image"], tta)[0].float().cpu().numpy()

    @override
    def training_step(self, batch: dict[str, Tensor], index: int) -> Tensor:
        loss = self.loss(self._training_forward(batch["image"]), batch["target"], batch["weight"])
        self.log("train/loss", loss, prog_bar=True, sync_dist=True)
        self.log("train/learning_rate", self.trainer.optimizers[0].param_groups[0]["lr"])
        return loss

    def _training_forward(self, image: Tensor) -> Tensor:
        if self.compiled:
            try:
                # Compiled at the first step, so that copies of the module do not share the compiled function.
                self._compiled_forward = self._compiled_forward or torch.compile(self.forward)
                return self._compiled_forward(image)
            except torch.OutOfMemoryError:
                raise
            except Exception as error:  # no compiler, or one that fails; an error in our code is raised again below
                self.compiled = False
                say(f"compile: not possible here ({type(error).__name__}); training continues without it")
        found: Tensor = self(image)
        return found

    @override
    def on_train_start(self) -> None:
        for layer in self.frozen:  # not earlier: Lightning would warn of layers in evaluation mode
            self.model.get_submodule(layer).eval()

    @override
    def on_train_batch_end(self, outputs: object, batch: object, index: int) -> None:
        self.steps = self.trainer.global_step

    @override
    def on_validation_epoch_start(self) -> None:
        # Without synchronised batch normalisation each rank has its own statistics; checkpoints hold those of rank 0.
        if self.trainer.world_size > 1:
            for buffer in self.buffers():
                torch.distributed.broadcast(buffer, src=0)

    @override
    def validation_step(self, batch: dict[str, Any], index: int) -> dict[str, Any] | None:
        """Score one image; → its probabilities ``(K, H, W)``."""
        if not batch:
            return None  # another rank has one image more
        probabilities = self._of_image(batch)
        self.validation.update(Probabilities(probabilities, self.instances), *truth(batch))
        self.predicted.update(np.count_nonzero(probabilities[0] < 0.5) / probabilities[0].size, probabilities[0].size)
        return {"probabilities": probabilities}

    @override
    def on_validation_epoch_end(self) -> None:
        self.validation_scores, threshold = self.validation.compute()
        if threshold is not None:
            self.threshold = threshold
        self.log_dict({f"validation/{name}": score for name, score in self.validation_scores.items()})
        self.predicted_share = self.predicted.compute().item()
        self.validation.reset()
        self.predicted.reset()

    @override
    def on_predict_start(self) -> None:
        """Choose the engine that `src.predict` chooses, so that the scores are those of its files."""
        if self.engine is None:
            dtype = FORMATS.get(str(self.trainer.precision), self.model.classify.weight.dtype)
            self.engine = Engine(self.model, fastest(self.device, dtype), self.device, dtype)
            side = covering_side(1, self.model.depth, self.model.padded)
            grey = torch.rand((1, self.model.in_channels, side, side), generator=torch.Generator().manual_seed(0))
            self.engine(grey.to(self.device))  # warms it up, so that the first image takes no longer than the others

    @override
    def predict_step(self, batch: dict[str, Any], index: int) -> dict[str, tuple[np.ndarray, float]]:
        """Predict one of the images that choose the decoder, and add it to `seen`."""
        if not batch:
            return {}  # another rank has one image more
        before = sum(found["image"].numel() // found["image"].shape[1] for found, _ in self.seen)
        found: dict[str, tuple[np.ndarray, float]] = {}
        for tta in AVERAGES if before < self.compared_pixels else (self.tta,):
            started = time.perf_counter()
            probabilities = self._of_image(batch, tta)
            found[tta] = probabilities, time.perf_counter() - started
        self.seen.append((batch, found))
        return found

    @override
    def on_test_start(self) -> None:
        self.on_predict_start()
        self.held_out = Pooled(Evaluator(self.metrics, self.threshold)).to(self.device)

    @override
    def test_step(self, batch: dict[str, Any], index: int) -> dict[str, Any] | None:
        """Score one held-out image; → its probabilities ``(K, H, W)`` and scores."""
        if not batch:
            return None  # another rank has one image more
        probabilities = self._of_image(batch, self.tta)
        self.held_out.update(Probabilities(probabilities, self.instances), *truth(batch))
        return {"probabilities": probabilities, "scores": self.held_out.row}

    @override
    def on_test_epoch_end(self) -> None:
        self.held_out_scores, _ = self.held_out.compute()
        scores = {f"held_out/{name}": score for name, score in self.held_out_scores.items()}
        # Lightning's own step count differs if the run was interrupted after its last step.
        self.log_dict({**scores, "step": float(self.steps)})

    @override
    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["threshold"] = self.threshold
        checkpoint["reading"] = asdict(self.reading)
        checkpoint["legend"] = plain(self.legend)
        checkpoint["appearance"] = self.appearance
        checkpoint["validation_scores"] = without_nan(self.validation_scores)
        checkpoint["frozen"] = self.frozen

    @override
    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.threshold, self.validation_scores = checkpoint["threshold"], stored_scores(checkpoint)
        self.freeze_layers(checkpoint.get("frozen", []))
        self.steps = checkpoint["global_step"]

    @override
    def configure_optimizers(self) -> "OptimizerLRScheduler":
        optimizer = self.optimizer(self.parameters())
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": self.scheduler(optimizer), "interval": "step"}}


def segmenter(module: lightning.LightningModule) -> Segmenter:
    """The module that Lightning hands to a callback, which is always a `Segmenter` here.

    Raises:
        TypeError: it is another one.
    """
    if not isinstance(module, Segmenter):
        raise TypeError(f"expected a Segmenter, but got {type(module).__name__}")
    return module


def data_of(trainer: lightning.Trainer) -> SliceData:
    """The data module of a trainer, which is always a `SliceData` here.

    Raises:
        TypeError: it is another one, or there is none.
    """
    data = getattr(trainer, "datamodule", None)  # Lightning's documentation promises it, its annotations lack it
    if not isinstance(data, SliceData):
        raise TypeError(f"expected a SliceData, but got {type(data).__name__}")
    return data


def truth(batch: Mapping[str, Any]) -> list[np.ndarray]:
    """The truth of the one image of a batch: target, cells and where they are annotated, each ``(H, W)``."""
    return [batch[name][0].cpu().numpy() for name in ("target", "instances", "known")]
