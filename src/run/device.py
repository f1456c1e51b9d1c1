"""Choose the device, the precision and whether to compile, by what the hardware supports and by what is fastest."""

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
from src.model.trained import MEMORY_FORMAT, in_memory_format, logits
from src.model.unet import UNet
from src.saying import say, warn

WORTH = 1.15  # smallest speed-up for which bf16 is chosen
# Of the speed measurement: side of the image in pixels, largest number of repeats, longest time in seconds.
PROBE, PROBE_REPEATS, PROBE_SECONDS = 96, 12, 0.4


def choose_accelerator(requested: str) -> str:
    """Return the accelerator to train on: ``requested``; but the CPU for ``auto``, if training fails on Apple's GPU.

    Args:
        requested: Lightning's name of an accelerator, or ``auto``, for which Lightning takes a GPU if there is one.
    """
    failing = requested == "auto" and torch.backends.mps.is_available() and not _can_train("mps")
    return "cpu" if failing else requested


@functools.cache
def _can_train(device: str) -> bool:
    """Test whether a training step of a small network succeeds on a device; warn of the reason if it fails.

    Which operations PyTorch supports on Apple's GPU depends on the versions of PyTorch and macOS.
    """
    try:
        with torch.random.fork_rng(devices=[]):  # so that the test does not change the random numbers of the run
            network = in_memory_format(UNet(base_channels=2, depth=2, norm="batch").to(device))
            logits(network, torch.rand((1, 1, 60, 60)).to(device)).square().sum().backward()
        gradients = [each.grad for each in network.parameters() if each.grad is not None]
        finite = all(each.isfinite().all().item() for each in gradients)
        failure = "" if finite else "its gradients are not finite"
    except (RuntimeError, TypeError) as error:  # RuntimeError includes NotImplementedError
        failure = str(error).partition("\n")[0]
    if failure:
        warn(f"a training step on {device} fails, so the CPU is used: {failure}")
    return not failure


def choose_precision(requested: str, accelerator: str, channels: int, trains: bool = True) -> str:
    """Return the precision in which to train or predict: ``requested``, or for ``auto`` the fastest safe precision.

    The fastest safe precision is bf16-mixed on CUDA GPUs that support bf16 (since Ampere) and 16-mixed on older GPUs.
    On a CPU, it is bf16-mixed if bf16 convolutions are measured to be faster, which no processor flag reveals; else
    fp32. On Apple's GPU it is fp32, because bf16 has not been measured there.

    Args:
        requested: ``auto`` or a precision in Lightning's spelling.
        accelerator: Lightning's name of the accelerator; ``auto`` means a CUDA GPU if available, else Apple's GPU if
            available, else the CPU.
        channels: number of channels of a convolution in the middle of the network, for the measurement.
        trains: whether the backward pass is computed too.
    """
    if requested != "auto":
        return requested
    if accelerator != "cpu" and torch.cuda.is_available():
        return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "16-mixed"
    if accelerator != "cpu" and torch.backends.mps.is_available():
        return "32-true"
    return "bf16-mixed" if speed_in_bf16(channels, trains) >= WORTH else "32-true"


def speed_in_bf16(channels: int, trains: bool) -> float:
    """Measure how many times faster convolutions are in bf16 than in fp32 on this CPU; 0 if bf16 results are wrong.

    The measurement takes half a second. Its result is stored in the user's cache folder, so that all runs on a machine
    make the same choice.

    Args:
        channels: number of channels of the convolution.
        trains: whether the backward pass is computed too.
    """
    file = Path(user_cache_dir("unet-from-few-images")) / "speed_in_bf16.json"
    way = "forwards and backwards" if trains else "forwards"
    key = f"{_processor()}, {torch.get_num_threads()} threads, torch {torch.__version__}, {channels} channels, {way}"
    try:
        known = {name: float(speed) for name, speed in json.loads(file.read_text(encoding="utf-8")).items()}
    except (OSError, ValueError, AttributeError, TypeError):  # the file does not exist yet, or is damaged
        known = {}
    if key not in known:
        known[key] = round(_measured_speed(channels, trains), 2)
        say(f"bf16 on this CPU: {known[key]:.2f} times as fast as fp32, measured {way}")
        with contextlib.suppress(OSError):  # if the home directory is read-only, the speed is measured each time
            file.parent.mkdir(parents=True, exist_ok=True)
            write_json(file, known)
    return known[key]


