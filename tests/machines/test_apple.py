"""What Apple's GPU cannot hold is never computed with, so that all may run there."""

import numpy as np
import pytest
import tifffile
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from src.run.directory import checkpoint_file

HELD = {torch.float32, torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool}


class Watch(TorchDispatchMode):
    """Notes in which number formats tensors are computed with."""

    def __init__(self):
        super().__init__()
        self.seen: set[torch.dtype] = set()

    def __torch_dispatch__(self, function, types, given=(), named=None):
        made = function(*given, **(named or {}))
        self.seen |= {each.dtype for each in tree_leaves((given, named, made)) if isinstance(each, torch.Tensor)}
        return made


@pytest.mark.parametrize(
    "chosen",
    [
        ["tta=rot7", "metrics=isbi"],
        "experiment=demo_classes metrics=semantic monitor=iou loss=dice optimizer=sgd scheduler=poly".split(),
    ],
    ids=["membranes", "classes"],
)
def test_no_tensor_is_of_a_number_format_that_it_lacks(chosen, train_slim, run_command, tmp_path):
    tifffile.imwrite(tmp_path / "image.tif", np.random.default_rng(0).random((40, 50)))
    with Watch() as watch:
        run, status, _, error = train_slim(*chosen)
        assert status == 0, error
        checkpoint = f"checkpoint={checkpoint_file(run, 'best')}"
        given = [f"input={tmp_path}/image.tif", f"output={tmp_path}/out", "tta=rot7", "precision=32"]
        status, _, error = run_command("predict", checkpoint, *given)
        assert status == 0, error
    assert torch.float32 in watch.seen
    assert watch.seen <= HELD
