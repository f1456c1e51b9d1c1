"""The fields that are read from the files of a run directory; the files may contain other fields too."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from src.files.reading import Layout, Number


class Steps(Layout):
    """The entry ``trainer`` of ``config.yaml``, with the length of the run in training steps."""

    max_steps: int


class Planned(Layout):
    """The fields of ``config.yaml`` that are needed to resume a run."""

    overrides: list[str] = Field(default_factory=list)
    trainer: Steps | None = None
    extend: int | None = None


class Judged(Planned):
    """The fields of ``config.yaml`` that are needed to interpret the scores of a run."""

    overrides: list[str]
    monitor: str
    monitor_mode: Literal["max", "min"]


class Meant(Layout):
    """The fields of ``check.json`` that describe what the numbers in the label images mean."""

    kind: str
    values: list[int] | None
    classes: dict[str, Number]


class Row(Layout):
    """The scores of one image, by name; a score is None if there was nothing in the image to score."""

    model_config = ConfigDict(strict=True, extra="allow")
    __pydantic_extra__: dict[str, Number | None] = Field(init=False)
    name: str


class Named(Layout):
    """A part of a run, such as the decoder, given by its name in ``conf/`` and its arguments, as in a checkpoint."""

    name: str


class Scores(Layout):
    """The layout of ``scores.json``; fields that earlier versions did not write have defaults."""

    scores: dict[str, Number | None] = Field(min_length=1)
    per_image: list[Row] = Field(min_length=1)
    validation: dict[str, Number | None] = Field(default_factory=dict)
    diagnosis: list[str] = Field(default_factory=list)
    extend_by: int | None = None
    threshold: Number
    instances: Named | None = None
    tta: dict[str, Number | None] = Field(default_factory=dict)
    steps: int = 0
    scored_step: int = 0
    planned_steps: int | None = None
    seconds: Number


class Facts(Layout):
    """The layout of ``environment.json``."""

    model_config = ConfigDict(strict=True, extra="allow")
    __pydantic_extra__: dict[str, str | Number | None] = Field(init=False)
    packages: dict[str, str]
    data_hash: str = Field(pattern="^[0-9a-f]{64}$")


class Places(Layout):
    """The layout of ``pictures/mistakes.json``: the kind, row and column of the largest mistakes, by image name."""

    model_config = ConfigDict(strict=True, extra="allow")
    __pydantic_extra__: dict[str, list[Annotated[list[str | int], Field(min_length=3, max_length=3)]]] = Field(
        init=False
    )
