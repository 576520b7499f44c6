"""10 000 associations into a node, most of them hostile, with the node killed with -9 on the way.

The node listens with mutual TLS and one peer whose certificate is pinned. Good senders store films until they
hear "success", and say C-ECHO; beside them others abort, send garbage, announce PDUs of 4 GB, stream without
end, hold connections open without a word or byte by byte, never read, call by wrong AE titles, show no
certificate or that of another authority, or speak no TLS at all. In the end films acknowledged, films in the
queue and films with exactly one result of each kind in the archive must be the same, every hostile caller
must have been refused, and memory, threads and open files of the node must be what they were.

    python scripts/clinic/hostile_soak.py --associations 10000 --out build/hostile_soak.json
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import platform
import random
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from hostile_callers import MIX, TIMEOUT_S, HostileSoak
from node_soak import outcome, wait_for

from mammo_monai.dicom.network.storage_server import StorageServer
from mammo_monai.files import atomic_path
from mammo_monai.service.node import NodeQueue, read_settings

KILLS = (0.05, 0.15, 0.3)  # of all associations; the long life after the last shows leaks
PHASES = ((0.3, "after the last kill"), (0.65, "middle"), (1.0, "end"))


def resources(process_id: int) -> dict[str, float]:
    """Of the node's own process: megabytes resident, threads, open files."""
    lines = Path(f"/proc/{process_id}/status").read_text().splitlines()
    status = dict(line.split(":", 1) for line in lines if ":" in line)
    return {
        "resident MB": round(int(status["VmRSS"].split()[0]) / 1000, 1),
        "most resident MB": round(int(status["VmHWM"].split()[0]) / 1000, 1),
        "threads": int(status["Threads"]),
        "open files": len(list(Path(f"/proc/{process_id}/fd").iterdir())),
    }


def at_rest(soak: HostileSoak) -> dict[str, float]:
    """Resources once held connections have been given up."""
    wait_for(lambda: not soak.held, time.monotonic() + 60)
    time.sleep(TIMEOUT_S + 3)
    assert soak.process is not None
    return resources(soak.process.pid)


def is_listening(soak: HostileSoak) -> bool:
    try:
        return soak.do_echo(random.Random())
    except OSError:
        return False


def kill_and_start(soak: HostileSoak) -> None:
    soak.is_down = True
    soak.kill_node()
    soak.start_node()
    wait_for(lambda: is_listening(soak), time.monotonic() + 120)
    soak.is_down = False


def run_associations(soak: HostileSoak, total: int, workers: int) -> dict[str, Any]:
    """Runs the mix; returns resources at rest at the end of each phase."""
    kinds = random.Random(soak.seed).choices(list(MIX), weights=list(MIX.values()), k=total)
    kills = {int(total * each) for each in KILLS[:-1]}
    measured: dict[str, Any] = {}
    begin, done = time.monotonic(), 0

    def work(turn: Any, lock: threading.Lock) -> None:
        while True:
            with lock:
                number = next(turn, None)
            if number is None:
                return
            soak.run(kinds[number], random.Random(soak.seed * 1_000_003 + number))
            if number in kills:
                kill_and_start(soak)
            if number % 250 == 249:
                tell(soak, begin, number + 1, total)

    for share, name in PHASES:
        turn, lock = iter(range(done, int(total * share))), threading.Lock()
        threads = [threading.Thread(target=work, args=(turn, lock), daemon=True) for _ in range(workers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        done = int(total * share)
        if not measured:
            kill_and_start(soak)
        measured[name] = at_rest(soak)
        print(f"{name}: {measured[name]}", flush=True)
    return measured


def tell(soak: HostileSoak, begin: float, done: int, total: int) -> None:
    left_s = (time.monotonic() - begin) / done * (total - done)
    now = resources(soak.process.pid) if soak.process is not None and not soak.is_down else "starting"
    print(f"{done} of {total}, about {left_s:.0f} s left; {now}; {dict(soak.unexpected)}", flush=True)


def stores_alone(soak: HostileSoak, number: int) -> list[float]:
    """Seconds of each store when nobody else calls."""
    for _ in range(number):
        soak.do_store(random.Random())
    alone, soak.store_s = soak.store_s, []
    return alone


def quantiles(seconds: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(seconds, n=20)
    return {
        "stores": len(seconds),
        "median s": round(statistics.median(seconds), 3),
        "95 % s": round(cuts[-1], 3),
    }


def run_soak(total: int, *, workers: int, seed: int, folder: Path) -> dict[str, Any]:
    soak = HostileSoak(folder, seed)
    begin = time.monotonic()
    stopping = threading.Event()
    with StorageServer(ae_title="ARCHIVE", store=soak.archive_store) as archive:
        soak.prepare(archive.port)
        soak.start_node()
        try:
            wait_for(lambda: is_listening(soak), time.monotonic() + 120)
            alone = stores_alone(soak, 40)
            holder = threading.Thread(target=soak.see_to_held, args=(stopping,), daemon=True)
            holder.start()
            measured = run_associations(soak, total, workers)
            stopping.set()
            holder.join(60)
            sending_s = time.monotonic() - begin
            with NodeQueue(read_settings(soak.configuration)) as queue:
                done = "SELECT COUNT(*) FROM instances WHERE state = 'sent'"
                wait_for(lambda: queue.database.value(done) >= len(soak.acknowledged), begin + 3600)
                in_queue = {row[0] for row in queue.database.rows("SELECT sop_uid FROM instances")}
                n_done, status = int(queue.database.value(done)), queue.status()
        finally:
            code = ended(soak)
    found = outcome(soak, in_queue, n_done, status, sending_s, time.monotonic() - begin, code)
    return {
        "associations": total,
        **found,
        "resources of the node at rest": measured,
        "stores when nobody else calls": quantiles(alone),
        "stores among hostile callers": quantiles(soak.store_s),
        "callers that were not treated as expected": dict(soak.unexpected),
        "tracebacks in the log": (folder / "node.log").read_text().count("Traceback"),
        "lines in the log": len((folder / "node.log").read_text().splitlines()),
    }


def ended(soak: HostileSoak) -> int | None:
    if soak.process is None:
        return None
    soak.process.terminate()
    return soak.process.wait(120)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--associations", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=6)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("build/hostile_soak.json"))
    parser.add_argument("--folder", type=Path, help="work here and keep it, the node's log among it")
    args = parser.parse_args()
    logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        found = run_soak(args.associations, workers=args.workers, seed=args.seed, folder=folder)
    machine = {"cpus": len(os.sched_getaffinity(0)), "platform": platform.platform()}
    found = {
        "command": " ".join(["python", *sys.argv]),
        "machine": {**machine, "python": platform.python_version()},
        **found,
    }
    args.out.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(args.out) as part:
        part.write_text(json.dumps(found, indent=1))
    print(json.dumps(found, indent=1))
    is_sound = found["equal"] and not any(found["callers that were not treated as expected"].values())
    return 0 if is_sound and not found["tracebacks in the log"] else 1


if __name__ == "__main__":
    sys.exit(main())
