"""The table of all metrics, a row each: group, name without prefix, kind, labels, meaning.

Data, not code: a new metric begins here. The groups are the rows of the dashboard.
"""

from __future__ import annotations

from collections.abc import Mapping

ROWS: tuple[tuple[str, str, str, str, str], ...] = (
    ("money", "equity_dollars", "gauge", "", "Equity at the latest marks."),
    ("money", "cash_dollars", "gauge", "", "Cash in our books."),
    ("money", "buying_power_dollars", "gauge", "", "Buying power in the broker's latest snapshot."),
    ("money", "exposure_dollars", "gauge", "kind", "Value of all positions: gross adds sizes, net adds signed values."),
    ("money", "day_pnl_dollars", "gauge", "", "Profit since midnight New York, without deposits and withdrawals."),
    ("money", "realized_pnl_dollars", "gauge", "", "Realized profit since the books were opened, before fees."),
    ("money", "unrealized_pnl_dollars", "gauge", "", "Profit of what is held, at the latest marks."),
    ("money", "fees_paid_dollars", "gauge", "", "Fees since the books were opened."),
    ("money", "drawdown_ratio", "gauge", "", "Fall of equity from its highest since this process began."),
    ("money", "position_quantity", "gauge", "symbol", "Quantity held; absent when flat."),
    ("money", "position_market_value_dollars", "gauge", "symbol", "Value held at the mark; absent when flat."),
    ("money", "position_unrealized_pnl_dollars", "gauge", "symbol", "Profit of a position at the mark; absent when flat."),

    ("risk", "state", "gauge", "state", "1 for the level in force, 0 for the others."),
    ("risk", "halted", "gauge", "cause", "1 while this cause halts the system."),
    ("risk", "halts_total", "counter", "cause", "Times a cause halted the system."),
    ("risk", "signals_total", "counter", "strategy side", "Intents of strategies."),
    ("risk", "strategy_errors_total", "counter", "strategy", "Strategies switched off because they raised."),
    ("risk", "risk_decisions_total", "counter", "decision rule", "What the gate said of intents and orders; the rule is empty on approval."),
    ("risk", "risk_limit_used_ratio", "gauge", "limit", "Part of a limit that is used: 1 is the limit."),

    ("orders", "orders_submitted_total", "counter", "broker role side algo", "Orders that left for the broker."),
    ("orders", "orders_closed_total", "counter", "broker status", "Orders at their end."),
    ("orders", "orders_open", "gauge", "broker", "Orders that may still trade, from approval on."),
    ("orders", "orders_unknown", "gauge", "broker", "Orders whose existence at the broker is not proven."),
    ("orders", "slices_total", "counter", "algo outcome", "Slices of plans at their end."),
    ("orders", "fills_total", "counter", "broker side", "Executions."),
    ("orders", "filled_notional_dollars_total", "counter", "broker side", "Value of executions."),
    ("orders", "quote_age_seconds", "histogram", "", "Market time from the quote behind an order until it left."),
    ("orders", "tick_to_order_seconds", "histogram", "", "Market time from a strategy's signal until its first order left."),
    ("orders", "order_ack_seconds", "histogram", "broker", "Market time from sent to accepted."),
    ("orders", "order_fill_seconds", "histogram", "broker algo", "Market time from sent to filled whole."),
    ("orders", "fill_slippage_ratio", "histogram", "algo", "Price of a fill against the middle when its order was approved; above 0 is worse."),

    ("streams", "stream_connected", "gauge", "stream", "1 while connected."),
    ("streams", "stream_last_message_timestamp_seconds", "gauge", "stream", "When the latest frame came; absent before the first."),
    ("streams", "stream_frames_total", "counter", "stream", "Frames of the market data sockets."),
    ("streams", "stream_messages_total", "counter", "kind", "Points in the frames of market data."),
    ("streams", "stream_refused_total", "counter", "reason", "Points the filter kept out, or conflated while the system was busy."),
    ("streams", "stream_reconnects_total", "counter", "stream", "Losses of a stream that was up."),
    ("streams", "stream_slow_warnings_total", "counter", "stream", "The broker's warnings that we read too slowly."),
    ("streams", "stream_refused_changes_total", "counter", "stream", "Subscriptions that the broker would not add to an open socket."),
    ("streams", "stream_gaps_total", "counter", "stream result", "Gaps of a stream that were read back, or could not be (read, unread)."),
    ("streams", "stream_gap_bars_total", "counter", "", "Minutes that a socket missed and that were read back as history."),
    ("streams", "market_open", "gauge", "market", "1 in the regular session."),
    ("streams", "next_session_timestamp_seconds", "gauge", "edge", "Market time of the next opening and closing of the stock market."),

    ("actors", "actor_heartbeat_timestamp_seconds", "gauge", "actor", "When an actor last answered its heartbeat; absent before the first."),
    ("actors", "actor_mailbox_messages", "gauge", "actor", "Messages that wait in a mailbox."),
    ("actors", "actor_mailbox_capacity_messages", "gauge", "actor", "Room of a mailbox: an order fact without room halts the system."),
    ("actors", "actor_messages_total", "counter", "actor", "Messages a deciding actor has taken from its mailbox."),
    ("actors", "actor_handle_seconds", "histogram", "actor", "How long a deciding actor kept the loop each time: up to 64 messages."),
    ("actors", "actor_failures_total", "counter", "actor", "Actors quarantined because they raised; only a restart revives them."),
    ("actors", "actor_stalls_total", "counter", "actor", "Times an actor left its heartbeat unanswered for seconds."),
    ("actors", "actor_messages_dropped_total", "counter", "actor", "Messages a read-only watcher missed; actors never miss any."),
    ("actors", "event_loop_lag_seconds", "histogram", "", "How late the loop let the heartbeat monitor wake, once a second."),

    ("broker", "broker_requests_total", "counter", "broker operation code", "Requests by HTTP status; failed is no reply."),
    ("broker", "broker_request_seconds", "histogram", "broker operation", "Real time of requests, answered or not."),
    ("broker", "broker_rate_limit_remaining", "gauge", "broker", "Requests the broker has left us of its minute; absent before it said so."),
    ("broker", "broker_facts_ignored_total", "counter", "broker", "Duplicates, and news that would have gone backwards."),
    ("broker", "broker_external_events_total", "counter", "broker", "News of orders that are not ours."),
    ("broker", "broker_unrecognized_values_total", "counter", "broker where", "Words of the broker we did not know; the order concerned is read."),
    ("broker", "broker_orders_watched", "gauge", "broker", "Orders the broker did not know that may turn up late; looked for until the day ends."),
    ("broker", "broker_budget_requests_total", "counter", "budget lane", "Requests by what is budgeted (trading, data) and lane: exit, cancel, lookup, entry, poll."),
    ("broker", "broker_budget_room", "gauge", "budget lane", "Requests of a lane that could leave now; exits and cancels keep a share."),
    ("broker", "broker_budget_waiting", "gauge", "budget lane", "Requests that wait for the budget now."),
    ("broker", "broker_budget_waits_total", "counter", "budget lane", "Requests that had to wait for the budget."),
    ("broker", "broker_budget_kept_back_total", "counter", "budget lane", "Requests that were not sent for want of room."),
    ("broker", "broker_rate_limited_total", "counter", "budget", "Replies with HTTP 429."),
    ("broker", "reconcile_runs_total", "counter", "result", "Comparisons of our books with the broker's."),
    ("broker", "reconcile_explained_total", "counter", "kind", "Differences we knew the reason of."),
    ("broker", "reconcile_mismatches", "gauge", "kind", "Unexplained differences since the books last agreed."),
    ("broker", "reconcile_last_success_timestamp_seconds", "gauge", "", "When the books last agreed; absent before they did."),

    ("system", "build_info", "info", "version python mode", "Version, interpreter and mode."),
    ("system", "start_time_seconds", "gauge", "", "When this process began."),
    ("system", "events_total", "counter", "", "Messages in the one order of events, since the log began."),
    ("system", "db_write_seconds", "histogram", "operation", "Real time until a group of the order log was durable."),
    ("system", "db_rows_total", "counter", "operation", "Rows written to the order log by this process."),
    ("system", "db_errors_total", "counter", "operation", "Failures of the order log (it never comes back) and of the market tape."),
    ("system", "db_pending_rows", "gauge", "", "Rows of the order log that are not durable yet."),
    ("system", "db_size_bytes", "gauge", "file", "Size of the order log with its WAL, and of the market tape."),
    ("system", "disk_free_bytes", "gauge", "", "Free space of the state folder's disk."),
    ("system", "alerts_raised_total", "counter", "severity", "Alerts raised in the system."),
    ("system", "alerts_total", "counter", "severity channel result", "What became of alerts on their way out; repeated ones have no channel."),
    ("system", "alert_pings_total", "counter", "result", "Pings to the dead-man's switch."),
    ("system", "log_records_total", "counter", "level", "Log records written."),
    ("system", "process_virtual_memory_bytes", "gauge", "", "Virtual memory size in bytes."),
    ("system", "process_resident_memory_bytes", "gauge", "", "Resident memory size in bytes."),
    ("system", "process_start_time_seconds", "gauge", "", "Start time of the process since unix epoch in seconds."),
    ("system", "process_cpu_seconds_total", "counter", "", "Total user and system CPU time spent in seconds."),
    ("system", "process_open_fds", "gauge", "", "Number of open file descriptors."),
    ("system", "process_max_fds", "gauge", "", "Maximum number of open file descriptors."),
)  # fmt: skip

_FAST = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0)
_ORDER = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_SLIPPAGE = (-0.005, -0.001, -0.0005, -0.0001, 0.0, 0.0001, 0.0005, 0.001, 0.005, 0.01, 0.02)

BUCKETS: Mapping[str, tuple[float, ...]] = {
    "quote_age_seconds": _FAST,
    "tick_to_order_seconds": _FAST,
    "order_ack_seconds": _ORDER,
    "order_fill_seconds": _ORDER,
    "fill_slippage_ratio": _SLIPPAGE,
}
"""Upper bounds of the histograms that messages move; sampled ones bring their own (`Tally`)."""
