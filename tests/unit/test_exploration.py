"""What is said of everything that a milestone could count besides."""

from types import SimpleNamespace
from typing import Any

from models.exploration import Exploration
from models.finding import SweepResult


def test_with_too_few_accounts_nothing_is_said_to_have_been_tried() -> None:
    lacking = "8 accounts, at least 60 are needed"
    counted = {"candidates": 103, "cuts": 0, "windows": 3}
    result = SweepResult("insufficient_data", 8, counted, lacking=lacking)
    trial: Any = SimpleNamespace(candidates=[], left_out={"a": 0.1})
    found = Exploration(trial, result, frozenset(), {})
    assert found.sentence == f"Beside its own score nothing could be explored. Insufficient data: {lacking}."
