"""Runs a command that serves a page until Ctrl+C: waits for its address, opens the page once, presses Ctrl+C.

python scripts/docs/follow_served.py mammo-monai review detections.json
"""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from urllib.request import ProxyHandler, build_opener

ADDRESS = re.compile(r"https?://(127\.0\.0\.1|localhost)\S*")
LOCAL = build_opener(ProxyHandler({}))  # the page is on this machine whatever proxy there is


def main() -> int:
    # In the background of a shell Ctrl+C is ignored, and children would inherit that.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    process = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE, text=True)
    if process.stdout is None:
        raise SystemExit("no output to read")
    for line in process.stdout:
        print(line, end="", flush=True)
        if found := ADDRESS.search(line):
            with LOCAL.open(found.group(0), timeout=60) as page:
                print(f"opened: {page.status}, {len(page.read())} bytes; Ctrl+C", flush=True)
            process.send_signal(signal.SIGINT)
    return process.wait(60)


if __name__ == "__main__":
    sys.exit(main())
