"""A Spark master that is not there is told at once, and not waited for."""

import socket
from pathlib import Path
from typing import Any

import pytest

from features.engines import spark_session
from features.errors import DataError, StoreError
from features.validators import known_engine
from tests.stores import spark_cluster
from tests.unit.small_log import run, small_log, sources


@pytest.mark.parametrize(
    "address", ["127.0.0.1:1", "[::1]:1", "127.0.0.1:99999", "no-such-host.invalid:7077"]
)
def test_a_master_that_cannot_be_reached_is_named_with_what_to_do(address: str) -> None:
    with pytest.raises(StoreError) as refused:
        spark_session.require_answer(f"spark://{address}")
    words = str(refused.value)
    assert words.startswith(f"data.engine spark://{address}: no Spark master can be reached at {address} (")
    assert words.endswith("each given 5 seconds: start the master, or correct host and port")


def test_one_of_several_masters_is_enough() -> None:
    with socket.create_server(("127.0.0.1", 0)) as there:
        spark_session.require_answer(f"spark://127.0.0.1:1,127.0.0.1:{there.getsockname()[1]}")
    with pytest.raises(StoreError, match=r"reached at 127.0.0.1:1 \(.*\), 127.0.0.1:2 \("):
        spark_session.require_answer("spark://127.0.0.1:1,127.0.0.1:2")


def test_a_host_that_says_nothing_is_waited_for_as_long_as_stated(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[Any, float]] = []

    def silent(address: Any, timeout: float) -> None:
        asked.append((address, timeout))
        raise TimeoutError("timed out")

    monkeypatch.setattr(socket, "create_connection", silent)
    with pytest.raises(StoreError, match=r"10\.0\.0\.1:7077 \(timed out\), each given 5 seconds"):
        spark_session.require_answer("spark://10.0.0.1:7077")
    assert asked == [(("10.0.0.1", 7077), 5.0)]
    for master in ("local[2]", "local-cluster[2,1,1024]", "yarn", "k8s://https://host:443"):
        spark_session.require_answer(master)
    assert len(asked) == 1


def test_a_command_ends_at_once_with_the_code_of_a_store_that_is_away(tmp_path: Path) -> None:
    pytest.importorskip("pyspark", reason="the extra `spark` is not installed (make engines)")
    assert run("init", tmp_path / "w", *sources(tmp_path / "data", small_log(20))).code == 0
    path = tmp_path / "w" / "framework.yaml"
    text = path.read_text()
    assert "\n  sources:" in text
    path.write_text(text.replace("\n  sources:", "\n  engine: spark://127.0.0.1:1\n  sources:"))
    said = run("check", "-w", tmp_path / "w")
    assert said.code == 3
    assert "no Spark master can be reached at 127.0.0.1:1" in said.words


def test_a_session_elsewhere_is_not_taken_for_the_one_that_was_asked_for() -> None:
    spark_session.connect(spark_cluster())
    with pytest.raises(
        DataError, match=r"data.engine local\[3\]: this process already has a Spark session on local-c"
    ):
        spark_session.connect("local[3]")


@pytest.mark.parametrize("engine", ["spark://host:7077", "spark://a:7077,b:7078", "spark://[::1]:7077"])
def test_a_master_is_named_by_host_and_port(engine: str) -> None:
    assert known_engine(engine) == engine
    with pytest.raises(
        ValueError, match=r"is no engine: write duckdb, or a Spark master such as spark://host:7077"
    ):
        known_engine(engine.rpartition(":")[0])
