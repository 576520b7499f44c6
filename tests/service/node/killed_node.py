"""A node of its own process, to be killed: `python killed_node.py node.json PORTFILE`."""

import logging
import sys
import threading
import time
from pathlib import Path
from unittest import mock

from mammo_monai.service.node import Node, read_settings
from tests.service.node.films import LocalWorker

if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)
    with (
        mock.patch("mammo_monai.service.node.node.Worker", LocalWorker),
        Node(read_settings(Path(sys.argv[1]))) as node,
    ):
        Path(sys.argv[2]).write_text(str(node.port))
        while threading.main_thread().is_alive():
            time.sleep(0.1)
