"""Callers of the hostile soak, good and bad; each says whether the node did to it what it should.

See hostile_soak.py.
"""

from __future__ import annotations

import json
import random
import ssl
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import trustme
from node_soak import ROOT, Soak

sys.path.insert(0, str(ROOT))
from tests.dicom.network.raw_caller import (  # the repository is on the path now
    ABORT,
    ACCEPTED,
    REJECTED,
    RawCaller,
    association_request,
    echo_request,
    store_request,
)
from tests.service.node.films import film

MAX_INSTANCE_MB = 1.0
TIMEOUT_S = 3.0
# How often of 100 associations each comes; stores are repeated until they are acknowledged.
MIX = {
    "store": 9,
    "echo": 25,
    "abort": 6,
    "close": 6,
    "garbage": 6,
    "garbage_in_tls": 4,
    "pdu_length": 5,
    "endless": 4,
    "silent": 4,
    "half_handshake": 3,
    "byte_by_byte": 3,
    "idle": 3,
    "reads_nothing": 2,
    "wrong_title": 8,
    "wrong_certificate": 4,
    "no_certificate": 3,
    "plaintext": 5,
}


class Authorities:
    """Certificates: those of node, sender and a neighbour of one authority, and a stranger's."""

    def __init__(self, folder: Path) -> None:
        own, other = trustme.CA(), trustme.CA()
        self.folder = folder
        self.contexts = {
            "sender": self._client(own, own.issue_cert("sender.example.org")),
            "neighbour": self._client(own, own.issue_cert("neighbour.example.org")),
            "stranger": self._client(own, other.issue_cert("sender.example.org")),
            "nobody": self._client(own, None),
        }
        node = own.issue_cert("127.0.0.1")
        node.cert_chain_pems[0].write_to_path(folder / "node.pem")
        node.private_key_pem.write_to_path(folder / "node.key")
        own.cert_pem.write_to_path(folder / "ca.pem")

    def _client(self, authority: trustme.CA, leaf: trustme.LeafCert | None) -> ssl.SSLContext:
        context = ssl.create_default_context()
        authority.configure_trust(context)
        if leaf is not None:
            leaf.configure_cert(context)
        return context


