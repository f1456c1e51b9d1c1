"""Findings about the data: each names a problem, its file, what was found, what was expected, and how to fix it."""

from collections import defaultdict
from dataclasses import dataclass

from src.files.reading import Layout

ERROR, WARNING, NOTE = "error", "warning", "note"
SHOWN_FILES = 3  # largest number of files that are listed for the same kind of finding


@dataclass(frozen=True)
class Finding:
    """One problem of the data, or one fact about the data that the user should know.

    Attributes:
        code: kind of finding, such as ``size-mismatch``; codes stay the same from version to version.
        severity: `ERROR` (training would be wrong and is refused), `WARNING` or `NOTE`.
        file: path of the file, or of the folder if the finding is about all files in it.
        found: what the file holds.
        expected: what the file should hold.
        fix: how to fix the problem, as a line to type if possible.
    """

    code: str
    severity: str
    file: str
    found: str
    expected: str
    fix: str

    def __str__(self) -> str:
        return f"{self.file}: expected {self.expected}, but got {self.found}; {self.fix}"


def by_code(findings: list[dict[str, str]]) -> dict[tuple[str, str], list[dict[str, str]]]:
    """Group findings by severity and code, in their original order; each finding is a dictionary of its attributes."""
    alike = defaultdict(list)
    for finding in findings:
        alike[finding["severity"], finding["code"]].append(finding)
    return alike


class Refused(ValueError):
    """An error for data that cannot be used; its finding lets the data check list the problem with all others.

    Args:
        finding: the problem.
        message: text of the error, for example if an option and not a file is wrong; if empty, the finding as text.

    Attributes:
        finding: the problem.
    """

    def __init__(self, finding: Finding, message: str = "") -> None:
        super().__init__(message or str(finding))
        self.finding = finding


class Found(Layout):
    """Layout of one finding in ``check.json``."""

    severity: str
    code: str
    file: str
    found: str
    expected: str
    fix: str


class Findings(Layout):
    """Layout of the findings in ``check.json``."""

    findings: list[Found]
