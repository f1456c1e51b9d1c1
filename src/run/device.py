"""What the hardware is fast in."""

import torch


def choose_precision(requested: str, accelerator: str) -> str:
    """The precision to train and predict in: ``requested``, or for ``auto`` the fastest that is safe.

    bf16-mixed where matrix units compute it: CUDA since Ampere, CPUs with AMX. AVX512-bf16 alone is
    no faster than fp32 (1.7 against 1.55 s a step of the 32-channel network on two cores), so
    it does not count.

    Args:
        requested: ``auto`` or a precision of Lightning's.
        accelerator: Lightning's name; ``auto`` means CUDA if there is any.
    """
    if requested != "auto":
        return requested
    if accelerator != "cpu" and torch.cuda.is_available():
        return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "16-mixed"
    return "bf16-mixed" if torch.cpu.get_capabilities().get("amx_bf16") else "32-true"


def pays_to_compile(requested: bool | str, steps: int) -> bool:
    """Whether to compile training steps: ``requested``, or for ``auto`` in runs long enough to win back the minute.

    On two cores with AVX-512 the paper's network steps 1.2 times faster, so a minute pays after 70 steps of 5 s; a
    narrower network gains less.

    Args:
        requested: true, false or ``auto``.
        steps: of the run.
    """
    return steps >= 1000 if requested == "auto" else bool(requested)


def inference(precision: str) -> tuple[torch.device, torch.dtype]:
    """Device and number format to predict with, for a ``precision`` of auto, 32 or bf16."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    chosen = choose_precision({"32": "32-true", "bf16": "bf16-mixed"}.get(precision, precision), device.type)
    return device, {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}.get(chosen, torch.float32)


def describe(device: torch.device) -> str:
    """The device in words, such as ``CPU (2 threads)`` or ``NVIDIA H200``."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type.upper()} ({torch.get_num_threads()} threads)"
