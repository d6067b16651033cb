"""The seals of frozen reviews: by their instant, and none of a newer program."""

import json
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from features.errors import DataError
from features.workspace import Workspace
from reports.frozen import SCHEMA_VERSION, SEAL, seals


def sealed(place: Workspace, name: str, **changes: Any) -> None:
    content = {
        "schema_version": SCHEMA_VERSION, "quarter": "2025Q2", "known_at": "2025-07-15T00:00:00", "seed": 5,
        "code_version": "0.1.0", "framework_version": 2, "framework_hash": "abc", **changes,
    }  # fmt: skip
    folder = place.frozen("2025Q2")
    folder.mkdir(parents=True, exist_ok=True)
    with ZipFile(folder / f"{name}.zip", "w") as archive:
        archive.writestr(SEAL, json.dumps(content))


def test_seals_are_by_their_instant(tmp_path: Path) -> None:
    place = Workspace(tmp_path)
    sealed(place, "a", known_at="2025-08-01T00:00:00")
    sealed(place, "b")
    sealed(place, "c", known_at="2025-07-20T00:00:00")
    assert [seal.path.stem for seal in seals(place, "2025Q2")] == ["b", "c", "a"]
    assert seals(place, "2025Q1") == ()


def test_what_a_newer_program_froze_is_not_read(tmp_path: Path) -> None:
    sealed(Workspace(tmp_path), "a", schema_version=SCHEMA_VERSION + 1)
    with pytest.raises(DataError, match="was frozen by a newer version of this program: update the program"):
        seals(Workspace(tmp_path), "2025Q2")
