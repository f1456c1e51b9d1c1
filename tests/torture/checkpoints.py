"""Checkpoints that should not be opened: a grammar of hostile and damaged ones, each made from a whole one."""

import io
import itertools
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch

SLOTS = ("model", "loss", "metrics", "optimizer", "scheduler", "instances", "monitor")
# What runs programs, writes files, asks the network, computes for ever, or is known in another place of conf/.
CALLS = (
    "os.system",
    "subprocess.Popen",
    "builtins.eval",
    "builtins.exec",
    "shutil.copy",
    "torch.save",
    "torch.hub.load",
    "pathlib.Path.touch",
    "hydra.utils.get_object",
    "webbrowser.open",
    "lightning.Trainer",
    "src.data.public.isbi2012",
    "src.data.public.cell_tracking",
    "src.data.phantom.phantom",
    "src.data.datamodule.SliceData",
    "src.run.callbacks.HeldOut",
    "albumentations.Compose",
)
ARGUMENTS = {
    "command": "touch here",
    "args": ["touch", "here"],
    "path": "here",
    "data_dir": "here",
    "src": "/etc/passwd",
}
CONTAINERS: dict[str, Callable[[dict], object]] = {
    "as it is": lambda call: call,
    "partial": lambda call: call | {"_partial_": True},
    "in a dictionary": lambda call: {"inner": call},
    "in a list": lambda call: [call],
    "in a tuple": lambda call: (call,),
    "in a tuple in a tuple": lambda call: ((call,),),
    "in tuples, lists and dictionaries": lambda call: ({"a": [({"b": (call,)},)]},),
    "in an ordered dictionary": lambda call: OrderedDict(call),
    "as an interpolation": lambda call: "${oc.create:" + str(call).replace("'", "") + "}",
}


def calls() -> Iterator[tuple[str, Callable[[dict], object]]]:
    """Checkpoints that would call something: slot × callable × argument × container, as the part or in it."""
    for slot, target, (key, value), (where, wrap) in itertools.product(
        SLOTS, CALLS, ARGUMENTS.items(), CONTAINERS.items()
    ):
        call = wrap({"_target_": target, key: value})

        def in_slot(content: dict, slot=slot, call=call) -> None:
            content["hyper_parameters"][slot] = call

        def in_argument(content: dict, slot=slot, call=call) -> None:
            node = content["hyper_parameters"][slot]
            if not isinstance(node, dict):
                content["hyper_parameters"][slot] = [call]
            else:
                node[next(iter(node))] = call
                node["more"] = call

        yield f"{slot} calls {target}({key}) {where}", in_slot
        yield f"an argument of {slot} calls {target}({key}) {where}", in_argument


def _set(*path: object) -> Callable[[dict], None]:
    *keys, last, value = path

    def change(content: dict) -> None:
        for key in keys:
            content = content[key]
        content[last] = value() if callable(value) else value

    return change


def _deep(depth: int) -> list:
    node: list = []
    for _ in range(depth):
        node = [node]
    return node


def _laughs() -> list:
    node: list = [1] * 10
    for _ in range(15):
        node = [node] * 10
    return node


def _itself() -> list:
    node: list = []
    node.append(node)
    return node


FIRST = "model.classify.weight"
VALUES = {
    "a set": lambda: {1, 2},
    "bytes": lambda: b"abc",
    "a complex number": lambda: 1j,
    "a device": lambda: torch.device("cpu"),
    "a type of numbers": lambda: torch.float32,
    "a size": lambda: torch.Size([1]),
    "too deep": lambda: _deep(200),
    "billions of values": _laughs,
    "itself": _itself,
    "a long text": lambda: "a" * 100_000,
    "a number without end": lambda: 10**5000,
    "NaN": lambda: float("nan"),
    "a tensor": lambda: torch.zeros(2),
    "a path": lambda: "/etc/passwd",
    "a path of Windows": lambda: "C:\\Windows",
    "an interpolation": lambda: "${oc.env:HOME}",
    "a control character": lambda: "a\x1b[2Jb",
    "nothing": lambda: None,
}
WEIGHTS = {
    "complex": lambda weight: weight.to(torch.complex64),
    "double": lambda weight: weight.double(),
    "whole": lambda weight: weight.long(),
    "sparse": lambda weight: weight.to_sparse(),
    "of another shape": lambda weight: weight.flatten(),
    "of no memory": lambda weight: weight.to("meta"),
    "promised": lambda weight: torch.zeros(1).expand(10**12),
    "NaN": lambda weight: torch.full_like(weight, torch.nan),
    "infinite": lambda weight: torch.full_like(weight, torch.inf),
    "one infinite": lambda weight: torch.cat([weight.flatten()[:-1], torch.tensor([-torch.inf])]).reshape(weight.shape),
    "empty": lambda weight: torch.zeros(0),
    "text": lambda weight: "weights",
    "a list": lambda weight: weight.tolist(),
}
NUMBERS = {
    "depth": (0, -1, 9, 10**9, 2.0, True, "2", [2], None),
    "base_channels": (0, 2049, 10**12, 2.5, "many"),
    "in_channels": (0, 10**9),
    "classes": (1, 255, 10**9),
    "dropout": (-1.0, 1.0, "much", float("nan")),
    "norm": ("instance", "none ", 3, "../x"),
    "padded": ("yes", 2),
}