class HostileSoak(Soak):
    """What the soak counts, and its callers."""

    def prepare(self, archive_port: int) -> None:
        self.configure(archive_port)
        self.authorities = Authorities(self.folder)
        self.store_s: list[float] = []
        self.held: list[tuple[str, RawCaller, float]] = []
        self.unexpected: Counter[str] = Counter()
        self.is_down = False
        content = json.loads(self.configuration.read_text())
        content["receiving"] |= {
            "peers": [
                {"ae_title": "SENDER", "networks": ["127.0.0.0/8"], "certificate": "sender.example.org"}
            ],
            "tls": {"certificate": "node.pem", "key": "node.key", "ca": "ca.pem"},
            "association_timeout_s": TIMEOUT_S,
            "network_timeout_s": TIMEOUT_S,
        }
        content["limits"] |= {
            "max_instance_mb": MAX_INSTANCE_MB,
            "max_receiving_mb": 50,
            "max_associations_per_peer": 20,
            "associations_per_minute": 1e6,
            "requests_per_minute": 1e6,
        }
        self.configuration.write_text(json.dumps(content, indent=1))

    def caller(self, who: str | None = "sender", **options: Any) -> RawCaller:
        tls = None if who is None else self.authorities.contexts[who]
        return RawCaller(self.port, tls=tls, timeout_s=15, **options)

    def run(self, kind: str, chance: random.Random) -> None:
        """One caller; what it is told while the node is down or killed proves nothing."""
        with self.lock:
            self.counts[kind] += 1
            n_kills, was_down = self.counts["kills"], self.is_down
        try:
            is_as_expected = getattr(self, f"do_{kind}")(chance)
        except OSError as error:
            is_ended = isinstance(error, (ConnectionError, ssl.SSLError))
            is_as_expected = is_ended and kind not in ("store", "echo")
        with self.lock:
            if was_down or self.is_down or self.counts["kills"] != n_kills:
                self.counts["called while the node was down"] += 1
            elif not is_as_expected:
                self.unexpected[kind] += 1

    def do_store(self, chance: random.Random) -> bool:
        dataset = film(shape=(chance.randrange(60, 160), chance.randrange(40, 120)))
        for _ in range(200):
            begin = time.monotonic()
            try:
                with self.caller() as caller:
                    status = caller.store(dataset) if caller.associate()[:1] == bytes((ACCEPTED,)) else None
                    if status is not None:
                        caller.release()
            except OSError:
                status = None
            if status == 0:
                with self.lock:
                    self.acknowledged.add(str(dataset.SOPInstanceUID))
                    self.store_s.append(time.monotonic() - begin)
                return True
            with self.lock:
                self.counts["stores sent again"] += 1
            time.sleep(0.2)
        return False

    def do_echo(self, _: random.Random) -> bool:
        with self.caller() as caller:
            answer = caller.associate()
            if answer[:1] == bytes((REJECTED,)):  # too many at once: said so, and that is all
                self.counts["echoes rejected"] += 1
                return True
            is_well = caller.echo() == 0
            caller.release()
        return is_well

    def _mid_file(self, caller: RawCaller, chance: random.Random) -> None:
        if caller.associate()[:1] == bytes((ACCEPTED,)):
            pieces = store_request(film(shape=(150, 100)), pdu_bytes=1024)
            for piece in pieces[: chance.randrange(1, len(pieces) - 1)]:
                caller.send(piece)

    def do_abort(self, chance: random.Random) -> bool:
        with self.caller() as caller:
            self._mid_file(caller, chance)
            caller.send(ABORT)
        return True

    def do_close(self, chance: random.Random) -> bool:
        with self.caller() as caller:
            self._mid_file(caller, chance)
        return True

    def do_garbage(self, chance: random.Random) -> bool:
        with self.caller(None, source="127.0.0.2") as caller:
            caller.send(chance.randbytes(chance.randrange(1, 3000)))
            return caller.is_ended()

    def do_garbage_in_tls(self, chance: random.Random) -> bool:
        with self.caller(source="127.0.0.2") as caller:
            start = association_request()[: chance.choice((0, 1, 6, 40))]
            caller.send(start + chance.randbytes(3000))
            return caller.is_ended()

    def do_pdu_length(self, chance: random.Random) -> bool:
        with self.caller(source="127.0.0.2") as caller:
            if chance.random() < 0.5:
                caller.associate()
                caller.send(b"\x04\0\xff\xff\xff\xff" + bytes(70_000))
            else:
                caller.send(b"\x01\0\xff\xff\xff\xff" + bytes(70_000))
            return caller.is_ended()

    def do_endless(self, _: random.Random) -> bool:
        dataset = film(shape=(400, 200))
        command, *rest = store_request(dataset, pdu_bytes=65536)
        with self.caller(source="127.0.0.2") as caller:
            if caller.associate()[:1] != bytes((ACCEPTED,)):
                return True
            caller.send(command)
            for _ in range(200):  # 13 MB, of which the last fragment never comes
                caller.send(rest[0])
        return False

    def _hold(self, kind: str, caller: RawCaller) -> bool:
        with self.lock:
            self.held.append((kind, caller, time.monotonic()))
        return True

    def do_silent(self, _: random.Random) -> bool:
        return self._hold("silent", self.caller(None, source="127.0.0.3"))

    def do_half_handshake(self, _: random.Random) -> bool:
        caller = self.caller(None, source="127.0.0.3")
        caller.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
        return self._hold("half_handshake", caller)

    def do_byte_by_byte(self, _: random.Random) -> bool:
        caller = self.caller(source="127.0.0.3")
        caller.send(association_request()[:20])
        return self._hold("byte_by_byte", caller)

    def do_idle(self, _: random.Random) -> bool:
        caller = self.caller(source="127.0.0.3")
        caller.associate()
        return self._hold("idle", caller)

    def do_reads_nothing(self, _: random.Random) -> bool:
        caller = self.caller(source="127.0.0.3")
        caller.send(association_request())
        caller.send(echo_request() * 200)
        return self._hold("reads_nothing", caller)

    def do_wrong_title(self, chance: random.Random) -> bool:
        who, title = chance.choice((("sender", "STRANGER"), ("neighbour", "SENDER")))
        with self.caller(who, source="127.0.0.4") as caller:
            return caller.associate(title)[:1] == bytes((REJECTED,))

    def _is_shut_out(self, who: str) -> bool:
        try:
            with self.caller(who, source="127.0.0.4") as caller:
                return caller.associate() == b""
        except (ssl.SSLError, ConnectionError):
            return True

    def do_wrong_certificate(self, _: random.Random) -> bool:
        return self._is_shut_out("stranger")

    def do_no_certificate(self, _: random.Random) -> bool:
        return self._is_shut_out("nobody")

    def do_plaintext(self, _: random.Random) -> bool:
        with self.caller(None, source="127.0.0.4") as caller:
            caller.send(association_request())
            return caller.is_ended()

    def see_to_held(self, stopping: threading.Event) -> None:
        """Keeps slow callers alive byte by byte, and sees that the node ends them in time."""
        while not stopping.is_set() or self.held:
            with self.lock:
                due = [each for each in self.held if time.monotonic() - each[2] > 4 * TIMEOUT_S]
                self.held = [each for each in self.held if each not in due]
                dripping = [caller for kind, caller, _ in self.held if kind == "byte_by_byte"]
            for caller in dripping:
                with suppress(OSError):
                    caller.send(b"\0")
            for kind, caller, _ in due:
                caller.socket.settimeout(0.5)
                is_ended = caller.is_ended()
                with self.lock:
                    self.counts["held connections ended by the node" if is_ended else "still open"] += 1
                    self.unexpected[kind] += not is_ended
                caller.socket.close()
            time.sleep(0.5)
