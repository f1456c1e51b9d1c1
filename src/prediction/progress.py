"""Progress of the prediction of an image: a bar on a terminal, elsewhere one line each minute."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text
from typing_extensions import override

from src.saying import duration, each_minute, shortened


@contextmanager
def show_progress(name: str, pixels: int, bar: bool) -> Iterator[Callable[[int], None]]:
    """Show how many pixels of an image are predicted, with a function that takes the number of further pixels.

    Args:
        name: of the image.
        pixels: number of all pixels.
        bar: whether the prediction takes long enough for a bar.
    """
    name = shortened(name, 40)
    columns = (TextColumn("{task.description}"), BarColumn(), Speed(), TimeElapsedColumn(), TimeRemainingColumn())
    hidden = not (bar and sys.stdout.isatty())
    with Progress(*columns, disable=hidden) as shown:
        task = shown.add_task(name, total=pixels)
        if not hidden:
            yield lambda count: shown.advance(task, count)
            return
        with each_minute(lambda: line(shown.tasks[task], pixels)):
            yield lambda count: shown.advance(task, count)


class Speed(ProgressColumn):
    """Speed as ``2.20 Mpx/s``."""

    @override
    def render(self, task: Task) -> Text:
        return Text(f"{megapixels_a_second(task):.2f} Mpx/s")


def megapixels_a_second(task: Task) -> float:
    """Return the speed since the start."""
    elapsed = task.finished_time or task.elapsed or 0
    return task.completed / elapsed / 1e6 if elapsed else 0.0


def line(task: Task, pixels: int) -> str:
    """Return the share of ``pixels`` that is done, the speed and the time left."""
    rate = megapixels_a_second(task)
    left = f" · {duration((pixels - task.completed) / 1e6 / rate)} left" if rate else ""
    return f"{task.description}: {task.completed / pixels:.0%} · {rate:.2f} Mpx/s{left}"
