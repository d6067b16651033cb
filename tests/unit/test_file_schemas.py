"""Files that are read as one table must mean the same by a column."""

from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pytest

from features.errors import DataError
from features.file_schemas import require_alike

TEXT, WHOLE, FRACTION, DATE = pa.string(), pa.int64(), pa.float64(), pa.date32()
TIME, ZONED, CODES = pa.timestamp("us"), pa.timestamp("ns", "UTC"), pa.dictionary(pa.int32(), pa.string())


def check(*kinds: pa.DataType) -> None:
    files: Mapping[Path, Mapping[str, pa.DataType]] = {
        Path(f"{i}.parquet"): {"x": kind} for i, kind in enumerate(kinds)
    }
    require_alike("events", files, ["x"], ["x", "not there"])


@pytest.mark.parametrize(
    "kinds",
    [
        (TEXT, TEXT), (WHOLE, pa.int32()), (WHOLE, FRACTION), (WHOLE, TEXT), (TEXT, CODES), (DATE, TIME), (TIME, pa.timestamp("ns")),
        (TIME, TEXT), (ZONED, TEXT), (pa.null(), ZONED),
    ],
)  # fmt: skip
def test_what_can_be_read_as_one(kinds: tuple[pa.DataType, ...]) -> None:
    check(*kinds)


@pytest.mark.parametrize(
    ("kinds", "words"),
    [
        ((FRACTION, FRACTION, TEXT), "2.parquet has texts in the column 'x', other files of the same source have fractions"),
        ((TEXT, CODES, pa.decimal128(9)), "2.parquet has fractions in the column 'x', other .* have texts"),
        ((ZONED, TIME, TIME), "0.parquet has times with a zone in the column 'x', other .* have times without a zone"),
        ((DATE, DATE, ZONED), "2.parquet has times with a zone .* have dates"),
        ((TEXT, TEXT, TEXT, TIME, TIME, WHOLE), "5.parquet has whole numbers .* have times without a zone"),
        ((FRACTION, DATE, DATE), "0.parquet has fractions .* have dates"),
    ],
)  # fmt: skip
def test_what_would_be_read_wrong_is_refused_with_the_rarer_file(
    kinds: tuple[pa.DataType, ...], words: str
) -> None:
    with pytest.raises(DataError, match=words):
        check(*kinds)
