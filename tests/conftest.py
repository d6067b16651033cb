"""What several test modules share: companies that ran through the whole main job once, and the rule for skips."""

import os
from collections.abc import Generator
from pathlib import Path

import pytest

REAL_DATA = Path(
    os.environ.get("MILESTONES_REAL_DATA", Path(__file__).resolve().parents[2] / "shared" / "data")
)
PATIENCE_SECONDS = 600


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes long begins first, so that no worker ends long after the others."""
    items.sort(key=lambda item: "whole" not in item.path.parts)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where everything must be there (MILESTONES_REQUIRE=all), a skipped test has failed.

    Real logs are nobody's to install: a test that is marked as needing one may be skipped anywhere.
    """
    report = yield
    required = os.environ.get("MILESTONES_REQUIRE") == "all" and not item.get_closest_marker("real_log")
    if report.skipped and required and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
    return report


def real_log(name: str) -> Path:
    """The folder of a real log; the test is skipped where it is absent."""
    folder = REAL_DATA / name
    if not folder.is_dir():
        pytest.skip(f"the real log {name} is not here: set MILESTONES_REAL_DATA to the folder that holds it")
    return folder


@pytest.fixture(scope="session", autouse=True)
def _no_wish_of_the_user() -> Generator[None]:
    """What a person's shell says of MLflow does not reach a test."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID"):
            patch.delenv(name, raising=False)
        yield


@pytest.fixture(scope="session")
def company(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace in which a simulated company of 700 accounts went through check, features, train, sweep, review.

    It is made once for all workers: a test that would change it works on a copy.
    """
    from features.console import Console
    from features.workspace import held
    from reports.demonstration import run_demo

    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    root, ready = folder / "company" / "demo", folder / "company" / "ready"
    with held(folder / "company.lock", PATIENCE_SECONDS) as alone:
        assert alone, f"nobody made {root} within {PATIENCE_SECONDS} seconds"
        if not ready.exists():
            run_demo(root, accounts=700, seed=3, console=Console(as_json=True))
            ready.touch()
    return root
