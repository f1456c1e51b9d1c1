"""The run directory, the unit of work: what lies in it, whether it is finished, what it was made from.

config.yaml  environment.json  check.json  metrics.csv  tensorboard/  checkpoints/{last,best}.ckpt
pictures/  predictions/  scores.json  report.html; while it trains also checkpoints/previous.ckpt and run.lock
"""

import contextlib
import functools
import importlib.metadata
import platform
import subprocess
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import yaml
from filelock import FileLock, Timeout

from src.files.incomplete import sweep_folder
from src.files.reading import Layout, read_json, read_yaml, set_aside
from src.files.whole import write_text
from src.model.layout import moved, with_added
from src.run.layouts import Planned, Scores
from src.saying import say, warn

# Keys that cannot change the result, so a run may continue with other values of them.
FREE_KEYS = (
    *("overrides", "data.workers", "data_dir", "cache_dir", "run_dir", "data.source.data_dir", "data.folder"),
    *("callbacks.bar", "callbacks.narrator", "callbacks.schedule", "callbacks.*.directory"),
    *("callbacks.*.max_time", "trainer.max_time"),
    *("logger", "compile", "page", "debug", "max_pixels"),
    "trainer.num_sanity_val_steps",  # of earlier versions
    # From one device to many; environment.json says how many.
    *("trainer.accelerator", "trainer.devices", "trainer.num_nodes", "trainer.strategy"),
    *("trainer.sync_batchnorm", "trainer.use_distributed_sampler"),
)
# Keys that change no weights, only what is scored at the end: free until the scores are written.
SCORING_KEYS = ("score", "tta")
SHARED = ("config.yaml", "check.json", "report.html")  # files that also a process may write that does not train
PACKAGES = (
    *("torch", "lightning", "torchmetrics", "hydra-core", "albumentations"),
    *("opencv-python-headless", "numpy", "scipy"),
)


def open_run(directory: Path, config: dict) -> None:
    """Claim ``directory`` for a run of ``config``, or make sure that it holds one of the same.

    Two changes are accepted. A larger ``extend`` makes a finished run unfinished. What concerns the scores alone
    may be chosen anew until they are written. Every process of a run may call this; all write the same.

    Raises:
        ValueError: it holds something trained with another configuration; the differing keys are
            listed. Or an unfinished run is to be extended.
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
def refusals(directory: Path, config: dict, of_sweep: bool) -> Iterator[None]:
    """Leave no empty directory of a run that is refused; of a point of a sweep its choices, which its table names."""
    try:
        yield
    except BaseException:
        if of_sweep and not any(directory.iterdir()):
            open_run(directory, config)
        with contextlib.suppress(OSError):
            directory.rmdir()
        raise


def _write_config(directory: Path, config: dict) -> None:
    write_text(directory / "config.yaml", yaml.safe_dump(config, sort_keys=False, allow_unicode=True))


def read_config(directory: Path, layout: type[Layout] = Planned) -> dict:
    """The configuration that a run was started with.

    Args:
        directory: the run directory.
        layout: what will be read from it.

    Raises:
        ValueError: the file is not there, damaged, or holds something else.
    """
    try:
        return moved(read_yaml(directory / "config.yaml", layout))
    except (OSError, ValueError) as error:
        raise ValueError(f"{error}; nearest valid: a copy of it, or another directory") from error


def _extend(directory: Path, config: dict, steps: int) -> None:
    # Another process of the run may be faster: it writes the configuration first, then moves the scores.
    if not is_finished(directory, steps) and planned_steps(read_config(directory)) != planned_steps(config):
        raise ValueError(
            f"expected a finished run to extend, but {directory} has not yet made its {steps} steps; "
            f"the same command without extend goes on with it"
        )
    _write_config(directory, config)
    with contextlib.suppress(FileNotFoundError):
        (directory / "scores.json").replace(directory / f"scores.{steps}.json")


def planned_steps(config: dict) -> int:
    """Training steps of the whole run."""
    return config["trainer"]["max_steps"] + (config.get("extend") or 0)


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
    """The scores of a finished run, None of an unfinished one.

    Raises:
        ValueError: they are damaged.
    """
    file = directory / "scores.json"
    try:
        return read_json(file, Scores)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ValueError(f"{error}; the command that started the run scores it again") from error


def set_aside_damaged_scores(directory: Path) -> None:
    """Make a run whose scores are damaged an unfinished one, which is scored again from its checkpoint.

    Raises:
        ValueError: they are damaged, and there is no checkpoint.
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
    """Whether a run that was planned for ``steps`` training steps has been scored; it may have needed fewer."""
    scores = finished_scores(directory)
    return scores is not None and scores.get("planned_steps", scores.get("steps", steps)) == steps


def picture_file(directory: Path, name: str) -> Path:
    """Where a picture lies: ``slices.webp``, ``validation/step_000200.png``, ``held_out/slice_24_truth.webp`` …"""
    return directory / "pictures" / name


def checkpoint_file(directory: Path, name: str) -> Path:
    """Where a checkpoint lies: ``best``, ``last``, or while it trains ``previous``, the one before the last."""
    return directory / "checkpoints" / f"{name}.ckpt"


def resumable_files(directory: Path) -> list[Path]:
    """Checkpoints from which an interrupted run can go on, the latest one first."""
    return [file for name in ("last", "previous") if (file := checkpoint_file(directory, name)).exists()]


def remove_previous_checkpoint(directory: Path) -> None:
    """Give back the space of the second last checkpoint, when a run is finished."""
    checkpoint_file(directory, "previous").unlink(missing_ok=True)


@contextlib.contextmanager
def only_writer(directory: Path, patience: float = 30) -> Iterator[None]:
    """Keep other processes, on this machine or another one, from training in ``directory``.

    Args:
        directory: the run directory.
        patience: seconds to wait for another process to end, such as one that has just been told to.

    Raises:
        ValueError: another process goes on training in it.
    """
    directory.mkdir(parents=True, exist_ok=True)
    lock = FileLock(directory / "run.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        say(f"{directory}: waits for another process that trains in it")
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
        except PermissionError:  # Windows keeps a file that is open …
            lock.release()
            with contextlib.suppress(PermissionError):  # … also where the next process has opened it
                Path(lock.lock_file).unlink(missing_ok=True)
        lock.release()


def _sweep(directory: Path) -> None:
    """Remove what killed processes left; to be called by the only one that trains in ``directory``."""
    for folder in ("predictions", "checkpoints", "pictures", "pictures/validation", "pictures/held_out"):
        sweep_folder(directory / folder)
    sweep_folder(directory, SHARED)
    for checkpoint in directory.glob("checkpoints/.*.ckpt.partial"):
        checkpoint.unlink(missing_ok=True)


def environment(**facts: object) -> dict:
    """What a result depends on beside the configuration: versions, commit and the ``facts`` of the run."""
    return {
        "python": platform.python_version(),
        "packages": {name: importlib.metadata.version(name) for name in PACKAGES},
        "commit": _commit(),
        "machine": platform.platform(),
        **facts,
    }


def changed_facts(before: dict, now: dict) -> list[str]:
    """Names of facts of `environment` that have changed since a run was started."""
    flat_before, flat_now = flatten(before), flatten(now)
    return [name for name in flat_now if flat_before.get(name) != flat_now[name]]


@functools.cache
def _commit() -> str | None:
    """The commit of the code, with ``+changes`` if it was edited since; None outside a checkout."""
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
