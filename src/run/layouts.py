"""What is read from the files of a run directory; they may hold more."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from src.files.reading import Layout, Number


class Steps(Layout):
    """What ``trainer`` of a configuration says on the length of a run."""

    max_steps: int


class Planned(Layout):
    """What has to be known of ``config.yaml`` to go on with a run."""

    overrides: list[str] = Field(default_factory=list)
    trainer: Steps | None = None
    extend: int | None = None


class Judged(Planned):
    """And what has to be known to show what became of it."""

    overrides: list[str]
    monitor: str
    monitor_mode: Literal["max", "min"]


class Meant(Layout):
    """What ``check.json`` says that the labels of a folder mean."""

    kind: str
    values: list[int] | None
    classes: dict[str, Number]


class Row(Layout):
    """The scores of one image; None is one that could not be judged."""

    model_config = ConfigDict(strict=True, extra="allow")
    __pydantic_extra__: dict[str, Number | None] = Field(init=False)
    name: str


class Named(Layout):
    """A part as a checkpoint names it."""

    name: str


class Scores(Layout):
    """``scores.json``; what earlier versions did not write has a default."""

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
    """``environment.json``."""

    model_config = ConfigDict(strict=True, extra="allow")
    __pydantic_extra__: dict[str, str | Number | None] = Field(init=False)
    packages: dict[str, str]
    data_hash: str = Field(pattern="^[0-9a-f]{64}$")


class Places(Layout):
    """``pictures/mistakes.json``: of each image the kind, row and column of mistakes."""

    model_config = ConfigDict(strict=True, extra="allow")
    __pydantic_extra__: dict[str, list[Annotated[list[str | int], Field(min_length=3, max_length=3)]]] = Field(
        init=False
    )
