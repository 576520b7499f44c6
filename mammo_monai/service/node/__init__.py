"""A DICOM node that marks what it is sent: receives, queues, marks, sends results back."""

from mammo_monai.service.node.database import QueueError
from mammo_monai.service.node.node import Node
from mammo_monai.service.node.node_queue import NodeQueue
from mammo_monai.service.node.run import run_node
from mammo_monai.service.node.settings import NodeSettings, read_settings
from mammo_monai.service.node.strict_json import SettingsError

__all__ = [
    "Node",
    "NodeQueue",
    "NodeSettings",
    "QueueError",
    "SettingsError",
    "read_settings",
    "run_node",
]
