"""The life of a run directory: whatever happens to it, its result is that of a run that nothing has happened to, or one
message says why not.
"""

import contextlib
import io
import json
import multiprocessing
import os
import resource
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import ClassVar

import imageio.v3 as iio
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from src.data.phantom import phantom
from src.model.archive import is_whole
from src.run.directory import checkpoint_file, read_config
from tests.conftest import TINY, called, weights_digest
from tests.torture import stops
from tests.torture.runs import BYTES

RUN = [
    *(each for each in TINY if not each.startswith(("trainer.max_steps", "trainer.val_check"))),
    *"trainer.max_steps=4 trainer.val_check_interval=2 experiment=membranes".split(),
    *"page=false logger=csv ~callbacks.samples ~callbacks.overlay".split(),
]
PLACES = ["data.root=mine", "hydra.run.dir=run", "cache_dir=cache"]
RATES = ("0.05", "0.01")
# Of what says why the result is another one.
REASONS = ("take its place", "takes its place", "without a check", "nothing is known")


def forked():
    """Makes processes from one that has imported what a run needs."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["src.train", "src.predict", "tests.conftest"])
    return context


def enter(arguments: list[str], folder: Path, log: Path, function: str | None, largest: int | None) -> None:
    """Train in a process of its own, killed when a function begins, or with room for files of ``largest`` bytes."""
    os.chdir(folder)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(os.open(log, os.O_CREAT | os.O_WRONLY | os.O_TRUNC), 2)
    sys.argv = ["src.train", *arguments]
    if largest is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    with stops.sent(signal.SIGKILL, function) if function else contextlib.nullcontext():
        sys.exit(called("train"))


class Life(RuleBasedStateMachine):
    """One run directory, the data that it learns from, and the command that makes it."""

    undisturbed: ClassVar[dict] = {}
    commands: ClassVar[list[int]] = []

    @initialize()
    def begin(self):
        self.folder = Path(tempfile.mkdtemp(prefix="life-"))
        self.directory = self.folder / "run"
        self.version = self.rate = self.extend = 0
        self.excused = False
        write_data(self.folder / "mine", 0)

    def teardown(self):
        shutil.rmtree(self.folder)

    def given(self) -> list[str]:
        chosen = [f"optimizer.lr={RATES[self.rate]}", *[f"extend={self.extend}"] * bool(self.extend)]
        return [*RUN, *PLACES, *chosen]

    def issue(self, name: str, *arguments: str) -> tuple[int, str]:
        status, error = in_process(name, list(arguments), self.folder)
        return self.judged(status, error)

    def judged(self, status: int, error: str) -> tuple[int, str]:
        self.commands.append(status)
        assert "Traceback" not in error, error
        lines = [line for line in error.splitlines() if line and not line.startswith("warning: ")]
        first = {0: "", 1: "error: "}.get(status, "stopped by ")
        assert (lines == []) if status == 0 else lines[0].startswith(first), error
        assert len([line for line in lines if line.startswith(("error: ", "stopped by "))]) <= 1, error
        self.excused |= any(reason in error for reason in REASONS)
        return status, error

    def train(self, number: int = 0, function: str = "") -> int:
        """Issue the command, perhaps hit by a signal when a function begins."""
        with stops.sent(number, function):
            status, error = self.issue("train", *self.given())
        if status == 0:
            self.check_result(error)
        return status

    def check_result(self, error: str) -> None:
        later = (self.directory / "scores.4.json").exists()  # it was finished before it was made longer
        key = (self.version, self.rate, self.extend, later)
        if key not in self.undisturbed:
            self.undisturbed[key] = undisturbed(*key)
        expected = self.undisturbed[key]
        found = result(self.directory)
        assert self.excused or found["scores"] == expected["scores"], error
        for name, weights in found["weights"].items():
            assert self.excused or weights == expected["weights"][name], (name, error)

    @rule()
    def resume(self):
        assert self.train() in (0, 1)

    @rule(function=st.sampled_from(stops.TRAIN), number=st.sampled_from(stops.SIGNALS))
    def send_a_signal(self, function, number):
        assert self.train(number, function) in (0, 1, 128 + number)

    @rule(function=st.sampled_from(stops.TRAIN))
    def kill(self, function):
        self.beside(function, None)

    @rule(largest=st.sampled_from([0, 5000, 20_000, 60_000]))
    def fill_the_disk(self, largest):
        self.beside(None, largest)

    def beside(self, function: str | None, largest: int | None) -> None:
        log = self.folder / "log"
        process = forked().Process(target=enter, args=(self.given(), self.folder, log, function, largest))
        process.start()
        process.join()
        assert process.exitcode in (0, 1, -signal.SIGKILL), log.read_text(errors="replace")
        if process.exitcode >= 0 and largest != 0:
            error = "\n".join(
                line
                for line in log.read_text(errors="replace").splitlines()
                if line.startswith(("error", "warn", "Trace"))
            )
            self.judged(process.exitcode, error)
            if process.exitcode == 0:
                self.check_result(error)

    @rule()
    def change_the_data(self):
        self.version = 1 - self.version
        write_data(self.folder / "mine", self.version)

    @rule()
    def change_the_configuration(self):
        self.rate = 1 - self.rate

    @rule()
    def make_it_longer(self):
        if self.extend:
            return
        self.extend = 2
        status = self.train()
        if status == 1 and not stored_extend(self.directory):
            self.extend = 0

    @rule(data=st.data(), damage=st.sampled_from(["gone", *BYTES]))
    def damage_a_file(self, data, damage):
        files = sorted(f for f in self.directory.rglob("*") if f.is_file() and f.name != "scores.4.json")
        if files:
            file = data.draw(st.sampled_from(files), label="file")
            Path.unlink(file) if damage == "gone" else BYTES[damage](file)

    @rule()
    def report(self):
        if self.directory.exists():
            assert self.issue("report", "run=run")[0] in (0, 1)


def stored_extend(directory: Path) -> bool:
    with contextlib.suppress(OSError, ValueError):
        return bool(read_config(directory).get("extend"))
    return False


def write_data(folder: Path, version: int) -> None:
    """Three annotated images, of which one has another pixel in another version."""
    shutil.rmtree(folder, ignore_errors=True)
    stack = phantom(slices=3, size=64)
    images = stack.images.copy()
    images[0, 5, 5] += version
    for name, slices in (("images", images), ("labels", stack.targets * 255)):
        (folder / name).mkdir(parents=True)
        for number, each in enumerate(slices):
            iio.imwrite(folder / name / f"a{number}.png", each)


def in_process(name: str, arguments: list[str], folder: Path) -> tuple[int, str]:
    """What a command ends with and says on standard error."""
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()):
        patch.chdir(folder)
        patch.setattr(sys, "argv", [f"src.{name}", *arguments])
        with contextlib.redirect_stderr(io.StringIO()) as error:
            status = called(name)
    return status, error.getvalue()


def undisturbed(version: int, rate: int, extend: int, later: bool) -> dict:
    """What a run comes to that nothing has happened to."""
    with tempfile.TemporaryDirectory(prefix="life-") as folder:
        write_data(Path(folder) / "mine", version)
        given = [*RUN, *PLACES, f"optimizer.lr={RATES[rate]}"]
        longer = [f"extend={extend}"] * bool(extend)
        for more in ([], longer)[not later :]:
            status, error = in_process("train", [*given, *more], Path(folder))
            assert status == 0, error
        return result(Path(folder) / "run")


def result(directory: Path) -> dict:
    """Scores, and the weights of those checkpoints that are whole."""
    scores = json.loads((directory / "scores.json").read_text())
    whole = [name for name in ("best", "last") if is_whole(checkpoint_file(directory, name))]
    weights = {name: weights_digest(directory, name) for name in whole}
    return {"scores": {key: scores[key] for key in ("scores", "per_image", "threshold", "steps")}, "weights": weights}


def live(examples: int, steps: int) -> None:
    chosen = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    Life.commands.clear()
    run_state_machine_as_test(Life, settings=chosen)


def test_whatever_happens_to_a_run_it_ends_as_it_should_or_says_why_not():
    live(1, 6)


@pytest.mark.torture
def test_whatever_happens_to_many_runs_they_end_as_they_should_or_say_why_not():
    live(60, 12)
    ends = {status: Life.commands.count(status) for status in sorted(set(Life.commands))}
    print(f"60 run directories, {len(Life.commands)} commands, which ended with {ends}")
