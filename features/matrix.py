"""The feature matrix on disk: matrix.parquet, written batch by batch, and the manifest that says what it is."""

import json
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from features.ahead import ahead
from features.attributes import in_force
from features.catalogue import catalogue_of, described
from features.declaration import Data
from features.denominator import by_definition
from features.document import content_hash
from features.doubts import doubts
from features.eligibility import eligibility
from features.errors import DataError
from features.fingerprints import of_code, of_inputs
from features.intake import ends_within_its_day
from features.kept import Counting
from features.log import Log
from features.observations import IDENTITY, Question, observe_in_blocks, quarterly, with_coming
from features.progress import ProgressCallback
from features.rejection import CHANGE_WITH_TIME
from features.specs import FeatureSpec
from features.workspace import Workspace, set_aside, write_text

SCHEMA_VERSION = 3


@dataclass(frozen=True)
class Matrix:
    """Observations of accounts alive at each quarter's close, the manifest, and where they came from."""

    frame: pd.DataFrame
    manifest: dict[str, Any]
    source: str

    @property
    def features(self) -> list[str]:
        """Names of the feature columns."""
        return [feature["name"] for feature in self.manifest["features"]]

    def described(self) -> dict[str, dict[str, Any]]:
        """Description, unit and category by feature name."""
        return {feature["name"]: feature for feature in self.manifest["features"]}


def build_matrix(
    log: Log,
    data: Data,
    workspace: Workspace,
    inputs: Mapping[str, str],
    progress: ProgressCallback | None = None,
    counting: Counting | None = None,
) -> dict[str, Any]:
    """Write the matrix and its manifest into the workspace; returns the manifest.

    inputs: `fingerprints.of_inputs` from before the log was opened, so that what arrives meanwhile is noticed next time.
    """
    specs = catalogue_of(log, data)
    question = Question(specs, with_coming(quarterly(log, data), data), alive_only=True)
    batches = observe_in_blocks(log, data, question, progress, counting)
    with set_aside(workspace.features / "matrix.parquet") as path:
        frames = (_with_names(log, data, batch) for batch in batches)
        n_rows = write_frames(path, frames, _fixed_types(log, data))
    manifest = _manifest(log, data, inputs, specs, n_rows)
    write_text(
        workspace.features / "manifest.json", json.dumps(manifest, indent=1, ensure_ascii=False) + "\n"
    )
    return manifest


def write_frames(path: Path, frames: Iterable[pd.DataFrame], types: Iterable[pa.Field] = ()) -> int:
    """Stream frames of one schema into a Parquet file, each while the next is made; returns how many rows.

    `types` are the columns whose type a frame alone does not tell: one of objects, all of them missing.
    """
    with ExitStack() as stack:
        writer: pq.ParquetWriter | None = None
        n_rows = 0
        for frame in ahead(frames):
            table = pa.Table.from_pandas(frame, preserve_index=False)
            if writer is None:
                schema = _with_types(table.schema, types)
                writer = stack.enter_context(pq.ParquetWriter(path, schema, compression="zstd"))
            writer.write_table(table.cast(writer.schema))
            n_rows += len(frame)
    return n_rows


def _with_types(schema: pa.Schema, types: Iterable[pa.Field]) -> pa.Schema:
    for field in types:
        schema = schema.set(schema.get_field_index(field.name), field)
    return schema


def up_to_date(
    workspace: Workspace, data: Data, known_at: pd.Timestamp | None = None
) -> dict[str, Any] | None:
    """The manifest of the matrix that is there, where building it again would give the same; else None."""
    try:
        manifest = workspace.read_json(workspace.features / "manifest.json", "features")
        rows = pq.read_metadata(workspace.features / "matrix.parquet").num_rows
    except (DataError, OSError, pa.ArrowException):
        return None
    asked = {
        "data_hash": content_hash(data), "inputs": of_inputs(data, workspace.root), "code": of_code(),
        "n_observations": rows, "known_at": _instant(known_at),
    }  # fmt: skip
    if any(manifest.get(key) != value for key, value in asked.items()):
        return None
    may_change = any(
        CHANGE_WITH_TIME & reasons.keys() for reasons in manifest.get("quarantined", {}).values()
    )
    # What was known at an instant ends there for good.
    goes_on = known_at is None and ends_within_its_day(data, pd.Timestamp(manifest["data_through"]))
    return None if may_change or goes_on else manifest


def build_frame(log: Log, data: Data, folder: Path, progress: ProgressCallback | None = None) -> Matrix:
    """The same matrix in memory alone, for a look that leaves the workspace as it is."""
    specs = catalogue_of(log, data)
    question = Question(specs, quarterly(log, data), alive_only=True)
    batches = [_with_names(log, data, batch) for batch in observe_in_blocks(log, data, question, progress)]
    frame = pd.concat(batches, ignore_index=True)
    return Matrix(
        frame, _manifest(log, data, of_inputs(data, folder), specs, len(frame)), data.sources.events
    )


