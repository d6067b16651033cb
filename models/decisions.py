"""decisions.yaml: what people decided. Reviews read what the meeting wrote; `adopt` adds under the key `adoptions`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml.comments import CommentedMap

from features.document import parse_yaml, read_yaml
from features.errors import DataError
from features.workspace import write_text
from models.amendment import rewritten

ADOPTIONS = "adoptions"
HEADING = "# What people decided: by quarter or milestone what the meeting says, under adoptions what `adopt` recorded.\n"


def adoptions(path: Path) -> list[dict[str, Any]]:
    """The adoptions on record, oldest first. Raises DataError where the file holds something else in their place."""
    found = (read_yaml(path, "adopt writes it") or {}).get(ADOPTIONS) if path.exists() else None
    if found is not None and not (isinstance(found, list) and all(isinstance(one, dict) for one in found)):
        raise DataError(
            f"{path}: {ADOPTIONS} must be a list of what was adopted: move what stands there elsewhere"
        )
    return found or []


def record_adoption(path: Path, entry: Mapping[str, Any]) -> None:
    """Add an adoption, in place of those from the same framework: that one was never followed by another.

    A run that was killed between the record and the framework leaves such an entry.
    """
    others = [i for i, one in enumerate(adoptions(path)) if one.get("from") == entry["from"]]

    def change(document: CommentedMap) -> None:
        found = document[ADOPTIONS] = document.get(ADOPTIONS) or []
        for i in reversed(others):
            del found[i]
        found.append(dict(entry))

    text = path.read_text(encoding="utf-8") if path.exists() else HEADING
    if not parse_yaml(text):  # nothing but comments
        text = f"{text.rstrip()}\n{ADOPTIONS}: []\n".lstrip()
    try:
        write_text(path, rewritten(text, change))
    except (ValueError, AttributeError, TypeError) as error:
        raise DataError(
            f"{path} cannot be added to: {error}; write it as plain `key: value` lines"
        ) from error
