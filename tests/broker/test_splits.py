"""A split: announced, believed when the position shows it, said once for ever."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from urllib.parse import urlsplit

import pytest

from tests.broker.conftest import House, LoopClock
from tests.broker.twin import TwinBroker
from tradingd.instruments.calendar import ns_of
from tradingd.messages import SnapshotAsked
from tradingd.runtime.ports import Lane, NetworkError, Reply

D = Decimal

ROW = '{"id":"%s","symbol":"IBM","new_rate":%s,"old_rate":%s,"ex_date":"2023-11-14"}'


class Announcer(TwinBroker):
    """A broker with a calendar of corporate actions."""

    kind = "forward_splits"
    rows = ROW % ("a1", 4, 1)
    is_down = False
    asked: list[str]

    async def request(
        self, method: str, url: str, *, lane: Lane = Lane.POLL, **rest: object
    ) -> Reply:
        if not urlsplit(url).path.startswith("/v1/"):
            return await super().request(method, url, lane=lane, **rest)  # type: ignore[arg-type]
        self.asked = [*getattr(self, "asked", []), urlsplit(url).query]
        if self.is_down:
            raise NetworkError("cut by the test", was_sent=True)
        body = f'{{"corporate_actions":{{"{self.kind}":[{self.rows}]}},"next_page_token":null}}'
        return Reply(200, body.encode())


async def holding(houses: Callable[..., House], **changes: object) -> tuple[House, Announcer]:
    clock = houses().clock
    broker = Announcer(clock)
    for name, value in changes.items():
        setattr(broker, name, value)
    broker.positions = {"IBM": D(10), "BTC/USD": D(1)}
    system = houses(broker, clock=clock, data_url="http://twin")
    await system.connected()
    return system, broker


async def look(system: House, count: int) -> None:
    system.publish(SnapshotAsked("period"))
    await system.until("BrokerSnapshot", count)


async def test_a_split_is_said_when_the_position_shows_it_and_not_before(
    houses: Callable[..., House],
) -> None:
    system, broker = await holding(houses)
    await look(system, 2)
    assert system.all("CorporateAction") == []
    assert "symbols=IBM&types=forward_split" in broker.asked[0]
    broker.positions["IBM"] = D(40)
    await look(system, 3)
    action = system.one("CorporateAction")
    assert (action.symbol, action.kind, action.ratio) == ("IBM", "forward_split", D(4))
    names = system.names()
    assert names.index("CorporateAction") < len(names) - 1, "before the snapshot that shows it"
    broker.positions["IBM"] = D(160)
    await look(system, 4)
    assert len(system.all("CorporateAction")) == 1, "the same one never comes twice"
    assert len(broker.asked) == 1, "once a day"


@pytest.mark.parametrize(("old", "shown"), [(5, "2"), (3, "3.333333333"), (7, "1.428571429")])
async def test_a_reverse_split_shrinks(houses: Callable[..., House], old: int, shown: str) -> None:
    system, broker = await holding(houses, kind="reverse_splits", rows=ROW % ("r1", 1, old))
    await look(system, 2)
    broker.positions["IBM"] = D(shown)
    await look(system, 3)
    action = system.one("CorporateAction")
    assert (action.kind, action.ratio) == ("reverse_split", D(1) / old)


async def test_thirty_shares_one_for_three_are_ten(houses: Callable[..., House]) -> None:
    clock = houses().clock
    broker = Announcer(clock)
    broker.kind, broker.rows = "reverse_splits", ROW % ("r1", 1, 3)
    broker.positions = {"IBM": D(30)}
    system = houses(broker, clock=clock, data_url="http://twin")
    await system.connected()
    await look(system, 2)
    broker.positions["IBM"] = D(10)
    await look(system, 3)
    assert system.one("CorporateAction").symbol == "IBM"


async def test_a_change_that_is_not_the_announced_ratio_is_left_to_the_reconciler(
    houses: Callable[..., House],
) -> None:
    system, broker = await holding(houses)
    await look(system, 2)
    broker.positions["IBM"] = D(20)
    await look(system, 3)
    assert system.all("CorporateAction") == []


async def test_announcements_that_cannot_be_read_stop_nothing_and_are_asked_again(
    houses: Callable[..., House],
) -> None:
    system, broker = await holding(houses, is_down=True)
    await look(system, 2)
    await look(system, 3)
    assert len(broker.asked) == 2
    broker.is_down = False
    broker.rows = '{"id":"x","symbol":"IBM","new_rate":"nan","old_rate":0}'
    await look(system, 4)
    assert system.all("CorporateAction") == []


async def test_a_restart_does_not_say_a_split_again(houses: Callable[..., House]) -> None:
    system, broker = await holding(houses)
    await look(system, 2)
    broker.positions["IBM"] = D(40)
    await look(system, 3)
    await system.stop()
    again = houses(broker, system.published, clock=system.clock, data_url="http://twin")
    await again.connected()
    await look(again, 2)
    assert again.all("CorporateAction") == []


async def test_what_is_announced_in_the_morning_is_read_before_the_open(
    houses: Callable[..., House],
) -> None:
    """At ten hours of market time a real second, from the night into the half hour before the open."""
    clock = LoopClock(ns_of("2023-11-15", "06:00"), 36_000.0)
    broker = Announcer(clock)
    broker.rows, broker.positions = "", {"IBM": D(10)}
    system = await houses(broker, clock=clock, data_url="http://twin").connected()
    await look(system, 2)
    assert len(broker.asked) == 1
    broker.rows = ROW % ("a1", 4, 1)
    await system.until(lambda: clock.now() > ns_of("2023-11-15", "09:01"))
    broker.positions["IBM"] = D(40)
    await look(system, 3)
    assert len(broker.asked) == 2
    assert system.one("CorporateAction").ratio == D(4)
