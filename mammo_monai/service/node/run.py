"""Runs a node until a signal ends it."""

from __future__ import annotations

import logging
import os
import signal
import threading
from contextlib import suppress

from mammo_monai.service.node.node import Node
from mammo_monai.service.node.settings import NodeSettings

logger = logging.getLogger(__name__)


class _Told(Exception):  # noqa: N818  # no error
    """A signal came before the node was ready."""


def run_node(settings: NodeSettings) -> None:
    """Runs a node in this process; returns after SIGTERM or SIGINT, when all is put away.

    SIGHUP reads its certificates again.

    Raises:
        QueueError, MammoError, OSError: as `Node`.
    """
    os.umask(0o077)  # images are for nobody else
    for name in ("pydicom", "pynetdicom"):  # their messages may quote what stands in a header
        logging.getLogger(name).setLevel(logging.CRITICAL)
    told, is_up = threading.Event(), threading.Event()

    def hear(*_: object) -> None:
        told.set()
        if not is_up.is_set():
            raise _Told

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, hear)
    renew = threading.Event()
    signal.signal(signal.SIGHUP, lambda *_: renew.set())
    with suppress(_Told), Node(settings) as node:
        is_up.set()
        while not told.wait(1.0):
            if renew.is_set():
                renew.clear()
                node.renew_certificates()
        logger.info("stopping: what is under way ends first")
