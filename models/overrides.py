"""What a data scientist varies over the framework for one run: overrides are values, checked like the file."""

from copy import deepcopy
from pathlib import Path
from typing import Any

from features.document import parse_yaml, read_document, validate
from features.errors import UsageError
from models.framework import Framework


def override(path: Path, pairs: list[str], outcome: str | None = None) -> Framework:
    """The framework file with `key.path=value` pairs (values in YAML) and an outcome `kind[:days]` laid over it.

    Raises UsageError for a pair without meaning, DataError where the result is no valid framework.
    """
    document = deepcopy(read_document(path))
    for pair in pairs:
        key, separator, text = pair.partition("=")
        if not separator or not key:
            raise UsageError(
                f"--set {pair}: write key.path=value, such as milestones.activation.rule.at_least=10"
            )
        try:
            value = parse_yaml(text)
        except ValueError as error:
            raise UsageError(f"--set {pair}: the value is {error}") from error
        _lay(document, key.split("."), value, pair)
    if outcome:
        kind, _, days = outcome.partition(":")
        if days and not days.isdigit():
            raise UsageError(f"--outcome {outcome}: write kind or kind:days, such as silent:60")
        chosen = document.setdefault("data", {}).setdefault("outcomes", {})
        chosen["kind"] = kind
        if days:
            chosen["horizon_days"] = int(days)
    return validate(Framework, document, path)


def _lay(document: dict[str, Any], keys: list[str], value: Any, pair: str) -> None:
    place: Any = document
    for key in keys[:-1]:
        if not isinstance(place, dict) or key not in place:
            known = ", ".join(place) if isinstance(place, dict) else "nothing below it"
            raise UsageError(f"--set {pair}: there is no {key!r} here; there is {known}")
        place = place[key]
    if not isinstance(place, dict):
        raise UsageError(f"--set {pair}: {keys[-2]!r} holds no keys")
    place[keys[-1]] = value
