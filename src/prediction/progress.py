"""How far the prediction of an image is: a bar on a terminal, elsewhere a line a minute."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

from src.saying import duration, each_minute, shortened


@contextmanager
def told(name: str, pixels: int, bar: bool) -> Iterator[Callable[[int], None]]:
    """Show how many pixels of an image are predicted; gives what is called with each number of further ones.

    Args:
        name: of the image.
        pixels: of all.
        bar: whether it takes long enough for a bar.
    """
    name = shortened(name, 40)
    columns = (TextColumn("{task.description}"), BarColumn(), Speed(), TimeElapsedColumn(), TimeRemainingColumn())
    hidden = not (bar and sys.stdout.isatty())
    with Progress(*columns, disable=hidden) as shown:
        task = shown.add_task(name, total=pixels)
        if not hidden:
            yield lambda count: shown.advance(task, count)
            return
        with each_minute(lambda: line(shown.tasks[task])):
            yield lambda count: shown.advance(task, count)


class Speed(ProgressColumn):
    """Speed as ``2.20 Mpx/s``."""

    def render(self, task: Task) -> Text:
        return Text(f"{megapixels_a_second(task):.2f} Mpx/s")


def megapixels_a_second(task: Task) -> float:
    """The speed since it began."""
    elapsed = task.finished_time or task.elapsed or 0
    return task.completed / elapsed / 1e6 if elapsed else 0.0


def line(task: Task) -> str:
    """How far it is."""
    rate = megapixels_a_second(task)
    left = f" · {duration((task.total - task.completed) / 1e6 / rate)} left" if rate else ""
    return f"{task.description}: {task.completed / task.total:.0%} · {rate:.2f} Mpx/s{left}"
