"""What a data scientist varies over the framework for one run: overrides are values, checked like the file."""

from copy import deepcopy
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from features.document import parse_yaml, read_document, validate
from features.errors import UsageError
from features.faults import explain
from models.framework import Framework


def override(path: Path, pairs: list[str], outcome: str | None = None) -> Framework:
    """The framework file with `key.path=value` pairs (values in YAML) and an outcome `kind[:days]` laid over it.

    Raises DataError where the file itself is no valid framework, UsageError where what is laid over it has no meaning.
    """
    document = read_document(path)
    validate(Framework, document, path)
    document = deepcopy(document)
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
        chosen = document["data"]["outcomes"]
        chosen["kind"] = kind
        if days:
            chosen["horizon_days"] = int(days)
    try:
        return Framework.model_validate(document)
    except ValidationError as error:
        given = " and ".join(["--set"] * bool(pairs) + ["--outcome"] * bool(outcome))
        raise UsageError(f"{given} would make a framework that cannot be used:\n{explain(error)}") from error


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
