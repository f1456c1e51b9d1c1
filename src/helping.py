"""Make the text of ``--help`` from the comments in ``conf/``: the purpose of a command, examples, and its keys."""

import re
import textwrap

from src import CONF
from src.saying import columns

GROUP = re.compile(r"  - (?:override )?/?([a-z_]+): (\w+) *(?:# (.*))?")
KEY = re.compile(r"([a-z_]+): *([^#]*?) *# (.*)")
LEFT = 26  # width of the column of keys and values


def help_of(verb: str) -> str:
    """Return the help text of the command ``python -m src.VERB``, which fills about one screen."""
    header, keys = _parts(verb)
    lines = ["\n".join(header).rstrip(), "", "keys and their defaults:"]
    for name, value, meaning in keys:
        left = f"  {name}=…" if value in ("", "???") or "${" in value else f"  {name}={value}"
        gap = LEFT if len(left) < LEFT else len(left) + 1
        wrapped = textwrap.wrap(meaning, max(30, min(columns(), 100) - gap), break_on_hyphens=False)
        lines.append(f"{left:<{gap}}{wrapped[0] if wrapped else ''}".rstrip())
        lines += [" " * gap + line for line in wrapped[1:]]
    return "\n".join(lines)


def examples(verb: str) -> list[str]:
    """Return the example commands in the help text of the command ``python -m src.VERB``."""
    return [line.strip() for line in _parts(verb)[0] if line.startswith("  python -m")]


def _parts(verb: str) -> tuple[list[str], list[tuple[str, str, str]]]:
    """Return the lines of the comment at the top of ``conf/VERB.yaml``; and name, default and meaning of each key."""
    text = (CONF / f"{verb}.yaml").read_text(encoding="utf-8")
    header = text.splitlines()[: next(i for i, line in enumerate(text.splitlines()) if not line.startswith("#"))]
    keys = []
    for line in text.splitlines()[len(header) :]:
        if (found := GROUP.match(line)) and (CONF / found[1]).is_dir():
            choices = sorted(file.stem for file in (CONF / found[1]).glob("*.yaml"))
            keys.append((found[1], found[2], found[3] or ", ".join(choices)))
        elif found := KEY.match(line):
            keys.append((found[1], found[2], found[3]))
    return [line.removeprefix("#").removeprefix(" ") for line in header], keys
