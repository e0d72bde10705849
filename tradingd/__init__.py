"""tradingd: a trading daemon that a person can leave alone with real money.

    quote -> strategy -> risk -> router -> broker -> portfolio      one log under all of it,
                                                                    I/O only at the two ends

    quotes/       1. what the market says        portfolio/    6. what we have
    strategy/     2. what we would like          supervisor/   over all: who may stop it
    risk/         3. whether we may              reconciler/   whether it is so
    router/       4. how we do it                runtime/      the floor: bus, actors, time, transport
    broker/       5. who does it                 log/          order log, tape, recovery, replay

    state/  what several actors must know, implemented once: positions, permissions, ids

    app/  assembles a run     api/  views/  observability/  show and command it     simulator/  a local Alpaca

Read `messages` first and `wiring` second.
"""

if not __debug__:
    raise SystemExit("tradingd refuses to run with -O: its assertions are part of its safety")

__version__ = "0.2.0"