def read_matrix(workspace: Workspace, data: Data, *, as_known_then: bool = False) -> Matrix:
    """The matrix that `milestones features` wrote, if it answers this data section and these files.

    Raises DataError when it did not run or did not finish, when the section or a file has changed since, and for one
    of what was known at an instant unless that may be (`as_known_then`).
    """
    manifest = workspace.read_json(workspace.features / "manifest.json", "features")
    frame = workspace.read_table(workspace.features / "matrix.parquet", "features")
    try:
        named = {"account_id", "quarter", *IDENTITY[1:], *(f["name"] for f in manifest["features"])}
        fits = named <= set(frame) and len(frame) == manifest["n_observations"] and "data_hash" in manifest
        fits = fits and manifest["schema_version"] == SCHEMA_VERSION
    except (KeyError, TypeError):
        fits = False
    if not fits:  # a run that was killed between the two files, or one of an earlier version
        raise workspace.damaged(workspace.features / "matrix.parquet", "features")
    require_unchanged(manifest, data, workspace)
    then = manifest.get("known_at")
    if then and not as_known_then:
        raise DataError(
            f"{workspace.features} was built as known at {then}, which is for variations of an experiment: run"
            f" `milestones features -w {workspace.root}` for what is known now"
        )
    return Matrix(frame, manifest, str(workspace.features / "matrix.parquet"))


def require_unchanged(made: Mapping[str, Any], data: Data, workspace: Workspace) -> None:
    """Raises DataError where the data section or an input file is no longer that of a file of the features folder."""
    changed = "the data section of framework.yaml" if made["data_hash"] != content_hash(data) else None
    now = of_inputs(data, workspace.root)
    changed = changed or next((t for t in now if made.get("inputs", {}).get(t) != now[t]), None)
    if changed:
        raise DataError(
            f"{changed} has changed since {workspace.features} was built: run"
            f" `milestones features -w {workspace.root}` again"
        )


def attributes_at(log: Log, data: Data, frame: pd.DataFrame) -> dict[str, Any]:
    """What may be known of the accounts of a frame (account, as_of): the plan in force, and what signup fixed.

    Arrays of as many entries as the frame has rows, by name. Raises DataError for a column that is not there.
    """
    # Arrays of the columns' own types: a batch in which all of one is missing must look like the others.
    found: dict[str, Any] = {}
    if log.subscriptions is not None and "plan" in log.subscriptions:
        found["plan"] = in_force(log.subscriptions, frame, "plan")["plan"].astype("str").array
    for column in data.fixed_at_signup:
        if column not in log.accounts:
            raise DataError(f"data.fixed_at_signup: the accounts table has no column {column!r}")
        if column in found:
            raise DataError(_taken(column))
        found[column] = log.accounts[column].take(frame["account"].to_numpy()).array
    return found


def _with_names(log: Log, data: Data, batch: pd.DataFrame) -> pd.DataFrame:
    """Account ids instead of codes, the quarter that closed, the attributes as they were then."""
    names = {
        "account_id": log.accounts["account_id"].to_numpy()[batch["account"]],
        "quarter": data.calendar.quarters.closed_by(batch["as_of"]).to_numpy(),
    }
    attributes = attributes_at(log, data, batch)
    for column in attributes:
        if column in batch or column in names:
            raise DataError(_taken(column))
    return pd.concat([pd.DataFrame({**names, **attributes}), batch.drop(columns="account")], axis=1)


def _fixed_types(log: Log, data: Data) -> pa.Schema:
    """What Arrow takes the attributes that signup fixed for, in the light of every account."""
    return pa.Schema.from_pandas(log.accounts[list(data.fixed_at_signup)], preserve_index=False)


def _taken(column: str) -> str:
    return f"data.fixed_at_signup: {column!r} is the name of a column of the matrix too: rename it in the accounts table"


def _manifest(
    log: Log, data: Data, inputs: Mapping[str, str], specs: tuple[FeatureSpec, ...], n_rows: int
) -> dict[str, Any]:
    ruled = eligibility(log, data).rules
    return {
        "schema_version": SCHEMA_VERSION,
        "data_hash": content_hash(data),
        "inputs": dict(inputs),
        "engine": data.engine,
        "code": of_code(),
        "data_from": log.data_from.isoformat(),
        "data_through": log.data_through.isoformat(),
        "known_at": _instant(log.known_at),
        "n_accounts": len(log.accounts),
        "n_signed_up": _signed_up(log, data),
        "n_events": log.n_events,
        "n_observations": n_rows,
        "read": log.read,
        "quarantined": log.quarantined,
        "excluded": log.excluded,
        "withheld": log.withheld,
        "warnings": [*log.set_aside(), *doubts(log, data)],
        "outcome": {
            "kind": data.outcomes.kind,
            "name": data.outcomes.name,
            "horizon_days": data.outcomes.horizon_days,
        },
        "features": [
            {**words, "by_definition": by_definition(spec, data, ruled)}
            for spec, words in zip(specs, described(specs), strict=True)
        ],
    }


def _signed_up(log: Log, data: Data) -> int:
    """How many accounts had signed up by the newest close."""
    close = pd.Timestamp(quarterly(log, data).as_of_days[-1], unit="D")
    return int((log.accounts["signed_up_at"] < close).sum())


def _instant(time: pd.Timestamp | None) -> str | None:
    return None if time is None else time.isoformat()
