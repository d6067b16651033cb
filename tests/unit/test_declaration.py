"""framework.yaml as a document and its data half: each fault is named with its place, its value and what to do."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError
from pydantic_core import InitErrorDetails

from features.declaration import Data
from features.document import content_hash, parse_yaml, read_data, read_document, read_yaml, validate
from features.errors import DataError
from features.faults import explain, place
from features.validators import known_zone

CONTENT: dict[str, Any] = {
    "sources": {"events": "e.parquet", "accounts": "a.parquet"},
    "mapping": {
        "events": {"account_id": "account", "event": "event", "occurred_at": "at"},
        "accounts": {"account_id": "account", "signed_up_at": "since"},
    },
    "outcomes": {"kind": "silent", "horizon_days": 90},
}


def changed(path: str, value: Any) -> dict[str, Any]:
    content = deepcopy(CONTENT)
    place = content
    *parents, key = path.split(".")
    for parent in parents:
        place = place.setdefault(parent, {})
    place[key] = value
    return content


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "framework.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "",
            "is empty: it must hold keys such as schema, name, data, milestones; make one with `milestones init",
        ),
        ("# nothing but a comment\n", "is empty"),
        ("- a\n- b\n", "must hold `key: value` lines; it holds a list"),
        ("hello", "it holds one str"),
        ("a: 1\n\tb: 2\n", "not valid YAML at line 2: .*indent with spaces, not with tabs"),
        ("a: 1\nb: [1, 2\n", "not valid YAML at line 3"),
        ("a: 1\nb:\n  c: 1\n  c: 2\n", "not valid YAML at line 4: the key 'c' stands twice: keep one"),
        ("a: 1\na: 2\n", "at line 2: the key 'a' stands twice"),
        ("a: !!python/object:os.system x\n", "not valid YAML at line 1: could not determine a constructor"),
        ("a: !!int x\n", "not valid YAML: invalid literal for int"),
        ('a: 1\nb: "\\ud83d"\n', "not valid YAML at line 2: half a surrogate pair is no character"),
        ("a: b\0c\n", "not valid YAML: unacceptable character"),
        ("[" * 3000, "not valid YAML: maximum recursion depth"),
        (b"name: caf\xe9\n", "it is not UTF-8 text; save it as UTF-8"),
    ],
)
def test_a_file_that_is_no_framework_is_refused_in_one_line(
    tmp_path: Path, text: str | bytes, words: str
) -> None:
    with pytest.raises(DataError, match=words) as caught:
        read_document(written(tmp_path, text))
    assert "\n" not in str(caught.value)
    assert str(tmp_path / "framework.yaml") in str(caught.value)


def test_a_file_that_is_not_there_says_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is no .*framework.yaml: make one with `milestones init"):
        read_document(tmp_path / "framework.yaml")
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataError, match="is no folder"):
        read_document(tmp_path / "file" / "framework.yaml")
    with pytest.raises(DataError, match=r"cannot read .*: Is a directory"):
        read_document(tmp_path)


def test_an_empty_file_holds_nothing(tmp_path: Path) -> None:
    assert read_yaml(written(tmp_path, "# no decision yet\n"), "write it") is None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2024-05-31", "2024-05-31"),  # plain YAML would make a date of it
        ("2024-13-45", "2024-13-45"),  # ... and stumble over this one
        ("on", "on"),  # an event may be called on, off, yes or no
        ("No", "No"),
        ("true", True),
        ("False", False),
        ("3", 3),
        ("2.5", 2.5),
        ("~", None),
        ("[a, b]", ["a", "b"]),
        (r'{"\ud83d\ude00": "\ud83d\ude00!"}', {"\U0001f600": "\U0001f600!"}),
        ("{a: &x {b: 1}, c: {<<: *x, d: 2}}", {"a": {"b": 1}, "c": {"b": 1, "d": 2}}),
    ],
)
def test_a_value_is_what_a_person_meant(text: str, value: object) -> None:
    assert parse_yaml(text) == value


def test_marks_of_other_systems_do_not_matter(tmp_path: Path) -> None:
    assert read_document(written(tmp_path, "\ufeffname: x\r\nversion: 1\r\n")) == {"name": "x", "version": 1}


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (
            "outcomes.horizn_days",
            90,
            "outcomes.horizn_days: is not a key here: check the spelling, or remove it",
        ),
        ("outcomes.horizon_days", "soon", "outcomes.horizon_days: must be a whole number \\(found 'soon'\\)"),
        ("outcomes.horizon_days", 1.5, "outcomes.horizon_days: must be a whole number \\(found 1.5\\)"),
        ("outcomes.horizon_days", 0, "greater than or equal to 1 \\(found 0\\)"),
        ("outcomes.kind", "left", "'outcomes', 'subscription_end' or 'silent' \\(found 'left'\\)"),
        ("outcomes.kind", "outcomes", "kind 'outcomes' needs a source for the table 'outcomes'"),
        ("outcomes.kind", "subscription_end", "needs a source for the table 'subscriptions'"),
        ("sources.events", "", "sources.events: name a file, a folder, a glob"),
        ("sources.events", "a\0b", "sources.events: name a file"),
        (
            "sources.subscriptions",
            "s.parquet",
            "mapping subscriptions: say which columns hold account_id, started_at",
        ),
        ("mapping.events", {"account_id": "a"}, "mapping events: say which columns hold event, occurred_at"),
        ("mapping.nope", {}, "the table 'nope'; tables are events, accounts"),
        ("mapping.events.nope", "x", "mapping events.nope: the columns of events are account_id"),
        ("mapping.accounts.plan", "x", "mapping accounts.plan: the columns of accounts are account_id"),
        ("calendar.timezone", "Mars/Base", "'Mars/Base' is not a time zone: write one of the tz database"),
        ("calendar.fiscal_year_starts_in_month", 13, "less than or equal to 12 \\(found 13\\)"),
        ("features.windows_days", [], "windows_days \\[\\]: give at least one window"),
        ("features.windows_days", [0], "each of 1 to 3,650 days"),
        ("features.windows_days", [10**12], "each of 1 to 3,650 days"),
        ("features.event_windows_days", [7, 7], "each window once"),
        ("features.niche_below", float("nan"), "features.niche_below: .*finite number"),
        ("features.minimum_support", 0, "features.minimum_support: .*greater than or equal to 1"),
        ("features.niche_below", 0.99, "niche_below 0.99 must be less than ubiquitous_above 0.95"),
        (
            "events.categories",
            {"a": ["x"], "b": ["x"]},
            "event 'x' is in the categories 'a' and 'b': choose one",
        ),
        (
            "events.core",
            ["a", 1],
            "events.core, entry 2: must be a text: write one, in quotes where .* \\(found 1\\)",
        ),
        ("events.core", "login", "events.core: must be a list: write \\[a, b\\], .* \\(found 'login'\\)"),
        ("events", None, "events: must hold `key: value` lines \\(found nothing\\)"),
        ("events", ["login"], "events: must hold `key: value` lines \\(found a list\\)"),
        ("events.deduplicate", "maybe", "events.deduplicate: must be true or false \\(found 'maybe'\\)"),
        ("events.categories", {1: ["a"]}, "events.categories.1: the key must be a text: put it in quotes$"),
        (
            "features.states",
            [{"name": "sso"}],
            "features.states, entry 1: must be a text.*found keys and values",
        ),
        ("features.extras", [{"name": "x"}], "features.extras, entry 1, aggregation: is missing: add it$"),
        (
            "features.extras",
            [{"name": "x", "aggregation": "tenure"}, {"name": "y", "aggregation": "tenure", "windw": 3}],
            "features.extras, entry 2, windw: is not a key here: check the spelling, or remove it$",
        ),
        (
            "features.extras",
            [{"name": "x", "aggregation": "state", "attribute": "a", "equals": ["on"]}],
            "entry 1, equals: must be one value: write a text, a number, true or false$",
        ),
        ("features.extras", {"name": "x"}, "features.extras: must be a list.*found keys and values"),
        (
            "exclusions",
            [{"column": "test", "reason": "x"}],
            "exclusions, entry 1, equals: is missing: add it",
        ),
        ("features.niche_below", "few", "features.niche_below: must be a number \\(found 'few'\\)"),
        ("sources.events", "x" * 5000 + "\0", "… ?\\)"),
        ("adjust_for", "seats", "adjust_for: must be a list"),
        ("adjust_for", ["tenure", "tenure"], "adjust_for \\['tenure', 'tenure'\\]: each name once"),
        (
            "adjust_for",
            ["seats"],
            "adjust_for 'seats': .* is tenure; give a table of subscriptions and say under",
        ),
        ("adjust_for", ["tenuer"], "adjust_for 'tenuer' \\(did you mean 'tenure'\\?\\)"),
        (
            "adjust_for",
            ["industry"],
            "adjust_for 'industry': .*list it under data.fixed_at_signup if it never",
        ),
    ],
)
def test_a_fault_is_named_with_place_value_and_remedy(
    tmp_path: Path, path: str, value: Any, words: str
) -> None:
    with pytest.raises(DataError, match=words) as caught:
        validate(Data, changed(path, value), tmp_path / "framework.yaml")
    assert len(str(caught.value)) < 600


def test_every_fault_is_named_at_once() -> None:
    content = {**changed("calendar.timezone", "Mars"), "typo": 1}
    del content["sources"]
    with pytest.raises(DataError) as caught:
        validate(Data, content, Path("framework.yaml"))
    lines = str(caught.value).splitlines()[1:]
    assert [line.partition(":")[0] for line in lines] == ["sources", "calendar.timezone", "typo"]
    assert lines[0] == "sources: is missing: add it"


def test_the_data_half_alone_is_named_by_the_same_path(tmp_path: Path) -> None:
    content = changed("features.states", [{"name": "sso"}])
    with pytest.raises(
        DataError, match=r"^.*cannot be used:\ndata\.features\.states, entry 1: must be a text"
    ):
        read_data(written(tmp_path, yaml.safe_dump({"data": content})))


@pytest.mark.parametrize(
    ("loc", "expected"),
    [
        ((), ""),
        (("data",), "data"),
        (("data", "features", "extras", 0, "name"), "data.features.extras, entry 1, name"),
        (("milestones", "setup", "rule", "<steps>", "steps", 2), "milestones.setup.rule.steps, entry 3"),
        (("a", 0, 1, "b", "c"), "a, entry 1, entry 2, b.c"),
    ],
)
def test_a_place_counts_entries_from_one(loc: tuple[str | int, ...], expected: str) -> None:
    assert place(loc) == expected


def test_explain_shows_no_value_for_what_is_missing_or_large() -> None:
    faults: list[InitErrorDetails] = [
        {"loc": ("a",), "type": "missing", "input": {"secret": 1}},
        {"loc": (), "type": "value_error", "ctx": {"error": ValueError("wrong")}, "input": ["secret"]},
    ]
    caught = ValidationError.from_exception_data("Data", faults)
    assert explain(caught) == "a: is missing: add it\nwrong"


def test_the_data_half_alone(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the key data is missing; it says where the tables are"):
        read_data(written(tmp_path, "name: x\n"))


def test_the_hash_is_of_the_meaning() -> None:
    plain = Data.model_validate(CONTENT)
    turned = Data.model_validate(dict(reversed(CONTENT.items())))
    assert content_hash(plain) == content_hash(turned)
    assert content_hash(plain) != content_hash(Data.model_validate(changed("outcomes.horizon_days", 91)))


def test_the_adjustment_set_has_a_hash_where_there_is_one() -> None:
    plain, without = Data.model_validate(CONTENT), Data.model_validate(changed("adjust_for", []))
    declared = Data.model_validate(changed("adjust_for", ["tenure"]))
    assert content_hash(plain) == content_hash(without)
    assert content_hash(plain) != content_hash(declared)
    fixed = Data.model_validate({**CONTENT, "fixed_at_signup": ["seats"], "adjust_for": ["seats"]})
    assert fixed.adjust_for == ("seats",)


def test_a_known_zone_is_its_own_name() -> None:
    assert known_zone("Europe/Berlin") == "Europe/Berlin"
