"""The pictures of a sweep in odd cases: what is drawn, and what is only named."""

from typing import Any

import numpy as np
import pytest

from experiments.sweep_figures import cuts


def record(current: float) -> dict[str, Any]:
    return {
        "milestone": "activation",
        "landmark_days": 90,
        "verdict": "none",
        "feature": "activation",
        "plateau": None,
        "operating_cut": None,
        "current_threshold": current,
        "current_adoption": 0.0,
    }


@pytest.mark.parametrize(("current", "drawn"), [(6, True), (30, True), (100_000, False)])
def test_a_cut_in_use_far_from_all_others_is_named_and_squeezes_nothing(current: float, drawn: bool) -> None:
    tried = np.arange(1.0, 21.0)
    grid = {
        name: np.linspace(0.0, 0.1, 20) for name in ("risk_difference", "lower", "upper", "share_reached")
    }
    figure = cuts(record(current), {"cut": tried, **grid}, ())
    axes = figure.axes[1]
    assert (axes.get_xlim()[1] >= current) == drawn
    assert axes.get_xlim()[1] < 50
    named = [text for text in axes.get_legend_handles_labels()[1] if text.startswith("cut in use")]
    assert named == [f"cut in use {current:g}, reached by 0%" + ("" if drawn else ": out of the picture")]
