"""Detect problems during training as soon as they appear, and training that ended while the score was still rising."""

import math
import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor
from typing_extensions import override

from src.metrics.goodness import goodness
from src.model.segmenter import segmenter
from src.run.lightning_seam import any_process
from src.run.ranks import gathered

if TYPE_CHECKING:
    from lightning.pytorch.utilities.types import STEP_OUTPUT


class Diagnosis(Callback):
    """A callback that stops training if the loss is not finite, and reports training that makes no progress.

    Args:
        monitor: name of the score by which validations are compared.
        mode: ``max`` if a higher score is better, ``min`` if a lower one is.
        directory: the run directory.
        patience: lack of progress is reported when the score has not improved for this fraction of all steps.
    """

    validations = 3  # number of successive validations with a problem before the problem is reported
    waiting = 20  # number of losses that are read at once from a GPU, because each reading waits for the GPU

    def __init__(self, monitor: str, mode: str, directory: str, patience: float = 1 / 3) -> None:
        self.monitor, self.mode, self.directory, self.patience = monitor, mode, directory, patience
        self.best, self.best_step = -math.inf, 0
        self.losses: list[tuple[int, Tensor, list[str]]] = []
        self.blank: list[int] = []
        self.worse: list[int] = []
        self.ranks: list[tuple[int, float]] = []
        self.told: dict[str, str] = {}
        self.extend_by: int | None = None  # further steps to suggest, if the score was still rising at the end

    @override
    def on_train_batch_end(
        self, trainer: Trainer, module: LightningModule, outputs: "STEP_OUTPUT", batch: dict[str, Any], batch_idx: int
    ) -> None:
        if isinstance(outputs, Mapping):
            self.losses.append((trainer.global_step, outputs["loss"], list(batch["name"])))
        if module.device.type == "cpu" or len(self.losses) >= self.waiting:
            self._check_losses(trainer)

    @override
    def on_validation_start(self, trainer: Trainer, module: LightningModule) -> None:
        self._check_losses(trainer)

    @override
    def on_save_checkpoint(self, trainer: Trainer, module: LightningModule, checkpoint: dict[str, Any]) -> None:
        self._check_losses(trainer)  # so that no checkpoint is written with weights that are not finite

    def _check_losses(self, trainer: Trainer) -> None:
        """Check that the losses of the latest steps are finite; all ranks must call this.

        Raises:
            ValueError: a loss is not finite; the message names the first such step, and the images in its tiles.
        """
        wrong = [(step, loss.item(), names) for step, loss, names in self.losses if not loss.isfinite()]
        self.losses = []
        if any_process(trainer, bool(wrong)):
            wrong = [each for share in gathered(wrong) for each in share]
            step, loss, _ = min(wrong, key=lambda each: each[0])
            names = dict.fromkeys(name for each in wrong if each[0] == step for name in each[2])
            raise ValueError(
                f"expected a finite loss, but got {loss} at step {step}, from tiles of {', '.join(names)}; nearest "
                f"valid: a smaller optimizer.lr, or python -m src.check of the data"
            )

    @override
    def on_validation_end(self, trainer: Trainer, module: LightningModule) -> None:
        step = trainer.global_step
        score = segmenter(module).validation_scores[self.monitor]
        rank = goodness(score, self.mode)
        self.ranks.append((step, rank))
        if math.isnan(score):
            self._say("unjudged", f"the validation at step {step} had nothing to score {self.monitor} by")
        if rank > self.best:
            self.best, self.best_step, self.worse = rank, step, []
        else:
            self.worse.append(step)
        self.blank = [] if segmenter(module).predicted_share > 0 else [*self.blank, step]
        if len(self.blank) >= self.validations:
            self._say("blank", f"the network has predicted only background since step {self.blank[0]}")
        if len(self.worse) >= self.validations and step - self.best_step >= self.patience * trainer.max_steps:
            self._say("worse", f"validation {self.monitor} has not improved since step {self.best_step}")

    @override
    def on_test_start(self, trainer: Trainer, module: LightningModule) -> None:
        self.told.pop("rising", None)  # what was reported before the run was extended
        self.extend_by = None
        if since := still_rising(self.ranks):
            self.extend_by = max(1, segmenter(module).steps // 2)
            line = f"validation {self.monitor} was still rising when training ended, and best after step {since}"
            place = shlex.quote(f"hydra.run.dir={self.directory}")
            self._say("rising", line, f"; the same command with {place} extend=+{self.extend_by} continues it")

    def _say(self, what: str, line: str, cure: str = "") -> None:
        """Print a problem, and suggest a cure; each kind of problem (``what``) is reported only once."""
        if what not in self.told:
            self.told[what] = line
            rank_zero_only(print)(f"diagnosis: {line}{cure}", flush=True)

    @override
    def state_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("best", "best_step", "blank", "worse", "ranks", "told")}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        for name in self.state_dict():
            setattr(self, name, state_dict.get(name, getattr(self, name)))  # checkpoints of earlier versions lack some


def still_rising(ranks: list[tuple[int, float]], least: float = 0.01) -> int | None:
    """Return the step of the best score in the last third of validations, if it is clearly better than all before.

    Args:
        ranks: the step and the score of each validation; the score is negated if lower is better.
        least: the smallest relative improvement that counts as clearly better.

    Returns:
        The step; None if that score is not clearly better, or if there are fewer than three validations.

    >>> still_rising([(100, 0.5), (200, 0.6), (300, 0.7)])
    300
    >>> still_rising([(100, 0.5), (200, 0.7), (300, 0.705)])
    """
    first = len(ranks) - len(ranks) // 3
    if first == len(ranks):
        return None
    before = max(rank for _, rank in ranks[:first])
    step, best = max(ranks[first:], key=lambda each: each[1])
    return step if best - before > least * abs(before) else None
