"""The run directory: reserve it for one configuration and one training process, and locate and read its files."""

import contextlib
import functools
import importlib.metadata
import platform
import subprocess
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock, Timeout

from src.files.incomplete import sweep_folder
from src.files.reading import Layout, read_json, read_yaml, set_aside
from src.files.whole import write_text
from src.model.layout import moved, with_added
from src.run.layouts import Planned, Scores
from src.saying import say, warn

# A run directory contains:
# config.yaml  environment.json  check.json  metrics.csv  tensorboard/  checkpoints/{last,best}.ckpt
# pictures/  predictions/  scores.json  report.html; during training also checkpoints/previous.ckpt and run.lock

# Configuration keys that cannot change the result, so that a run may be resumed with other values for these keys.
FREE_KEYS = (
    *("overrides", "data.workers", "data_dir", "cache_dir", "run_dir", "data.source.data_dir", "data.folder"),
    *("callbacks.bar", "callbacks.narrator", "callbacks.schedule", "callbacks.*.directory"),
    *("callbacks.*.max_time", "trainer.max_time"),
    *("logger", "compile", "page", "debug", "max_pixels"),
    "trainer.num_sanity_val_steps",  # only in earlier versions
    # The number of devices may change; environment.json records it.
    *("trainer.accelerator", "trainer.devices", "trainer.num_nodes", "trainer.strategy"),
    *("trainer.sync_batchnorm", "trainer.use_distributed_sampler"),
)
# Keys that change the scores but not the weights, and so may change until the scores are written.
SCORING_KEYS = ("score", "tta")
SHARED = ("config.yaml", "check.json", "report.html")  # files that processes other than the training process may write
PACKAGES = (
    *("torch", "lightning", "torchmetrics", "hydra-core", "albumentations"),
    *("opencv-python-headless", "numpy", "scipy"),
)


def open_run(directory: Path, config: dict[str, Any]) -> None:
    """Start a run of ``config`` in ``directory``, or check that the run in it has the same configuration.

    Two changes are accepted: ``extend`` may grow, by which a finished run becomes unfinished; and keys that affect only
    the scores may change until the scores are written. Every rank may call this, because all write the same files.

    Raises:
        ValueError: the directory holds a run of another configuration (the message lists the differing keys), or
            ``extend`` grows while the run is unfinished.
    """
    if finished_scores(directory) is None and not resumable_files(directory):
        _write_config(directory, config)
        return
    stored = read_config(directory)
    longer = (config.get("extend") or 0) > (stored.get("extend") or 0)
    accepted = {"extend": config.get("extend")} if longer else {}
    if longer or finished_scores(directory) is None:
        accepted |= {key: config[key] for key in SCORING_KEYS if key in config}
    differing = differing_keys(with_added(stored | accepted), with_added(config))
    if differing:
        raise ValueError(
            f"expected the configuration that {directory} was started with, but got other values of "
            f"{', '.join(differing)}; choose another hydra.run.dir"
        )
    if longer:
        _extend(directory, config, planned_steps(stored))
    elif stored != stored | accepted:
        _write_config(directory, stored | accepted | {"overrides": config["overrides"]})


@contextlib.contextmanager
def refusals(directory: Path, config: dict[str, Any], of_sweep: bool) -> Iterator[None]:
    """Remove the run directory, if it is empty, when an exception within this context refuses the run.

    If the run is one of a sweep, its configuration is written there instead, so that the ranking can list the run.
    """
    try:
        yield
    except BaseException:
        if of_sweep and not any(directory.iterdir()):
            open_run(directory, config)
        with contextlib.suppress(OSError):
            directory.rmdir()
        raise


def _write_config(directory: Path, config: dict[str, Any]) -> None:
    write_text(directory / "config.yaml", yaml.safe_dump(config, sort_keys=False, allow_unicode=True))


def read_config(directory: Path, layout: type[Layout] = Planned) -> dict[str, Any]:
    """Read the configuration that a run was started with.

    Args:
        directory: the run directory.
        layout: the fields that the caller needs, which are checked; other fields are returned unchecked.

    Raises:
        ValueError: ``config.yaml`` is missing or damaged, or lacks a field.
    """
    try:
        return moved(read_yaml(directory / "config.yaml", layout))
    except (OSError, ValueError) as error:
        raise ValueError(f"{error}; nearest valid: a copy of it, or another directory") from error


def _extend(directory: Path, config: dict[str, Any], steps: int) -> None:
    # Another rank may be ahead: each rank first writes the configuration and then renames the scores.
    if not is_finished(directory, steps) and planned_steps(read_config(directory)) != planned_steps(config):
        raise ValueError(
            f"expected a finished run to extend, but {directory} has not yet made its {steps} steps; "
            f"the same command without extend resumes it"
        )
    _write_config(directory, config)
    with contextlib.suppress(FileNotFoundError):
        (directory / "scores.json").replace(directory / f"scores.{steps}.json")


def planned_steps(config: dict[str, Any]) -> int:
    """Return the number of training steps of a whole run, including its extension."""
    steps: int = config["trainer"]["max_steps"] + (config.get("extend") or 0)
    return steps


