"""Training steps of the paper's network on 572 px tiles: ours, and the loop around them.

The first table is the step alone: ours (precision as the hardware is fast in, channels innermost), compiled, against
plain PyTorch (fp32, channels outermost). The second is the whole loop of ``src.train`` (Lightning, loader, logging; no
validation) against a bare loop over tiles that are ready. ``make bench``, or
``python -m tests.benchmarks.train [base channels] [steps]``.
"""

import itertools
import statistics
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import lightning
import torch
from lightning.pytorch.callbacks import Callback
from torch.nn import functional

from src import training
from src.model.unet import UNet
from src.run.device import choose_precision
from tests.benchmarks.timing import interleaved, report
from tests.conftest import composed

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def step(network, optimizer, image, target, dtype: torch.dtype) -> None:
    with torch.autocast(DEVICE.type, dtype, enabled=dtype != torch.float32):
        loss = functional.cross_entropy(network(image).float(), target)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    loss.item()  # waits for the device


def job(channels: int, memory_format: torch.memory_format, dtype: torch.dtype, compiled: bool = False, tile: int = 572):
    torch.manual_seed(0)
    network = UNet(base_channels=channels, norm="batch").to(DEVICE, memory_format=memory_format)
    image = torch.rand(1, 1, tile, tile, device=DEVICE).contiguous(memory_format=memory_format)
    target = torch.randint(2, (1, tile - 184, tile - 184), device=DEVICE)  # a pixel needs 92 on each side
    optimizer = torch.optim.SGD(network.parameters(), lr=0.001, momentum=0.99)
    return partial(step, torch.compile(network) if compiled else network, optimizer, image, target, dtype)


def median_gap(moments: list[float]) -> float:
    return statistics.median(last - first for first, last in itertools.pairwise(moments))


class Clock(Callback):
    """Seconds of each training step, from the end of one to the end of the next."""

    def __init__(self):
        self.ends: list[float] = []

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx) -> None:
        self.ends.append(time.perf_counter())

    def median(self, after: int = 3) -> float:
        return median_gap(self.ends[after:])


def loops(channels: int, steps: int, tile: int = 572) -> tuple[float, float]:
    """Seconds a step of the whole loop, and of the bare one on the same tiles."""
    with tempfile.TemporaryDirectory() as folder:
        overrides = [f"run_dir={folder}", f"cache_dir={folder}", f"model.base_channels={channels}", f"data.tile={tile}"]
        overrides += ["data.source.size=512", f"trainer.max_steps={steps}", f"trainer.val_check_interval={steps}"]
        # Without averaged weights, which are part of the recipe and not of the loop.
        overrides += [
            "callbacks=default",
            "data.workers=1",
            "data.validation=''",
            "~callbacks.best",
            "~callbacks.last",
            "+trainer.enable_checkpointing=false",
            "~callbacks.bar",
        ]
        config = composed(*overrides)
        module = training.make_segmenter(config)
        trainer = training.make_trainer(config, module.model)
        data = training.make_data(config, module.model)
        clock = Clock()
        trainer.callbacks.append(clock)
        trainer.fit(module, data)

        module, plugin = training.make_segmenter(config).to(DEVICE), trainer.precision_plugin
        optimizer = module.configure_optimizers()["optimizer"]
        batches = [
            {name: part[None].to(DEVICE) for name, part in data.patches[i].items() if name != "name"} for i in range(4)
        ]
        ends = []
        for number in range(steps):
            with plugin.forward_context():
                batch = batches[number % 4]
                loss = module.loss(module(batch["image"]), batch["target"], batch["weight"])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            loss.item()
            ends.append(time.perf_counter())
        return clock.median(), median_gap(ends[3:])


def main(channels: int = 64, steps: int = 20) -> None:
    lightning.seed_everything(0, verbose=False)
    auto = torch.bfloat16 if choose_precision("auto", DEVICE.type, 128) == "bf16-mixed" else torch.float32
    inner, outer = torch.channels_last, torch.contiguous_format
    jobs = {
        f"ours, {auto}": job(channels, inner, auto),
        f"ours, {auto}, compiled": job(channels, inner, auto, compiled=True),
        "ours, torch.bfloat16": job(channels, inner, torch.bfloat16),
        "plain PyTorch, torch.float32, contiguous": job(channels, outer, torch.float32),
    }
    report(f"train: one 572 px tile, {channels} channels, on {DEVICE}", interleaved(jobs, 5), 1, "tiles")
    whole, bare = loops(channels, steps)
    title = f"loop: a step of src.train against a bare loop over ready tiles, {channels} channels"
    report(title, {"ours, whole loop": [whole], "bare loop": [bare]}, 1, "steps")


if __name__ == "__main__":
    Path("runs").mkdir(exist_ok=True)
    main(*map(int, sys.argv[1:]))
