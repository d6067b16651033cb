"""What a person reads of a sweep is chosen by what was found, not by how it is worded."""

from typing import Any

import pytest

from experiments.sweep_json import sentences


@pytest.mark.parametrize(
    ("kind", "read"),
    [("explained_by_size", True), ("persistence", True), ("stratified", False), ("after_prior_use", False)],
)
def test_what_takes_the_place_of_an_effect_is_read_however_it_is_worded(kind: str, read: bool) -> None:
    remarks = [{"kind": kind, "sentence": "4 points: persistence of the same behaviour, says someone."}]
    record: dict[str, Any] = {
        "hypotheses": [],
        "verdict": "threshold",
        "sentence": "A step.",
        "effects": [],
        "other_explanations": {"remarks": remarks},
        "operating_cut": None,
        "exploration": None,
    }
    assert sentences(record) == ["threshold. A step.", *(one["sentence"] for one in remarks if read)]
