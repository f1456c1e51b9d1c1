"""What is wrong with data: found where, what was expected, and the line that mends it."""

from collections import defaultdict
from dataclasses import dataclass

from src.files.reading import Layout

ERROR, WARNING, NOTE = "error", "warning", "note"
SHOWN_FILES = 3  # of those that have the same finding


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, or that one should know, about data.

    Attributes:
        code: names the kind of finding, the same in every version.
        severity: `ERROR` (training would be wrong, and is refused), `WARNING` or `NOTE`.
        file: where; a folder if it is about all of it.
        found: what is there.
        expected: what should be there.
        fix: what to do, if possible as a line to type.
    """

    code: str
    severity: str
    file: str
    found: str
    expected: str
    fix: str

    def __str__(self) -> str:
        return f"{self.file}: expected {self.expected}, but got {self.found}; {self.fix}"


def by_code(findings: list[dict]) -> dict[tuple[str, str], list[dict]]:
    """Findings as plain values by severity and code, in the order in which they come."""
    alike = defaultdict(list)
    for finding in findings:
        alike[finding["severity"], finding["code"]].append(finding)
    return alike


class Refused(ValueError):
    """Refuse data that cannot be used, with a finding that a check can list among others.

    Args:
        finding: why.
        message: what to tell a person, where it is not the finding itself, such as for a choice that is in no file.

    Attributes:
        finding: why.
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
