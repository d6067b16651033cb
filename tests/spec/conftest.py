"""The spec tests run on every engine: what is drawn once is true of each."""

from collections.abc import Generator

import pytest

from tests.spec.drawn import ON
from tests.stores import postgres_server, spark_cluster


@pytest.fixture(scope="session")
def postgres() -> Generator[str]:
    """The address of a Postgres server that is there for the tests."""
    with postgres_server() as server:
        yield server.address


@pytest.fixture(params=["duckdb", "postgres", "spark"])
def engine(request: pytest.FixtureRequest) -> Generator[str]:
    """Drawn events are counted by each engine in turn."""
    yield from _on(request)


@pytest.fixture(params=["duckdb", "postgres"])
def quick_engine(request: pytest.FixtureRequest) -> Generator[str]:
    """The engines that answer at once: for tests that ask many times."""
    yield from _on(request)


def _on(request: pytest.FixtureRequest) -> Generator[str]:
    where = {"postgres": lambda: request.getfixturevalue("postgres"), "spark": spark_cluster}
    token = ON.set(where.get(request.param, lambda: "duckdb")())
    yield request.param
    ON.reset(token)
