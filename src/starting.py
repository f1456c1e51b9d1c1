"""Start training from the weights of another network."""

import hashlib
from pathlib import Path

from src.model.segmenter import Segmenter
from src.model.transfer import transfer
from src.restore import restore
from src.saying import is_first, say


def start_from(module: Segmenter, checkpoint: Path, freeze: bool) -> None:
    """Copy the weights of all matching layers from another network to the network to train, and print which match.

    Args:
        module: the network to train.
        checkpoint: the checkpoint file of the other network.
        freeze: whether the copied layers of the contracting path are not trained.

    Raises:
        ValueError: no layers match, or the file is not a checkpoint.
        OSError: the file cannot be read.
    """
    taken, others = transfer(module.model, restore(checkpoint).model)
    with checkpoint.open("rb") as file:
        module.begun_with, module.taken = hashlib.file_digest(file, "sha256").hexdigest(), taken
    if freeze:
        module.freeze_layers([layer for layer in taken if layer.startswith("down.")])
    if is_first():
        rest = f"; not {', '.join(others)}" if others else ""
        frozen = f"; {len(module.frozen)} of them are frozen" if freeze else ""
        say(f"starts from {checkpoint}: {len(taken)} layers are copied, {', '.join(taken)}{rest}{frozen}")
