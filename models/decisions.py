"""decisions.yaml: what people decided. Reviews read what the meeting wrote; `adopt` adds under the key `adoptions`."""

from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from ruamel.yaml.comments import CommentedMap

from features.document import parse_yaml, read_yaml
from features.errors import DataError
from features.workspace import write_text
from models.rewriting import as_day, newline_of, read_verbatim, rewritten

ADOPTIONS = "adoptions"
HEADING = "# What people decided: by quarter or milestone what the meeting says, under adoptions what `adopt` recorded.\n"


class Recorded(BaseModel):
    """A part of a file that people may have edited; what else stands there is no matter, and every number is finite."""

    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)


class Cited(Recorded):
    """A framework by its version and hash."""

    version: int
    hash: str


class Swept(Recorded):
    """The sweep that bore a decision."""

    verdict: str | None = None
    operating_cut: float | None = None
    plateau: list[float] | None = None
    p_corrected: float | None = None
    seed: int | None = None
    code_version: str | None = None
    definition: str


class Adoption(Recorded):
    """Who made which cut part of which version, and why. date: as 2024-05-31."""

    date: str
    decision: Literal["adopt"] = "adopt"
    milestone: str
    threshold: int | float
    from_: Cited = Field(alias="from")
    to: Cited
    by: str
    why: str
    expected_effect: float | None = None
    minimum_effect: float | None = None
    outside_plateau: bool = False
    sweep: Swept

    def as_dict(self) -> dict[str, Any]:
        """The record as JSON writes it."""
        return self.model_dump(mode="json", by_alias=True)


def adoptions(path: Path) -> list[Adoption]:
    """The adoptions on record, oldest first, without what people wrote among them that is none.

    Raises DataError where the file holds something else in their place.
    """
    found = []
    for entry in _entries(path):
        with suppress(ValidationError):
            found.append(Adoption.model_validate(entry))
    return found


def _entries(path: Path) -> list[dict[str, Any]]:
    found = (read_yaml(path, "adopt writes it") or {}).get(ADOPTIONS) if path.exists() else None
    if found is not None and not (isinstance(found, list) and all(isinstance(one, dict) for one in found)):
        raise DataError(
            f"{path}: {ADOPTIONS} must be a list of what was adopted: move what stands there elsewhere"
        )
    return found or []


def record_adoption(path: Path, adoption: Adoption) -> None:
    """Add an adoption, in place of those from the same framework: that one was never followed by another.

    A run that was killed between the record and the framework leaves such an entry.
    """
    entry = {**adoption.as_dict(), "date": as_day(adoption.date)}
    others = [i for i, one in enumerate(_entries(path)) if one.get("from") == entry["from"]]

    def change(document: CommentedMap) -> None:
        found = document[ADOPTIONS] = document.get(ADOPTIONS) or []
        for i in reversed(others):
            del found[i]
        found.append(entry)

    text = read_verbatim(path) if path.exists() else HEADING
    if not parse_yaml(text):  # nothing but comments
        newline = newline_of(text)
        text = f"{text.rstrip()}{newline}{ADOPTIONS}: []{newline}".lstrip()
    try:
        write_text(path, rewritten(text, change))
    except (ValueError, AttributeError, TypeError) as error:
        raise DataError(
            f"{path} cannot be added to: {error}; write it as plain `key: value` lines"
        ) from error
