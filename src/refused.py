"""What Hydra and OmegaConf refuse, in words of ours."""

import difflib
import re
import sys
from collections.abc import Iterator

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from src import CONF
from src.arguments import key_of
from src.helping import examples

NEAR = 3  # names that are shown of many


def in_our_words(error: BaseException, verb: str) -> str:
    """What an error of the command line means to who has typed it; the error's own words, if it is another one.

    Args:
        error: of Hydra, OmegaConf or anything else.
        verb: of the command ``python -m src.VERB``.
    """
    text = str(error)
    if found := re.search(r"Could not (?:override|append to config|delete|remove).*?'([^']+)'", text):
        return unknown_key(found[1], verb)
    if found := re.search(r"Could not find '(\w+)/([^']*)'", text):
        return unknown_choice(*found.groups())
    if isinstance(error, OverrideParseException):
        return f"expected key=value, but got {error.override}; nearest valid:\n{quoted(error.override, verb)}"
    if isinstance(error.__cause__, OmegaConfBaseException):
        return f"{text}\n{error.__cause__}"  # which says more of a wrong value than Hydra
    return text


def unknown_key(key: str, verb: str) -> str:
    """That there is no such key, and which are like it."""
    given = next((each for each in sys.argv[1:] if key_of(each) == key.partition("@")[0]), key)
    keys = known_keys(verb)
    near = difflib.get_close_matches(key, keys, n=NEAR) or [
        each for each in keys if each.rpartition(".")[2] == key.rpartition(".")[2]
    ]
    siblings = [each for each in keys if each.rpartition(".")[0] == key.rpartition(".")[0]]
    nearest = near[:NEAR] or siblings[: 2 * NEAR]
    return f"expected a key of src.{verb}, but got {given}; nearest valid: {', '.join(nearest)} (--help lists more)"


def unknown_choice(noun: str, name: str) -> str:
    """That there is no such file in a folder of ``conf/``, and which there are."""
    choices = sorted(file.stem for file in (CONF / noun).glob("*.yaml"))
    nearest = difflib.get_close_matches(name, choices, n=1, cutoff=0.5) or choices[:1]
    return f"expected {noun} to be one of {', '.join(choices)}, but got {name}; nearest valid: {noun}={nearest[0]}"


def quoted(argument: str, verb: str) -> str:
    """A command in which an argument without meaning to Hydra has one."""
    key, equals, value = argument.partition("=")
    return f"python -m src.{verb} \"{key}='{value}'\"" if equals and value else examples(verb)[0]


def known_keys(verb: str) -> list[str]:
    """All that may be chosen, with the nouns that were chosen."""
    nouns = [each for each in sys.argv[1:] if (CONF / key_of(each)).is_dir() and "=" in each]
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        try:
            config = compose(verb, nouns)
        except (HydraException, OmegaConfBaseException):
            config = compose(verb)
        own = values(compose("check", ["data=folder"])) if "data" in config else {}  # of a folder of one's own
    return sorted({*(folder.name for folder in CONF.iterdir() if folder.is_dir()), *values(config), *own})


def values(config: DictConfig) -> dict[str, object]:
    """The values of a configuration by their keys, those within others behind points; interpolations are text."""

    def flat(node: dict, prefix: str = "") -> Iterator[tuple[str, object]]:
        for key, value in node.items():
            if not key.startswith("_"):
                yield f"{prefix}{key}", value
                yield from flat(value, f"{prefix}{key}.") if isinstance(value, dict) else ()

    return dict(flat(OmegaConf.to_container(config, resolve=False)))


def refuse_missing(config: DictConfig, verb: str) -> None:
    """Refuse a command line that leaves out what has no default.

    Raises:
        ValueError: names all of it, and shows a command that does not.
    """
    missing = [key for key, value in values(config).items() if value == "???"]
    if missing:
        listed = " and ".join(filter(None, [", ".join(missing[:-1]), missing[-1]]))
        raise ValueError(f"expected {listed}, but got none; nearest valid:\n{examples(verb)[0]}")
