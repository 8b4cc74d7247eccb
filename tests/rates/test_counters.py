"""Buckets of allowance: how much can be taken from one, here and in Valkey."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import Redis

from commandcenter.identifiers import new_id
from commandcenter.rates import counters as counters_module
from commandcenter.rates.buckets import Bucket, Charge, fits, judge
from commandcenter.rates.counters import EXCHANGE_SECONDS, LocalCounters, SharedCounters
from processes.embedded.valkey import EmbeddedValkey
from processes.home import open_home
from tests.fixtures.children import running

LONG = 3600.0


def bucket(limit: int, seconds: float = LONG) -> Bucket:
    """A bucket that no other test knows; of what is taken nothing comes back within a test."""
    return Bucket("requests", str(new_id()), limit, seconds)


@asynccontextmanager
async def shared(url: str) -> AsyncIterator[SharedCounters]:
    counters = SharedCounters(url)
    counters.start()
    try:
        yield counters
    finally:
        await counters.close()


@given(
    limit=st.integers(1, 50),
    seconds=st.floats(0.1, 120),
    asked=st.lists(st.tuples(st.floats(0, 30), st.integers(1, 50)), max_size=60),
)
def test_no_more_is_taken_than_was_in_it_and_came_back(
    limit: int, seconds: float, asked: list[tuple[float, int]]
) -> None:
    one = bucket(limit, seconds)
    now, full_at, taken_units = 0.0, 0.0, 0
    for pause, units in asked:
        now += pause
        charge = Charge(one, min(units, limit))
        reset = max(0.0, full_at - now)
        taken = fits([charge], [reset])
        verdict = judge([charge], [reset], taken=taken)
        standing = verdict.standings[0]
        assert 0 <= standing.remaining <= limit
        if taken:
            taken_units += charge.units
            full_at = now + standing.reset_seconds
        else:
            assert 0 < verdict.retry_after_seconds <= seconds * 1.001
            assert fits([charge], [max(0.0, reset - verdict.retry_after_seconds)])
        assert taken_units <= limit + now / one.unit_seconds + 0.001


async def use_up(counters: SharedCounters, one: Bucket, least: int, most: int) -> None:
    """Take until nothing is left, in as many tries as may be."""
    taken = 0
    async with asyncio.timeout(10):
        while counters.take([Charge(one)]).refused_by is None:
            taken += 1
            await asyncio.sleep(3 * EXCHANGE_SECONDS)
    assert least <= taken <= most


async def test_all_processes_take_from_one_bucket(redis_url: str) -> None:
    one = bucket(50)
    async with shared(redis_url) as here, shared(redis_url) as there:
        taken = [counters.take([Charge(one)]).refused_by for _ in range(20) for counters in (here, there)]
        assert taken == [None] * 40
        await use_up(here, one, 9, 12)
        # The first one is given before the others are asked.
        await use_up(there, one, 0, 1)


async def test_what_was_given_twice_is_owed(redis_url: str) -> None:
    one = bucket(10)
    async with shared(redis_url) as here, shared(redis_url) as there:
        for counters in (here, there):
            assert [counters.take([Charge(one)]).refused_by for _ in range(10)] == [None] * 10
        async with asyncio.timeout(10):
            while (verdict := there.take([Charge(one)])).retry_after_seconds < LONG:
                await asyncio.sleep(EXCHANGE_SECONDS)
    assert verdict.retry_after_seconds == pytest.approx(LONG * 11 / 10, rel=0.01)


async def test_where_one_bucket_has_too_little_nothing_is_taken_of_the_others() -> None:
    wide, narrow = bucket(10), bucket(2)
    counters = LocalCounters()
    for _ in range(5):
        last = counters.take([Charge(wide), Charge(narrow)])
    assert last.refused_by == narrow
    assert last.tightest.bucket == narrow
    assert last.retry_after_seconds == pytest.approx(LONG / 2, rel=0.01)
    assert counters.take([Charge(wide)]).standings[0].remaining == 7


@pytest.mark.parametrize("limit", [1, 3, 7, 1000])
async def test_a_bucket_holds_exactly_its_limit(redis_url: str, limit: int) -> None:
    one = bucket(limit)
    async with shared(redis_url) as counters:
        for units in [1] * limit if limit < 10 else [limit // 2, limit - limit // 2]:
            assert counters.take([Charge(one, units)]).refused_by is None
            await asyncio.sleep(3 * EXCHANGE_SECONDS)
        assert counters.take([Charge(one)]).refused_by == one


async def test_what_is_full_again_is_not_kept(redis_url: str) -> None:
    one = bucket(10, 0.4)
    async with shared(redis_url) as counters, Redis.from_url(redis_url) as valkey, asyncio.timeout(5):
        counters.take([Charge(one, 5)])
        while not await valkey.exists(one.key):
            await asyncio.sleep(0.01)
        assert await valkey.pttl(one.key) <= 201
        while await valkey.exists(one.key):
            await asyncio.sleep(0.02)


async def test_while_valkey_stands_still_nobody_waits_and_the_limits_hold(short_folder: Path) -> None:
    server = EmbeddedValkey(open_home(short_folder / "rates"))
    one = bucket(20)
    async with running(server.plan()) as child, shared(server.url) as counters:
        for _ in range(5):
            counters.take([Charge(one)])
        os.kill(child.process_id, signal.SIGSTOP)
        try:
            verdicts = []
            for _ in range(40):
                verdicts.append(counters.take([Charge(one)]))
                await asyncio.sleep(EXCHANGE_SECONDS)
        finally:
            os.kill(child.process_id, signal.SIGCONT)
    assert sum(verdict.refused_by is None for verdict in verdicts) == 15


async def test_when_valkey_is_back_it_is_told(short_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counters_module, "AWAY_SECONDS", 0.05)
    server = EmbeddedValkey(open_home(short_folder / "rates-back"))
    one = bucket(20)
    async with shared(server.url) as counters:
        assert counters.take([Charge(one)]).standings[0].remaining == 19
        async with running(server.plan()), Redis.from_url(server.url) as valkey, asyncio.timeout(10):
            while not await valkey.exists(one.key):
                counters.take([Charge(one)])
                await asyncio.sleep(0.02)


def test_a_process_keeps_a_bounded_number_of_buckets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counters_module, "_MOST_KEPT", 100)
    counters = LocalCounters()
    for _ in range(300):
        counters.take([Charge(bucket(1))])
    assert len(counters._full_at) == 100
