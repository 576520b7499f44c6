"""A node before it starts: its ports, its certificates, and whether those it sends to answer."""

from __future__ import annotations

import errno
import json
import socket
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mammo_monai.dicom.network.archives import archive_of
from mammo_monai.doctor.certificates import certificate_findings
from mammo_monai.doctor.child import Step
from mammo_monai.doctor.disk import look_at, place_finding
from mammo_monai.doctor.findings import Finding, Level, quoted
from mammo_monai.errors import MammoError
from mammo_monai.service.node.settings import Destination, NodeSettings, read_settings

KIND = "clinic"
ECHO_TIMEOUT_S = 5.0


def findings(request: Mapping[str, Any]) -> Iterator[Finding | Step]:
    """All of this kind; without a configuration there is nothing to look at."""
    if not request.get("node"):
        return
    path = Path(request["node"])
    try:
        settings = read_settings(path)
    except (MammoError, OSError, ValueError) as error:
        why, fix = "The node would not start.", f"mammo-monai serve --check {quoted(path)}"
        private = (str(error), str(path))  # an error quotes the values it is about: titles, hosts
        yield Finding(KIND, "configuration", Level.FAULT, f"not sound: {error}", why, fix, private)
        return
    yield Finding(KIND, "configuration", Level.OK, f"{path.name} is sound", private=(path.name,))
    for warning in settings.warnings:
        fix = 'Name peers, or calling_ae_titles with networks, in "receiving"'
        yield Finding(KIND, "configuration", Level.WARNING, warning, "Strangers may send images.", fix)
    yield from _own_side(settings)
    for number, destination in enumerate(settings.destinations, start=1):
        yield Step.begun(f"asking destination {number}", "Check host, port and firewall of this destination")
        yield destination_finding(number, destination, settings.receiving.ae_title)


def _own_side(settings: NodeSettings) -> Iterator[Finding]:
    receiving = settings.receiving
    yield port_finding("DICOM port", receiving.host, receiving.port)
    yield port_finding("HTTP port", settings.http.host, settings.http.port)
    place = place_finding("queue", look_at(settings.folder), '"folder"')
    yield Finding(
        KIND, "queue", place.level, place.found, place.why, place.fix, private=(str(settings.folder),)
    )
    parts = {"receiving": receiving.tls}
    parts |= {f"destination {n}": each.tls for n, each in enumerate(settings.destinations, start=1)}
    for name, tls in parts.items():
        if tls is not None:
            yield from certificate_findings(KIND, name, tls, time.time())


def port_finding(name: str, host: str, port: int) -> Finding:
    """Whether the node could listen there, or does already."""
    place, private = f"{host}:{port}", (host,)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind((host, port))
    except OSError as error:
        return _not_bound(name, (place, port), error, private)
    return Finding(KIND, name, Level.OK, f"{place} is free", private=private)


def _not_bound(name: str, at: tuple[str, int], error: OSError, private: tuple[str, ...]) -> Finding:
    place, port = at
    if isinstance(error, PermissionError):
        why = "Ports below 1024 are the system administrator's."
        fix = "Take a port such as 11112, and have the firewall pass 104 on to it"
        return Finding(KIND, name, Level.FAULT, f"{place}: not allowed", why, fix, private)
    if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
        why, fix = "This is no address of this machine.", "Name 0.0.0.0, or one that `ip address` shows"
        return Finding(KIND, name, Level.FAULT, f"{place}: unknown", why, fix, private)
    found, fix = f"{place}: {error.strerror or error}", f"ss -ltnp 'sport = :{port}'  # says who listens"
    if error.errno == errno.EADDRINUSE:
        why = "The node cannot listen there; if it is the node itself that runs, all is well."
        return Finding(KIND, name, Level.WARNING, found, why, fix, private)
    fix = "Name 0.0.0.0, or one that `ip address` shows"
    return Finding(KIND, name, Level.FAULT, found, "The node cannot listen there.", fix, private)


def destination_finding(number: int, destination: Destination, ae_title: str) -> Finding:
    """Whether a destination answers C-ECHO, or its web service answers at all."""
    where = destination.peer or destination.dicomweb or ""
    name = f"destination {number}"
    files = {} if destination.tls is None else vars(destination.tls)
    places = {name: str(path) for name, path in files.items() if path is not None}
    titles = (each for each in (ae_title,) if len(each) > 1)
    private = (where, destination.name, *_parts_of(where), *titles, *places.values())
    text = f"{destination.name} ({where})"
    try:
        archive = archive_of(where, calling_ae_title=ae_title, tls=destination.tls, timeout_s=ECHO_TIMEOUT_S)
        taken_s = archive.echo()
    except (MammoError, OSError) as error:
        why = "Results wait in the queue until it answers, and are given up in the end."
        fix = _echo(where, ae_title, None if destination.tls is None else places)
        return Finding(KIND, name, Level.FAULT, f"{text}: {_one_line(error)}", why, fix, private)
    return Finding(KIND, name, Level.OK, f"{text} answers, {taken_s * 1000:.0f} ms", private=private)


def _echo(where: str, ae_title: str, tls: Mapping[str, str] | None) -> str:
    """The command that asks as the node does."""
    words = ["mammo-monai dicom echo", quoted(where), "--calling-ae", quoted(ae_title)]
    words += [] if tls is None else ["--tls"]
    options = {"certificate": "--tls-cert", "key": "--tls-key", "ca": "--tls-ca"}
    return " ".join([*words, *(f"{options[name]} {quoted(path)}" for name, path in (tls or {}).items())])


def _parts_of(where: str) -> tuple[str, ...]:
    """AE title and host, as error messages name them alone."""
    title, _, address = where.rpartition("@")
    host = address.partition("://")[2] or address
    host = host.partition("/")[0]
    return tuple(part for part in (title, host, host.rpartition(":")[0]) if len(part) > 1)


def _one_line(error: BaseException) -> str:
    return json.dumps(" ".join(str(error).split()), ensure_ascii=False)[1:-1][:300]
