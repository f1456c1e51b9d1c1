"""What the benchmarks share: interleaved repeats, so that a busy moment falls on all alike, and a table of ratios."""

import statistics
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from src.files.whole import write_json

RESULTS = Path("runs/bench")


def interleaved(jobs: dict[str, Callable[[], object]], repeats: int) -> dict[str, list[float]]:
    """Seconds of each job, once for warm-up and then in turn."""
    seconds: dict[str, list[float]] = {name: [] for name in jobs}
    for repeat in range(repeats + 1):
        for name, job in jobs.items():
            started = time.perf_counter()
            job()
            if repeat:
                seconds[name].append(time.perf_counter() - started)
    return seconds


def report(title: str, seconds: dict[str, list[float]], work: float, unit: str) -> None:
    """Print medians, rates and how many times faster the first job is than each; keep them as JSON.

    Args:
        title: of the table and the file.
        seconds: of each repeat of each job; the first job is ours.
        work: what a job does, in ``unit``.
        unit: such as Mpx.
    """
    median = {name: statistics.median(values) for name, values in seconds.items()}
    ours = next(iter(median.values()))
    table = Table("", "median s", "min to max s", f"{unit}/s", "ours is faster by", title=title)
    for name, values in seconds.items():
        spread = f"{min(values):.2f} to {max(values):.2f}"
        ratio = f"{median[name] / ours:.2f}×"
        table.add_row(name, f"{median[name]:.2f}", spread, f"{work / median[name]:.3g}", ratio)
    Console(width=120).print(table)
    rows = [{"name": name, "seconds": values, "ratio": median[name] / ours} for name, values in seconds.items()]
    write_json(RESULTS / f"{title.split(':')[0]}.json", {"title": title, "work": work, "unit": unit, "rows": rows})
