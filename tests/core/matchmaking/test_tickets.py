from __future__ import annotations

from gym_p2p.core.api.matches import QueueTicket
from gym_p2p.core.matchmaking.tickets import Action, Agenda, Ticket


def ticket(name: str, take: str | None = None) -> Ticket:
    return Ticket(name, QueueTicket(queue="lab", seats=("left", "right"), take=take), 0.0, 1)


def test_timers_come_due_in_order_of_time_and_equal_ones_in_order_of_setting() -> None:
    agenda, ann = Agenda(), ticket("ann")
    for when, action in ((2.0, Action.GIVE_UP), (1.0, Action.CONSIDER), (2.0, Action.END_HOOK)):
        agenda.at(when, action, ann)
    assert agenda.pop_due(0.9) is None
    due = [timer.action for timer in iter(lambda: agenda.pop_due(2.0), None)]
    assert due == [Action.CONSIDER, Action.GIVE_UP, Action.END_HOOK]
    assert agenda.next() is None


def test_a_cancelled_timer_wakes_nobody() -> None:
    agenda, ann = Agenda(), ticket("ann")
    ann.end = agenda.at(1.0, Action.GIVE_UP, ann)
    ann.wake = agenda.at(2.0, Action.CONSIDER, ann)
    agenda.at(3.0, Action.CONSIDER, ann)
    ann.stop_timers()
    assert agenda.next() == 3.0


def test_two_are_rivals_who_want_the_same_seat() -> None:
    assert ticket("ann", "left").rivals(ticket("bob", "left"))
    assert not ticket("ann", "left").rivals(ticket("bob", "right"))
    assert not ticket("ann").rivals(ticket("bob"))
