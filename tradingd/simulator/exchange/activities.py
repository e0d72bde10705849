"""Account activities: a FILL for every execution at once, a CFEE for crypto fees when they are posted.

Fees change balances with the execution; the broker's statement of them comes at the end of the UTC
day, which is exactly the gap a reconciler has to explain.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from tradingd.instruments.units import DAY_NS, SECOND_NS, ZERO
from tradingd.simulator.exchange.orders import TradeUpdate
from tradingd.simulator.exchange.settings import ExchangeSettings
from tradingd.simulator.exchange.views import AccountActivity

_NEVER = 1 << 63

_Row = tuple[TradeUpdate, Decimal | None, int]
"""An execution with what its order leaves open; None in place of that marks its fee."""


class Activities:
    """The list of what happened to the account, oldest first."""

    def __init__(self, settings: ExchangeSettings) -> None:
        self.due_at = _NEVER
        """When the fees that wait are posted."""
        self._is_at_once = settings.fees_posted == "at_once"
        self._waiting: list[TradeUpdate] = []
        self._posted: list[_Row | AccountActivity] = []
        self._read: list[AccountActivity] = []

    @property
    def accrued_usd(self) -> Decimal:
        """Return the dollars of the fees that are taken and not posted."""
        return sum((_fee_usd(update) for update in self._waiting), ZERO)

    def read(self) -> list[AccountActivity]:
        """Return every activity, oldest first; rows become values when somebody asks."""
        fresh = self._posted[len(self._read) :]
        self._read += [
            row if isinstance(row, AccountActivity) else _activity(*row) for row in fresh
        ]
        return self._read

    def add(self, activity: AccountActivity) -> None:
        """Note something that is no trade."""
        self._posted.append(activity)

    def find(self, execution_id: str) -> TradeUpdate | None:
        """Return an execution; None for one that never was."""
        updates = (row[0] for row in self._posted if not isinstance(row, AccountActivity))
        return next((each for each in updates if each.execution_id == execution_id), None)

    def take_back(self, execution_id: str) -> None:
        """Strike an execution out, and its fee."""
        self.read()
        rows = [
            at
            for at, row in enumerate(self._posted)
            if not isinstance(row, AccountActivity) and row[0].execution_id == execution_id
        ]
        for at in reversed(rows):  # the execution, and its fee if that is posted
            del self._posted[at], self._read[at]
        self._waiting = [each for each in self._waiting if each.execution_id != execution_id]

    @staticmethod
    def id_of(at: int, execution: str) -> str:
        """Return the id of a line: its time and a unique part, so that ids sort by time."""
        return _activity_id(at, execution)

    def record(self, update: TradeUpdate, leaves: Decimal) -> None:
        """Note an execution, and its fee if it had one."""
        self._posted.append((update, leaves, update.at))
        if not update.fee:
            return
        if self._is_at_once:
            self._posted.append((update, None, update.at))
            return
        self._waiting.append(update)
        self.due_at = min(self.due_at, (update.at // DAY_NS + 1) * DAY_NS)

    def post_due(self, now: int) -> None:
        """Post the fees of the UTC day that ended."""
        if now < self.due_at:
            return
        self._posted += [(update, None, self.due_at) for update in self._waiting]
        self._waiting = []
        self.due_at = _NEVER


def _activity(update: TradeUpdate, leaves: Decimal | None, at: int) -> AccountActivity:
    assert update.price is not None, "an execution has a price"
    assert update.qty is not None, "an execution has a quantity"
    if leaves is None:
        return _fee(update, at)
    return AccountActivity(
        id=_activity_id(at, update.execution_id),
        activity_type="FILL",
        at=at,
        symbol=update.order.symbol,
        qty=update.qty,
        price=update.price,
        side=update.order.side,
        type=update.event,
        cum_qty=update.order.filled_qty,
        leaves_qty=leaves,
        order_id=update.order.id,
        order_status=update.order.status,
    )


def _fee(update: TradeUpdate, at: int) -> AccountActivity:
    is_buy = update.order.side == "buy"
    assert update.price is not None, "an execution has a price"
    return AccountActivity(
        id=_activity_id(at, update.execution_id.replace("-a", "-b", 1)),
        activity_type="CFEE",
        at=at,
        symbol=update.order.symbol,
        qty=-update.fee if is_buy else ZERO,
        price=update.price,
        order_id=update.order.id,
        net_amount=ZERO if is_buy else -update.fee,
        description="Coin Pair Transaction Fee (Non USD)"
        if is_buy
        else "Coin Pair Transaction Fee",
    )


def _fee_usd(update: TradeUpdate) -> Decimal:
    if update.order.side == "buy":
        assert update.price is not None, "an execution has a price"
        return update.fee * update.price
    return update.fee


def _activity_id(at: int, execution: str) -> str:
    seconds, rest = divmod(at, SECOND_NS)
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment:%Y%m%d%H%M%S}{rest // 1_000_000:03d}::{execution}"
