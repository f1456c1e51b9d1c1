"""One problem of the data: its file, what was found, what was expected, and the fix."""

from collections import defaultdict
from dataclasses import dataclass

from src.files.reading import Layout

ERROR, WARNING, NOTE = "error", "warning", "note"
SHOWN_FILES = 3  # listed of those with the same finding


@dataclass(frozen=True)
class Finding:
    """One problem of the data, or one fact about them that a person should know.

    Attributes:
        code: kind of finding; it stays the same from version to version.
        severity: `ERROR` (training would be wrong and is refused), `WARNING` or `NOTE`.
        file: the file; the folder if the finding is about all its files.
        found: what the file holds.
        expected: what it should hold.
        fix: what to do, as a line to type if possible.
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
    """Group findings, each a dictionary of its attributes, by severity and code; the order is kept."""
    alike = defaultdict(list)
    for finding in findings:
        alike[finding["severity"], finding["code"]].append(finding)
    return alike


class Refused(ValueError):
    """Data that cannot be used: an error that carries its finding, so that a check can list it among others.

    Args:
        finding: the reason.
        message: replaces the finding as text of the error, for example where no file is to blame but an option.

    Attributes:
        finding: the reason.
    """

    def __init__(self, finding: Finding, message: str = "") -> None:
        super().__init__(message or str(finding))
        self.finding = finding


class Found(Layout):
    """One finding of ``check.json``."""

    severity: str
    code: str
    file: str
    found: str
    expected: str
    fix: str


class Findings(Layout):
    """``check.json``."""

    findings: list[Found]
