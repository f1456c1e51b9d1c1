"""What the ``dataset.json`` of nnU-Net says of labels."""

from dataclasses import dataclass, field
from pathlib import Path

from src.data.finding import ERROR, Finding, Refused
from src.files.legend import LONGEST_NAME
from src.files.reading import Layout, read_json

FILE = "dataset.json"
IGNORED = "ignore"


class Dataset(Layout):
    """A ``dataset.json``."""

    labels: dict


@dataclass(frozen=True)
class Classes:
    """The classes of labels.

    Attributes:
        names: of their numbers, in order; empty where they are regions of several numbers.
        ignored: the number of what nobody has annotated, None if there is none.
    """

    names: dict[int, str] = field(default_factory=dict)
    ignored: int | None = None

    @property
    def all_names(self) -> dict[int, str]:
        """Those of the classes, and that of what nobody has annotated."""
        return self.names if self.ignored is None else {**self.names, self.ignored: IGNORED}


NOTHING_SAID = Classes()


def dataset_files(root: Path) -> list[Path]:
    """The ``dataset.json`` in a folder and in folders of it; the first one counts."""
    return [file for file in (root / FILE, *sorted(root.glob(f"*/{FILE}"))) if file.is_file()]


def read_classes(root: Path) -> Classes:
    """The classes that the ``dataset.json`` in a folder, or in a folder of it, names.

    Raises:
        Refused: it is damaged.
    """
    files = dataset_files(root)
    if not files:
        return NOTHING_SAID
    try:
        labels = read_json(files[0], Dataset)["labels"]
    except (ValueError, OSError) as error:
        if "at labels" in str(error):  # of another program
            return NOTHING_SAID
        found, fix = "no JSON that can be read", "mend the file, or remove it"
        raise Refused(Finding("dataset-json", ERROR, str(files[0]), found, f"{FILE} of nnU-Net", fix)) from error
    numbers = {}
    for name, value in labels.items():
        number, name = (int(name), value) if name.isdecimal() else (value, name)  # as the first version had it
        if type(number) is not int or type(name) is not str or len(name) > LONGEST_NAME or not name.isprintable():
            return NOTHING_SAID
        numbers[number] = name
    ignored = next((number for number, name in numbers.items() if name == IGNORED), None)
    return Classes({number: numbers[number] for number in sorted(numbers) if number != ignored}, ignored)
