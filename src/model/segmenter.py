"""The LightningModule: the network, what it learns by and how it is judged."""

import time
from collections.abc import Callable
from dataclasses import asdict

import lightning
import numpy as np
import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torchmetrics import MeanMetric

from src.data.appearance import Appearance
from src.files.legend import NUMBERS, plain
from src.files.stored import SHOWN
from src.files.whole import without_nan
from src.instances import Decoder, Numbering
from src.metrics.evaluator import Evaluator, Metric, Probabilities
from src.metrics.pooled import Pooled
from src.model.engine import FORMATS, Engine, fastest
from src.model.trained import MEMORY_FORMAT, Trained, logits, predict_window, stored_scores
from src.model.unet import UNet
from src.saying import say
from src.tiles.blocks import block_side, blocks
from src.tiles.geometry import covering_side
from src.tiles.overlap import reader
from src.tiles.symmetry import AVERAGES


class Segmenter(lightning.LightningModule):
    """Trains a U-Net on tiles and judges it on whole slices, by the function that also predicts.

    Args:
        model: the network.
        loss: a function of logits ``(N, K, h, w)``, target ``(N, h, w)`` and weight ``(N, h, w)``.
        metrics: by name; `metrics.evaluator.Metric` says what they are.
        optimizer: makes an optimiser of the parameters.
        scheduler: makes a learning-rate schedule of the optimiser, stepped once a training step.
        instances: numbers the cells: a function of class probabilities ``(K, H, W)`` and a threshold.
        monitor: the score by which the threshold is chosen.

    Attributes:
        threshold: probability above which a pixel is foreground; chosen on the validation slices and
            kept in the checkpoint.
        reading: how the pixels of files are seen; kept in the checkpoint.
        legend: of the classes; kept in the checkpoint.
        appearance: what the training images look like; kept in the checkpoint.
        validation_scores: those of the weights when they were last judged; kept in the checkpoint.
        predicted_share: share of the validation pixels that are more probably something else than class 0.
        held_out_scores: those of all held-out slices together, when they have been judged.
        compiled: whether training steps run through `torch.compile`; weights and checkpoints are the same.
        tta: the average over versions of an image by which held-out slices are judged.
        engine: what predicts when the network is scored; None is the network itself, as while it trains.
        seen: by `predict_step`: slices, each with its prediction ``(K, H, W)`` and the seconds it took, by average.
        averages: the score of each average, on validation slices that were predicted by all of them.
        steps: training steps so far.
        scored_step: the step of the weights that are scored.
        begun_with: SHA-256 of the checkpoint whose weights training began with, if it began with any.
        taken: the layers that had the weights of that one.
        frozen: those of them that stay as they are; kept in the checkpoint.
        compared_pixels: of the first slices that are predicted by every average, not by ``tta`` alone.
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
        self.model = model.to(memory_format=MEMORY_FORMAT)
        self.loss = loss
        self.metrics = metrics
        self.validation = Pooled(Evaluator(metrics, monitor=monitor, classes=model.classes))
        self.predicted = MeanMetric()  # share of what is more probably something else than class 0
        self.optimizer, self.scheduler, self.instances = optimizer, scheduler, instances
        self.threshold = 0.5
        self.reading, self.legend = SHOWN, NUMBERS
        self.appearance: list[Appearance] = []
        self.validation_scores: dict[str, float] = {}
        self.predicted_share = 0.0
        self.tta, self.compiled = "none", False
        self.engine: Engine | None = None
        self.seen, self.compared_pixels = [], 0
        self.averages: dict[str, float] = {}
        self.steps, self.scored_step = 0, 0
        self.begun_with: str | None = None
        self.taken: list[str] = []
        self.frozen: list[str] = []
        self._compiled_forward = None

    def freeze(self, layers: list[str]) -> None:
        """Keep layers of the network as they are, the statistics of batch normalisation too."""
        self.frozen = layers
        for layer in layers:
            self.model.get_submodule(layer).requires_grad_(False)

    def take(self, trained: Trained) -> None:
        """Become what a checkpoint holds, so that what is judged is what predicts."""
        self.model.load_state_dict(trained.model.state_dict())
        self.instances, self.threshold = trained.decoder.numbering, trained.decoder.threshold
        self.validation_scores, self.scored_step = trained.validation_scores, trained.step

    def setup(self, stage: str) -> None:
        if self.trainer.datamodule is not None:  # which has been set up before
            self.reading, self.legend = self.trainer.datamodule.reading, self.trainer.datamodule.legend
            self.appearance = self.trainer.datamodule.appearance

    @property
    def decoder(self) -> Decoder:
        """Makes label images ``(H, W)`` of class probabilities ``(K, H, W)``, at the chosen threshold."""
        return Decoder(self.instances, self.threshold)

    def forward(self, image: Tensor) -> Tensor:
        """Logits ``(N, K, h, w)`` of a tile ``(N, C, H, W)`` with values in [0, 1]."""
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

    def _of_slice(self, batch: dict, tta: str = "none") -> np.ndarray:
        """Class probabilities ``(K, H, W)`` of the one slice of a batch."""
        return self.probabilities(batch["image"], tta)[0].float().cpu().numpy()

    def training_step(self, batch: dict[str, Tensor], index: int) -> Tensor:
        loss = self.loss(self._training_forward(batch["image"]), batch["target"], batch["weight"])
        self.log("train/loss", loss, prog_bar=True, sync_dist=True)
        self.log("train/learning_rate", self.trainer.optimizers[0].param_groups[0]["lr"])
        return loss

    def _training_forward(self, image: Tensor) -> Tensor:
        if not self.compiled:
            return self(image)
        try:
            # Made at the first step, so that copies of the module do not share it.
            self._compiled_forward = self._compiled_forward or torch.compile(self.forward)
            return self._compiled_forward(image)
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # no compiler on this machine, or one that fails; a fault of ours fails again below
            self.compiled = False
            say(f"compile: not possible here ({type(error).__name__}), goes on without")
            return self(image)

    def on_train_start(self) -> None:
        for layer in self.frozen:  # not before, when Lightning warns of layers that do not train; it leaves them so
            self.model.get_submodule(layer).eval()

    def on_train_batch_end(self, outputs: object, batch: object, index: int) -> None:
        self.steps = self.trainer.global_step

    def on_validation_epoch_start(self) -> None:
        # Without synchronised normalisation each process has its own statistics; a checkpoint has those of the first.
        if self.trainer.world_size > 1:
            for buffer in self.buffers():
                torch.distributed.broadcast(buffer, src=0)

    def validation_step(self, batch: dict, index: int) -> dict | None:
        """Judge one slice: its probabilities ``(K, H, W)``."""
        if not batch:
            return None  # another process has one slice more
        probabilities = self._of_slice(batch)
        self.validation.update(Probabilities(probabilities, self.instances), *truth(batch))
        self.predicted.update(np.count_nonzero(probabilities[0] < 0.5) / probabilities[0].size, probabilities[0].size)
        return {"probabilities": probabilities}

    def on_validation_epoch_end(self) -> None:
        self.validation_scores, self.threshold = self.validation.compute()
        self.log_dict({f"validation/{name}": score for name, score in self.validation_scores.items()})
        self.predicted_share = self.predicted.compute().item()
        self.validation.reset()
        self.predicted.reset()

    def on_predict_start(self) -> None:
        """Predict with the engine that `src.predict` takes, so that its files are what is scored."""
        if self.engine is None:
            dtype = FORMATS.get(str(self.trainer.precision), self.dtype)
            self.engine = Engine(self.model, fastest(self.device, dtype), self.device, dtype)
            side = covering_side(1, self.model.depth, self.model.padded)
            grey = torch.rand((1, self.model.in_channels, side, side), generator=torch.Generator().manual_seed(0))
            self.engine(grey.to(self.device))  # starts it, so that the first slice takes no longer than the others

    def predict_step(self, batch: dict, index: int) -> dict[str, tuple[np.ndarray, float]]:
        """Predict one of the slices that choose how cells are numbered, as `seen` keeps it."""
        if not batch:
            return {}  # another process has one slice more
        before = sum(found["image"].numel() // found["image"].shape[1] for found, _ in self.seen)
        found = {}
        for tta in AVERAGES if before < self.compared_pixels else (self.tta,):
            started = time.perf_counter()
            probabilities = self._of_slice(batch, tta)
            found[tta] = probabilities, time.perf_counter() - started
        self.seen.append((batch, found))
        return found

    def on_test_start(self) -> None:
        self.on_predict_start()
        self.held_out = Pooled(Evaluator(self.metrics, self.threshold)).to(self.device)

    def test_step(self, batch: dict, index: int) -> dict | None:
        """Judge one slice: its probabilities ``(K, H, W)`` and scores."""
        if not batch:
            return None  # another process has one slice more
        probabilities = self._of_slice(batch, self.tta)
        self.held_out.update(Probabilities(probabilities, self.instances), *truth(batch))
        return {"probabilities": probabilities, "scores": self.held_out.row}

    def on_test_epoch_end(self) -> None:
        self.held_out_scores, _ = self.held_out.compute()
        scores = {f"held_out/{name}": score for name, score in self.held_out_scores.items()}
        # Lightning's own count of steps is another one where the run was interrupted after its last step.
        self.log_dict({**scores, "step": float(self.steps)})

    def on_save_checkpoint(self, checkpoint: dict) -> None:
        checkpoint["threshold"] = self.threshold
        checkpoint["reading"] = asdict(self.reading)
        checkpoint["legend"] = plain(self.legend)
        checkpoint["appearance"] = self.appearance
        checkpoint["validation_scores"] = without_nan(self.validation_scores)
        checkpoint["frozen"] = self.frozen

    def on_load_checkpoint(self, checkpoint: dict) -> None:
        self.threshold, self.validation_scores = checkpoint["threshold"], stored_scores(checkpoint)
        self.freeze(checkpoint.get("frozen", []))
        self.steps = checkpoint["global_step"]

    def configure_optimizers(self) -> dict:
        optimizer = self.optimizer(self.parameters())
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": self.scheduler(optimizer), "interval": "step"}}


def truth(batch: dict) -> list[np.ndarray]:
    """Of the one slice of a batch: target, cells and where they are known, each ``(H, W)``."""
    return [batch[name][0].cpu().numpy() for name in ("target", "instances", "known")]
