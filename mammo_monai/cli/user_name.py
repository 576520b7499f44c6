"""A name for a user whom the system knows by number alone, as in containers and where a directory is away."""

from __future__ import annotations

import getpass
import os


def name_the_nameless() -> None:
    """Sets LOGNAME where neither the environment nor passwd has a name for this user.

    MONAI asks for one while it is imported, and ends without. Source: monai/config/deviceconfig.py, 1.6.1.
    """
    try:
        getpass.getuser()
    except (KeyError, OSError):  # OSError from Python 3.13 on
        os.environ["LOGNAME"] = f"uid_{os.getuid()}"
