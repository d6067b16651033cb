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
