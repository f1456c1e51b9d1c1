"""Explain errors of Hydra and OmegaConf to the user of a command."""

import difflib
import re
import sys
from collections.abc import Iterator

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException, OverrideParseException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from src import CONF, build
from src.arguments import key_of
from src.build import PlainConfig
from src.helping import examples

NEAR = 3  # most similar names shown


def explained(error: BaseException, verb: str) -> str:
    """Return a message for the user that explains an error of the command line; other errors keep their text.

    Args:
        error: any error, for example of Hydra or OmegaConf.
        verb: the name of the command ``python -m src.VERB``.
    """
    text = str(error)
    if found := re.search(r"Could not (?:override|append to config|delete|remove).*?'([^']+)'", text):
        return unknown_key(found[1], verb)
    if found := re.search(r"Could not find '(\w+)/([^']*)'", text):
        return unknown_choice(found[1], found[2])
    if isinstance(error, OverrideParseException):
        return f"expected key=value, but got {error.override}; nearest valid:\n{corrected(error.override or '', verb)}"
    if isinstance(error.__cause__, OmegaConfBaseException):
        return f"{text}\n{error.__cause__}"  # OmegaConf says more about a wrong value than Hydra
    return text


def unknown_key(key: str, verb: str) -> str:
    """Return the message that the command ``python -m src.VERB`` has no such key, with the names of similar keys."""
    given = next((each for each in sys.argv[1:] if key_of(each) == key.partition("@")[0]), key)
    keys = known_keys(verb)
    near = difflib.get_close_matches(key, keys, n=NEAR) or [
        each for each in keys if each.rpartition(".")[2] == key.rpartition(".")[2]
    ]
    siblings = [each for each in keys if each.rpartition(".")[0] == key.rpartition(".")[0]]
    nearest = near[:NEAR] or siblings[: 2 * NEAR]
    return f"expected a key of src.{verb}, but got {given}; nearest valid: {', '.join(nearest)} (--help lists more)"


def unknown_choice(noun: str, name: str) -> str:
    """Return the message that the folder ``noun`` of ``conf/`` has no file ``name``, with the files that it has."""
    choices = sorted(file.stem for file in (CONF / noun).glob("*.yaml"))
    nearest = difflib.get_close_matches(name, choices, n=1, cutoff=0.5) or choices[:1]
    return f"expected {noun} to be one of {', '.join(choices)}, but got {name}; nearest valid: {noun}={nearest[0]}"


def corrected(argument: str, verb: str) -> str:
    """Return a command with an unparsable argument in quotes, or an example command if the argument has no value."""
    key, equals, value = argument.partition("=")
    return f"python -m src.{verb} \"{key}='{value}'\"" if equals and value else examples(verb)[0]


def known_keys(verb: str) -> list[str]:
    """Return all keys of the command ``python -m src.VERB``, given the config groups that its command line selects."""
    nouns = [each for each in sys.argv[1:] if (CONF / key_of(each)).is_dir() and "=" in each]
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        try:
            config = compose(verb, nouns)
        except (HydraException, OmegaConfBaseException):
            config = compose(verb)
        own = flat_values(compose("check", ["data=folder"])) if "data" in config else {}  # keys of a folder of images
    return sorted({*(folder.name for folder in CONF.iterdir() if folder.is_dir()), *flat_values(config), *own})


def flat_values(config: DictConfig) -> dict[str, object]:
    """Return the values of a configuration by their dotted keys; interpolations ``${…}`` remain text."""

    def flat(node: PlainConfig, prefix: str = "") -> Iterator[tuple[str, object]]:
        for key, value in node.items():
            if not key.startswith("_"):
                yield f"{prefix}{key}", value
                yield from flat(value, f"{prefix}{key}.") if isinstance(value, dict) else ()

    return dict(flat(build.plain(config, resolve=False)))


def refuse_missing(config: DictConfig, verb: str) -> None:
    """Refuse a command line that does not set all keys that have no default.

    Args:
        config: the composed configuration.
        verb: the name of the command ``python -m src.VERB``.

    Raises:
        ValueError: such keys are missing; the message names them all, and shows a complete command.
    """
    missing = [key for key, value in flat_values(config).items() if value == "???"]
    if missing:
        listed = " and ".join(filter(None, [", ".join(missing[:-1]), missing[-1]]))
        raise ValueError(f"expected {listed}, but got none; nearest valid:\n{examples(verb)[0]}")
