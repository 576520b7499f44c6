"""Runs the application: `python -m mammo_monai.apps.monai_deploy -i INPUT -o OUTPUT [-m MODEL]`."""

from __future__ import annotations

import os
import resource
import sys

STACK_BYTES = 32 << 20  # the SDK's own recommendation, `ulimit -s 32768`


def begin_again_with_room_on_the_stack() -> None:
    """Starts this program again with a larger stack: threads take the limit a program was started with.

    Where the system allows no more, the program goes on, and the SDK warns.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_STACK)
    endless = resource.RLIM_INFINITY
    if soft == endless or soft >= STACK_BYTES or (hard != endless and hard < STACK_BYTES):
        return
    resource.setrlimit(resource.RLIMIT_STACK, (STACK_BYTES, hard))
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


if __name__ == "__main__":
    begin_again_with_room_on_the_stack()
    os.environ.setdefault("HOLOSCAN_LOG_LEVEL", "ERROR")  # a machine without a GPU is no reason to warn

    from mammo_monai.apps.monai_deploy.app import main

    sys.exit(main())
