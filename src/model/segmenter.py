"""The LightningModule: the network with its training step and its validation and test scores."""

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
    """A LightningModule that trains a U-Net on tiles, and scores it on whole images predicted as by `src.predict`.

    Args:
        model: the network.
        loss: computes a loss from logits ``(N, K, h, w)``, true classes ``(N, h, w)`` and pixel weights ``(N, h, w)``.
        metrics: the metrics (`metrics.evaluator.Metric`), by name.
        optimizer: creates an optimiser for the parameters that are passed to it.
        scheduler: creates a learning-rate schedule for an optimiser; it is stepped once per training step.
        instances: computes a label image from class probabilities ``(K, H, W)`` and a threshold.
        monitor: name of the score by which the threshold is chosen.

    Attributes:
        threshold: probability above which a pixel is foreground, chosen in validation; stored in the checkpoint.
        reading: how pixels are read from files; stored in the checkpoint.
        legend: the meaning of the classes; stored in the checkpoint.
        appearance: measures of the appearance of the training images; stored in the checkpoint.
        validation_scores: the scores of the latest validation, by name; stored in the checkpoint.
        predicted_share: fraction of the pixels of the validation images in which class 0 has a probability below 0.5.
        held_out_scores: the scores of all held-out images together, by name; set by the test loop.
        compiled: whether training steps are compiled by `torch.compile`, which does not change weights or checkpoints.
        tta: the test-time augmentation with which the held-out images are scored, a key of `tiles.symmetry.AVERAGES`.
        engine: the inference engine that computes the final scores; None uses the network directly, as in training.
        seen: for each image that `predict_step` has predicted, the batch and a dictionary from test-time augmentation
            to the class probabilities ``(K, H, W)`` and the prediction time in seconds.
        averages: the score of each test-time augmentation, on the validation images predicted with all of them.
        steps: number of training steps so far.
        scored_step: the training step after which the weights that are scored were saved.
        begun_with: SHA-256 hash of the checkpoint whose weights training started from, or None for random weights.
        taken: names of the layers whose weights were copied from that checkpoint.
        frozen: names of the layers that are not trained; stored in the checkpoint.
        compared_pixels: number of pixels after which `predict_step` uses only ``tta`` instead of all augmentations.
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
        self.predicted = MeanMetric()  # fraction of pixels where class 0 has a probability below 0.5
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
        """Exclude the named layers of the network from training, including their batch-normalisation statistics."""
        self.frozen = layers
        for layer in layers:
            self.model.get_submodule(layer).requires_grad_(False)

    def take(self, trained: Trained) -> None:
        """Load the weights and the decoder of a checkpoint into this module, in order to score the checkpoint."""
        self.model.load_state_dict(trained.model.state_dict())
        self.instances, self.threshold = trained.decoder.numbering, trained.decoder.threshold
        self.validation_scores, self.scored_step = trained.validation_scores, trained.step

    @override
    def setup(self, stage: str) -> None:
        if getattr(self.trainer, "datamodule", None) is not None:  # Lightning sets up the data module before this one
            data = data_of(self.trainer)
            self.reading, self.legend = data.reading, data.legend
            self.appearance = data.appearance

    @property
    def decoder(self) -> Decoder:
        """The decoder, which computes a label image ``(H, W)`` from class probabilities ``(K, H, W)``."""
        return Decoder(self.instances, self.threshold)

    @override
    def forward(self, image: Tensor) -> Tensor:
        """Compute the logits ``(N, K, h, w)`` of tiles ``(N, C, H, W)`` with grey values in [0, 1]."""
        return logits(self.model, image)

    def probabilities(self, image: Tensor, tta: str = "none", tile: int | None = None) -> Tensor:
        """Predict class probabilities ``(N, K, H, W)`` of whole images ``(N, C, H, W)`` with grey values in [0, 1].

        ``tta`` names a test-time augmentation; ``tile`` is the side of the network's input in pixels; None chooses it.
        """
        height, width = image.shape[-2:]
        side = block_side(height, width) if tile is None else max(height, width)
        read, windows = reader(image), blocks(height, width, side)
        parts = [predict_window(self.engine or self.model, read, window, tta, tile) for window in windows]
        found = parts[0].new_empty((*parts[0].shape[:2], height, width))
        for (top, left, rows, columns), part in zip(windows, parts, strict=True):
            found[..., top : top + rows, left : left + columns] = part
        return found

    def _of_image(self, batch: dict[str, Any], tta: str = "none") -> np.ndarray:
        """Predict the class probabilities ``(K, H, W)`` of the single image in a batch."""
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
                # Compile at the first step, not before, so that copies of the module share no compiled function.
                self._compiled_forward = self._compiled_forward or torch.compile(self.forward)
                return self._compiled_forward(image)
            except torch.OutOfMemoryError:
                raise
            except Exception as error:  # no compiler, or it fails; an error in our own code is raised again below
                self.compiled = False
                say(f"compile: not possible here ({type(error).__name__}); training continues without it")
        found: Tensor = self(image)
        return found

    @override
    def on_train_start(self) -> None:
        for layer in self.frozen:  # not earlier, because Lightning would warn about layers in evaluation mode
            self.model.get_submodule(layer).eval()

    @override
    def on_train_batch_end(self, outputs: object, batch: object, index: int) -> None:
        self.steps = self.trainer.global_step

    @override
    def on_validation_epoch_start(self) -> None:
        # Without synchronised batch normalisation each rank has its own statistics; checkpoints store those of rank 0.
        if self.trainer.world_size > 1:
            for buffer in self.buffers():
                torch.distributed.broadcast(buffer, src=0)

    @override
    def validation_step(self, batch: dict[str, Any], index: int) -> dict[str, Any] | None:
        """Score one validation image, and return its class probabilities ``(K, H, W)``."""
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
        """Select the same inference engine as `src.predict`, so that the scores match the predictions that it saves."""
        if self.engine is None:
            dtype = FORMATS.get(str(self.trainer.precision), self.model.classify.weight.dtype)
            self.engine = Engine(self.model, fastest(self.device, dtype), self.device, dtype)
            side = covering_side(1, self.model.depth, self.model.padded)
            grey = torch.rand((1, self.model.in_channels, side, side), generator=torch.Generator().manual_seed(0))
            self.engine(grey.to(self.device))  # warm-up, so that the first image takes no longer than the others

    @override
    def predict_step(self, batch: dict[str, Any], index: int) -> dict[str, tuple[np.ndarray, float]]:
        """Predict one of the validation images on which the decoder is chosen, and append it to `seen`."""
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
        """Score one held-out image, and return its class probabilities ``(K, H, W)`` and its scores."""
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
    """Return the module that Lightning passed to a callback, with the type `Segmenter`.

    Raises:
        TypeError: the module is not a `Segmenter`, which does not happen in this program.
    """
    if not isinstance(module, Segmenter):
        raise TypeError(f"expected a Segmenter, but got {type(module).__name__}")
    return module


def data_of(trainer: lightning.Trainer) -> SliceData:
    """Return the data module of a trainer, with the type `SliceData`.

    Raises:
        TypeError: the trainer has no data module, or another one, which does not happen in this program.
    """
    data = getattr(trainer, "datamodule", None)  # Lightning's documentation promises it, its annotations lack it
    if not isinstance(data, SliceData):
        raise TypeError(f"expected a SliceData, but got {type(data).__name__}")
    return data


def truth(batch: Mapping[str, Any]) -> list[np.ndarray]:
    """Return the truth for the single image in a batch: classes, cells and the annotated pixels, each ``(H, W)``."""
    return [batch[name][0].cpu().numpy() for name in ("target", "instances", "known")]
