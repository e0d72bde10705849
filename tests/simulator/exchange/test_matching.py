"""Matching: what an order gets, from what stands there, and when."""

from tests.simulator.exchange.venue import NOON, D, exchange, new, quote


def test_a_market_order_fills_on_the_next_quote() -> None:
    venue = exchange()
    quote(venue)
    venue.submit(new(quantity="10"), NOON)
    assert [each.event for each in venue.take_events()] == ["pending_new", "new"]
    quote(venue, now=NOON + 1)
    update = venue.take_events()[-1]
    assert (update.event, update.price, update.qty) == ("fill", D("100.1"), D(10))
    assert venue.account(NOON + 1).cash == D(100000) - D(1001)
