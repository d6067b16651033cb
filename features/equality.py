"""What a text says, however its source writes it: 1.0 is 1, and yes, t and 1 are true."""

from typing import Any

import pandas as pd

TRUE_WORDS, FALSE_WORDS = ("true", "t", "yes", "y", "1", "1.0"), ("false", "f", "no", "n", "0", "0.0")


def flags(values: "pd.Series[Any]") -> "pd.Series[bool]":
    """Which texts say true and which false; missing where neither."""
    text = values.astype("string").str.strip().str.lower()
    said = pd.Series(pd.NA, index=values.index, dtype="boolean")
    return said.mask(text.isin(TRUE_WORDS), True).mask(text.isin(FALSE_WORDS), False)


def alike(one: bool | float | str, other: bool | float | str) -> bool:
    """Whether a source may write a value that equals both: true and "t" do, "yes" and "t" do not, as `holds` says."""

    def written(wanted: bool | float | str) -> "pd.Series[Any]":
        return pd.Series(
            [*(TRUE_WORDS if wanted else FALSE_WORDS)] if isinstance(wanted, bool) else [str(wanted)]
        )

    return bool(holds(written(one), other).any() or holds(written(other), one).any())


def holds(values: "pd.Series[Any]", wanted: bool | float | str) -> "pd.Series[bool]":
    """Where a column holds a value, however its source writes it: 1.0 is 1, and yes, t and 1 are true."""
    text = values.astype("string").str.strip().str.lower()
    if isinstance(wanted, bool):
        hit = text.isin(TRUE_WORDS if wanted else FALSE_WORDS)
    elif isinstance(wanted, str):
        hit = text.eq(wanted.strip().lower())
    else:
        hit = pd.to_numeric(text, errors="coerce").eq(wanted)
    return hit.fillna(False).astype(bool)
