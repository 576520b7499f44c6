"""A node's queue seen from outside: what stands in it, in words without patient data."""

from __future__ import annotations

from mammo_monai.service.node.clock import NodeClock
from mammo_monai.service.node.database import Database, QueueError
from mammo_monai.service.node.keeping import Housekeeper
from mammo_monai.service.node.node import DATABASE
from mammo_monai.service.node.outbox import Outbox
from mammo_monai.service.node.queue import Queue
from mammo_monai.service.node.settings import NodeSettings
from mammo_monai.service.node.spool import Spool
from mammo_monai.service.node.states import DELIVERY_WORDS, INSTANCE_WORDS, DeliveryState, InstanceState

_LISTED = 20


class NodeQueue:
    """The queue of a node that may run or not; a context manager.

    Raises:
        QueueError: there is no queue in the configured folder.
    """

    def __init__(self, settings: NodeSettings) -> None:
        path = settings.folder / DATABASE
        if not path.is_file():
            raise QueueError(f"{path}: expected the queue of a node, found none. Start the node first.")
        self.settings = settings
        self.database = Database(path)
        self.clock = NodeClock(self.database)
        self.queue = Queue(self.database, clock=self.clock)
        names = [each.name for each in settings.destinations]
        self.outbox = Outbox(self.database, names, settings.sending, clock=self.clock)
        self.spool = Spool(settings.folder)

    def __enter__(self) -> NodeQueue:
        return self

    def __exit__(self, *_: object) -> None:
        self.database.close()

    def status(self) -> str:
        """Counts by state, then the reasons of what did not get through, most frequent first."""
        lines = ["images"]
        counts = dict(map(tuple, self.database.rows("SELECT state, COUNT(*) FROM instances GROUP BY state")))
        lines += [
            _line(counts[state.value], INSTANCE_WORDS[state])
            for state in InstanceState
            if state.value in counts
        ]
        for row in self.database.rows(
            "SELECT destination, state, COUNT(*) AS n FROM deliveries GROUP BY destination, state "
            "ORDER BY destination, state"
        ):
            words = DELIVERY_WORDS[DeliveryState(row["state"])]
            if f"results for {row['destination']}" not in lines:
                lines.append(f"results for {row['destination']}")
            lines.append(_line(row["n"], words))
        lines += self._oldest()
        lines += self._reasons("images", "instances", "record_id")
        lines += self._reasons("results", "deliveries", "destination")
        return "\n".join(lines if len(lines) > 1 else ["the queue is empty"])

    def n_given_up(self) -> int:
        """Images that failed or are dead, and dead letters."""
        images = self.database.value("SELECT COUNT(*) FROM instances WHERE state IN ('failed', 'dead')")
        letters = self.database.value("SELECT COUNT(*) FROM deliveries WHERE state = 'dead'")
        return int(images) + int(letters)

    def retry(self) -> tuple[int, int]:
        """Gives failed and dead images, then dead letters, another start; returns how many of each."""
        return self.queue.retry(), self.outbox.retry()

    def purge(self, older_than_h: float) -> int:
        """Deletes images that ended so many hours ago with their results; returns how many.

        Raises:
            ValueError: less than zero hours.
        """
        if not older_than_h >= 0:
            raise ValueError(f"--older-than must be at least 0 hours, got {older_than_h:g}.")
        keeper = Housekeeper(self.database, self.spool, self.settings.keeping, clock=self.clock)
        return keeper.purge(older_than_h, older_than_h)

    def _oldest(self) -> list[str]:
        oldest = self.database.value(
            "SELECT MIN(made) FROM results JOIN deliveries ON id = result_id "
            "WHERE state IN ('waiting', 'asked')"
        )
        if oldest is None:
            return []
        return [f"the oldest result waits since {(self.clock() - oldest) / 60:.0f} min"]

    def _reasons(self, what: str, table: str, example: str) -> list[str]:
        rows = self.database.rows(
            f"SELECT state, reason, COUNT(*) AS n, MIN({example}) AS example FROM {table} "
            f"WHERE reason <> '' GROUP BY state, reason ORDER BY n DESC LIMIT {_LISTED}"
        )
        lines = [f"{row['n']:>7} {row['state']}: {row['reason']} (such as {row['example']})" for row in rows]
        return [f"why {what} stand where they stand", *lines] if lines else []


def _line(count: int, words: str) -> str:
    return f"{count:>7} {words}"
