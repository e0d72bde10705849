"""The ground: symbols, ticks, lots, money, the trading day and the calendar. Pure; anyone may import it."""
