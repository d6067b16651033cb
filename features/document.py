"""framework.yaml as a document: read it, say what is wrong with it, and give parts of it a content hash."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from features.declaration import Data
from features.errors import DataError
from features.faults import explain
from features.workspace import FRAMEWORK

Model = TypeVar("Model", bound=BaseModel)
SCHEMA = 1  # of framework.yaml, as this program reads and writes it


class _Loader(yaml.SafeLoader):
    """YAML without its traps: a key stands once, a date without quotes is text, only true and false are flags."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value != "<<":
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"the key {key.value!r} stands twice: keep one", key.start_mark
                    )
                seen.add(key.value)
        return super().construct_mapping(node, deep=deep)

    def compose_scalar_node(self, anchor: Any) -> yaml.ScalarNode:
        """A character beyond the first 65,536 may be escaped as JSON does it, in two halves; half a one is none."""
        node = super().compose_scalar_node(anchor)
        try:
            node.value = node.value.encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError as error:
            raise yaml.composer.ComposerError(
                None, None, "half a surrogate pair is no character: write both halves", node.start_mark
            ) from error
        return node


_NOT_RESOLVED = ("tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:bool")
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in _NOT_RESOLVED]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)


def parse_yaml(text: str) -> Any:
    """What a YAML text holds. Raises ValueError, in one line with the line number where it is known."""
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f" at line {mark.line + 1}" if mark else ""
        problem = str(error.problem or error.context)
        hint = ": indent with spaces, not with tabs" if "'\\t'" in problem else ""
        raise ValueError(f"not valid YAML{where}: {problem}{hint}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ValueError(f"not valid YAML: {' '.join(str(error).split())}") from error


def read_yaml(path: Path, missing: str) -> dict[str, Any] | None:
    """The keys of a YAML file; None where it holds nothing. Raises DataError; `missing` says what to do without it."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise DataError(f"there is no {path}: {missing}") from error
    except NotADirectoryError as error:
        raise DataError(f"there is no {path}: {path.parent} is no folder") from error
    except UnicodeDecodeError as error:
        raise DataError(f"cannot read {path}: it is not UTF-8 text; save it as UTF-8") from error
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
    try:
        document = parse_yaml(text)
    except ValueError as error:
        raise DataError(f"{path} is {error}") from error
    if document is not None and not isinstance(document, dict):
        kind = "a list" if isinstance(document, list) else f"one {type(document).__name__}"
        raise DataError(f"{path} must hold `key: value` lines; it holds {kind}")
    return document


def read_document(path: Path) -> dict[str, Any]:
    """The mapping at the top of a framework file. Raises DataError with line and remedy."""
    make = f"make one with `milestones init {path.parent} --events ... --accounts ...`"
    document = read_yaml(path, make)
    if not document:
        # Of a draft or an earlier version that would be the wrong advice: `init` writes framework.yaml.
        remedy = f"; {make} --force" if path.name == FRAMEWORK else ""
        raise DataError(f"{path} is empty: it must hold keys such as schema, name, data, milestones{remedy}")
    schema = document.get("schema")
    if isinstance(schema, int) and schema > SCHEMA:
        raise DataError(
            f"{path}: schema {schema} was written by a newer version of this program, and this one knows up to {SCHEMA}:"
            " update the program"
        )
    return document


def validate(model: type[Model], content: Any, path: Path, *within: str) -> Model:
    """Build a model from a document, or from what stands at the keys `within` it.

    Raises DataError with path, value and remedy of each fault.
    """
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise DataError(f"{path} cannot be used:\n{explain(error, *within)}") from error


def read_data(path: Path) -> Data:
    """The data half of a framework file."""
    document = read_document(path)
    if "data" not in document:
        raise DataError(f"{path}: the key data is missing; it says where the tables are")
    return validate(Data, document["data"], path, "data")


def content_hash(model: BaseModel, exclude: set[str] | None = None) -> str:
    """First 12 hex digits of the SHA-256 of the canonical JSON: comments and order do not matter."""
    return hash_of(model.model_dump(mode="json", exclude=exclude))


def hash_of(content: Any) -> str:
    """The same of what JSON can hold."""
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:12]
