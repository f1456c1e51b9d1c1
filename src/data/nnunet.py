"""Reads the names of classes, and the ignored label, from the ``dataset.json`` of nnU-Net."""

from dataclasses import dataclass, field
from pathlib import Path

from src.data.finding import ERROR, Finding, Refused
from src.files.legend import LONGEST_NAME
from src.files.reading import Layout, read_json

FILE = "dataset.json"
IGNORED = "ignore"


class Dataset(Layout):
    """A ``dataset.json``."""

    labels: dict[str, object]


@dataclass(frozen=True)
class LabelNames:
    """The names of the numbers in label images.

    Attributes:
        names: names of the classes by number, in order; empty if classes are regions of several numbers.
        ignored: the number of pixels that are not annotated; None if there is none.
    """

    names: dict[int, str] = field(default_factory=dict)
    ignored: int | None = None

    @property
    def all_names(self) -> dict[int, str]:
        """The names of the classes and of the ignored number."""
        return self.names if self.ignored is None else {**self.names, self.ignored: IGNORED}


UNNAMED = LabelNames()


def dataset_files(root: Path) -> list[Path]:
    """The ``dataset.json`` in a folder and in its subfolders; the first one counts."""
    return [file for file in (root / FILE, *sorted(root.glob(f"*/{FILE}"))) if file.is_file()]


def read_label_names(root: Path) -> LabelNames:
    """Read the names of classes from the ``dataset.json`` in a folder or in one of its subfolders.

    Raises:
        Refused: the file is damaged.
    """
    files = dataset_files(root)
    if not files:
        return UNNAMED
    try:
        labels: dict[str, object] = read_json(files[0], Dataset)["labels"]
    except (ValueError, OSError) as error:
        if "at labels" in str(error):  # a file of another program
            return UNNAMED
        found, fix = "no JSON that can be read", "repair the file, or remove it"
        raise Refused(Finding("dataset-json", ERROR, str(files[0]), found, f"{FILE} of nnU-Net", fix)) from error
    names: dict[int, str] = {}
    for key, value in labels.items():
        number, name = (
            (int(key), value) if key.isdecimal() else (value, key)
        )  # number: name is the first version's form
        if type(number) is not int or type(name) is not str or len(name) > LONGEST_NAME or not name.isprintable():
            return UNNAMED
        names[number] = name
    ignored = next((number for number, name in names.items() if name == IGNORED), None)
    return LabelNames({number: names[number] for number in sorted(names) if number != ignored}, ignored)
