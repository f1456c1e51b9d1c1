"""Write a repaired copy of a folder that passes the check and keeps the meaning of the labels, and list the changes."""

import shlex
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from src import checking
from src.arguments import key_of
from src.build import PlainConfig
from src.data.annotated import read_pair
from src.data.finding import SHOWN_FILES, WARNING
from src.data.folder import Meaning
from src.data.kinds import Judgement
from src.data.matching import Pair, matched
from src.data.stack import NO_CLASS
from src.data.two_values import TwoValues
from src.files.incomplete import beside, sweep_beside
from src.files.legend import Legend
from src.files.names import natural
from src.files.reading import Layout
from src.files.whole import write_json
from src.findings.inspection import THREADS
from src.fitting import Found
from src.repairs import LARGEST, Numbering, Written, content_of, write_pair

LIST = "mended.json"
LEFT_OUT = ("missing-label", "missing-image", "unread-files")  # findings on files that the copy leaves out
FOLDERS = {"": "", "train": "train/", "validation": "validation/", "held_out": "test/"}  # by part of the split


class Change(Layout):
    """A difference between a file and its copy: the code, what was found, and what was written instead."""

    code: str
    found: str
    written: str


class MendedPair(Layout):
    """An image with its labels: the original files, the files written to the copy, and the differences."""

    name: str
    images: list[str]
    labels: list[str]
    written: list[str]
    changes: list[Change]


class LeftOut(Layout):
    """A file of the original folder that is not in the copy, and the reason."""

    file: str
    why: str


class Mended(Layout):
    """The content of ``mended.json``, which lists all changes."""

    root: str
    arguments: list[str]
    warnings: list[str]
    kind: str
    values: list[int] | None
    names: list[str]
    pairs: list[MendedPair]
    left_out: list[LeftOut]


def mend(config: PlainConfig, for_training: bool, out: Path, arguments: list[str]) -> tuple[dict[str, Any], Found]:
    """Write a repaired copy of the folder ``data.root``, which itself is not changed.

    Args:
        config: a configuration of `src.check`.
        for_training: whether an experiment is given, see `checking.summary`.
        out: the folder of the copy, which appears when the copy is complete.
        arguments: the arguments of the command as the user typed them.

    Returns:
        The list of changes, as in ``out/mended.json``, and the results of the check of the copy.

    Raises:
        ValueError: there is no folder to copy, ``out`` is no valid place for the copy, or an error cannot be repaired.
    """
    check_places(config["data"].get("root"), out)
    out.parent.mkdir(parents=True, exist_ok=True)
    sweep_beside(out.parent, {out.name})
    partial = beside(out)
    try:
        partial.mkdir()
        with tempfile.TemporaryDirectory() as scratch:
            # A separate cache, because cached findings are valid only for files that are read in the usual way.
            config = {**config, "cache_dir": scratch}
            read = TwoValues(Path(scratch))
            found, ignore = _inspected(config, for_training, read, arguments)
            numbering = numbering_of(found, ignore)
            written = _written(read, found["channels"] == [1], numbering, partial)
            keys, copy = _keys(config, for_training, partial, found, numbering, written)
        mended = _listed(found, numbering, written, [f"data.root={out}", *keys])
        write_json(partial / LIST, mended)
        if out.exists():
            out.rmdir()  # an empty folder, see `check_places`
        partial.rename(out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return mended, copy


def check_places(root: str | None, out: Path) -> None:
    """Refuse a folder ``out`` for the copy that is not empty, contains the original folder ``root``, or is within it.

    Raises:
        ValueError: the folder is refused, or there is no original folder; the message names a valid folder.
    """
    if root is None:
        raise ValueError("expected data=folder data.root=DIR, which mend=… copies, but got other data")
    nearest = f"nearest valid: mend={Path(root).absolute().parent / f'{Path(root).absolute().name}_mended'}"
    one, other = Path(root).resolve(), out.resolve()
    if one == other or one in other.parents or other in one.parents:
        raise ValueError(f"expected mend to be a folder apart from data.root={root}, but got {out}; {nearest}")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"expected mend to be a new or an empty folder, but there is something in {out}; {nearest}")


