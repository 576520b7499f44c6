"""The states of an image, of a delivery, and what they mean in words."""

from __future__ import annotations

from enum import Enum


class InstanceState(str, Enum):
    """Where an image stands; `refused` and `ignored` have no file."""

    REFUSED = "refused"
    IGNORED = "ignored"
    RECEIVED = "received"
    SETTLED = "settled"
    MARKING = "marking"
    MARKED = "marked"
    MADE = "made"
    SENT = "sent"
    FAILED = "failed"
    DEAD = "dead"


class DeliveryState(str, Enum):
    """Where a result stands with one destination."""

    WAITING = "waiting"
    ASKED = "asked"
    SENT = "sent"
    DEAD = "dead"


INSTANCE_WORDS = {
    InstanceState.REFUSED: "not taken, the sender was told why",
    InstanceState.IGNORED: "taken but not wanted",
    InstanceState.RECEIVED: "waiting for the rest of their study",
    InstanceState.SETTLED: "waiting to be marked",
    InstanceState.MARKING: "being marked",
    InstanceState.MARKED: "marked, waiting for the others of their study",
    InstanceState.MADE: "marked, results on their way",
    InstanceState.SENT: "done: every destination has the results",
    InstanceState.FAILED: "cannot be marked",
    InstanceState.DEAD: "given up",
}
DELIVERY_WORDS = {
    DeliveryState.WAITING: "waiting to be sent",
    DeliveryState.ASKED: "sent, storage commitment asked for",
    DeliveryState.SENT: "sent",
    DeliveryState.DEAD: "given up",
}
WAITING = (InstanceState.RECEIVED, InstanceState.SETTLED, InstanceState.MARKING)
"""Images that count against `max_waiting`."""
