"""How much callers may have of a storage server: associations, requests, bytes, time."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

_MOST_PEERS = 4096
_MEGABYTE = 1_000_000


@dataclass(frozen=True)
class ReceptionLimits:
    """The limits; a peer is an address.

    Attributes:
        associations, associations_per_peer: at once; more are rejected with "local limit exceeded".
        associations_per_minute: per peer; more are rejected with "temporary congestion".
        requests_per_minute: messages per peer; beyond it we read more slowly, and nothing is refused.
        instance_mb: a message that grows beyond is cut off while it comes.
        receiving_mb: of all messages under way; the association that goes beyond is cut off.
        association_timeout_s: from the connection to the whole request for an association, TLS included.
        network_timeout_s: silence within an association, and the time for one PDU.
        bytes_per_s: a message slower than this on average is cut off after `network_timeout_s`.

    Raises:
        ValueError: a limit that lets nothing through.
    """

    associations: int = 20
    associations_per_peer: int = 10
    associations_per_minute: float = 600.0
    requests_per_minute: float = 6000.0
    instance_mb: float = 500.0
    receiving_mb: float = 2000.0
    association_timeout_s: float = 15.0
    network_timeout_s: float = 60.0
    bytes_per_s: float = 1000.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not value > 0:
                raise ValueError(f"{name} must be above 0, got {value}.")

    @property
    def instance_bytes(self) -> int:
        """Bytes of one message."""
        return int(self.instance_mb * _MEGABYTE)


class Allowance:
    """So many per minute, as tokens that grow back; a minute's worth may be used at once.

    Args:
        clock: seconds that never go back.
    """

    def __init__(self, per_minute: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_s, self._most = per_minute / 60, max(1.0, per_minute)
        self._clock, self._at = clock, clock()
        self._left = self._most

    def take(self) -> bool:
        """Takes one; False where none is left, then nothing is taken."""
        self._refill()
        if self._left < 1:
            return False
        self._left -= 1
        return True

    def debt_s(self) -> float:
        """Takes one in any case; returns the seconds until it will have grown back."""
        self._refill()
        self._left -= 1
        return max(0.0, -self._left / self._per_s)

    def _refill(self) -> None:
        now = self._clock()
        self._left = min(self._most, self._left + (now - self._at) * self._per_s)
        self._at = now


class Peers:
    """The allowances of each address; those that came longest ago are forgotten first."""

    def __init__(self, limits: ReceptionLimits) -> None:
        self._limits = limits
        self._lock = threading.Lock()
        self._known: OrderedDict[str, tuple[Allowance, Allowance]] = OrderedDict()

    def may_associate(self, address: str) -> bool:
        """Takes one association of the address's allowance."""
        with self._lock:
            return self._of(address)[0].take()

    def pause_s(self, address: str) -> float:
        """Takes one request; how long to wait before the next is read."""
        with self._lock:
            return self._of(address)[1].debt_s()

    def _of(self, address: str) -> tuple[Allowance, Allowance]:
        limits = self._limits
        if address not in self._known:
            each = Allowance(limits.associations_per_minute), Allowance(limits.requests_per_minute)
            self._known[address] = each
        self._known.move_to_end(address)
        while len(self._known) > _MOST_PEERS:
            self._known.popitem(last=False)
        return self._known[address]


class Memory:
    """Bytes of messages under way, in all associations together."""

    def __init__(self, limits: ReceptionLimits) -> None:
        self._most = int(limits.receiving_mb * _MEGABYTE)
        self._lock = threading.Lock()
        self.used = 0

    def take(self, n_bytes: int) -> bool:
        """Takes so many; False where there are not so many left, then nothing is taken."""
        with self._lock:
            if self.used + n_bytes > self._most:
                return False
            self.used += n_bytes
            return True

    def give_back(self, n_bytes: int) -> None:
        """Gives back what was taken."""
        with self._lock:
            self.used -= n_bytes
