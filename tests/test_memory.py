"""The memory estimate: it counts what autograd keeps, and holds for processes that train."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest
import torch

from src.memory import cgroup_limits, data_bytes, room, training_bytes, weights_and_activations
from src.model.loss import weighted_cross_entropy
from src.model.unet import UNet
from tests.data.own import IMAGES, SIDE, change_image, change_labels, folder

USUAL = {"in_channels": 1, "classes": 2, "base_channels": 8, "depth": 3, "padded": False, "norm": "batch"}
NETWORKS = {
    "usual": ({}, 116),
    "wide": ({"base_channels": 16}, 116),
    "deep": ({"depth": 4}, 204),
    "shallow": ({"depth": 1}, 60),
    "padded": ({"padded": True}, 96),
    "without normalisation": ({"norm": "none"}, 132),
    "normalised behind": ({"norm": "batch_after"}, 132),
    "colour and classes": ({"in_channels": 3, "classes": 6}, 116),
    "without dropout": ({"dropout": 0.0}, 116),
}


def kept_for_the_backward_pass(network: UNet, image: torch.Tensor) -> int:
    """Bytes of what autograd holds at the end of a forward pass with its loss, weights left out."""
    held, own = {}, {each.untyped_storage().data_ptr() for each in [*network.parameters(), *network.buffers()]}

    def hold(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            held[storage.data_ptr()] = storage  # kept, so that no other one gets its address
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(hold, lambda tensor: tensor):
        logits = network(image)
        target = torch.zeros((len(logits), *logits.shape[2:]), dtype=torch.int64)
        weighted_cross_entropy(logits, target, torch.ones(target.shape))
    return sum(each.nbytes() for each in held.values())


@pytest.mark.parametrize("name", NETWORKS)
def test_weights_and_activations_are_those_of_the_network(name):
    options, tile = NETWORKS[name]
    model = USUAL | {"dropout": 0.5} | options
    network = UNet(**model)
    weights, floats = weights_and_activations(model, tile)
    convolutions = [
        each.weight for each in network.modules() if isinstance(each, torch.nn.Conv2d | torch.nn.ConvTranspose2d)
    ]
    assert weights == sum(each.numel() for each in convolutions) - network.classify.weight.numel()
    kept = kept_for_the_backward_pass(network, torch.rand((1, model["in_channels"], tile, tile)))
    assert 4 * floats == pytest.approx(kept, rel=0.15)


def test_more_of_anything_takes_more():
    def taken(tile: int = 300, batch_size: int = 1, longest: int = 96, **options: int) -> int:
        return training_bytes(USUAL | {"dropout": 0.5} | options, tile, batch_size, longest)

    for more in ({"tile": 308}, {"batch_size": 2}, {"base_channels": 16}, {"in_channels": 3}, {"longest": 3000}):
        assert taken(**more) > taken()
    assert taken(batch_size=3) - taken(batch_size=2) == taken(batch_size=5) - taken(batch_size=4)
    assert data_bytes(2000, 200, 1, 1) == 2 * data_bytes(1000, 100, 1, 1) < data_bytes(2000, 300, 1, 1)
    assert data_bytes(2000, 200, 1, 1) < data_bytes(2000, 200, 1, 2) < data_bytes(2000, 200, 3, 2)


STEP = ["trainer.max_steps=2", "trainer.precision=32-true", "~callbacks.samples", "~callbacks.bar", "page=false"]

# What the system says of a child counts the memory of its parent too, before it becomes another program.
TRAIN = """
import re, runpy, sys
sys.argv[0] = "src.train"
runpy.run_module("src.train", run_name="__main__", alter_sys=True)
print(re.search(r"VmHWM:\\s+([0-9]+) kB", open("/proc/self/status").read())[1])
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        "model.base_channels=4 data.tile=284",
        "model.base_channels=32 data.tile=444",
        "model.base_channels=64 data.tile=284",
        "model.base_channels=16 data.tile=444 data.batch_size=4",
        "model.base_channels=32 data.tile=252 model.depth=3 data.batch_size=4",
        "model.base_channels=32 data.tile=256 model.padded=true",
        "model.base_channels=4 data.tile=284 model.in_channels=3",  # of large images
    ],
)
def test_a_process_that_trains_takes_the_estimated_memory(arguments, tmp_path):
    root, side = folder(tmp_path / "own"), SIDE
    model = USUAL | {"depth": 4, "dropout": 0.5}
    given = dict(each.split("=") for each in arguments.split())
    for key, value in given.items():
        if key.startswith("model."):
            model[key[6:]] = value == "true" if value in ("true", "false") else int(value)
    if model["in_channels"] == 3:
        side = 768
        enlarge(root, side // SIDE)
    arguments = ["experiment=cells", f"data.root={root}", *STEP, *arguments.split()]
    arguments += [f"hydra.run.dir={tmp_path / 'run'}", f"cache_dir={tmp_path / 'cache'}"]
    done = subprocess.run([sys.executable, "-c", TRAIN, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    peak = int(done.stdout.split()[-1])
    said = training_bytes(model, int(given["data.tile"]), int(given.get("data.batch_size", 1)), side)
    said += data_bytes(IMAGES * side**2, side**2, model["in_channels"], 1)
    # 0.09 at most on an Intel Xeon with AMX; other processors convolve with scratch memory of another size.
    assert said == pytest.approx(peak * 1024, rel=0.35)


def enlarge(root, times: int) -> None:
    """Make the images of a folder many times as large, and coloured; the cells become large as well."""
    change_image(
        root, lambda image: np.repeat(np.repeat(np.stack([image, image // 2, 255 - image], -1), times, 0), times, 1)
    )
    change_labels(root, lambda cells: np.repeat(np.repeat(cells, times, 0), times, 1))


def test_a_machine_has_less_to_train_in_than_all_its_memory():
    file = "/proc/meminfo"
    if not os.path.exists(file):
        pytest.skip(f"there is no {file}")
    with open(file) as lines:
        total = int(re.search(r"MemTotal: *(\d+) kB", lines.read())[1]) * 1024
    found = room("cpu")
    assert found.place == "machine" and 0 < found.size < total


@pytest.mark.parametrize(
    ("groups", "limits", "expected"),
    [
        (
            "0::/job/step\n",
            {"job/memory.max": "3000\n", "job/step/memory.max": "max\n", "memory.max": "5000"},
            {3000, 5000},
        ),
        ("7:cpu:/a\n4:memory:/a/b\n0::/\n", {"memory/a/memory.limit_in_bytes": "2000"}, {2000}),
        ("4:memory:/of/the/host\n", {"memory/memory.limit_in_bytes": "700"}, {700}),  # a container sees its own as /
        ("0::/job\n", {}, set()),
    ],
)
def test_limits_of_the_groups_of_a_process_are_found(groups, limits, expected, tmp_path):
    (tmp_path / "cgroup").write_text(groups)
    for name, text in limits.items():
        (tmp_path / "mounted" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "mounted" / name).write_text(text)
    assert set(cgroup_limits(tmp_path / "cgroup", tmp_path / "mounted")) == expected


def test_a_machine_without_groups_has_no_such_limit(tmp_path):
    assert cgroup_limits(tmp_path / "none", tmp_path) == []
