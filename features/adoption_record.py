"""The adoption benchmark in the workspace: adoption.parquet by quarter, adoption.json by feature, adoption.png."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from features.adoption import BY_DEFINITION, classified, implied, limits, name_groups
from features.benchmark import Benchmark, benchmark
from features.declaration import Data, Features
from features.denominator import population
from features.errors import DataError
from features.matrix import require_unchanged
from features.recording import known_words
from features.segments import UNKNOWN, size_columns, size_words
from features.workspace import Workspace, discard, set_aside, write_text

SCHEMA_VERSION = 2
FILE = "adoption.json"
COLUMNS = ("feature", "class", "adoption", "interval", "support", "by_plan", "by_size", "differs")
MADE_OF = ("data_hash", "inputs", "code", "known_at")  # what the manifest says the matrix rests on
IMPLIED = "whoever is counted uses it, or would not be counted, so it has no class by share and no interval"
WORDS = ("name", "description", "unit", "category", "aggregation", "per")

Row = dict[str, Any]


def write_adoption(workspace: Workspace, data: Data, manifest: Mapping[str, Any]) -> Row:
    """Count adoption in the matrix of the workspace, a few columns at a time, and write the three files; adoption.json.

    manifest: of that matrix. The summary is written last: where it stands, the others belong to it.
    """
    from features.figures import adoption_figure, save

    folder = workspace.features
    found = _count(workspace, manifest)
    summary = record(found, data, manifest)
    with set_aside(folder / "adoption.parquet") as path:
        found.by_quarter.to_parquet(path, index=False)
    figure = adoption_figure(summary, found.by_quarter, data.features)
    if figure is None:
        discard(folder / "adoption.png")  # what an earlier run drew
    else:
        with set_aside(folder / "adoption.png") as path:
            save(figure, path)
    write_text(folder / FILE, json.dumps(summary, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    return summary


def read_adoption(workspace: Workspace, data: Data) -> Row:
    """adoption.json, if it answers this data section and these files.

    Raises DataError where `milestones features` did not run or did not finish, and where anything changed since.
    """
    path = workspace.features / FILE
    found = workspace.read_json(path, "features")
    try:
        require_unchanged(found, data, workspace)
        heading(found)
        listing(found)
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise workspace.damaged(path, "features") from error
    return found


def is_current(workspace: Workspace, manifest: Mapping[str, Any]) -> bool:
    """Whether adoption was counted in the matrix of this manifest; not where a run was killed in between."""
    try:
        found = workspace.read_json(workspace.features / FILE, "features")
    except DataError:
        return False
    return all(found.get(key) == manifest[key] for key in MADE_OF)


def _count(workspace: Workspace, manifest: Mapping[str, Any]) -> Benchmark:
    path = workspace.features / "matrix.parquet"
    features = manifest["features"]
    schema = pq.read_schema(path)
    told = ["account_id", "as_of", "quarter", *(["plan"] if "plan" in schema.names else [])]
    frame = pq.read_table(path, columns=[*told, *size_columns(schema.names)]).to_pandas()
    return benchmark(frame, features, _columns(path, list(limits(features)), len(frame)))


def _columns(path: Any, names: Sequence[str], n_rows: int) -> Iterator[pd.DataFrame]:
    for part in name_groups(names, n_rows):
        yield pq.read_table(path, columns=part).to_pandas()


def record(found: Benchmark, data: Data, manifest: Mapping[str, Any]) -> Row:
    """adoption.json: of every feature the class, the newest year in all and by segment, and the first year before it.

    population says whose use is counted, n_accounts how many of them there were in the newest year, n_signed_up how
    many accounts had signed up by its end.
    """
    declared, told = data.features, implied(manifest["features"])
    newest = _shares(found.newest, declared, told)
    earliest = _shares(found.earliest, declared, told)
    return {
        "schema_version": SCHEMA_VERSION,
        **{key: manifest[key] for key in MADE_OF},
        "rule": declared.model_dump(include={"niche_below", "ubiquitous_above", "minimum_support"}),
        "quarters": list(found.quarters),
        "newest_year": list(found.newest_year),
        "population": population(data),
        "n_accounts": found.n_accounts,
        "n_signed_up": manifest["n_signed_up"],
        "size_by": found.size_by,
        "features": [
            _feature(feature, newest.get(feature["name"], {}), earliest.get(feature["name"], {}), declared)
            for feature in manifest["features"]
        ],
    }


def _shares(table: pd.DataFrame, declared: Features, told: Sequence[str]) -> dict[str, dict[str, list[Row]]]:
    """The rows of a table by feature and dimension, in order; told: the features used by definition."""
    found: dict[str, dict[str, list[Row]]] = {}
    rows: Any = table.to_dict("records")
    for row, word in zip(
        rows, classified(table, declared, table["feature"].isin(told).to_numpy()), strict=True
    ):
        share = {
            "segment": row["segment"],
            "class": word,
            "value": _known(row["adoption"]),
            "lower": _known(row["lower"]),
            "upper": _known(row["upper"]),
            "n_observations": int(row["n_observations"]),
            "n_accounts": int(row["n_accounts"]),
            "support": int(row["n_adopters"]),
            **{key: row[key] for key in ("n_missing", "first_quarter", "last_quarter") if key in row},
        }
        found.setdefault(row["feature"], {}).setdefault(row["dimension"], []).append(share)
    return found


def _known(number: float) -> float | None:
    return None if np.isnan(number) else float(number)


def _feature(
    feature: Mapping[str, Any],
    newest: dict[str, list[Row]],
    earliest: dict[str, list[Row]],
    declared: Features,
) -> Row:
    """One feature of adoption.json; without shares where adoption does not apply."""
    words = {key: feature[key] for key in WORDS}
    if not newest:
        return {**words, "applies": False, "class": None, "adoption": None}
    whole = newest["all"][0]
    before = next((row for row in earliest.get("all", []) if row["n_observations"]), None)
    return {
        **words,
        "applies": True,
        "class": whole["class"],
        "adoption": _without(whole, "segment", "class"),
        "earliest": before and _without(before, "segment", "class"),
        "by_plan": newest.get("plan", []),
        "by_size": newest.get("size", []),
        "differs": [
            {"by": dimension, "segment": row["segment"], "class": row["class"]}
            for dimension in ("plan", "size")
            for row in newest.get(dimension, [])
            if row["segment"] != UNKNOWN and differs(row, whole, declared)
        ],
    }


def _without(row: Row, *keys: str) -> Row:
    return {key: value for key, value in row.items() if key not in keys}


def differs(part: Row, whole: Row, declared: Features) -> bool:
    """Whether a segment is surely of another class than all accounts together.

    Its whole interval lies within the bounds of that class, and apart from the interval of all.
    """
    bounds = {
        "niche": (0.0, declared.niche_below),
        "representative": (declared.niche_below, declared.ubiquitous_above),
        "ubiquitous": (declared.ubiquitous_above, 1.0),
    }
    if part["class"] not in bounds or whole["class"] not in bounds or part["class"] == whole["class"]:
        return False
    low, high = bounds[part["class"]]
    apart = part["lower"] > whole["upper"] or part["upper"] < whole["lower"]
    return bool(low <= part["lower"] and part["upper"] <= high and apart)


def heading(found: Mapping[str, Any]) -> list[str]:
    """What the listing rests on, in sentences."""
    if not found["quarters"]:
        return ["No quarter has closed yet: nobody can be counted."]
    rule, year = found["rule"], found["newest_year"]
    said = [known_words(found["known_at"])] if found["known_at"] else []
    said += [
        f"Adoption {year[0]} to {year[-1]} is the share of account-quarters with use, of {found['population']}, that"
        f" could use the feature and are known. Observed were {found['n_accounts']:,} accounts ever in the year, of"
        f" {found['n_signed_up']:,} that had signed up by its end.",
        f"Classes: niche below {100 * rule['niche_below']:g}%, ubiquitous above {100 * rule['ubiquitous_above']:g}%,"
        f" unclear with fewer than {rule['minimum_support']} eligible accounts. Support counts accounts: those with use"
        " ever in the year, of those eligible ever in the year.",
    ]
    if any(feature["class"] == BY_DEFINITION for feature in found["features"]):
        said.append(f"{BY_DEFINITION.capitalize()}: {IMPLIED}.")
    for by in ("plan", "size"):
        parts: list[Row] = next((f[f"by_{by}"] for f in found["features"] if f.get(f"by_{by}")), [])
        labels = " / ".join(part["segment"] for part in parts)
        if labels:
            what = f" ({found['size_by']})" if by == "size" else ""
            said.append(f"By {by}{what}: {labels}.")
    if words := size_words(found["size_by"]):
        said.append(f"{words.capitalize()}.")
    return said


def listing(found: Mapping[str, Any]) -> list[dict[str, str]]:
    """adoption.json as rows of text, the most adopted first, features to which adoption does not apply last."""
    return [_line(feature) for feature in sorted(found["features"], key=_rank)]


def _rank(feature: Mapping[str, Any]) -> float:
    value = (feature["adoption"] or {}).get("value")
    return 1.0 if value is None else -float(value)


def _line(feature: Mapping[str, Any]) -> dict[str, str]:
    if not feature["applies"]:
        return {**dict.fromkeys(COLUMNS, ""), "feature": feature["name"], "class": "not applicable"}
    whole = feature["adoption"]
    return {
        "feature": feature["name"],
        "class": feature["class"],
        "adoption": _percent(whole["value"]),
        "interval": f"{_percent(whole['lower'])} to {_percent(whole['upper'])}"
        if whole["lower"] is not None
        else "",
        "support": f"{whole['support']:,} of {whole['n_accounts']:,} accounts",
        "by_plan": _in_order(feature["by_plan"]),
        "by_size": _in_order(feature["by_size"]),
        "differs": ", ".join(f"{row['class']} in {row['segment']}" for row in feature["differs"]),
    }


def _in_order(parts: Sequence[Row]) -> str:
    return " / ".join(_percent(row["value"]) for row in parts)


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"