def _inspected(config: PlainConfig, for_training: bool, read: TwoValues, given: list[str]) -> tuple[Found, int | None]:
    """Check data with smoothed masks restored to two values; also return the value of unannotated pixels, if any."""
    found, source = checking.summary(config, for_training, read), config["data"]["source"]
    ignore = source.get("ignore_label")
    if found["void"] and ignore is None and not source.get("values") and not for_training:
        ignore = found["void"][0]
        found = checking.summary(_changed(config, {**source, "ignore_label": ignore}), for_training, read)
    _refuse(found, "this cannot be mended", given)
    return found, ignore


def _refuse(found: Found, what: str, arguments: list[str]) -> None:
    """Raise the errors of a check, but ignore those about files that the copy leaves out if other images remain."""
    left_out = LEFT_OUT if found["slices"] else ()
    others = [each for each in found["findings"] if each["code"] not in left_out]
    try:
        checking.refuse_errors({"findings": others}, arguments)
    except ValueError as error:
        raise ValueError(f"{what}, and nothing has been written: {error}") from error


def numbering_of(found: Found, ignore: int | None) -> Numbering:
    """Choose the numbers that represent the labels in the copy: those of the original folder if they are valid.

    Args:
        found: the result of `checking.summary` for the original folder.
        ignore: the value of unannotated pixels; None if there are none.
    """
    kind, values = found["kind"], found["values"] and tuple(found["values"])
    meaning = Meaning(Judgement(kind, values), Legend(names=tuple(found["names"])), found["colours"])
    if kind == "instances":
        kept = ignore is not None and 0 < ignore < LARGEST and not found["colours"]
        return Numbering(meaning, ignore, None, ignore if ignore is not None and kept else LARGEST)
    numbers = tuple(range(max(2, len(values or ()))))
    plain = kind == "classes" and not found["colours"] and values[:1] == (0,) and len(values) > 1
    rising = plain and list(values) == sorted(values) and values[-1] < NO_CLASS
    return Numbering(meaning, ignore, values if rising else numbers if kind == "classes" else (0, 1))


def _written(read: TwoValues, one_channel: bool, numbering: Numbering, partial: Path) -> list[Written]:
    """Write all images with their labels into the folder ``partial``, in the order of their names."""
    pairs = sorted(read.pairs.values(), key=lambda pair: natural(pair.name))
    several = len({pair.part for pair in pairs}) > 1

    def one(pair: Pair) -> Written:
        return write_pair(read(pair), one_channel, numbering, partial, FOLDERS[pair.part] if several else "")

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(one, pairs))


def _changed(
    config: PlainConfig, source: Mapping[str, object], data: Mapping[str, object] | None = None
) -> PlainConfig:
    """Return a configuration with its node ``data.source`` replaced by ``source``, and ``data`` updated by ``data``."""
    return {**config, "data": {**config["data"], **(data or {}), "source": source}}


def _keys(
    config: PlainConfig, for_training: bool, out: Path, found: Found, numbering: Numbering, written: Sequence[Written]
) -> tuple[list[str], Found]:
    """Return arguments with which labels of the copy mean the same as the original labels, and a check of the copy.

    Raises:
        ValueError: there are no such arguments, or the copy does not pass the check.
    """
    ignore = None if numbering.ignore is None else numbering.void
    source: dict[str, object] = {} if ignore is None else {"ignore_label": ignore}
    kind, values = numbering.meaning.judgement.kind, numbering.values and list(numbering.values)
    content = {name: each for pair in written for name, each in pair.content.items()}
    names = list(content)

    def checked(groups: Mapping[str, str]) -> Found:
        plain = {key: value for key, value in config["data"]["source"].items() if key.startswith("_")}
        root = {"root": str(out)}
        return checking.summary(_changed(config, {**plain, **source, **root}, {**root, **groups}), for_training)

    steps: list[dict[str, object]] = [{}, {"kind": kind}, {"values": values} if values else {}]
    for more in steps:  # adds only the keys that are needed
        source |= more
        copy, groups = checked({}), dict[str, str]()
        if copy["split"] != found["split"]:
            groups = {group: ",".join(str(names.index(name)) for name in of) for group, of in found["split"].items()}
            copy = checked(groups)
        other = "the split" if copy["split"] != found["split"] else _other(out, copy, ignore, content, numbering)
        if not other:
            _refuse(copy, "the copy would not pass the check", [f"data.root={out}"])
            keys = [f"data.source.{key}={value}".replace(" ", "") for key, value in source.items()]
            return keys + [f"data.{group}={text}" for group, text in groups.items()], copy
    raise ValueError(f"expected a copy that means the same, but {other} differs; nothing has been written")


