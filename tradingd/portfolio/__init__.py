"""6. What we have: ledger, profit and loss, records.

ledger        the book, exact                       <- read first
core          the actor: positions, equity, days  <- then this
performance   what a list of trades and an equity series amount to
records       the edge that writes trade files and daily summaries
"""
