"""Lists the files in a folder by name, and reports files in formats that cannot be read."""

from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path

from src.data.finding import ERROR, WARNING, Finding
from src.files.names import IMAGE_SUFFIXES, REFUSED_SUFFIXES, SHAPE_SUFFIXES, stem

# Notes, settings and scripts that people keep next to their images; reported only in a folder of labels without labels.
NO_IMAGES: tuple[str, ...] = (
    ".txt",
    ".md",
    ".csv",
    ".tsv",
    ".xml",
    ".yaml",
    ".yml",
    ".ini",
    ".log",
    ".pdf",
    ".doc",
    ".docx",
    ".xls",
)
NO_IMAGES += (".xlsx", ".html", ".py", ".ipynb", ".m", ".ijm", ".groovy", ".db", ".ckpt", ".sha256", ".md5")
READ = (*IMAGE_SUFFIXES, *SHAPE_SUFFIXES, *REFUSED_SUFFIXES)


def by_stem(
    directory: Path, suffixes: Sequence[str], only: Collection[Path] | None = None
) -> tuple[dict[str, Path], list[Finding]]:
    """List the files directly in a folder by name without suffix, and report names that cannot be used.

    Args:
        directory: the folder.
        suffixes: suffixes of the files to list, in lower case.
        only: the files in the folder to choose from; None means all of them.

    Returns:
        The files by name without suffix, and an error finding for each further file with a name that is already
        taken and for each file name that is not UTF-8. Hidden files are left out.
    """
    files: dict[str, Path] = {}
    findings = []
    for file in sorted(directory.iterdir() if only is None else only):
        if file.suffix.lower() not in suffixes or file.name.startswith("."):
            continue
        named = file.name.encode("utf-8", "backslashreplace").decode()
        if named != file.name:
            what, fix = "a name that is not UTF-8", "give it another name"
            findings.append(Finding("name-encoding", ERROR, str(directory / named), what, "names in UTF-8", fix))
            continue
        other = files.setdefault(stem(file), file)
        if other != file:
            found, fix = f"{other.name} beside it", "move one of the two out of the folder"
            findings.append(Finding("same-name", ERROR, str(file), found, "one file of each name", fix))
    return files, findings


def unread(folder: Path, known: Sequence[str] = (*READ, *NO_IMAGES)) -> list[Finding]:
    """Report the files directly in a folder whose formats cannot be read, in one warning that counts them by suffix.

    Args:
        folder: the folder.
        known: suffixes that are not reported.

    Returns:
        A list of one finding, or an empty list if there are no such files.
    """
    endings = Counter(
        file.suffix.lower()
        for file in folder.iterdir()
        if file.suffix and not file.name.startswith(".") and file.suffix.lower() not in known and file.is_file()
    )
    if not endings:
        return []
    counts = ", ".join(f"{count} of {ending}" for ending, count in sorted(endings.items()))
    found = f"files in formats that are not read: {counts}"
    fix = "export images as TIFF or PNG and shapes as COCO; ignore this if they are neither images nor labels"
    return [Finding("unread-files", WARNING, str(folder), found, "images and labels in formats that are read", fix)]