def _measured_speed(channels: int, trains: bool) -> float:
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        image = torch.rand(1, channels, PROBE, PROBE).contiguous(memory_format=MEMORY_FORMAT)
        # Includes a 2×2 up-convolution, because its bf16 result is wrong on some processors (pytorch#163347).
        layers = in_memory_format(
            torch.nn.Sequential(
                torch.nn.Conv2d(channels, channels, 3), torch.nn.ConvTranspose2d(channels, channels, 2, stride=2)
            )
        )
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
                if repeat:  # not the first repeat, in which kernels are chosen too
                    seconds[dtype] = min(seconds[dtype], time.perf_counter() - started)
            if repeat and time.perf_counter() > ends:
                break
        expected, computed = (found[dtype].detach() for dtype in seconds)
    near = (computed - expected).norm() <= 0.05 * expected.norm()
    return seconds[torch.float32] / seconds[torch.bfloat16] if near else 0.0


def _processor() -> str:
    """Return the name of the CPU; on Linux together with its instruction sets."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                flags = ", ".join(name for name, there in torch.cpu.get_capabilities().items() if there is True)
                return f"{line.partition(':')[2].strip()} ({flags})"
    return platform.processor() or platform.machine()


def middle_channels(network: UNet) -> int:
    """Return the number of output channels of the convolutions half-way down the contracting path of a network."""
    middle = network.down[network.depth // 2].children()
    return next(layer.out_channels for layer in middle if isinstance(layer, torch.nn.Conv2d))


def pays_to_compile(requested: bool | str, steps: int) -> bool:
    """Return whether to compile training steps: as ``requested``, or for ``auto`` if the run has 1000 steps or more.

    Compilation takes a minute. On two cores with AVX-512, compiled steps of the paper's network are 1.2 times faster,
    so the minute is regained after 70 steps of 5 s; a narrower network gains less. With ``auto`` nothing is compiled on
    machines with Apple's GPU, where the backward pass of a compiled convolution fails (pytorch#174269).

    Args:
        requested: True, False or ``auto``.
        steps: number of training steps of the run.
    """
    if requested == "auto":
        return steps >= 1000 and not torch.backends.mps.is_available()
    return bool(requested)


def inference(precision: str, channels: int, scored: str | None = None) -> tuple[torch.device, torch.dtype]:
    """Return the device and the number format to predict with.

    Args:
        precision: ``32``, ``bf16`` or ``auto``. ``auto`` means 32 if the network was scored in full precision, else the
            fastest safe precision on this machine (`choose_precision`).
        channels: number of channels of a convolution in the middle of the network.
        scored: the precision in which the network was scored, in Lightning's spelling; None if unknown.
    """
    if precision == "auto" and scored is not None and not scored.startswith(("bf16", "16")):
        precision = "32"
    mac = torch.backends.mps.is_available() and _can_train("mps")
    device = torch.device("cuda" if torch.cuda.is_available() else "mps" if mac else "cpu")
    named = {"32": "32-true", "bf16": "bf16-mixed"}.get(precision, precision)
    chosen = choose_precision(named, device.type, channels, trains=False)
    return device, FORMATS.get(chosen, torch.float32)


def formats(precision: str, scored: str | None) -> tuple[torch.dtype, ...]:
    """Return the number formats between which `inference` chooses by the hardware; empty if hardware does not matter.

    The arguments are those of `inference`.
    """
    return (torch.float32, torch.bfloat16) if precision == "auto" and scored in (None, "bf16-mixed") else ()


def describe(device: torch.device) -> str:
    """Return the name of a device, such as ``CPU (2 threads)``, ``NVIDIA H200`` or ``Apple GPU``."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type == "mps":
        return "Apple GPU"
    return f"{device.type.upper()} ({torch.get_num_threads()} threads)"