def _other(
    partial: Path, copy: Found, ignore: int | None, content: dict[str, tuple[str, str]], numbering: Numbering
) -> str:
    """Return what differs between copy and original: the kind of labels, or the name of an image; empty if nothing."""
    kind, values = numbering.meaning.judgement.kind, copy["values"] and tuple(copy["values"])
    if copy["kind"] != kind or (kind == "classes" and values != numbering.values):
        return f"the kind of labels, {copy['kind']} instead of {kind},"
    meaning = Meaning(Judgement(kind, values), in_colours=copy["colours"])
    pairs, _ = matched(partial)
    left = dict(content)
    for pair in pairs:
        for each in read_pair(pair):
            if left.pop(each.name, None) != content_of(each, meaning, ignore):
                return each.name
    return next(iter(left), "")


def for_the_copy(arguments: Sequence[str], own: Sequence[str]) -> list[str]:
    """Translate the arguments of a command on the original folder into those of the same command on the copy.

    Args:
        arguments: the arguments as the user typed them; those that say how to read the original folder are left out.
        own: the arguments that the copy needs, as listed in ``mended.json``.
    """
    keys = {key_of(each) for each in own}
    kept = [each for each in arguments if key_of(each) not in keys and not key_of(each).startswith("data.source.")]
    return [*own, *kept]


def _listed(found: Found, numbering: Numbering, written: Sequence[Written], own: list[str]) -> dict[str, Any]:
    """Return the content of ``mended.json``, with the keys of `Mended`."""
    pairs = [
        {
            "name": each.pair.name,
            "images": [str(file) for file in each.pair.channels or (each.pair.image,)],
            "labels": [str(file) for file in each.pair.form.parts or (each.pair.labels,)],
            "written": [each.image, each.labels],
            "changes": [change._asdict() for change in each.changes],
        }
        for each in written
    ]
    left = [{"file": each["file"], "why": each["found"]} for each in found["findings"] if each["code"] in LEFT_OUT]
    values = numbering.values and list(numbering.values)
    codes = dict.fromkeys(each["code"] for each in found["findings"] if each["severity"] == WARNING)
    warnings = [code for code in codes if code not in LEFT_OUT]
    about = {"root": found["root"], "arguments": own, "warnings": warnings}
    labels = {"kind": numbering.meaning.judgement.kind, "values": values, "names": found["names"]}
    return {**about, **labels, "pairs": pairs, "left_out": left}


def lines(mended: Mapping[str, Any]) -> Iterator[str]:
    """Summarise the content of ``mended.json`` in lines: kinds of changes with numbers of files, and files left out."""
    count, out = len(mended["pairs"]), mended["arguments"][0].partition("=")[2]
    yield f"{out}: {count} image{'s' * (count > 1)} with labels, {mended['kind']}; all changes: {Path(out) / LIST}"
    alike = defaultdict(list)
    for pair in mended["pairs"]:
        for change in pair["changes"]:
            alike[change["code"], change["written"]].append(change["found"])
    for (_, written), found in alike.items():
        more = " and the like" if len(set(found)) > 1 else ""
        yield f"  {found[0]}{more} → {written}: {len(found)} file{'s' * (len(found) > 1)}"
    if not alike:
        yield "  nothing but the layout changed"
    if mended["names"]:
        named = zip(mended["values"], mended["names"], strict=True)
        yield f"  classes: {', '.join(f'{value} {name}' for value, name in named)}"
    if void := [each for each in mended["arguments"] if each.startswith("data.source.ignore_label=")]:
        yield f"  {void[0].partition('=')[2]} marks pixels that are not annotated"
    reasons = defaultdict(list)
    for each in mended["left_out"]:
        reasons[each["why"]].append(each["file"])
    for why, files in reasons.items():
        more = f" and {len(files) - SHOWN_FILES} more" if len(files) > SHOWN_FILES else ""
        yield f"  left out, {why}: {', '.join(files[:SHOWN_FILES])}{more}"
    if mended["warnings"]:
        yield f"  warnings, which need a human decision: {', '.join(mended['warnings'])}"
    yield f"check: python -m src.check {shlex.join(mended['arguments'])}"
