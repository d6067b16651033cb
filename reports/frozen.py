"""Frozen reviews: what a review rested on, and said, when it was first published as known at an instant.

One file each, written aside and renamed, and never written again: whatever the tables say later, the review can be made
of it once more. It holds review.json as published and its grounds, as Parquet files in a zip archive, and ends up
beside the newest review of its quarter. The framework is in it too: the next version is no hindrance.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

import pandas as pd

from features.errors import DataError
from features.version import code_version
from features.workspace import Workspace, set_aside
from models.cohorts import Cohort, Cohorts
from models.framework import Framework
from models.label_clock import LabelClock
from reports.grounds import Grounds
from reports.learned import ModelPart
from reports.restatement import Restatement
from reports.review import Reviewer, shown

SCHEMA_VERSION = 1
SEAL, REVIEW, FRAMEWORK = "frozen.json", "review.json", "framework.json"


@dataclass(frozen=True)
class Seal:
    """Which review was frozen, and by whom: enough to find it without reading what it rested on."""

    path: Path
    quarter: str
    known_at: pd.Timestamp
    seed: int
    code_version: str
    framework_version: int
    framework_hash: str


@dataclass(frozen=True)
class Frozen:
    """A frozen review. reviewer: makes its numbers again. text: review.json, byte for byte as first published.

    restated_rows: the rows of `Restatement` that it told of then.
    """

    seal: Seal
    reviewer: Reviewer
    text: str
    restated_rows: pd.DataFrame

    @property
    def review(self) -> dict[str, Any]:
        """review.json as first published."""
        found: dict[str, Any] = json.loads(self.text)
        return found

    @property
    def part(self) -> ModelPart:
        """What it said of the model: a later `train` has nothing to do with it."""
        return ModelPart.of(self.review)

    @property
    def restatement(self) -> Restatement:
        """What it said was restated since a review of the quarter that had been frozen before it."""
        told = self.review["restated"]
        return Restatement(told["accounts"], tuple(told["moved"]), self.restated_rows)


def seals(workspace: Workspace, quarter: str) -> tuple[Seal, ...]:
    """Every frozen review of a quarter, under whatever framework, by its instant."""
    found = [_seal(path) for path in sorted(workspace.frozen(quarter).glob("*.zip"))]
    return tuple(sorted(found, key=lambda seal: seal.known_at))


def freeze(
    workspace: Workspace, reviewer: Reviewer, quarter: str, text: str, restated_rows: pd.DataFrame
) -> Path:
    """Keep a review and what it rests on. Raises StoreError where the folder cannot be written."""
    known_at, framework = reviewer.proven.known_at(quarter), reviewer.framework
    grounds = reviewer.grounds.until(known_at, reviewer.quarters)
    seal = {
        "schema_version": SCHEMA_VERSION,
        "quarter": quarter,
        "known_at": known_at.isoformat(),
        "seed": reviewer.seed,
        "code_version": code_version(),
        "framework_version": framework.version,
        "framework_hash": framework.hash,
        "data_from": grounds.data_from.isoformat(),
        "data_through": grounds.data_through.isoformat(),
        "caveats": grounds.caveats,
    }
    final = workspace.frozen(quarter) / f"{shown(known_at).replace(':', '')}-{framework.hash}.zip"
    with set_aside(final) as path, ZipFile(path, "w") as archive:
        archive.writestr(SEAL, json.dumps(seal, indent=1))
        archive.writestr(REVIEW, text)
        archive.writestr(FRAMEWORK, framework.model_dump_json(by_alias=True, indent=1))
        for name, table in {"restated": restated_rows, **_tables(grounds)}.items():
            archive.writestr(f"{name}.parquet", table.to_parquet(index=False))
    return final


def thaw(seal: Seal) -> Frozen:
    """A frozen review with its grounds. Raises DataError where the file is damaged."""
    try:
        with ZipFile(seal.path) as archive:
            content = json.loads(archive.read(SEAL))
            text = archive.read(REVIEW).decode("utf-8")
            framework = Framework.model_validate_json(archive.read(FRAMEWORK))
            files = [name for name in archive.namelist() if name.endswith(".parquet")]
            tables = {name[:-8]: pd.read_parquet(BytesIO(archive.read(name))) for name in files}
            grounds = _grounds(content, tables, framework)
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        raise _damaged(seal.path) from error
    reviewer = Reviewer(framework, grounds, seal.seed, (seal.quarter, seal.known_at))
    return Frozen(seal, reviewer, text, tables["restated"])


def _seal(path: Path) -> Seal:
    try:
        with ZipFile(path) as archive:
            content = json.loads(archive.read(SEAL))
        if content["schema_version"] > SCHEMA_VERSION:
            raise DataError(f"{path} was frozen by a newer version of this program: update the program")
        return Seal(
            path, content["quarter"], pd.Timestamp(content["known_at"]), content["seed"], content["code_version"],
            content["framework_version"], content["framework_hash"],
        )  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError, BadZipFile) as error:
        raise _damaged(path) from error


def _damaged(path: Path) -> DataError:
    return DataError(
        f"{path} is damaged: what was frozen cannot be made again. Restore the file from a backup, or remove it, and the"
        " next review of the quarter is frozen in its place"
    )


def _tables(grounds: Grounds) -> dict[str, pd.DataFrame]:
    ids = grounds.account_ids
    days = [s.rename("days").rename_axis("account").reset_index().assign(milestone=n) for n, s in grounds.time_to.items()]  # fmt: skip
    return {
        "accounts": pd.DataFrame({"account": ids.index, "account_id": ids.array}),
        "closes": grounds.cohorts.closes,
        "volumes": grounds.volumes,
        "time_to": pd.concat(days, ignore_index=True) if days else pd.DataFrame({"milestone": []}),
        **{f"cohorts/{name}": cohort.frame for name, cohort in grounds.cohorts.by_name.items()},
        **{f"traits/{name}": traits for name, traits in grounds.traits.items()},
    }


def _grounds(content: Mapping[str, Any], tables: Mapping[str, pd.DataFrame], framework: Framework) -> Grounds:
    by_name = {
        name: Cohort(name, milestone, tables[f"cohorts/{name}"], LabelClock.of(framework, milestone))
        for name, milestone in framework.milestones.items()
    }
    ids, days = tables["accounts"].set_index("account")["account_id"], tables["time_to"]
    return Grounds(
        Cohorts(by_name, tables["closes"]),
        ids,
        pd.Timestamp(content["data_from"]),
        pd.Timestamp(content["data_through"]),
        tables["volumes"],
        # A table without columns comes back without rows, too.
        {name: tables[f"traits/{name}"].reindex(cohort.frame.index) for name, cohort in by_name.items()},
        {
            name: days[days["milestone"] == name].set_index("account")["days"]
            for name in framework.of_kind("once")
        },
        tuple(content["caveats"]),
    )