def values() -> Iterator[tuple[str, Callable[[dict], object]]]:
    """Checkpoints of which a value is not what it should be."""
    for name, value in VALUES.items():
        for slot in SLOTS:
            yield f"{slot} is {name}", _set("hyper_parameters", slot, value)
        yield f"the loss has {name}", _set("hyper_parameters", "loss", "more", value)
        yield f"the parts are {name}", _set("hyper_parameters", value)
        if name not in ("nothing", "NaN"):
            yield f"a score is {name}", _set("validation_scores", "v_rand", value)
        yield f"the threshold is {name}", _set("threshold", value)
        yield f"the weights are {name}", _set("state_dict", value)
        yield f"a weight is {name}", _set("state_dict", FIRST, value)
    for threshold in (-0.1, 1.1, "0.5", True, float("inf"), [0.5]):
        yield f"the threshold is {threshold!r}", _set("threshold", threshold)
    for key, wrong in NUMBERS.items():
        for value in wrong:
            yield f"model.{key} is {value!r}", _set("hyper_parameters", "model", key, value)
    for key, value in (("lr", "fast"), ("_args_", [1]), ("_recursive_", False), ("_convert_", "object"), ("x", 1)):
        yield f"the optimizer has {key}={value!r}", _set("hyper_parameters", "optimizer", key, value)
    yield "the model is partial", _set("hyper_parameters", "model", "_partial_", True)
    yield "the loss is not partial", _set("hyper_parameters", "loss", "_partial_", False)
    for name, change in WEIGHTS.items():
        yield (
            f"a weight is {name}",
            lambda content, change=change: content["state_dict"].update({FIRST: change(content["state_dict"][FIRST])}),
        )
    yield "a weight is missing", lambda content: content["state_dict"].pop(FIRST)
    yield "a weight is too many", _set("state_dict", "model.more", lambda: torch.zeros(1))
    for key in ("hyper_parameters", "state_dict", "threshold"):
        yield f"{key} is missing", lambda content, key=key: content.pop(key)
    for slot in SLOTS:
        yield f"{slot} is missing", lambda content, slot=slot: content["hyper_parameters"].pop(slot)
    yield "a part is too many", _set("hyper_parameters", "more", 1)


def flipped(data: bytes, seed: int) -> bytes:
    """A file with one wrong bit."""
    changed = bytearray(data)
    place = int(np.random.default_rng(seed).integers(8 * len(data)))
    changed[place // 8] ^= 1 << place % 8
    return bytes(changed)


def files(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Files that are no whole checkpoint, made from the bytes of one."""
    for share in (0, 0.01, 0.5, 0.9, 0.999):
        yield f"cut off at {share:.1%}", data[: int(share * len(data))]
    yield "text", b"not a checkpoint"
    yield "a pickle", b"cos\nsystem\n(S'touch here'\ntR."
    yield "zeros", bytes(len(data))
    yield "compressed", _archived(data, zipfile.ZIP_DEFLATED)
    yield "of another program", _archived(data, zipfile.ZIP_STORED, lambda name: name.replace("data.pkl", "other.pkl"))
    for name, call in (("os", "system"), ("posix", "system"), ("builtins", "eval"), ("torch.hub", "load")):
        pickle = f"\x80\x02c{name}\n{call}\nX\x0a\x00\x00\x00touch here\x85R.".encode("latin1")
        yield f"calls {name}.{call}", _archived(data, zipfile.ZIP_STORED, pickle=pickle)
    yield "a bomb", _bomb()


def _archived(data: bytes, method: int, rename: Callable[[str], str] = str, pickle: bytes | None = None) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(written, "w", method) as new:
        for record in old.infolist():
            inner = pickle if pickle and record.filename.endswith("data.pkl") else old.read(record)
            new.writestr(rename(record.filename), inner)
    return written.getvalue()


def _bomb() -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"0" * 10**8)
    return written.getvalue()


def write(file: Path, content: dict) -> None:
    """Save as an attacker would, without a digest or with the right one."""
    torch.save(content, file)
