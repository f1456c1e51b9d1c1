"""The files of a folder: by their names, and those that are not read."""

from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path

from src.data.finding import ERROR, WARNING, Finding
from src.files.names import IMAGE_SUFFIXES, REFUSED_SUFFIXES, SHAPE_SUFFIXES, stem

# What people keep beside their images, such as notes and settings, which are labels of no kind that is read if they
# lie in a folder of labels.
NO_IMAGES = (".txt", ".md", ".csv", ".tsv", ".xml", ".yaml", ".yml", ".ini", ".log", ".pdf", ".doc", ".docx", ".xls")
NO_IMAGES += (".xlsx", ".html", ".py", ".ipynb", ".m", ".ijm", ".groovy", ".db", ".ckpt", ".sha256", ".md5")
READ = (*IMAGE_SUFFIXES, *SHAPE_SUFFIXES, *REFUSED_SUFFIXES)


def by_stem(
    directory: Path, suffixes: Sequence[str], only: Collection[Path] | None = None
) -> tuple[dict[str, Path], list[Finding]]:
    """The files of a folder that end so, by their names without endings, and those that no name tells apart.

    Args:
        directory: the folder.
        suffixes: of the files.
        only: the files of it that are asked for; None: all of them.
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
    """That files of a folder are of no kind that is read, by their endings, how many of each.

    Args:
        folder: the folder.
        known: endings that nobody need be told of.
    """
    endings = Counter(
        file.suffix.lower()
        for file in folder.iterdir()
        if file.suffix and not file.name.startswith(".") and file.suffix.lower() not in known and file.is_file()
    )
    if not endings:
        return []
    found = f"files that are not read: {', '.join(f'{count} of {ending}' for ending, count in sorted(endings.items()))}"
    fix = "export them as TIFF or PNG, shapes as COCO; nothing, if they are no images and no labels"
    return [Finding("unread-files", WARNING, str(folder), found, "images and labels that are read", fix)]
