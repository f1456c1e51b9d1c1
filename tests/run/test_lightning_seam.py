"""Private handles of Lightning do what they are used for."""

import signal

import lightning
from lightning.pytorch.demos.boring_classes import BoringModel

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
