"""What the hardware can do, and what it is fast in."""

import functools
import sys

import torch

from src.model.engine import FORMATS
from src.model.trained import MEMORY_FORMAT, logits
from src.model.unet import UNet


def choose_accelerator(requested: str) -> str:
    """Where to train, as Lightning names it: ``requested``, but the CPU for ``auto`` where Apple's GPU fails.

    Args:
        requested: ``auto`` or an accelerator of Lightning's, which takes ``auto`` for the GPU if there is any.
    """
    failing = requested == "auto" and torch.backends.mps.is_available() and not _learns("mps")
    return "cpu" if failing else requested


@functools.cache
def _learns(device: str) -> bool:
    """Whether a small network makes a step there; if not, a line says why and that the CPU takes its place.

    What PyTorch can compute on Apple's GPU differs between its versions and those of macOS.
    """
    try:
        with torch.random.fork_rng(devices=[]):  # whoever asks begins with the same weights as who does not
            network = UNet(base_channels=2, depth=2, norm="batch").to(device, memory_format=MEMORY_FORMAT)
            logits(network, torch.rand((1, 1, 60, 60)).to(device)).square().sum().backward()
        finite = all(each.grad.isfinite().all().item() for each in network.parameters())
        said = "" if finite else "its gradients are no numbers"
    except (RuntimeError, TypeError) as error:  # of which NotImplementedError is one
        said = str(error).partition("\n")[0]
    if said:
        print(f"warning: a step on {device} fails, and the CPU takes its place: {said}", file=sys.stderr, flush=True)
    return not said


def choose_precision(requested: str, accelerator: str) -> str:
    """The precision to train and predict in: ``requested``, or for ``auto`` the fastest that is safe.

    bf16-mixed where matrix units compute it: CUDA since Ampere, CPUs with AMX. AVX512-bf16 alone is
    no faster than fp32 (1.7 against 1.55 s a step of the 32-channel network on two cores), so
    it does not count. Apple's GPU computes in fp32, because bf16 has not been measured on it.

    Args:
        requested: ``auto`` or a precision of Lightning's.
        accelerator: Lightning's name; ``auto`` means CUDA if there is any, or else Apple's GPU.
    """
    if requested != "auto":
        return requested
    if accelerator != "cpu" and torch.cuda.is_available():
        return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "16-mixed"
    if accelerator != "cpu" and torch.backends.mps.is_available():
        return "32-true"
    return "bf16-mixed" if torch.cpu.get_capabilities().get("amx_bf16") else "32-true"


def pays_to_compile(requested: bool | str, steps: int) -> bool:
    """Whether to compile training steps: ``requested``, or for ``auto`` in runs long enough to win back the minute.

    On two cores with AVX-512 the paper's network steps 1.2 times faster, so a minute pays after 70 steps of 5 s; a
    narrower network gains less. Where Apple's GPU is, ``auto`` compiles nothing, because a compiled convolution fails
    there in its backward pass (pytorch#174269).

    Args:
        requested: true, false or ``auto``.
        steps: of the run.
    """
    if requested == "auto":
        return steps >= 1000 and not torch.backends.mps.is_available()
    return bool(requested)


def inference(precision: str, scored: str | None = None) -> tuple[torch.device, torch.dtype]:
    """Device and number format to predict with.

    Args:
        precision: auto, 32 or bf16; auto is that of ``scored`` where the hardware is fast in it, else 32.
        scored: in which the network was scored, as Lightning names it; None if that is not known.
    """
    if precision == "auto" and scored is not None and not scored.startswith(("bf16", "16")):
        precision = "32"
    mac = torch.backends.mps.is_available() and _learns("mps")
    device = torch.device("cuda" if torch.cuda.is_available() else "mps" if mac else "cpu")
    chosen = choose_precision({"32": "32-true", "bf16": "bf16-mixed"}.get(precision, precision), device.type)
    return device, FORMATS.get(chosen, torch.float32)


def describe(device: torch.device) -> str:
    """The device in words, such as ``CPU (2 threads)``, ``NVIDIA H200`` or ``Apple GPU``."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type == "mps":
        return "Apple GPU"
    return f"{device.type.upper()} ({torch.get_num_threads()} threads)"
