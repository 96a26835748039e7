"""What may be done with a dead letter in which state: pure functions. The home guards the same."""

from __future__ import annotations

from controlplane.deliveries.refusals import DELIVERY_ROUTE_OFF
from controlplane.errors import Refusal
from controlplane.queues.model import WAITING, Letter
from controlplane.queues.refusals import (
    LETTER_HELD,
    LETTER_NOT_HELD,
    LETTER_NOT_QUARANTINED,
    LETTER_QUARANTINED,
    LETTER_SETTLED,
    OBSTACLES,
)

_OBSTACLES = {words.code: words for words in (*OBSTACLES, DELIVERY_ROUTE_OFF)}


def check_waiting(letter: Letter) -> None:
    """Raises Refusal `letter_settled`."""
    if letter.state not in WAITING:
        raise LETTER_SETTLED(f"Letter {letter.id} is {letter.state}.", why=_why(letter))


def check_dead(letter: Letter) -> None:
    """Raises Refusal `letter_settled`, `letter_quarantined`."""
    check_waiting(letter)
    if letter.state == "quarantined":
        raise LETTER_QUARANTINED(why=_why(letter))


def check_replay(letter: Letter) -> None:
    """Raises what `check_dead` does, and Refusal with the code of the letter's obstacle."""
    check_dead(letter)
    if letter.obstacle is not None:
        raise obstacle(letter)


def obstacle(letter: Letter) -> Refusal:
    """What stands in the way of its replay."""
    assert letter.obstacle is not None
    return _OBSTACLES[letter.obstacle](why=_why(letter))


def check_release(letter: Letter) -> None:
    """Raises Refusal `letter_settled`, `letter_not_quarantined`."""
    check_waiting(letter)
    if letter.state != "quarantined":
        raise LETTER_NOT_QUARANTINED(why=_why(letter))


def check_discard(letter: Letter) -> None:
    """Raises Refusal `letter_settled`, `letter_held`."""
    check_waiting(letter)
    if letter.hold:
        raise LETTER_HELD(why=_why(letter))


def check_hold(letter: Letter) -> None:
    """Raises Refusal `letter_held`."""
    if letter.hold:
        raise LETTER_HELD(f"Letter {letter.id} is under a legal hold already.", "", why=_why(letter))


def check_unhold(letter: Letter) -> None:
    """Raises Refusal `letter_not_held`."""
    if not letter.hold:
        raise LETTER_NOT_HELD(why=_why(letter))


def _why(letter: Letter) -> list[str]:
    return [f"state: {letter.state}", f"replayed before: {letter.replays}", f"cause: {letter.cause}"]
