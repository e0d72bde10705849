"""The venue: a pure exchange core with an account, order rules and matching against quoted sizes.

core       Exchange: requests in, quotes in, events out
actor    the same exchange as the actor "broker" of a drained backtest
orders     what is asked, what stands, what is told; the table of statuses
judging    checks, funds: whether an order may enter
engine     depth, matching, sessions: what becomes of it in time
ledger     cash, positions, fees; activities prove them
"""
