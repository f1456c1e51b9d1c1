"""Scores of classes of pixels: IoU, Dice, precision and recall.

One policy for a class that is absent: in truth and prediction alike it has no score and enters no
mean; in only one of them all its scores are 0.
"""

from typing import ClassVar

import torch
from torch import Tensor
from torchmetrics import Metric

from src.files.arrays import STRIP

MOST_CLASSES = 32
OF_CLASS, PER_IMAGE = r"_class_([0-9]+)$", "_per_image"  # endings of the names of scores


def class_scores(confusion: Tensor) -> dict[str, Tensor]:
    """IoU, Dice, precision and recall of each class; nan for a class that occurs in neither.

    Args:
        confusion: pixels of each true class (rows) and predicted class (columns), ``(..., K, K)``.

    Returns:
        By name, ``(..., K)``.
    """
    found = confusion.diagonal(dim1=-2, dim2=-1).double()
    true, predicted = confusion.sum(dim=-1), confusion.sum(dim=-2)
    occurs = true + predicted > 0
    of = {
        "iou": found / (true + predicted - found),
        "dice": 2 * found / (true + predicted),
        "precision": found / predicted,
        "recall": found / true,
    }
    return {name: torch.where(occurs, score.nan_to_num(0), torch.nan) for name, score in of.items()}


def _pair_counts(predicted: Tensor, true: Tensor, judged: Tensor) -> Tensor:
    pairs = true[judged].long() * MOST_CLASSES + predicted[judged].long()
    return torch.bincount(pairs, minlength=MOST_CLASSES**2)


class Semantic(Metric):
    """IoU, Dice, precision and recall: pixels pooled over images, per class and as mean of the foreground.

    `NAME` is the mean of the classes but class 0, `NAME_class_c` that of one class, and
    `NAME_per_image` the mean over images of each image's own mean.
    """

    higher_is_better = True
    full_state_update = False
    modes: ClassVar = dict.fromkeys(("iou", "dice", "precision", "recall"), "max")
    best_over_thresholds = False

    def __init__(self):
        super().__init__()
        self.add_state("confusion", torch.zeros(MOST_CLASSES, MOST_CLASSES, dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("of_images", torch.zeros(len(self.modes)), dist_reduce_fx="sum")
        self.add_state("images", torch.zeros(len(self.modes)), dist_reduce_fx="sum")

    def update(self, classes: Tensor, target: Tensor, known: Tensor | None = None) -> None:
        """Add images: predicted and true class of each pixel, integers ``(N, H, W)``; of those that are known.

        Raises:
            ValueError: there are more classes than `MOST_CLASSES`, as in an image of numbered cells.
        """
        highest = int(max(classes.max(), target.max()))
        if highest >= MOST_CLASSES:
            raise ValueError(
                f"expected at most {MOST_CLASSES} classes, but got class {highest}; nearest valid for numbered "
                f"cells: metrics=instances"
            )
        known = torch.ones_like(target, dtype=torch.bool) if known is None else known
        for predicted, true, judged in zip(classes, target, known, strict=True):
            counts = torch.zeros(MOST_CLASSES**2, dtype=torch.int64, device=true.device)
            rows = max(1, STRIP // true.shape[1])
            for strip in zip(*(image.split(rows) for image in (predicted, true, judged)), strict=True):
                counts += _pair_counts(*strip)
            counts = counts.reshape(MOST_CLASSES, MOST_CLASSES)
            means = torch.stack([values[1:].nanmean() for values in class_scores(counts.cpu()).values()])
            self.confusion += counts
            self.of_images += means.nan_to_num(0).to(self.of_images)
            self.images += means.isfinite().to(self.images)

    def compute(self) -> dict[str, Tensor]:
        """Scalars by name; nan where there is nothing to score."""
        pooled = class_scores(self.confusion.cpu())
        scores = {name: values[1:].nanmean() for name, values in pooled.items()}
        for name, values in pooled.items():
            occurring = values.isnan().logical_not().nonzero().flatten().tolist()
            scores |= {f"{name}_class_{number}": values[number] for number in occurring}
        per_image = self.of_images / self.images  # 0 / 0, of images with nothing to score, is nan
        return scores | {f"{name}{PER_IMAGE}": mean for name, mean in zip(pooled, per_image, strict=True)}
