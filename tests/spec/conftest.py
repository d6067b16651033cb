"""The spec tests run on every engine: what is drawn once is true of each."""

from collections.abc import Generator

import pytest

from tests.spec.drawn import ON
from tests.stores import postgres_server, spark_cluster


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    """The address of a Postgres server that is there for the tests."""
    with postgres_server(tmp_path_factory.mktemp("postgres") / "server") as address:
        yield address


@pytest.fixture(params=["duckdb", "postgres", "spark"])
def engine(request: pytest.FixtureRequest) -> Generator[str]:
    """Drawn events are counted by each engine in turn."""
    where = {"postgres": lambda: request.getfixturevalue("postgres"), "spark": spark_cluster}
    token = ON.set(where.get(request.param, lambda: "duckdb")())
    yield request.param
    ON.reset(token)
