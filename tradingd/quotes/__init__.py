"""1. What the market says: streams, bars, conflation, staleness, sessions and halts."""
