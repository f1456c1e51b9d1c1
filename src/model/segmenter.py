"""The LightningModule: the network, what it learns by and how it is judged."""

from collections.abc import Callable

import lightning
import numpy as np
import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torchmetrics import MetricCollection

from src.model.unet import UNet
from src.tiles.overlap import overlap_tile
from src.tiles.symmetry import AVERAGES


class Segmenter(lightning.LightningModule):
    """Trains a U-Net on tiles and judges it on whole slices, by the function that also predicts.

    Args:
        model: the network.
        loss: a function of logits ``(N, K, h, w)``, target ``(N, h, w)`` and weight ``(N, h, w)``.
        metrics: by name; each is updated with probabilities ``(N, K, H, W)`` and target ``(N, H, W)``.
        optimizer: makes an optimiser of the parameters.
        scheduler: makes a learning-rate schedule of the optimiser, stepped once a training step.

    Attributes:
        threshold: probability above which a pixel is foreground; chosen on the validation slices by
            the metric that can (`best_threshold`), and kept in the checkpoint.
        tta: the average over versions of an image by which held-out slices are judged.
    """

    def __init__(
        self,
        model: UNet,
        loss: Callable[[Tensor, Tensor, Tensor], Tensor],
        metrics: MetricCollection,
        optimizer: Callable[..., Optimizer],
        scheduler: Callable[[Optimizer], LRScheduler],
    ):
        super().__init__()
        # oneDNN and cuDNN convolve fastest with the channels innermost.
        self.model = model.to(memory_format=torch.channels_last)
        self.loss = loss
        self.validation_metrics, self.held_out_metrics = metrics.clone(), metrics.clone()
        self.optimizer, self.scheduler = optimizer, scheduler
        self.threshold = 0.5
        self.tta = "none"

    def forward(self, image: Tensor) -> Tensor:
        """Logits ``(N, K, h, w)`` of a tile ``(N, C, H, W)`` with values in [0, 1]."""
        # Rectified units learn faster from values centred on 0.
        return self.model((2 * image - 1).contiguous(memory_format=torch.channels_last))

    def probabilities(self, image: Tensor, tile: int | None = None) -> Tensor:
        """Class probabilities ``(N, K, H, W)`` of whole images ``(N, C, H, W)`` with values in [0, 1]."""
        return overlap_tile(
            lambda tiles: self(tiles).float().softmax(dim=1), image, self.model.depth, self.model.padded, tile
        )

    def averaged_probabilities(self, image: np.ndarray, tta: str, tile: int | None = None) -> np.ndarray:
        """Class probabilities ``(K, H, W)`` of an image ``(C, H, W)``, averaged over versions of it (§4).

        Args:
            image: values in [0, 1].
            tta: a key of `tiles.symmetry.AVERAGES`.
            tile: side of the network's input in pixels; None chooses.
        """

        def predict(version: np.ndarray) -> np.ndarray:
            return self.probabilities(torch.from_numpy(version).to(self.device)[None], tile)[0].cpu().numpy()

        return AVERAGES[tta](predict, image)

    def training_step(self, batch: dict[str, Tensor], index: int) -> Tensor:
        loss = self.loss(self(batch["image"]), batch["target"], batch["weight"])
        self.log("train/loss", loss, prog_bar=True)
        return loss

    def validation_step(self, batch: dict, index: int) -> None:
        self.validation_metrics.update(self.probabilities(batch["image"]), batch["target"])

    def on_validation_epoch_end(self) -> None:
        scores = self.validation_metrics.compute()
        self.log_dict({f"validation/{name}": value for name, value in scores.items()}, sync_dist=True)
        for metric in self.validation_metrics.values():
            if hasattr(metric, "best_threshold"):
                self.threshold = metric.best_threshold()
        self.validation_metrics.reset()

    def test_step(self, batch: dict, index: int) -> dict:
        averaged = [self.averaged_probabilities(image.cpu().numpy(), self.tta) for image in batch["image"]]
        probabilities = torch.from_numpy(np.stack(averaged)).to(self.device)
        scores = self.held_out_metrics(probabilities, batch["target"])
        return {"probabilities": probabilities, "scores": {name: float(value) for name, value in scores.items()}}

    def on_test_epoch_end(self) -> None:
        scores = self.held_out_metrics.compute()
        self.log_dict({f"held_out/{name}": value for name, value in scores.items()}, sync_dist=True)
        self.held_out_metrics.reset()

    def on_save_checkpoint(self, checkpoint: dict) -> None:
        checkpoint["threshold"] = self.threshold

    def on_load_checkpoint(self, checkpoint: dict) -> None:
        self.threshold = checkpoint["threshold"]

    def configure_optimizers(self) -> dict:
        optimizer = self.optimizer(self.parameters())
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": self.scheduler(optimizer), "interval": "step"},
        }
