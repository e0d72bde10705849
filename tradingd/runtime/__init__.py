"""The floor: bus, actors, clocks, timers, ports, transport and the synchronous runner. It knows no trading."""
