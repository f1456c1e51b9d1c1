"""Progress of the prediction of an image: a progress bar on a terminal, otherwise one line per minute."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text
from typing_extensions import override

from src.saying import duration, each_minute, shortened


@contextmanager
def show_progress(name: str, pixels: int, bar: bool) -> Iterator[Callable[[int], None]]:
    """Show how many pixels of an image have been predicted so far.

    Args:
        name: name of the image.
        pixels: number of pixels to predict.
        bar: whether the prediction takes long enough for a progress bar on a terminal.

    Yields:
        A function to call with the number of pixels that have been predicted since its last call.
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
    """Column of the progress bar that shows the speed, such as ``2.20 Mpx/s``."""

    @override
    def render(self, task: Task) -> Text:
        return Text(f"{megapixels_a_second(task):.2f} Mpx/s")


def megapixels_a_second(task: Task) -> float:
    """Return the mean speed since the start of a prediction, in megapixels per second."""
    elapsed = task.finished_time or task.elapsed or 0
    return task.completed / elapsed / 1e6 if elapsed else 0.0


def line(task: Task, pixels: int) -> str:
    """Return one line of text with the percentage of ``pixels`` that are predicted, the speed and the time left."""
    rate = megapixels_a_second(task)
    left = f" · {duration((pixels - task.completed) / 1e6 / rate)} left" if rate else ""
    return f"{task.description}: {task.completed / pixels:.0%} · {rate:.2f} Mpx/s{left}"
