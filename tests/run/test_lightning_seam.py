"""The undocumented parts of Lightning do what they are used for."""

import gc
import multiprocessing
import signal
from typing import ClassVar

import lightning
import pytest
import torch
from lightning.pytorch.callbacks import RichProgressBar
from lightning.pytorch.demos.boring_classes import BoringModel
from lightning.pytorch.loggers import WandbLogger
from torch.utils.data import DataLoader

from src.run import lightning_seam as seam
from src.run.lightning_seam import leave_signals
from src.signals import stop


class Watch(lightning.Callback):
    def on_fit_start(self, trainer, module):
        self.seen = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR1)}


def test_a_trainer_leaves_signals_to_who_had_them(tmp_path):
    before = signal.signal(signal.SIGTERM, stop)
    try:
        watch = Watch()
        options = {"max_steps": 0, "logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
        trainer = lightning.Trainer(accelerator="cpu", callbacks=[watch], default_root_dir=tmp_path, **options)
        leave_signals(trainer).fit(BoringModel())
        assert watch.seen[signal.SIGTERM] is stop
    finally:
        signal.signal(signal.SIGTERM, before)


def a_trainer(tmp_path, *callbacks, **options):
    quiet = {
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
    options = {"accelerator": "cpu", "default_root_dir": tmp_path, "callbacks": list(callbacks)} | quiet | options
    return lightning.Trainer(**options)


class Counted(lightning.Callback):
    """Records the batches after which a validation is expected, and those after which it comes."""

    def __init__(self):
        self.said, self.validated, self.logged = [], [], []

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        assert seam.batches_done(trainer) == batch_idx + 1
        if seam.validates_after(trainer, batch_idx + 1):
            self.said.append(batch_idx + 1)
        if seam.logs_step(trainer):
            self.logged.append(batch_idx + 1)

    def on_validation_end(self, trainer, module):
        self.validated.append(seam.batches_done(trainer))


def test_validations_and_logged_steps_come_when_it_is_said(tmp_path):
    counted = Counted()
    options = {
        "log_every_n_steps": 3,
        "max_steps": 10,
        "val_check_interval": 4,
        "num_sanity_val_steps": 0,
        "limit_val_batches": 1,
    }
    a_trainer(tmp_path, counted, **options).fit(BoringModel())
    assert counted.said == counted.validated == [4, 8]
    assert counted.logged == [3, 6, 9]


class Failing(BoringModel):
    """Stops in its first validation, while a worker runs."""

    def train_dataloader(self):
        return DataLoader(torch.zeros(64, 32), num_workers=1, persistent_workers=True)

    def validation_step(self, batch, batch_idx):
        raise KeyError("stopped")


@pytest.mark.filterwarnings("ignore:.*num_workers")
def test_workers_end_although_training_was_stopped_in_a_validation(tmp_path):
    trainer = a_trainer(tmp_path, max_steps=4, val_check_interval=2, num_sanity_val_steps=0)
    with pytest.raises(KeyError):
        trainer.fit(Failing())
    assert multiprocessing.active_children()
    seam.end_workers(trainer)
    gc.collect()
    assert multiprocessing.active_children() == []


def test_one_process_decides_for_itself(tmp_path):
    trainer = a_trainer(tmp_path)
    for decision in (True, False):
        assert seam.any_process(trainer, decision) is decision
        assert seam.first_process(trainer, decision) is decision


@pytest.mark.parametrize(("options", "expected"), [({}, None), ({"strategy": "ddp", "devices": 2}, 2)])
def test_how_many_processes_nobody_has_started(options, expected, tmp_path, monkeypatch):
    for name in ("WORLD_SIZE", "LOCAL_RANK", "SLURM_NTASKS"):
        monkeypatch.delenv(name, raising=False)
    assert seam.processes_to_start(a_trainer(tmp_path, **options)) == expected


class Bars(RichProgressBar):
    seen: ClassVar = {}

    def on_train_batch_end(self, *arguments):
        super().on_train_batch_end(*arguments)
        self.seen["train"] = [seam.counts_steps(task) for task in self.progress.tasks if task.visible]

    def on_validation_batch_end(self, *arguments):
        super().on_validation_batch_end(*arguments)
        self.seen["validation"] = [seam.counts_steps(task) for task in self.progress.tasks if task.visible]


def test_the_bar_of_training_is_told_from_that_of_a_validation(tmp_path):
    options = {"enable_progress_bar": True, "max_steps": 2, "num_sanity_val_steps": 0, "val_check_interval": 2}
    a_trainer(tmp_path, Bars(), **options, limit_train_batches=2, limit_val_batches=1).fit(BoringModel())
    assert Bars.seen["train"] == [True] and sorted(Bars.seen["validation"]) == [False, True]


def test_what_lightning_refuses_is_an_error_of_a_choice(tmp_path):
    with pytest.raises(ValueError, match="quantum"), seam.its_errors_are_ours():
        a_trainer(tmp_path, accelerator="quantum")
    with pytest.raises(KeyError), seam.its_errors_are_ours():
        raise KeyError("ours")


def test_what_weights_and_biases_has_begun_is_ended(tmp_path, monkeypatch):
    wandb = pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "disabled")
    trainer = a_trainer(tmp_path, logger=WandbLogger(save_dir=tmp_path, offline=True))
    with pytest.raises(KeyError), seam.loggers_ended(trainer):
        assert trainer.loggers[0].experiment is wandb.run is not None
        raise KeyError("failed")
    assert wandb.run is None
