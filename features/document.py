"""framework.yaml as a document: read it, say what is wrong with it, and give parts of it a content hash."""

import hashlib
import json
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from features.declaration import Data, explain
from features.errors import DataError

Model = TypeVar("Model", bound=BaseModel)


def read_document(path: Path) -> dict[str, Any]:
    """The mapping at the top of a YAML file. Raises DataError with line and remedy."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise DataError(
            f"there is no {path}: make one with `milestones init {path.parent} --events ... --accounts ...`"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read {path}: {error}") from error
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark else ""
        raise DataError(f"{path} is not valid YAML{where}: {getattr(error, 'problem', error)}") from error
    if not isinstance(document, dict):
        raise DataError(
            f"{path} must hold keys such as schema, name, data, milestones; it holds {type(document).__name__}"
        )
    return document


def validate(model: type[Model], content: Any, path: Path) -> Model:
    """Build a model from a part of a document. Raises DataError with path, value and remedy of each fault."""
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise DataError(f"{path} cannot be used:\n{explain(error)}") from error


def read_data(path: Path) -> Data:
    """The data half of a framework file."""
    document = read_document(path)
    if "data" not in document:
        raise DataError(f"{path}: the key data is missing; it says where the tables are")
    return validate(Data, document["data"], path)


def content_hash(model: BaseModel, exclude: set[str] | None = None) -> str:
    """First 12 hex digits of the SHA-256 of the canonical JSON: comments and order do not matter."""
    canonical = json.dumps(
        model.model_dump(mode="json", exclude=exclude), sort_keys=True, separators=(",", ":")
    )
    return hashlib.sha256(canonical.encode()).hexdigest()[:12]
