"""A table that follows its files."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gatewright
import httpx
import pytest
from gatewright.asgi import Gateway

from serving import GATEWAY, SOON, echo, route, serve, until

FAST = 0.05


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    yield
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("gatewright")] == []


def gateway(name: str) -> str:
    return GATEWAY.replace("name: gateway", f"name: {name}")


def names(table: gatewright.Table) -> list[str]:
    return [one.name for one in table.gateways]


def test_a_change_is_followed(tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text(gateway("one"))
    told: list[gatewright.Table] = []
    with gatewright.watch(tmp_path, interval=FAST, on_change=told.append) as watcher:
        assert names(watcher.table) == ["one"] and watcher.is_running
        tables = iter(watcher)
        file.write_text(gateway("two"))
        assert names(next(tables)) == ["two"]
        (tmp_path / "other.yaml").write_text("---" + gateway("three"))
        assert names(next(tables)) == ["three", "two"]
        file.unlink()
        assert names(next(tables)) == ["three"]
    assert not watcher.is_running
    # The last good table stays, iterations end.
    assert names(watcher.table) == ["three"]
    assert list(tables) == []
    until(lambda: len(told) == 3)
    with pytest.raises(RuntimeError, match="not running"):
        iter(watcher)
    # It can be used again.
    with watcher:
        (tmp_path / "other.yaml").write_text(gateway("four"))
        assert names(next(iter(watcher))) == ["four"]


def test_many_tasks_and_threads(tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text(gateway("one"))
    seen: list[list[str]] = []

    async def follow(watcher: gatewright.Watcher, ready: asyncio.Event) -> None:
        tables = aiter(watcher)
        ready.set()
        async for table in tables:
            seen.append(names(table))

    async def run() -> None:
        async with gatewright.watch(tmp_path, interval=FAST) as watcher:
            threads = [threading.Thread(target=lambda: seen.extend(names(one) for one in watcher)) for _ in range(3)]
            for thread in threads:
                thread.start()
            events = [asyncio.Event() for _ in range(3)]
            tasks = [asyncio.create_task(follow(watcher, event)) for event in events]
            for event in events:
                await event.wait()
            await asyncio.sleep(0.2)
            file.write_text(gateway("two"))
            await asyncio.to_thread(until, lambda: len(seen) == 6)
        # Stopping ends all of them.
        await asyncio.wait_for(asyncio.gather(*tasks), SOON)
        for thread in threads:
            await asyncio.to_thread(thread.join, SOON)
            assert not thread.is_alive()

    asyncio.run(run())
    assert seen == [["two"]] * 6


def test_a_slow_reader_gets_the_newest(tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text(gateway("one"))
    with gatewright.watch(tmp_path, interval=FAST) as watcher:
        tables = iter(watcher)
        for name in ("two", "three"):
            file.write_text(gateway(name))
            until(lambda: names(watcher.table) == [name])
        assert names(next(tables)) == ["three"]
        file.write_text(gateway("four"))
        assert names(next(tables)) == ["four"]


def test_stopping_waits_for_the_thread(tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text(gateway("one"))
    is_busy, is_done = threading.Event(), threading.Event()

    def change(_: gatewright.Table) -> None:
        is_busy.set()
        time.sleep(0.3)
        is_done.set()

    with gatewright.watch(file, interval=FAST, on_change=change):
        file.write_text(gateway("two"))
        assert is_busy.wait(SOON)
    assert is_done.is_set()


def test_a_change_that_cannot_be_read(tmp_path: Path, caplog: Any) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text(gateway("one"))
    with gatewright.watch(file, interval=FAST) as watcher, caplog.at_level(logging.ERROR, "gatewright"):
        before = watcher.table
        file.write_text("kind: [")
        until(lambda: watcher.error is not None)
        assert watcher.table is before
        assert watcher.error is not None and watcher.error.diagnostics[0].code == "GW001"
        time.sleep(5 * FAST)
        # Said once.
        assert len(caplog.records) == 1 and "last good table" in caplog.text
        file.unlink()
        until(lambda: "no such file" in str(watcher.error).lower())
        assert watcher.table is before
        file.write_text(gateway("two"))
        until(lambda: watcher.error is None)
        assert names(watcher.table) == ["two"]
    # At the start there is no good table.
    file.write_text("kind: [")
    with pytest.raises(gatewright.ManifestError):
        gatewright.watch(file)


def test_findings_may_refuse_a_change(tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text(gateway("one"))
    with gatewright.watch(file, interval=FAST, raise_on="error") as watcher:
        file.write_text(gateway("one").replace("port: 80", "port: 99999"))
        until(lambda: watcher.error is not None)
        assert watcher.table.gateways[0].ports == (80,)


def test_a_config_map_that_is_exchanged(tmp_path: Path) -> None:
    """The files of a mounted ConfigMap are links through ``..data``, which is exchanged as a whole."""

    def version(name: str) -> Path:
        folder = tmp_path / f"..{name}"
        folder.mkdir()
        (folder / "gateway.yaml").write_text(gateway(name))
        return folder

    def exchange(folder: Path) -> None:
        (tmp_path / "..data_tmp").symlink_to(folder.name)
        os.replace(tmp_path / "..data_tmp", tmp_path / "..data")

    first = version("one")
    exchange(first)
    (tmp_path / "gateway.yaml").symlink_to("..data/gateway.yaml")
    with gatewright.watch(tmp_path, interval=FAST) as watcher:
        assert names(watcher.table) == ["one"]
        tables = iter(watcher)
        exchange(version("two"))
        shutil.rmtree(first)
        assert names(next(tables)) == ["two"]


def test_a_file_that_is_being_written(tmp_path: Path) -> None:
    """Half a file is never compiled, as long as it grows."""
    file = tmp_path / "gateway.yaml"
    file.write_text(gateway("one"))
    half, rest = (gateway("two") + "---" + gateway("three")).split("---")
    with gatewright.watch(file, interval=0.001) as watcher:
        tables = iter(watcher)
        with file.open("w") as stream:
            for letter in half + "---" + rest:
                stream.write(letter)
                stream.flush()
                time.sleep(0.002)
        assert names(next(tables)) == ["three", "two"]
        assert watcher.error is None


def test_looking_without_a_thread(tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text(gateway("one"))
    watcher = gatewright.watch(file)
    assert not watcher.check()
    file.write_text(gateway("two"))
    assert watcher.check() and names(watcher.table) == ["two"]
    assert not watcher.check()


def test_options_count_for_every_table(tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text(route("[{backendRefs: [{name: web, port: 80}]}]"))
    features = (name for name in ["HTTPRoute", "GRPCRoute"])
    watcher = gatewright.watch(file, without_features=features)
    file.write_text(file.read_text() + "\n")
    assert watcher.check()
    assert watcher.table.routes == ()


def test_on_change_may_do_anything(tmp_path: Path, caplog: Any) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text(gateway("one"))

    def change(_: gatewright.Table) -> None:
        watcher.check()
        watcher.stop()
        raise ValueError("on purpose")

    watcher = gatewright.watch(file, interval=FAST, on_change=change)
    watcher.start()
    with pytest.raises(RuntimeError, match="is running"):
        watcher.start()
    file.write_text(gateway("two"))
    assert [names(table) for table in watcher] in ([], [["two"]])
    until(lambda: "on purpose" in caplog.text)
    until(lambda: not any(thread.name.startswith("gatewright") for thread in threading.enumerate()))


@pytest.mark.parametrize("wrong", [{"interval": 0}, {"interval": float("nan")}])
def test_what_cannot_be_watched(tmp_path: Path, wrong: Any) -> None:
    with pytest.raises(ValueError, match="interval"):
        gatewright.watch(tmp_path, **wrong)
    with pytest.raises(ValueError, match="standard input"):
        gatewright.watch("-")
    with pytest.raises(TypeError, match="path"):
        gatewright.watch()
    with pytest.raises(TypeError):
        gatewright.watch(tmp_path, no_option=1)  # type: ignore[call-arg]


@pytest.mark.parametrize("server", ["uvicorn", "hypercorn"])
def test_changes_under_load(tmp_path: Path, server: str) -> None:
    """No request fails while manifests change, some of them broken."""
    file = tmp_path / "web.yaml"
    stop = threading.Event()
    failed: list[Any] = []
    seen: set[str] = set()

    def rules(number: int) -> str:
        return route(
            f"""[{{filters: [{{type: RequestHeaderModifier, requestHeaderModifier: {{set: [{{name: x-number, value: "{number}"}}]}}}}],
                   backendRefs: [{{name: web, port: 80}}]}}]"""
        )

    def load(url: str) -> None:
        with httpx.Client(timeout=SOON) as client:
            while not stop.is_set():
                try:
                    answer = client.post(url, content=b"x")
                    seen.add(dict(answer.json()["headers"])["x-number"])
                    if answer.status_code != 200:
                        failed.append(answer.status_code)
                except Exception as error:
                    failed.append(error)

    file.write_text(rules(0))
    with serve(echo, timeout_keep_alive=60) as backend:
        app = Gateway(gatewright.watch(tmp_path, interval=FAST), resolve={"default/web:80": backend})
        with serve(app, server) as address:
            threads = [threading.Thread(target=load, args=(f"http://{address}/",)) for _ in range(4)]
            for thread in threads:
                thread.start()
            try:
                until(lambda: "0" in seen)
                for number in range(1, 11):
                    file.write_text("kind: [")
                    time.sleep(2 * FAST)
                    file.write_text(rules(number))
                    until(lambda: str(number) in seen)
            finally:
                stop.set()
                for thread in threads:
                    thread.join()
    assert failed == []
    assert seen == {str(number) for number in range(11)}
