"""Trade updates that get lost, come twice, come late or say what nobody knows: between exchange and socket."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from tradingd.instruments.units import SECOND_NS
from tradingd.simulator.wire.fault import UPDATE_FAULTS, SimulatedFault
from tradingd.simulator.wire.fault_effects import rewritten

Firing = Callable[[Iterable[str], str], list[SimulatedFault]]

LATE_S = 2.0
"""Market time after which a reordered update is told even if no other came."""


@dataclass(slots=True)
class _Held:
    update: object
    until: int


class UpdateFaults:
    """Turns what should be told into what is told."""

    def __init__(self, firing: Firing) -> None:
        self._firing = firing
        self._held: list[_Held] = []

    def next_due(self) -> int | None:
        """Return when a held update must be told."""
        return min((held.until for held in self._held), default=None)

    def pass_on(self, updates: Sequence[dict[str, object]], now: int) -> list[object]:
        """Return what is told now, in the order in which it is told."""
        passed: list[object] = []
        for update in updates:
            earlier, self._held = self._held, []
            passed += self._changed(update, now)
            passed += [held.update for held in earlier]
        passed += [held.update for held in self._held if held.until <= now]
        self._held = [held for held in self._held if held.until > now]
        return passed

    def _changed(self, update: dict[str, object], now: int) -> list[object]:
        value: object = update
        copies = 1
        for fault in self._firing(UPDATE_FAULTS, str(update.get("event", ""))):
            match fault.fault:
                case "lose":
                    copies = 0
                case "duplicate":
                    copies *= 2
                case "rewrite":
                    value = rewritten(value, fault.field, fault.value)
                case _:
                    late = int((fault.seconds or LATE_S) * SECOND_NS)
                    self._held += [_Held(value, now + late)] * copies
                    copies = 0
        return [value] * copies
