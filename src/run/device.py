"""What the hardware can do, and what it is fast in."""

import contextlib
import functools
import json
import math
import platform
import time
from pathlib import Path

import torch
from platformdirs import user_cache_dir

from src.files.whole import write_json
from src.model.engine import FORMATS
from src.model.trained import MEMORY_FORMAT, logits
from src.model.unet import UNet
from src.saying import say, warn

WORTH = 1.15  # times as fast, from which bf16 is taken
PROBE, PROBE_REPEATS, PROBE_SECONDS = 96, 12, 0.4  # side in pixels of what is convolved; how often, and for how long


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
        warn(f"a step on {device} fails, and the CPU takes its place: {said}")
    return not said


def choose_precision(requested: str, accelerator: str, channels: int, trains: bool = True) -> str:
    """The precision to train and predict in: ``requested``, or for ``auto`` the fastest that is safe.

    bf16-mixed on CUDA since Ampere, and on a CPU where a convolution in it is measured to be faster, which no flag of
    the processor tells. Apple's GPU computes in fp32, because bf16 has not been measured on it.

    Args:
        requested: ``auto`` or a precision of Lightning's.
        accelerator: Lightning's name; ``auto`` means CUDA if there is any, or else Apple's GPU.
        channels: of a convolution in the middle of the network.
        trains: whether it is also computed backwards.
    """
    if requested != "auto":
        return requested
    if accelerator != "cpu" and torch.cuda.is_available():
        return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "16-mixed"
    if accelerator != "cpu" and torch.backends.mps.is_available():
        return "32-true"
    return "bf16-mixed" if speed_in_bf16(channels, trains) >= WORTH else "32-true"


def speed_in_bf16(channels: int, trains: bool) -> float:
    """How many times as fast as in fp32 this CPU convolves in bf16; 0 where it does so wrongly.

    It is measured in half a second, once on each machine: what a file of the user's cache holds is taken, so that each
    run of a machine chooses alike.

    Args:
        channels: of the convolution.
        trains: whether it is also computed backwards.
    """
    file = Path(user_cache_dir("unet-from-few-images")) / "speed_in_bf16.json"
    way = "forwards and backwards" if trains else "forwards"
    key = f"{_processor()}, {torch.get_num_threads()} threads, torch {torch.__version__}, {channels} channels, {way}"
    try:
        known = {name: float(speed) for name, speed in json.loads(file.read_text(encoding="utf-8")).items()}
    except (OSError, ValueError, AttributeError, TypeError):  # not there yet, or not ours
        known = {}
    if key not in known:
        known[key] = round(_measured_speed(channels, trains), 2)
        say(f"bf16 on this CPU: {known[key]:.2f} times as fast as fp32, measured {way}")
        with contextlib.suppress(OSError):  # a home that cannot be written to: measured anew each time
            file.parent.mkdir(parents=True, exist_ok=True)
            write_json(file, known)
    return known[key]


def _measured_speed(channels: int, trains: bool) -> float:
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        image = torch.rand(1, channels, PROBE, PROBE).contiguous(memory_format=MEMORY_FORMAT)
        # Of the up-convolution too, because its kernels of 2×2 are wrong on some processors (pytorch#163347).
        layers = torch.nn.Sequential(
            torch.nn.Conv2d(channels, channels, 3), torch.nn.ConvTranspose2d(channels, channels, 2, stride=2)
        ).to(memory_format=MEMORY_FORMAT)
        seconds, found = dict.fromkeys((torch.float32, torch.bfloat16), math.inf), {}
        ends = time.perf_counter() + PROBE_SECONDS
        for repeat in range(PROBE_REPEATS):
            for dtype in seconds:
                started = time.perf_counter()
                with torch.autocast("cpu", dtype, enabled=dtype is not torch.float32), torch.set_grad_enabled(trains):
                    seen = layers[0](image)
                    found[dtype] = layers[1](seen[..., : PROBE // 4, : PROBE // 4]).float()
                    if trains:
                        (seen.float().mean() + found[dtype].square().mean()).backward()
                if repeat:  # the first call also chooses kernels
                    seconds[dtype] = min(seconds[dtype], time.perf_counter() - started)
            if repeat and time.perf_counter() > ends:
                break
        expected, computed = (found[dtype].detach() for dtype in seconds)
    near = (computed - expected).norm() <= 0.05 * expected.norm()
    return seconds[torch.float32] / seconds[torch.bfloat16] if near else 0.0


def _processor() -> str:
    """The name of the CPU, as far as the system tells it."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                flags = ", ".join(name for name, there in torch.cpu.get_capabilities().items() if there is True)
                return f"{line.partition(':')[2].strip()} ({flags})"
    return platform.processor() or platform.machine()


def middle_channels(network: UNet) -> int:
    """Channels of the convolutions half-way down a network."""
    return network.down[network.depth // 2][0].out_channels


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


def inference(precision: str, channels: int, scored: str | None = None) -> tuple[torch.device, torch.dtype]:
    """Device and number format to predict with.

    Args:
        precision: auto, 32 or bf16; auto is that of ``scored`` where the hardware is fast in it, else 32.
        channels: of a convolution in the middle of the network.
        scored: in which the network was scored, as Lightning names it; None if that is not known.
    """
    if precision == "auto" and scored is not None and not scored.startswith(("bf16", "16")):
        precision = "32"
    mac = torch.backends.mps.is_available() and _learns("mps")
    device = torch.device("cuda" if torch.cuda.is_available() else "mps" if mac else "cpu")
    named = {"32": "32-true", "bf16": "bf16-mixed"}.get(precision, precision)
    chosen = choose_precision(named, device.type, channels, trains=False)
    return device, FORMATS.get(chosen, torch.float32)


def formats(precision: str, scored: str | None) -> tuple[torch.dtype, ...]:
    """The number formats of which `inference` takes one or another, as the machine is; arguments as there."""
    return (torch.float32, torch.bfloat16) if precision == "auto" and scored in (None, "bf16-mixed") else ()


def describe(device: torch.device) -> str:
    """The device in words, such as ``CPU (2 threads)``, ``NVIDIA H200`` or ``Apple GPU``."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type == "mps":
        return "Apple GPU"
    return f"{device.type.upper()} ({torch.get_num_threads()} threads)"
