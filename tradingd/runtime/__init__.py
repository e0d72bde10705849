"""The floor: bus, stations, clocks, timers, the order log, the market tape and replay. It knows no trading."""
