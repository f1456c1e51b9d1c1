"""From the command line to the end of the first step of ``experiment=demo``.

``make bench``, or ``python -m tests.benchmarks.start [repeats]``.
"""

import subprocess
import sys
import tempfile
import time

from tests.benchmarks.timing import report


def first_step() -> float:
    """Seconds until ``src.train`` has logged its first step."""
    with tempfile.TemporaryDirectory() as folder:
        run = [f"hydra.run.dir={folder}/run", f"cache_dir={folder}/cache", "trainer.log_every_n_steps=1"]
        short = ["trainer.max_steps=1", "trainer.val_check_interval=1", "data.validation=''", "~callbacks.best"]
        command = [sys.executable, "-u", "-m", "src.train", "experiment=demo", "score=last", *run, *short]
        started = time.perf_counter()
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
            for line in child.stdout:
                if line.startswith("step"):
                    child.kill()
                    return time.perf_counter() - started
        raise SystemExit(f"expected a first step, but src.train ended with status {child.returncode}")


def main(repeats: int = 3) -> None:
    seconds = [first_step() for _ in range(repeats)]
    report("start: src.train experiment=demo until its first step", {"first step": seconds}, 1, "steps")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
