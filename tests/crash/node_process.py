"""A node with a marker that needs no model, to be killed: `node_process.py node.json PORTFILE OPERATION`.

OPERATION is the number of the operation on the node's files at which it kills itself; 0: none.
"""

import logging
import sys
import threading
import time
from pathlib import Path
from unittest import mock

from mammo_monai.service.node import Node, read_settings
from tests.crash.operations import FileOperations, Tally
from tests.service.node.films import LocalWorker

if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)
    settings = read_settings(Path(sys.argv[1]))
    FileOperations(settings.folder, Tally(), fatal=int(sys.argv[3])).install()
    with mock.patch("mammo_monai.service.node.node.Worker", LocalWorker), Node(settings) as node:
        Path(sys.argv[2]).write_text(str(node.port))
        while threading.main_thread().is_alive():
            time.sleep(0.1)
