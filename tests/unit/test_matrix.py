"""The matrix on disk: the same columns and types whichever batch they come from."""

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.errors import DataError
from features.fingerprints import of_inputs
from features.intake import open_log
from features.matrix import build_frame, build_matrix, up_to_date
from features.workspace import Workspace
from tests.spec.drawn import NOW, data_for
from tests.unit.small_log import small_log


def test_an_attribute_that_was_collected_late_is_missing_before_and_breaks_no_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = small_log()
    late = tables["accounts"]["account_id"].str[1:].astype(int) >= 40
    tables["accounts"]["industry"] = pd.Series("retail", index=late.index).where(late)
    data = data_for(tmp_path, tables, fixed_at_signup=["industry"])
    log = open_log(data, tmp_path, now=NOW)
    whole = build_frame(log, data, tmp_path).frame
    assert whole["industry"].notna().mean() == pytest.approx(1 / 3, abs=0.15)
    monkeypatch.setattr("features.scan.BLOCK_BYTES", 1)  # an account at a time
    build_matrix(log, data, Workspace(tmp_path), of_inputs(data, tmp_path))
    written = pd.read_parquet(Workspace(tmp_path).features / "matrix.parquet")
    pd.testing.assert_frame_equal(written, whole, check_dtype=False)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (pa.date32(), lambda i: date(2024, 1, 1 + i % 28)),
        (pa.decimal128(18, 2), lambda i: Decimal(10**i) / 4),  # each batch would find a precision of its own
        (pa.bool_(), lambda i: i % 2 == 0),
    ],
)
def test_an_attribute_has_one_type_in_every_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: pa.DataType, value: Callable[[int], Any]
) -> None:
    """The first accounts have none, and come in batches of their own."""
    tables = small_log(12)
    data = data_for(tmp_path, tables, fixed_at_signup=["given"])
    accounts = pa.Table.from_pandas(tables["accounts"], preserve_index=False)
    given = pa.array([None if i < 4 else value(i) for i in range(12)], kind)
    pq.write_table(accounts.append_column("given", given), tmp_path / "accounts.parquet")
    log = open_log(data, tmp_path, now=NOW)
    monkeypatch.setattr("features.scan.BLOCK_BYTES", 1)  # an account at a time
    build_matrix(log, data, Workspace(tmp_path), of_inputs(data, tmp_path))
    written = pq.read_table(Workspace(tmp_path).features / "matrix.parquet", columns=["account_id", "given"])
    assert pa.types.is_null(written["given"].type) is False
    expected = dict(zip(tables["accounts"]["account_id"], given.to_pylist(), strict=True))
    found = {row["account_id"]: row["given"] for row in written.to_pylist()}
    assert found == {account: expected[account] for account in found}
    assert any(found.values())
    assert any(v is None for v in found.values())


def test_a_plan_that_came_late_is_missing_before_and_breaks_no_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = small_log(12)
    tables["subscriptions"]["plan"] = [None] * 4 + ["pro"] * 8
    data = data_for(tmp_path, tables)
    log = open_log(data, tmp_path, now=NOW)
    monkeypatch.setattr("features.scan.BLOCK_BYTES", 1)
    build_matrix(log, data, Workspace(tmp_path), of_inputs(data, tmp_path))
    written = pd.read_parquet(Workspace(tmp_path).features / "matrix.parquet")
    assert set(written["plan"].dropna()) == {"pro"}
    assert written["plan"].isna().any()


def test_a_matrix_whose_day_was_not_over_is_not_up_to_date(tmp_path: Path) -> None:
    tables = small_log(12)
    last = pd.Timestamp("2025-03-31T19:00")
    final = {"account_id": "a0", "event": "login", "occurred_at": last}
    tables["events"] = pd.concat([tables["events"], pd.DataFrame([final])])
    data = data_for(tmp_path, tables)
    place = Workspace(tmp_path)
    for now, there in ((last + pd.Timedelta(minutes=5), False), (NOW, True)):
        build_matrix(open_log(data, tmp_path, now=now), data, place, of_inputs(data, tmp_path))
        assert (up_to_date(place, data) is not None) is there


@pytest.mark.parametrize("column", ["plan", "quarter", "tenure_days"])
def test_an_attribute_never_takes_the_place_of_a_column_of_the_matrix(tmp_path: Path, column: str) -> None:
    tables = small_log()
    tables["accounts"] = tables["accounts"].rename(columns={"plan": column})
    tables["subscriptions"]["plan"] = "pro"
    data = data_for(tmp_path, tables, fixed_at_signup=[column])
    with pytest.raises(DataError, match=f"'{column}' is the name of a column of the matrix too"):
        build_frame(open_log(data, tmp_path, now=NOW), data, tmp_path)
