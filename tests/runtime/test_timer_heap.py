"""The timer heap against a plain list of timers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tradingd.messages import CancelTimer, SetTimer, TimerFired
from tradingd.runtime.timer_heap import NEVER, TimerHeap

NAMES = st.sampled_from(["a", "b", "c"])
STEPS = st.one_of(
    st.tuples(st.just("set"), NAMES, NAMES, st.integers(0, 20)),
    st.tuples(st.just("cancel"), NAMES, NAMES, st.just(0)),
    st.tuples(st.just("pop"), st.just(""), st.just(""), st.integers(0, 20)),
)


@given(st.lists(STEPS, max_size=300))
def test_the_heap_does_what_a_list_would(steps: list[tuple[str, str, str, int]]) -> None:
    heap, model = TimerHeap(), dict[tuple[str, str], tuple[int, int]]()
    for n, (what, owner, key, at) in enumerate(steps):
        if what == "set":
            heap.set(owner, key, at)
            model[owner, key] = (at, n)
        elif what == "cancel":
            heap.cancel(owner, key)
            model.pop((owner, key), None)
        else:
            first = min(model, key=lambda name: model[name], default=None)
            is_due = first is not None and model[first][0] <= at
            fired = heap.pop(at)
            assert fired == (TimerFired(*first, model.pop(first)[0]) if first and is_due else None)
        assert heap.due == min((fires_at for fires_at, _ in model.values()), default=NEVER)
        assert len(heap) == len(model)


def test_a_heap_that_is_set_again_and_again_does_not_grow() -> None:
    heap = TimerHeap()
    for at in range(10_000):
        heap.set("risk", "tick", at)
        heap.set("router", "far", NEVER - 1)

    assert len(heap._heap) < 200
    assert heap.due == 9_999


def test_a_saved_heap_fires_in_the_same_order() -> None:
    heap, again = TimerHeap(), TimerHeap()
    for owner, at in (("a", 5), ("b", 5), ("c", 1), ("a", 5)):
        heap.set(owner, "k", at)
    again.load(heap.save())

    assert again.save() == heap.save()
    assert [again.pop(9) for _ in range(4)] == [heap.pop(9) for _ in range(4)]


def test_folding_the_log_leaves_the_timers_that_have_not_fired() -> None:
    heap = TimerHeap()
    for message in (
        SetTimer("a", "fired", 5),
        SetTimer("a", "canceled", 6),
        SetTimer("a", "moved", 7),
        TimerFired("a", "fired", 5),
        CancelTimer("a", "canceled"),
        SetTimer("a", "moved", 9),
        TimerFired("a", "moved", 7),
    ):
        heap.apply(message)

    assert heap.pop(100) == TimerFired("a", "moved", 9)
    assert heap.due == NEVER
