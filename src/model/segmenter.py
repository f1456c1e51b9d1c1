"""The LightningModule: the network, what it learns by and how it is judged."""

import math
from collections.abc import Callable

import lightning
import numpy as np
import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torchmetrics import Metric

from src.metrics.evaluator import Evaluator, Probabilities
from src.model.unet import UNet
from src.tiles.overlap import Read, Window, overlap_tile, reader
from src.tiles.symmetry import AVERAGES


class Segmenter(lightning.LightningModule):
    """Trains a U-Net on tiles and judges it on whole slices, by the function that also predicts.

    Args:
        model: the network.
        loss: a function of logits ``(N, K, h, w)``, target ``(N, h, w)`` and weight ``(N, h, w)``.
        metrics: by name; `Evaluator` says what they are.
        optimizer: makes an optimiser of the parameters.
        scheduler: makes a learning-rate schedule of the optimiser, stepped once a training step.
        instances: numbers the cells: a function of class probabilities ``(K, H, W)`` and a threshold.
        monitor: the score by which the threshold is chosen.

    Attributes:
        threshold: probability above which a pixel is foreground; chosen on the validation slices and
            kept in the checkpoint.
        validation_scores: those of the weights when they were last judged; kept in the checkpoint.
        predicted_share: share of the validation pixels that are more probably something else than class 0.
        held_out_scores: those of all held-out slices together, when they have been judged.
        compiled: whether training steps run through `torch.compile`; weights and checkpoints are the same.
        tta: the average over versions of an image by which held-out slices are judged.
    """

    def __init__(
        self,
        model: UNet,
        loss: Callable[[Tensor, Tensor, Tensor], Tensor],
        metrics: dict[str, Metric],
        optimizer: Callable[..., Optimizer],
        scheduler: Callable[[Optimizer], LRScheduler],
        instances: Callable[[np.ndarray, float], np.ndarray],
        monitor: str,
    ):
        super().__init__()
        # oneDNN and cuDNN convolve fastest with the channels innermost.
        self.model = model.to(memory_format=torch.channels_last)
        self.loss = loss
        self.metrics = metrics
        self.validation = Evaluator(metrics, monitor=monitor, classes=model.classes)
        self.optimizer, self.scheduler, self.instances = optimizer, scheduler, instances
        self.threshold = 0.5
        self.validation_scores: dict[str, float] = {}
        self.predicted_share = 0.0
        self.tta = "none"
        self.compiled = False
        self._compiled_forward = None

    def forward(self, image: Tensor) -> Tensor:
        """Logits ``(N, K, h, w)`` of a tile ``(N, C, H, W)`` with values in [0, 1]."""
        # Rectified units learn faster from values centred on 0.
        return self.model((2 * image - 1).contiguous(memory_format=torch.channels_last))

    def predict_window(self, read: Read, window: Window, tta: str = "none", tile: int | None = None) -> Tensor:
        """Class probabilities ``(N, K, height, width)`` of a window of an image.

        Args:
            read: reads the image, values in [0, 1].
            window: what to predict.
            tta: the average over versions of the image (§4), a key of `tiles.symmetry.AVERAGES`.
            tile: side of the network's input in pixels; None chooses.
        """

        def predict(read: Read, window: Window) -> Tensor:
            return overlap_tile(self._tile_probabilities, read, window, self.model.depth, self.model.padded, tile)

        return AVERAGES[tta](predict, read, window)

    def _tile_probabilities(self, tiles: Tensor) -> Tensor:
        logits = self(tiles)
        return logits.to(torch.promote_types(logits.dtype, torch.float32)).softmax(dim=1)

    def probabilities(self, image: Tensor, tta: str = "none", tile: int | None = None) -> Tensor:
        """Class probabilities ``(N, K, H, W)`` of whole images ``(N, C, H, W)`` with values in [0, 1]."""
        return self.predict_window(reader(image), Window(0, 0, *image.shape[-2:]), tta, tile)

    def segment(self, probabilities: np.ndarray) -> np.ndarray:
        """The label image ``(H, W)`` of class probabilities ``(K, H, W)``, at the chosen threshold."""
        return self.instances(probabilities, self.threshold)

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
            print(f"compile: not possible here ({type(error).__name__}), goes on without", flush=True)
            return self(image)

    def on_validation_epoch_start(self) -> None:
        self.predicted = torch.zeros(2)
        # Without synchronised normalisation each process has its own statistics; a checkpoint has those of the first.
        if self.trainer.world_size > 1:
            for buffer in self.buffers():
                torch.distributed.broadcast(buffer, src=0)

    def validation_step(self, batch: dict, index: int) -> dict | None:
        """Judge one slice: its probabilities ``(K, H, W)``."""
        if not batch:
            return None  # another process has one slice more
        probabilities = self.probabilities(batch["image"])[0].float().cpu().numpy()
        self.validation.update(Probabilities(probabilities, self.instances), *truth(batch))
        self.predicted += torch.tensor([np.count_nonzero(probabilities[0] < 0.5), probabilities[0].size])
        return {"probabilities": probabilities}

    def on_validation_epoch_end(self) -> None:
        self.validation_scores = self.validation.compute()
        self.log_dict({f"validation/{name}": float(score) for name, score in self.validation_scores.items()})
        self.threshold = self.validation.chosen_threshold()
        something, pixels = self.trainer.strategy.reduce(self.predicted.to(self.device), reduce_op="sum").tolist()
        self.predicted_share = something / pixels
        self.validation.reset()

    def on_test_start(self) -> None:
        self.held_out = Evaluator(self.metrics, self.threshold).to(self.device)

    def test_step(self, batch: dict, index: int) -> dict | None:
        """Judge one slice: its probabilities ``(K, H, W)`` and scores."""
        if not batch:
            return None  # another process has one slice more
        probabilities = self.probabilities(batch["image"], self.tta)[0].float().cpu().numpy()
        scores = self.held_out.update(Probabilities(probabilities, self.instances), *truth(batch))
        return {"probabilities": probabilities, "scores": scores}

    def on_test_epoch_end(self) -> None:
        self.held_out_scores = self.held_out.compute()
        scores = {f"held_out/{name}": float(score) for name, score in self.held_out_scores.items()}
        # Lightning's own count of steps is another one where the run was interrupted after its last step.
        self.log_dict({**scores, "step": float(self.trainer.max_steps)})

    def on_save_checkpoint(self, checkpoint: dict) -> None:
        checkpoint["threshold"] = self.threshold
        checkpoint["validation_scores"] = {
            name: None if score != score else score for name, score in self.validation_scores.items()
        }

    def on_load_checkpoint(self, checkpoint: dict) -> None:
        self.threshold = checkpoint["threshold"]
        stored = checkpoint.get("validation_scores", {})
        self.validation_scores = {name: math.nan if score is None else score for name, score in stored.items()}

    def configure_optimizers(self) -> dict:
        optimizer = self.optimizer(self.parameters())
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": self.scheduler(optimizer), "interval": "step"},
        }


def truth(batch: dict) -> list[np.ndarray]:
    """Of the one slice of a batch: target, cells and where they are known, each ``(H, W)``."""
    return [batch[name][0].cpu().numpy() for name in ("target", "instances", "known")]
