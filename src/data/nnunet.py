"""Reads the class names and the ignored label from nnU-Net's ``dataset.json``."""

from dataclasses import dataclass, field
from pathlib import Path

from src.data.finding import ERROR, Finding, Refused
from src.files.legend import LONGEST_NAME
from src.files.reading import Layout, read_json

FILE = "dataset.json"
IGNORED = "ignore"


class Dataset(Layout):
    """The part of nnU-Net's ``dataset.json`` that is used."""

    labels: dict[str, object]


@dataclass(frozen=True)
class LabelNames:
    """The meaning of the pixel values in label images.

    Attributes:
        names: class names by pixel value, in ascending order; empty if unknown, or if a class covers several values.
        ignored: the pixel value that marks unannotated pixels, or None.
    """

    names: dict[int, str] = field(default_factory=dict)
    ignored: int | None = None

    @property
    def all_names(self) -> dict[int, str]:
        """The names of all pixel values, including the ignored one."""
        return self.names if self.ignored is None else {**self.names, self.ignored: IGNORED}


UNNAMED = LabelNames()


def dataset_files(root: Path) -> list[Path]:
    """Return the ``dataset.json`` files in a folder and its direct subfolders; `read_label_names` uses the first."""
    return [file for file in (root / FILE, *sorted(root.glob(f"*/{FILE}"))) if file.is_file()]


def read_label_names(root: Path) -> LabelNames:
    """Read the class names from the ``dataset.json`` in a folder or in one of its direct subfolders.

    Returns:
        `UNNAMED` if there is no such file, or if it does not name each class by one number.

    Raises:
        Refused: the file cannot be read as JSON.
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
        )  # nnU-Net's first version mapped number to name
        if type(number) is not int or type(name) is not str or len(name) > LONGEST_NAME or not name.isprintable():
            return UNNAMED
        names[number] = name
    ignored = next((number for number, name in names.items() if name == IGNORED), None)
    return LabelNames({number: names[number] for number in sorted(names) if number != ignored}, ignored)
