"""The matrix on disk: the same columns and types whichever batch they come from."""

from pathlib import Path

import pandas as pd
import pytest

from features.errors import DataError
from features.intake import open_log
from features.matrix import build_frame, build_matrix
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
    build_matrix(log, data, Workspace(tmp_path))
    written = pd.read_parquet(Workspace(tmp_path).features / "matrix.parquet")
    pd.testing.assert_frame_equal(written, whole, check_dtype=False)


@pytest.mark.parametrize("column", ["plan", "quarter", "tenure_days"])
def test_an_attribute_never_takes_the_place_of_a_column_of_the_matrix(tmp_path: Path, column: str) -> None:
    tables = small_log()
    tables["accounts"] = tables["accounts"].rename(columns={"plan": column})
    tables["subscriptions"]["plan"] = "pro"
    data = data_for(tmp_path, tables, fixed_at_signup=[column])
    with pytest.raises(DataError, match=f"'{column}' is the name of a column of the matrix too"):
        build_frame(open_log(data, tmp_path, now=NOW), data, tmp_path)
