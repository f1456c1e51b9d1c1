"""The run directory, the unit of work: what lies in it, whether it is finished, what it was made from.

config.yaml  environment.json  metrics.csv  tensorboard/  checkpoints/{last,best}.ckpt
predictions/  scores.json
"""

import importlib.metadata
import json
import math
import platform
import subprocess
from fnmatch import fnmatch
from pathlib import Path

import yaml

from src.data.stack import complete_file

# Keys that cannot change the result, so a run may continue with other values of them.
FREE_KEYS = (
    "data.workers",
    "data_dir",
    "cache_dir",
    "run_dir",
    "data.source.data_dir",
    "callbacks.bar",
    "callbacks.narrator",
    "callbacks.*.directory",
    "callbacks.*.dirpath",
    "trainer.max_time",
    "logger",
    "compile",
    "debug",
    "trainer.devices",
    "trainer.num_nodes",
)
PACKAGES = (
    "torch",
    "lightning",
    "torchmetrics",
    "hydra-core",
    "albumentations",
    "opencv-python-headless",
    "numpy",
    "scipy",
)


def open_run(directory: Path, config: dict) -> None:
    """Claim ``directory`` for a run of ``config``, or make sure that it holds one of the same.

    Raises:
        ValueError: it holds something trained with another configuration; the differing keys are listed.
    """
    file = directory / "config.yaml"
    if finished_scores(directory) is None and last_checkpoint(directory) is None:
        write_text(file, yaml.safe_dump(config, sort_keys=False, allow_unicode=True))
        return
    differing = differing_keys(yaml.safe_load(file.read_text(encoding="utf-8")), config)
    if differing:
        raise ValueError(
            f"expected the configuration that {directory} was started with, but got other values of "
            f"{', '.join(differing)}; choose another hydra.run.dir"
        )


def differing_keys(before: dict, now: dict) -> list[str]:
    """Dotted keys whose values differ, but for those that cannot change the result."""
    flat_before, flat_now = flatten(before), flatten(now)
    return [
        key
        for key in dict.fromkeys([*flat_before, *flat_now])
        if flat_before.get(key) != flat_now.get(key)
        and not any(fnmatch(key, free) or fnmatch(key, f"{free}.*") for free in FREE_KEYS)
    ]


def flatten(config: dict, prefix: str = "") -> dict[str, object]:
    """``{"a": {"b": 1}}`` → ``{"a.b": 1}``."""
    flat = {}
    for key, value in config.items():
        flat.update(flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value})
    return flat


def finished_scores(directory: Path) -> dict | None:
    """The scores of a finished run, None of an unfinished one."""
    file = directory / "scores.json"
    return json.loads(file.read_text()) if file.exists() else None


def last_checkpoint_file(directory: Path) -> Path:
    """What an interrupted run goes on from lies here."""
    return directory / "checkpoints" / "last.ckpt"


def last_checkpoint(directory: Path) -> Path | None:
    """What an interrupted run goes on from, None if there is nothing yet."""
    file = last_checkpoint_file(directory)
    return file if file.exists() else None


def keep_metrics(directory: Path) -> None:
    """Number the metrics.csv of an interrupted run, which the logger of the next part would delete."""
    file = directory / "metrics.csv"
    if file.exists():
        taken = len(list(directory.glob("metrics.*.csv")))
        file.rename(directory / f"metrics.{taken + 1}.csv")


def environment(**facts: object) -> dict:
    """What a result depends on beside the configuration: versions, commit and the ``facts`` of the run."""
    return {
        "python": platform.python_version(),
        "packages": {name: importlib.metadata.version(name) for name in PACKAGES},
        "commit": _commit(),
        "machine": platform.platform(),
        **facts,
    }


def write_json(file: Path, content: object) -> None:
    """Write JSON that appears under its name only when it is complete; nan, which JSON lacks, as null."""
    write_text(file, json.dumps(_without_nan(content), indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def _without_nan(content: object) -> object:
    if isinstance(content, dict):
        return {key: _without_nan(value) for key, value in content.items()}
    if isinstance(content, list):
        return [_without_nan(value) for value in content]
    return None if isinstance(content, float) and math.isnan(content) else content


def write_text(file: Path, text: str) -> None:
    """Write text that appears under its name only when it is complete."""
    with complete_file(file) as partial:
        partial.write_text(text, encoding="utf-8")


def _commit() -> str | None:
    """The commit of the code, with ``+changes`` if it was edited since; None outside a checkout."""
    try:
        found = subprocess.run(
            ["git", "describe", "--always", "--abbrev=40", "--dirty=+changes", "--exclude=*"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return found.stdout.strip()
