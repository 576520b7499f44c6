"""The node's SQLite file: its tables, and transactions that are on disk when they return."""

from __future__ import annotations

import secrets
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from mammo_monai.errors import MammoError

SCHEMA_VERSION = 1
_TABLES = """
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE instances (
  id INTEGER PRIMARY KEY,
  record_id TEXT NOT NULL UNIQUE,
  sop_uid TEXT NOT NULL UNIQUE,
  sop_class TEXT NOT NULL,
  study_uid TEXT NOT NULL,
  sha256 TEXT NOT NULL,
  file TEXT,
  bytes INTEGER NOT NULL,
  sender TEXT NOT NULL,
  state TEXT NOT NULL,
  reason TEXT NOT NULL DEFAULT '',
  starts INTEGER NOT NULL DEFAULT 0,
  tries INTEGER NOT NULL DEFAULT 0,
  detections TEXT,
  received REAL NOT NULL,
  changed REAL NOT NULL
);
CREATE INDEX instances_by_state ON instances (state, received);
CREATE INDEX instances_by_study ON instances (study_uid, state);
CREATE TABLE results (
  id INTEGER PRIMARY KEY,
  uid TEXT NOT NULL UNIQUE,
  kind TEXT NOT NULL,
  sop_class TEXT NOT NULL,
  study_uid TEXT NOT NULL,
  file TEXT NOT NULL,
  made REAL NOT NULL
);
CREATE TABLE sources (
  result_id INTEGER NOT NULL REFERENCES results ON DELETE CASCADE,
  instance_id INTEGER NOT NULL REFERENCES instances ON DELETE CASCADE,
  PRIMARY KEY (result_id, instance_id)
) WITHOUT ROWID;
CREATE INDEX sources_by_instance ON sources (instance_id);
CREATE TABLE deliveries (
  result_id INTEGER NOT NULL REFERENCES results ON DELETE CASCADE,
  destination TEXT NOT NULL,
  state TEXT NOT NULL,
  tries INTEGER NOT NULL DEFAULT 0,
  next_try REAL NOT NULL DEFAULT 0,
  reason TEXT NOT NULL DEFAULT '',
  transaction_uid TEXT,
  changed REAL NOT NULL,
  PRIMARY KEY (result_id, destination)
) WITHOUT ROWID;
CREATE INDEX deliveries_due ON deliveries (destination, state, next_try);
CREATE TABLE commitments (
  transaction_uid TEXT PRIMARY KEY,
  asked_by TEXT NOT NULL,
  instances TEXT NOT NULL,
  tries INTEGER NOT NULL DEFAULT 0,
  next_try REAL NOT NULL DEFAULT 0,
  received REAL NOT NULL
) WITHOUT ROWID;
"""


class QueueError(MammoError):
    """The queue's file cannot be used."""


class Database:
    """One connection for all threads of this process; other processes may read and write beside it.

    Write-ahead log, synchronous FULL: what a transaction wrote survives a kill and a power cut from the
    moment it returns. Rows that are deleted are overwritten with zeros.

    Raises:
        QueueError: the file is no queue, or one of another version.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()
        try:
            self._connection = sqlite3.connect(
                path, timeout=30, isolation_level=None, check_same_thread=False
            )
            self._connection.row_factory = sqlite3.Row
            for pragma in (
                "journal_mode = WAL",
                "synchronous = FULL",
                "foreign_keys = ON",
                "secure_delete = ON",
            ):
                self._connection.execute(f"PRAGMA {pragma}")
            self._prepare()
        except sqlite3.OperationalError as error:  # no fault of the file: a full disk, rights, a lock
            raise QueueError(
                f"{path}: the queue cannot be opened or written: {error}. See to the room on the disk and to "
                "the rights of file and folder; nothing was changed."
            ) from error
        except sqlite3.DatabaseError as error:
            raise QueueError(
                f"{path}: expected the queue of a node, got something else ({error}). "
                "Put it back from a copy, or move it away: images beside it are then taken up again."
            ) from error

    def _prepare(self) -> None:
        with self.transaction():
            (version,) = self._connection.execute("PRAGMA user_version").fetchone()
            if version == 0:
                for statement in _TABLES.split(";\n"):
                    self._connection.execute(statement)
                self._connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
                self._connection.execute("INSERT INTO facts VALUES ('salt', ?)", (secrets.token_hex(16),))
            elif version != SCHEMA_VERSION:
                raise QueueError(
                    f"{self.path}: expected a queue of version {SCHEMA_VERSION}, got {version}. "
                    "Run the version of mammo-monai that made it until it is empty, then remove it."
                )

    @property
    def salt(self) -> str:
        """What record ids are hashed with; drawn when the file was made."""
        return str(self.rows("SELECT value FROM facts WHERE name = 'salt'")[0]["value"])

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All statements of the block, or none; may be nested in itself, and then ends with the outer one."""
        with self._lock:
            if self._connection.in_transaction:
                yield
                return
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.OperationalError):  # some errors of SQLite have ended it already
                    self._connection.execute("ROLLBACK")
                raise

    def run(self, statement: str, *values: object) -> int:
        """Executes one statement; returns how many rows it changed."""
        with self._lock, self.transaction():
            return int(self._connection.execute(statement, values).rowcount)

    def insert(self, table: str, **values: object) -> int:
        """Inserts one row; returns its id."""
        names, places = ", ".join(values), ", ".join("?" * len(values))
        statement = f"INSERT INTO {table} ({names}) VALUES ({places})"
        with self._lock, self.transaction():
            return int(self._connection.execute(statement, tuple(values.values())).lastrowid or 0)

    def rows(self, query: str, *values: object) -> list[sqlite3.Row]:
        """All rows of a query."""
        with self._lock:
            return self._connection.execute(query, values).fetchall()

    def value(self, query: str, *values: object) -> Any:
        """The first column of the first row; None where there is no row."""
        found = self.rows(query, *values)
        return found[0][0] if found else None

    def close(self) -> None:
        """Closes the connection; the write-ahead log is folded into the file."""
        with self._lock:
            self._connection.close()
