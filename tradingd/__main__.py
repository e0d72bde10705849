"""`python -m tradingd` is the command line."""

from tradingd.cli import main

main()
