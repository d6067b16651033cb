"""Numbers to remember: which there are between two ends."""

from models.roundness import ROUNDEST, round_numbers


def test_round_numbers_lie_between_two_ends_that_belong_to_them() -> None:
    assert round_numbers(7, 24, ROUNDEST, whole=True) == [10, 20]
    assert round_numbers(5, 100, ROUNDEST, whole=True) == [5, 10, 20, 50, 100]
    assert round_numbers(0.03, 0.1, ROUNDEST, whole=False) == [0.05, 0.1]
