"""Runs under one roof: what assembles a daemon, starts it, keeps it honest and ends it. The one layer that sees both sides."""
