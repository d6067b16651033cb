"""What is compared is the same: pandas counts as the grid does, and the programs of the bench run."""

import numpy as np
import pytest

from models.cutpoints import CutFamily, association
from tests.benchmarks import sweeps


def test_the_grid_and_the_cross_tabulations_count_alike() -> None:
    candidates, outcome, block = sweeps.world(800, 3)
    family = CutFamily.of(candidates, block)
    counted = sweeps.crossed(candidates, outcome, family.cuts)
    assert counted == association(family, outcome).good_reached.tolist()
    assert len(counted) > 20


def test_the_world_is_one_of_many_cuts_with_a_step_in_one_feature() -> None:
    candidates, outcome, block = sweeps.world(5000, 4, 2)
    assert [one.per_seat for one in candidates] == [False] * 4 + [True] * 2
    assert len(np.unique(candidates[0].values)) == sweeps.N_CUTS + 1
    assert len(np.unique(candidates[4].values)) > 1000
    assert set(block) == set(range(sweeps.N_QUARTERS))
    reached = candidates[0].values >= 7
    assert outcome[reached].mean() - outcome[~reached].mean() == pytest.approx(0.1, abs=0.05)


@pytest.mark.parametrize(("program", "number"), [("sweep", sweeps.SOME_ACCOUNTS), ("grid", 500), ("log", 3)])
def test_a_program_says_how_many_seconds(program: str, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeps, "RUNS", 1)
    found = sweeps.PROGRAMS[program](number)
    assert all(seconds > 0 for seconds in found.values())
