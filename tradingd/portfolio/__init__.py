"""6. What we have: ledger, profit and loss, records."""