def differing_keys(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """Return the dotted keys with different values in two configurations; keys in `FREE_KEYS` are left out."""
    flat_before, flat_now = flatten(before), flatten(now)
    return [
        key
        for key in dict.fromkeys([*flat_before, *flat_now])
        if flat_before.get(key) != flat_now.get(key)
        and not any(fnmatch(key, free) or fnmatch(key, f"{free}.*") for free in FREE_KEYS)
    ]


def flatten(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten a nested dictionary to dotted keys: ``{"a": {"b": 1}}`` becomes ``{"a.b": 1}``."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        flat.update(flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value})
    return flat


def finished_scores(directory: Path) -> dict[str, Any] | None:
    """Read ``scores.json`` of a run or cross-validation; return None if the file does not exist yet.

    Raises:
        ValueError: the file is damaged.
    """
    file = directory / "scores.json"
    try:
        return read_json(file, Scores)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ValueError(f"{error}; the command that started the run scores it again") from error


def scores_of(directory: Path) -> dict[str, Any]:
    """Read ``scores.json`` of a run or cross-validation that must be finished.

    Raises:
        ValueError: the run is not finished, or the file is damaged.
    """
    scores = finished_scores(directory)
    if scores is None:
        raise ValueError(f"expected a finished run, but {directory} is not; the command that started it resumes it")
    return scores


def set_aside_damaged_scores(directory: Path) -> None:
    """Rename a damaged ``scores.json``, so that the run counts as unfinished and is scored again from its checkpoint.

    Raises:
        ValueError: the file is damaged, and no checkpoint exists.
    """
    try:
        finished_scores(directory)
    except ValueError as error:
        file = directory / "scores.json"
        if not resumable_files(directory):
            raise ValueError(
                f"{error.__cause__}, and there is no checkpoint to score again; nearest valid: another hydra.run.dir"
            ) from error
        place = set_aside(file)
        warn(f"{error.__cause__}; it is now {place.name}, and the run is scored again")


def is_finished(directory: Path, steps: int) -> bool:
    """Return whether a run with ``steps`` planned steps has been scored; training may have ended early."""
    scores = finished_scores(directory)
    return scores is not None and scores.get("planned_steps", scores.get("steps", steps)) == steps


def picture_file(directory: Path, name: str) -> Path:
    """Return the path of a picture in a run directory, given its name, such as ``validation/step_000200.png``."""
    return directory / "pictures" / name


def checkpoint_file(directory: Path, name: str) -> Path:
    """Return the path of the checkpoint ``best``, ``last`` or ``previous`` (before the last; during training only)."""
    return directory / "checkpoints" / f"{name}.ckpt"


def resumable_files(directory: Path) -> list[Path]:
    """Return the existing checkpoints from which an interrupted run can be resumed, the latest first."""
    return [file for name in ("last", "previous") if (file := checkpoint_file(directory, name)).exists()]


def remove_previous_checkpoint(directory: Path) -> None:
    """Delete the previous checkpoint (before the last), which a finished run no longer needs."""
    checkpoint_file(directory, "previous").unlink(missing_ok=True)


@contextlib.contextmanager
def only_writer(directory: Path, patience: float = 30) -> Iterator[None]:
    """Lock ``directory`` within this context, so that no other process, on this or another machine, trains in it.

    Args:
        directory: the run directory.
        patience: seconds to wait for the lock, for example if another process is just ending after a signal.

    Raises:
        ValueError: another process still trains in the directory.
    """
    directory.mkdir(parents=True, exist_ok=True)
    lock = FileLock(directory / "run.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        say(f"{directory}: waiting for another process that trains in it")
        try:
            lock.acquire(timeout=patience)
        except Timeout:
            raise ValueError(
                f"expected {directory} to be free, but another process trains in it; "
                f"wait for it, or choose another hydra.run.dir"
            ) from None
    try:
        _sweep(directory)
        yield
    finally:
        try:
            Path(lock.lock_file).unlink(missing_ok=True)
        except PermissionError:  # Windows does not delete an open file …
            lock.release()
            with contextlib.suppress(PermissionError):  # … and the next process may have opened it by now
                Path(lock.lock_file).unlink(missing_ok=True)
        lock.release()


def _sweep(directory: Path) -> None:
    """Remove the incomplete files of killed processes; only the process that holds the lock may call this."""
    for folder in ("predictions", "checkpoints", "pictures", "pictures/validation", "pictures/held_out"):
        sweep_folder(directory / folder)
    sweep_folder(directory, SHARED)
    for checkpoint in directory.glob("checkpoints/.*.ckpt.partial"):
        checkpoint.unlink(missing_ok=True)


def environment(**facts: object) -> dict[str, object]:
    """Return what a result depends on besides the configuration: versions, commit, machine and ``facts`` of the run."""
    return {
        "python": platform.python_version(),
        "packages": {name: importlib.metadata.version(name) for name in PACKAGES},
        "commit": _commit(),
        "machine": platform.platform(),
        **facts,
    }


def changed_facts(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """Return the dotted keys of the entries of `environment` that have changed since a run was started."""
    flat_before, flat_now = flatten(before), flatten(now)
    return [name for name in flat_now if flat_before.get(name) != flat_now[name]]


@functools.cache
def _commit() -> str | None:
    """Return the Git commit of the code, with ``+changes`` if files were edited since; None outside a Git checkout."""
    try:
        found = subprocess.run(
            ["git", "describe", "--always", "--abbrev=40", "--dirty=+changes", "--exclude=*"],
            cwd=Path(__file__).parent,
            capture_output=True,
            encoding="utf-8",
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return found.stdout.strip()
