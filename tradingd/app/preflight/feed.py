"""The sockets, as the run will open them: connect, authenticate, subscribe to all that is watched, hang up."""

from __future__ import annotations

from tradingd.app.preflight.check import Check, fail, ok
from tradingd.broker.handshake import UpdatesLost, open_update_socket
from tradingd.broker.settings import AlpacaSettings
from tradingd.instruments.symbols import market_of
from tradingd.messages import Market
from tradingd.quotes.feed_settings import FeedSettings
from tradingd.quotes.handshake import StreamRefused, open_market_socket
from tradingd.runtime.ports import Network, NetworkError, SocketClosed

REMEDIES = {
    400: "Report it: the broker does not understand our request",
    402: "The data keys are refused: use the keys of the account that the mode means",
    403: "Report it: the broker says that we authenticated twice",
    404: "The broker waited too long for the keys: try again",
    405: "More symbols than the data plan allows: watch fewer, or subscribe to the larger plan",
    406: "Another program uses the plan's only connection: stop it (a running daemon is one)",
    409: "The data plan does not carry this feed: subscribe to it, or change [alpaca] feed",
    410: "Report it: this feed has no such channel",
}
"""The broker's error numbers, and what a person does about them."""


def markets_of(settings: FeedSettings) -> dict[Market, tuple[str, ...]]:
    """Return the symbols by market."""
    found: dict[Market, list[str]] = {}
    for symbol in settings.symbols:
        found.setdefault(market_of(symbol), []).append(symbol)
    return {market: tuple(symbols) for market, symbols in found.items()}


async def check_feed(network: Network, settings: FeedSettings, market: Market) -> Check:
    """Return whether one market's socket gives what is watched."""
    name = f"feed {market.value}"
    symbols = markets_of(settings)[market]
    is_equity = market is Market.US_EQUITY
    url = settings.equity_stream_url if is_equity else settings.crypto_stream_url
    try:
        socket, _, subscription = await open_market_socket(
            network, url, key_id=settings.key_id, secret_key=settings.secret_key,
            deadline_s=settings.handshake_s_max, wanted=lambda: {"quotes": list(symbols)},
        )  # fmt: skip
        await socket.close()
    except StreamRefused as refused:
        remedy = REMEDIES.get(refused.code, "See the broker's list of stream errors")
        return fail(name, f"error {refused.code}: {refused.text}", remedy, code=str(refused.code))
    except (NetworkError, SocketClosed) as error:
        return fail(name, f"{url}: {error}", "Look at the network and [alpaca] data_stream_url")
    except TimeoutError:
        found = f"{url} did not answer within {settings.handshake_s_max:.0f} s"
        return fail(name, found, "Look at the network and [alpaca] data_stream_url")
    missing = sorted(set(symbols) - set(subscription.quotes))
    if missing:
        remedy = "Remove it from [quotes] symbols: this feed does not have it"
        return fail(name, f"not subscribed: {', '.join(missing)}", remedy)
    return ok(name, f"quotes of {len(symbols)} symbols")


async def check_order_stream(network: Network, settings: AlpacaSettings) -> Check:
    """Return whether the broker would tell us of our orders."""
    name, url = "order stream", settings.trading_stream_url
    remedy = "Look at the keys and [alpaca] trading_stream_url; only one program may listen"
    try:
        socket = await open_update_socket(
            network, url, key_id=settings.key_id, secret_key=settings.secret_key,
            deadline_s=settings.handshake_s_max, keep=lambda _: None,
        )  # fmt: skip
        await socket.close()
    except UpdatesLost as lost:
        return fail(name, str(lost), remedy)
    except (NetworkError, SocketClosed) as error:
        return fail(name, f"{url}: {error}", remedy)
    except TimeoutError:
        return fail(name, f"{url} did not answer", remedy)
    return ok(name, "authorized, listening to trade_updates")
