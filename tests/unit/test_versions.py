"""Versions: they load by number and by path, are told apart by their hash, and cannot be changed by whoever holds one."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from features.errors import DataError, UsageError
from features.intake import open_log
from features.workspace import Workspace
from models.framework import Framework, load_framework
from models.milestones import Milestone
from models.versions import (
    archive,
    current,
    edited,
    load_version,
    open_for,
    unknown_in_hypotheses,
    versions,
)
from tests.unit.small_log import run, small_log, sources
from tests.unit.test_framework import DOCUMENT, document


def laid(folder: Path, current_version: int = 3, **earlier: dict[str, Any]) -> Workspace:
    """A workspace whose framework has a version, and earlier ones by name (v1, v2) with changes."""
    place = Workspace(folder)
    place.versions.mkdir(parents=True)
    place.framework.write_text(yaml.safe_dump(document(version=current_version)))
    for name, changes in earlier.items():
        number = int(name[1:])
        text = yaml.safe_dump(document(**{"version": number, **changes}))
        place.version(number).write_text(text)
    return place


LOWER = {"milestones__activation__rule__at_least": 10}


def test_versions_load_by_number_by_path_and_by_none(tmp_path: Path) -> None:
    place = laid(tmp_path, 3, v1=LOWER, v2={})
    assert [one.number for one in versions(place)] == [1, 2, 3]
    assert load_version(place, None).path == place.framework
    assert load_version(place, "1").framework.milestones["activation"].rule.at_least == 10
    assert load_version(place, "3").path == place.framework
    draft = tmp_path / "draft.yaml"
    draft.write_text(yaml.safe_dump(document(version=9, **LOWER)))
    assert load_version(place, str(draft)).number == 9
    with pytest.raises(UsageError, match=r"'7' is no version of .* \(it has 1, 2, 3\), and no file"):
        load_version(place, "7")


def test_two_frameworks_of_one_version_that_differ_are_refused(tmp_path: Path) -> None:
    place = laid(tmp_path, 3, v3=LOWER)
    hashes = [load_framework(path).hash for path in (place.version(3), place.framework)]
    with pytest.raises(DataError, match="both say version 3, and differ: raise `version`") as refused:
        versions(place)
    assert all(str(path) in str(refused.value) for path in (place.version(3), place.framework))
    assert all(digest in str(refused.value) for digest in hashes)
    place.version(3).write_text("# the same, otherwise written\n" + yaml.safe_dump(document(version=3)))
    assert [one.number for one in versions(place)] == [3]


def test_a_draft_that_keeps_its_number_is_refused(tmp_path: Path) -> None:
    place = laid(tmp_path, 3)
    draft = tmp_path / "draft.yaml"
    draft.write_text(yaml.safe_dump(document(version=3, **LOWER)))
    with pytest.raises(DataError, match="both say version 3"):
        load_version(place, str(draft))


def test_a_version_by_a_newer_program_says_so(tmp_path: Path) -> None:
    place = laid(tmp_path, 3, v2={"schema": 2})
    with pytest.raises(DataError, match=r"written by a newer version of this program.*update the program"):
        versions(place)


def test_what_is_archived_is_the_same_to_the_byte(tmp_path: Path) -> None:
    place = laid(tmp_path, 3)
    content = b"# mine\r\n" + place.framework.read_bytes() + "# \u00e9\n".encode()
    place.framework.write_bytes(content)
    assert archive(place, current(place)).read_bytes() == content
    assert archive(place, current(place)).read_bytes() == content  # again
    place.version(3).write_text(yaml.safe_dump(document(version=3, **LOWER)))
    with pytest.raises(DataError, match="both say version 3"):
        archive(place, current(place))


@pytest.mark.parametrize("content", ["", "a: [", "schema: 1\n"])
def test_a_damaged_version_is_in_nobodys_way_but_who_asks_for_it(tmp_path: Path, content: str) -> None:
    place = laid(tmp_path, 3, v1=LOWER, v2={})
    place.version(1).write_text(content)
    assert load_version(place, None).number == 3
    assert load_version(place, "3").path == place.framework
    assert load_version(place, "2").number == 2
    assert run("framework", "show", "-w", place.root).code == 0
    for asked in ("1", str(place.version(1))):
        with pytest.raises(
            DataError, match=r"versions/1.yaml keeps an earlier version: where it is damaged"
        ) as told:
            load_version(place, asked)
        assert "init" not in str(told.value)
    with pytest.raises(DataError, match=r"versions/1.yaml keeps an earlier version"):
        versions(place)


def test_a_version_is_a_number_that_people_can_say(tmp_path: Path) -> None:
    place = laid(tmp_path, 99_999_999_999_999)
    with pytest.raises(DataError, match=r"version: should be less than or equal to 1000000 \(found 9999"):
        current(place)


# --- an immutable thing with a hash ---


def parts(value: Any) -> list[Any]:
    """Everything within a value, however deep."""
    if isinstance(value, BaseModel):
        inner = [getattr(value, name) for name in type(value).model_fields]
    elif isinstance(value, Mapping):
        inner = list(value.values())
    else:
        inner = list(value) if isinstance(value, tuple) else []
    return [value, *(part for one in inner for part in parts(one))]


def test_nothing_within_a_framework_can_be_changed() -> None:
    found = parts(Framework.model_validate(DOCUMENT))
    assert len(found) > 100
    for part in found:
        assert not isinstance(part, list | dict | set), part
        if isinstance(part, BaseModel):
            with pytest.raises(ValueError, match="frozen"):
                setattr(part, next(iter(type(part).model_fields)), None)
        if isinstance(part, Mapping):
            with pytest.raises(TypeError, match="does not support item assignment"):
                part["x"] = 1  # type: ignore[index]


def test_what_a_milestone_means_has_a_hash_and_who_adopted_it_has_none() -> None:
    before = Framework.model_validate(DOCUMENT)

    def hash_of(**changes: Any) -> str:
        return Framework.model_validate(document(**changes)).milestones["activation"].hash

    same = before.milestones["activation"].hash
    path = "milestones__activation__"
    notes = {
        "adopted_by": "me",
        "why": "x",
        "adopted_at": "2024-01-01",
        "expected_effect": 0.5,
        "defined_on": None,
    }
    assert {hash_of(**{path + key: value}) for key, value in notes.items()} == {same}
    assert hash_of(milestones__setup__rule__at_least=1) == same
    meanings = {
        "rule__at_least": 21,
        "rule__window_days": 60,
        "primary_outcome": "retained",
        "rule__events": ["close"],
    }
    assert len({same, *(hash_of(**{path + key: value}) for key, value in meanings.items())}) == 5


def test_what_is_reached_once_is_something_else_than_a_state() -> None:
    rule = {"events": ["open"], "window_days": 30, "at_least": 1}
    assert (
        len({Milestone.model_validate({"kind": kind, "rule": rule}).hash for kind in ("once", "state")}) == 2
    )


@pytest.mark.parametrize("key", ["claim", "by"])
def test_a_hypothesis_without_a_claim_or_a_name_is_refused(tmp_path: Path, key: str) -> None:
    stated = {"claim": "Bots keep customers", "by": "a product manager", key: "  "}
    path = tmp_path / "framework.yaml"
    path.write_text(yaml.safe_dump(document(review__hypotheses=[stated])))
    with pytest.raises(
        DataError, match=f"review.hypotheses, entry 1, {key}.* is empty: a hypothesis says what"
    ):
        load_framework(path)


# --- what a version refers to ---


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    folder = tmp_path_factory.mktemp("product")
    said = run("init", folder / "w", *sources(folder / "data", small_log()))
    assert said.code == 0, said.words
    return Workspace(folder / "w")


def with_changes(place: Workspace, path: Path, **changes: Any) -> None:
    """The framework of a workspace with values laid over it, written to a path."""
    document = yaml.safe_load(place.framework.read_text())
    for name, value in changes.items():
        at: Any = document
        *keys, last = name.split("__")
        for key in keys:
            at = at[key]
        at[last] = value
    path.parent.mkdir(exist_ok=True)
    path.write_text(yaml.safe_dump(document))


GONE = {
    "version": 7,
    "milestones": {"m": {"kind": "once", "rule": {"events": ["logn"], "window_days": 30, "at_least": 1}}},
}


def test_an_earlier_version_that_counts_what_is_gone_is_refused(product: Workspace) -> None:
    path = product.version(7)
    with_changes(product, path, **GONE)
    try:
        with pytest.raises(
            DataError,
            match=r"7.yaml refers to what is gone:\nmilestones.m.rule: .* 'logn' \(did you mean 'login'",
        ):
            open_for(product, load_version(product, "7"))
        assert run("status", "-w", product.root, "--framework", "7").code == 1
        assert run("status", "-w", product.root).code == 0  # the version in force is not concerned
    finally:
        path.unlink()


def test_an_earlier_version_whose_tables_or_attributes_are_gone_is_refused(product: Workspace) -> None:
    path = product.root / "draft.yaml"
    with_changes(product, path, version=8, data__fixed_at_signup=["industry"])
    with pytest.raises(DataError, match=r"draft.yaml cannot be used on this log: .*industry"):
        open_for(product, load_version(product, str(path)))


def test_features_of_hypotheses_are_looked_up_with_patterns(product: Workspace) -> None:
    path = product.root / "draft.yaml"
    stated = [
        {"claim": "a", "by": "b", "features": ["events_*", "tenure_days"]},
        {"claim": "a", "by": "b", "features": ["event_30d", "nothing_*"]},
    ]
    with_changes(product, path, review__hypotheses=stated)
    framework = load_framework(path)
    said = unknown_in_hypotheses(framework, open_log(framework.data, product.root))
    assert len(said) == 2
    assert said[0].startswith(
        "review.hypotheses, entry 2, features: no feature is called 'event_30d' (did you mean 'events_30d'?)"
    )
    assert "'nothing_*';" in said[1]


def test_check_refuses_features_that_no_catalogue_has(product: Workspace) -> None:
    kept = product.framework.read_text()
    with_changes(
        product, product.framework, review__hypotheses=[{"claim": "a", "by": "b", "features": ["event_30d"]}]
    )
    try:
        said = run("check", "-w", product.root)
        assert said.code == 1
        assert "no feature is called 'event_30d' (did you mean 'events_30d'?)" in said.words
    finally:
        product.framework.write_text(kept)


# --- edited by hand ---


def cited(place: Workspace, version: int, digest: str) -> None:
    path = place.sweep("activation") / "sweep.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"framework": {"version": version, "hash": digest}}))


def test_an_edit_that_keeps_the_version_is_told_where_it_was_kept(tmp_path: Path) -> None:
    place = laid(tmp_path, 3)
    archive(place, current(place))
    assert edited(place, current(place).framework) == []
    changed = Framework.model_validate(document(version=3, **LOWER))
    said = edited(place, changed)
    assert len(said) == 1
    assert "versions/3.yaml has" in said[0]
    assert "raise `version`" in said[0]


def test_an_edit_that_keeps_the_version_is_told_where_it_was_cited(tmp_path: Path) -> None:
    place = laid(tmp_path, 3)
    cited(place, 3, current(place).framework.hash)
    assert edited(place, current(place).framework) == []
    said = edited(place, Framework.model_validate(document(version=3, **LOWER)))
    assert "output/sweeps/activation/sweep.json has" in said[0]
    assert edited(place, Framework.model_validate(document(version=4, **LOWER))) == []


def test_check_warns_of_an_edit(product: Workspace) -> None:
    cited(product, 1, "0123456789ab")
    assert "output/sweeps/activation/sweep.json has 0123456789ab" in run("check", "-w", product.root).words
    (product.sweep("activation") / "sweep.json").write_text("{")  # damaged: not check's to tell
    assert "raise `version`" not in run("check", "-w", product.root).words
