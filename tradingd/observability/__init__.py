"""What a run tells outside: structured logs and metrics."""
