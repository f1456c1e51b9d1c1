"""What training begins with where there is a network already, of whatever data."""

import hashlib
from pathlib import Path

from src.model.segmenter import Segmenter
from src.model.transfer import transfer
from src.restore import restore
from src.saying import is_first, say


def start_from(module: Segmenter, checkpoint: Path, freeze: bool) -> None:
    """Let training begin with what fits of the weights of a network that exists, and say what that is.

    Args:
        module: that will be trained.
        checkpoint: of the other network.
        freeze: whether what was taken of the contracting path is to stay as it is.

    Raises:
        ValueError: nothing fits, or it is no checkpoint.
        OSError: it cannot be read.
    """
    taken, others = transfer(module.model, restore(checkpoint).model)
    with checkpoint.open("rb") as file:
        module.begun_with, module.taken = hashlib.file_digest(file, "sha256").hexdigest(), taken
    if freeze:
        module.freeze_layers([layer for layer in taken if layer.startswith("down.")])
    if is_first():
        rest = f"; not {', '.join(others)}" if others else ""
        frozen = f"; {len(module.frozen)} of them stay as they are" if freeze else ""
        say(f"begins with {checkpoint}: {len(taken)} layers are taken, {', '.join(taken)}{rest}{frozen}")
