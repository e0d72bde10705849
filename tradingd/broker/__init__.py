"""5. Who does it: the Alpaca edge, and the reconciler."""
