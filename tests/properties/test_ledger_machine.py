"""The ledger against an independent one in fractions: whatever the facts and their order, no cent is lost.

The other book knows nothing of average cost but the sum of what was paid and received: where a position is
flat, that is its realized profit, whichever way it went there.
"""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from fractions import Fraction
from typing import Any

import msgspec
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.properties.effort import effort
from tradingd import messages as m
from tradingd.instruments.money import after_split
from tradingd.messages import Message, Role, Side
from tradingd.portfolio.core import PortfolioCore, PortfolioSettings
from tradingd.portfolio.trades import RoundTrips
from tradingd.state.positions import split_among

NOW = 1_709_649_000_000_000_000
STRATEGIES = st.sampled_from(("sma", "mom"))
SYMBOLS = st.sampled_from(("IBM", "AIG", "BTC/USD"))
SHARES = st.integers(1, 300).map(Decimal)
COINS = st.decimals("0.000000001", "3", places=9)
PRICES = st.decimals("0.01", "900", places=2)
COIN_PRICES = st.decimals("1", "70000", places=9)
CENTS = st.decimals("-500", "500", places=2)
RATIOS = st.sampled_from([(2, 1), (3, 1), (3, 2), (1, 2), (1, 3), (1, 7), (1, 30), (20, 1)])
ROUNDING = Fraction(1, 10**8)
Key = tuple[str, str]


class Lots:
    """One position in fractions: its quantity, its cost on average, and what its trades paid and brought."""

    def __init__(self) -> None:
        self.quantity = self.cost = self.realized = self.flow = self.fees = Fraction(0)
        self.last_price = Fraction(0)

    def trade(self, quantity: Fraction, price: Fraction) -> None:
        """Close what is open as far as it goes, and open the rest."""
        closing = Fraction(0)
        if self.quantity * quantity < 0:
            closing = max(min(abs(quantity), abs(self.quantity)), Fraction(0))
            share = self.cost * closing / abs(self.quantity)
            sign = 1 if self.quantity > 0 else -1
            self.realized += sign * closing * price - share
            self.cost -= share
        rest = abs(quantity) - closing
        self.cost += (1 if quantity > 0 else -1) * rest * price
        self.quantity += quantity
        self.flow -= quantity * price
        self.last_price = price


