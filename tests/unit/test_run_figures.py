"""The pictures of a run: those it drew, and none that an earlier one left."""

from pathlib import Path

from matplotlib.figure import Figure

from experiments import figures


def test_a_picture_of_an_earlier_run_does_not_stay(tmp_path: Path) -> None:
    for name in ("auc.png", "importance.png", "of-a-user.png"):
        (tmp_path / name).write_bytes(b"old")
    assert figures.write({"auc": Figure()}, tmp_path) == [tmp_path / "auc.png"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["auc.png", "of-a-user.png"]
    assert (tmp_path / "auc.png").read_bytes()[1:4] == b"PNG"
    assert figures.write({}, tmp_path) == []
    assert [path.name for path in tmp_path.iterdir()] == ["of-a-user.png"]


def test_what_few_and_what_nearly_all_use_is_hatched_and_what_has_no_class_is_not() -> None:
    words = ["niche", "representative", "ubiquitous", "unclear", None, "by definition"]
    rows = [
        {
            "description": str(i),
            "importance": 0.1,
            "lower": 0.0,
            "upper": 0.2,
            "adoption": None,
            "class": word,
        }
        for i, word in enumerate(words)
    ]
    (axes,) = figures.importance(rows).axes
    hatched = [bool(bar.get_hatch()) for bar in axes.patches]
    assert hatched[::-1] == [True, False, True, False, False, True]
