"""What goes wrong while a network trains, in words and as soon as it shows; and whether it had learnt all it could."""

import math
import shlex

import lightning
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor

from src.metrics.goodness import goodness
from src.run.lightning_seam import any_process
from src.run.ranks import gathered


class Diagnosis(Callback):
    """Stop where the loss is no number, and say where training has come to nothing.

    Args:
        monitor: the score by which validations are compared.
        mode: whether ``max`` or ``min`` of it is better.
        directory: of the run.
        patience: share of all steps without a better validation after which it is said.
    """

    validations = 3  # in a row before anything is said of them
    waiting = 20  # losses that a GPU computes before they are read, because reading one waits for the GPU

    def __init__(self, monitor: str, mode: str, directory: str, patience: float = 1 / 3) -> None:
        self.monitor, self.mode, self.directory, self.patience = monitor, mode, directory, patience
        self.best, self.best_step = -math.inf, 0
        self.losses: list[tuple[int, Tensor, list[str]]] = []
        self.blank: list[int] = []
        self.worse: list[int] = []
        self.ranks: list[tuple[int, float]] = []
        self.told: dict[str, str] = {}
        self.extend_by: int | None = None  # steps, where the score was still rising at the end

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx) -> None:
        self.losses.append((trainer.global_step, outputs["loss"], list(batch["name"])))
        if module.device.type == "cpu" or len(self.losses) >= self.waiting:
            self._check_losses(trainer)

    def on_validation_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        self._check_losses(trainer)

    def on_save_checkpoint(self, trainer: lightning.Trainer, module, checkpoint: dict) -> None:
        self._check_losses(trainer)  # so that no checkpoint holds weights that are no numbers

    def _check_losses(self, trainer: lightning.Trainer) -> None:
        """Stop at the first loss that is not finite; all processes of the run have to call this.

        Raises:
            ValueError: names the step and the slices.
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

    def on_validation_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        step = trainer.global_step
        score = module.validation_scores[self.monitor]
        rank = goodness(score, self.mode)
        self.ranks.append((step, rank))
        if math.isnan(score):
            self._say("unjudged", f"in validation there was nothing to judge {self.monitor} by at step {step}")
        if rank > self.best:
            self.best, self.best_step, self.worse = rank, step, []
        else:
            self.worse.append(step)
        self.blank = [] if module.predicted_share > 0 else [*self.blank, step]
        if len(self.blank) >= self.validations:
            self._say("blank", f"predicts nothing but background since step {self.blank[0]}")
        if len(self.worse) >= self.validations and step - self.best_step >= self.patience * trainer.max_steps:
            self._say("worse", f"validation {self.monitor} has not become better since step {self.best_step}")

    def on_test_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        self.told.pop("rising", None)  # of the run before it was extended
        self.extend_by = None
        if since := still_rising(self.ranks):
            self.extend_by = max(1, module.steps // 2)
            line = f"validation {self.monitor} was still rising when training ended, and best after step {since}"
            place = shlex.quote(f"hydra.run.dir={self.directory}")
            self._say("rising", line, f"; the same command with {place} extend=+{self.extend_by} goes on")

    def _say(self, what: str, line: str, cure: str = "") -> None:
        """Once a kind of trouble, so that a log stays readable."""
        if what not in self.told:
            self.told[what] = line
            rank_zero_only(print)(f"diagnosis: {line}{cure}", flush=True)

    def state_dict(self) -> dict:
        return {name: getattr(self, name) for name in ("best", "best_step", "blank", "worse", "ranks", "told")}

    def load_state_dict(self, state_dict: dict) -> None:
        for name in self.state_dict():
            setattr(self, name, state_dict.get(name, getattr(self, name)))  # earlier versions lack some


def still_rising(ranks: list[tuple[int, float]], least: float = 0.01) -> int | None:
    """The step of the last third of the validations that was better than all before; None if it was hardly so.

    Args:
        ranks: step and goodness of each validation.
        least: what counts as better, as a share.

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