class LedgerMachine(RuleBasedStateMachine):
    """Facts in, two books out."""

    @initialize(cash=st.decimals("1000", "1000000", places=2))
    def open(self, cash: Decimal) -> None:
        self.core = PortfolioCore(PortfolioSettings())
        self.applied = PortfolioCore(PortfolioSettings())
        self.trips = RoundTrips()
        self.lots: defaultdict[Key, Lots] = defaultdict(Lots)
        self.cash = self.capital = Fraction(cash)
        self.trades: list[m.OrderFilled] = []
        self.marks = {"IBM": 100.25, "AIG": 50.5, "BTC/USD": 64000.125}
        for symbol, price in self.marks.items():
            self.core.handle(m.Mark(symbol, price, price, NOW), NOW)
        self.report(m.BookAdopted(cash, (), "first start"))

    def report(self, fact: Message) -> None:
        """Let everyone hear a fact and what is said of it."""
        self.trips.handle(fact)
        self.applied.apply(fact, NOW)
        for emitted in self.core.handle(fact, NOW):
            self.trips.handle(emitted)
            self.applied.apply(emitted, NOW)
            if isinstance(emitted, m.EquityMarked):
                self.check_equity(emitted)

    def trade(self, key: Key, side: Side, quantity: Decimal, price: Decimal) -> None:
        sign = 1 if side is Side.BUY else -1
        self.lots[key].trade(sign * Fraction(quantity), Fraction(price))
        self.cash -= sign * Fraction(quantity) * Fraction(price)

    # Facts.

    @rule(strategy=STRATEGIES, symbol=SYMBOLS, side=st.sampled_from(Side), data=st.data())
    def fill(self, strategy: str, symbol: str, side: Side, data: st.DataObject) -> None:
        is_coin = "/" in symbol
        quantity = data.draw(COINS if is_coin else SHARES)
        price = data.draw(COIN_PRICES if is_coin else PRICES)
        self.take(strategy, symbol, side, quantity, price)

    def take(
        self, strategy: str, symbol: str, side: Side, quantity: Decimal, price: Decimal
    ) -> None:
        n = len(self.trades)
        role = Role.ENTRY if side is Side.BUY else Role.EXIT
        fact = m.OrderFilled(
            f"o{n}", "b", f"x{n}", f"i{n}", strategy, symbol, side, role, quantity, price,
            quantity, quantity, NOW,
        )  # fmt: skip
        self.trade((strategy, symbol), side, quantity, price)
        self.trades.append(fact)
        self.report(fact)

    @precondition(lambda self: any(each.quantity for each in self.lots.values()))
    @rule(data=st.data(), times=st.sampled_from((1, 2)))
    def close_or_turn_over(self, data: st.DataObject, times: int) -> None:
        """Exactly flat, or exactly as much the other way."""
        key = data.draw(st.sampled_from([k for k, each in self.lots.items() if each.quantity]))
        held = self.core.ledger.positions.all[key].quantity
        side = Side.SELL if held > 0 else Side.BUY
        self.take(*key, side, abs(held) * times, data.draw(PRICES))

    @precondition(lambda self: self.trades)
    @rule(data=st.data())
    def bust(self, data: st.DataObject) -> None:
        fact = self.trades.pop(data.draw(st.integers(0, len(self.trades) - 1)))
        back = Side.SELL if fact.side is Side.BUY else Side.BUY
        self.trade((fact.strategy, fact.symbol), back, fact.quantity, fact.price)
        self.report(
            m.TradeBusted(
                fact.order_id, fact.execution_id, fact.strategy, fact.symbol, fact.side,
                fact.quantity, fact.price,
            )
        )  # fmt: skip

    @precondition(lambda self: self.trades)
    @rule(new_price=PRICES)
    def correct(self, new_price: Decimal) -> None:
        """A correction is a bust and the trade as it really was."""
        fact = self.trades[-1]
        self.bust_last()
        self.take(fact.strategy, fact.symbol, fact.side, fact.quantity, new_price)

    def bust_last(self) -> None:
        fact = self.trades.pop()
        back = Side.SELL if fact.side is Side.BUY else Side.BUY
        self.trade((fact.strategy, fact.symbol), back, fact.quantity, fact.price)
        bust = m.TradeBusted(
            fact.order_id, fact.execution_id, fact.strategy, fact.symbol, fact.side,
            fact.quantity, fact.price,
        )  # fmt: skip
        self.report(bust)

    @rule(strategy=STRATEGIES, symbol=SYMBOLS, amount=st.decimals("0.0001", "50", places=4))
    def fee_in_dollars(self, strategy: str, symbol: str, amount: Decimal) -> None:
        self.cash -= Fraction(amount)
        self.lots[strategy, symbol].fees += Fraction(amount)
        self.report(m.FeeCharged("f", "o", strategy, symbol, "USD", amount, NOW))

    @rule(strategy=STRATEGIES, share=st.integers(1, 100))
    def fee_in_coins(self, strategy: str, share: int) -> None:
        """A fee takes coins that are there: at last all of them."""
        lots = self.lots[strategy, "BTC/USD"]
        holding = self.core.ledger.positions.all.get((strategy, "BTC/USD"))
        if holding is None or holding.quantity <= 0:
            return
        amount = max((holding.quantity * share / 100).quantize(Decimal("1e-9")), Decimal("1e-9"))
        amount = min(amount, holding.quantity)
        value = Fraction(amount) * lots.last_price
        lots.trade(-Fraction(amount), lots.last_price)
        lots.fees += value  # the sale brought the value in, the fee takes it out again
        self.report(m.FeeCharged("f", "o", strategy, "BTC/USD", "BTC", amount, NOW))

    @rule(amount=CENTS)
    def cash_moves(self, amount: Decimal) -> None:
        self.cash += Fraction(amount)
        self.capital += Fraction(amount)
        self.report(m.CashMoved("a", "CSD", amount, NOW))

    @rule(symbol=st.sampled_from(("IBM", "AIG")), rates=RATIOS)
    def split(self, symbol: str, rates: tuple[int, int]) -> None:
        ratio = Decimal(rates[0]) / Decimal(rates[1])
        rows = self.core.ledger.positions.open.items()
        held = {key[0]: holding.quantity for key, holding in rows if key[1] == symbol}
        after = split_among(held, ratio)
        assert sum(after.values()) == after_split(sum(held.values(), Decimal(0)), ratio)
        for key, lots in self.lots.items():
            if key[1] == symbol and lots.quantity:
                exact = lots.quantity * Fraction(*rates)
                lots.quantity = Fraction(after[key[0]])
                assert abs(lots.quantity - exact) < Fraction(1, 10**9)
                lots.last_price /= Fraction(*rates)
        self.trades = [each for each in self.trades if each.symbol != symbol]
        self.marks[symbol] /= float(ratio)
        self.report(m.CorporateAction("c", symbol, "split", ratio))

    @rule(kind=st.sampled_from(("fee", "cash")), amount=CENTS)
    def explained_dollars(self, kind: str, amount: Decimal) -> None:
        self.cash += Fraction(amount)
        if kind == "cash":
            self.capital += Fraction(amount)
        else:
            self.lots["", ""].fees -= Fraction(amount)
        self.report(m.BreakExplained(kind, "", "1", "2", "why", amount))

    @precondition(lambda self: self.core.ledger.positions.open)
    @rule(data=st.data())
    def explained_coins(self, data: st.DataObject) -> None:
        """Dust that is not there after all; the last of it takes its cost along."""
        owners: defaultdict[str, list[Key]] = defaultdict(list)
        for key in self.core.ledger.positions.open:
            owners[key[1]].append(key)
        single = [keys[0] for symbol, keys in owners.items() if len(keys) == 1]
        if not single:
            return
        key = data.draw(st.sampled_from(sorted(single)))
        held = self.core.ledger.positions.open[key].quantity
        gone = data.draw(st.sampled_from((held, held / 2)))
        lots = self.lots[key]
        lots.quantity -= Fraction(gone)
        if not lots.quantity:
            lots.realized -= lots.cost
            lots.cost = Fraction(0)
        self.report(m.BreakExplained("fee_coins", key[1], "1", "2", "why", -gone))
        lots.flow = lots.realized - lots.cost  # what is gone brought nothing in

    @rule(is_different=st.booleans(), extra=SHARES, price=PRICES)
    def adopt(self, is_different: bool, extra: Decimal, price: Decimal) -> None:
        """The broker's book: where its total is ours the owners stay, else all is external."""
        ledger = self.core.ledger
        totals: defaultdict[str, Decimal] = defaultdict(Decimal)
        for (_, symbol), holding in ledger.positions.open.items():
            totals[symbol] += holding.quantity
        if is_different:
            totals["AIG"] += extra
        rows = tuple(m.BrokerPosition(s, q, price) for s, q in sorted(totals.items()) if q)
        kept = {s for s, q in totals.items() if q and not (is_different and s == "AIG")}
        for key, lots in self.lots.items():
            if key[1] and key[1] not in kept and lots.quantity:
                lots.quantity = lots.cost = Fraction(0)
                lots.flow = lots.realized
        for row in rows:
            if row.symbol not in kept:
                lots = self.lots["external", row.symbol]
                lots.quantity, lots.last_price = Fraction(row.quantity), Fraction(price)
                lots.cost = Fraction(row.quantity) * Fraction(price)
                lots.flow = lots.realized - lots.cost
        self.trades = [each for each in self.trades if each.symbol in kept]
        self.report(m.BookAdopted(ledger.cash, rows, "accepted"))
        costs = sum((each.cost for each in self.lots.values()), Fraction(0))
        fees = sum((each.fees for each in self.lots.values()), Fraction(0))
        realized = sum((each.realized for each in self.lots.values()), Fraction(0))
        self.capital = self.cash + costs - realized + fees

    @rule(symbol=SYMBOLS, price=st.floats(1, 70_000))
    def mark(self, symbol: str, price: float) -> None:
        self.marks[symbol] = price
        self.report(m.Mark(symbol, price, price, NOW))

    @rule()
    def restart(self) -> None:
        """The book comes back from its checkpoint as it was, and as it follows from the log."""
        state = self.core.save()
        assert self.applied.save() == state
        again = PortfolioCore(PortfolioSettings())
        again.load(state)
        assert again.save() == state
        for symbol, price in self.marks.items():
            again.handle(m.Mark(symbol, price, price, NOW), NOW)
        self.core = again

    # What must always be so.

    @invariant()
    def cash_is_exact(self) -> None:
        assert Fraction(self.core.ledger.cash) == self.cash

    @invariant()
    def positions_are_exact(self) -> None:
        held = {
            key: Fraction(each.quantity) for key, each in self.core.ledger.positions.open.items()
        }
        assert held == {key: each.quantity for key, each in self.lots.items() if each.quantity}

    @invariant()
    def profit_is_what_was_paid_and_brought(self) -> None:
        for key, holding in self.core.ledger.positions.all.items():
            lots = self.lots[key]
            assert abs(Fraction(holding.realized) - lots.realized) < ROUNDING, key
            assert abs(Fraction(holding.cost) - lots.cost) < ROUNDING, key
            assert abs(Fraction(holding.fees) - lots.fees) < ROUNDING, key
            assert abs(lots.realized - lots.cost - lots.flow) < ROUNDING, "the other book itself"
            assert holding.cost * holding.quantity >= 0, key
            if not holding.quantity:
                assert holding.cost == 0
                assert holding.average_price == 0

    @invariant()
    def the_identity_holds(self) -> None:
        ledger = self.core.ledger
        fees = sum((each.fees for each in self.lots.values()), Fraction(0))
        assert abs(Fraction(ledger.capital) - self.capital) < ROUNDING
        assert abs(Fraction(ledger.fees) - fees) < ROUNDING
        left = Fraction(ledger.cash) + sum(
            map(Fraction, (each.cost for each in ledger.positions.open.values()))
        )
        right = Fraction(ledger.capital) + Fraction(ledger.realized) - Fraction(ledger.fees)
        assert left == right

    @invariant()
    def holdings_sum_to_the_whole(self) -> None:
        ledger = self.core.ledger
        assert ledger.realized == sum(
            (h.realized for h in ledger.positions.all.values()), Decimal(0)
        )

    @invariant()
    def round_trips_sum_to_realized_profit(self) -> None:
        settings = sum((each.realized_usd for each in self.trips.closed), Decimal(0))
        settings += sum((each.realized for each in self.trips._open.values()), Decimal(0))
        assert settings == self.core.ledger.realized

    def check_equity(self, message: m.EquityMarked) -> None:
        value = sum(
            (
                h.quantity * Decimal(repr(self.marks[key[1]]))
                for key, h in self.core.ledger.positions.open.items()
            ),
            Decimal(0),
        )
        assert message.equity_usd == message.cash_usd + value
        assert message.fees_usd == self.core.ledger.fees
        earned = message.realized_usd + message.unrealized_usd - message.fees_usd
        assert abs(message.equity_usd - self.core.ledger.capital - earned) < Decimal("0.00000001")
        assert msgspec.json.decode(msgspec.json.encode(message), type=m.EquityMarked) == message


TestLedger: Any = LedgerMachine.TestCase
TestLedger.settings = effort(80, 50)
