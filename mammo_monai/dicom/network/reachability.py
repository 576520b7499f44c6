"""Why a peer that gave no association cannot be talked to: found out by one more, empty connection."""

from __future__ import annotations

import socket
import ssl

from mammo_monai.dicom.network.peers import Peer


def why_unreachable(peer: Peer, context: ssl.SSLContext | None, *, timeout_s: float) -> str:
    """What was expected, what came, what to do, in one sentence or two; nothing is sent to the peer.

    Args:
        context: of the client, where the peer is to be talked to by TLS.
    """
    try:
        connection = socket.create_connection((peer.host, peer.port), timeout=timeout_s)
    except OSError as error:
        return _connection_words(peer, error)
    with connection:
        return _without_tls(connection) if context is None else _with_tls(peer, connection, context)


def _connection_words(peer: Peer, error: OSError) -> str:
    if isinstance(error, socket.gaierror):
        return (
            f"expected a host, the name {peer.host} is unknown here. Check its spelling and the name server."
        )
    if isinstance(error, ConnectionRefusedError):
        return (
            f"expected a DICOM node on port {peer.port}, nothing listens there. Check the port, and that the "
            "node runs."
        )
    if isinstance(error, TimeoutError):
        return (
            "expected an answer, none came. Check host and port; a firewall may drop connections between us."
        )
    return f"expected a connection, got {error.strerror or error}. Check host, port and network."


def _with_tls(peer: Peer, connection: socket.socket, context: ssl.SSLContext) -> str:
    try:
        with context.wrap_socket(connection, server_hostname=peer.host) as encrypted:
            encrypted.settimeout(1.0)
            encrypted.recv(1)  # with TLS 1.3 a server refuses our certificate only after the handshake
    except ssl.SSLCertVerificationError as error:
        return (
            f"expected a certificate we trust for {peer.host}, got one that is not ({error.verify_message}). "
            "Name the authority that signed it, and the host as the certificate does."
        )
    except ssl.SSLError as error:
        words = (getattr(error, "reason", None) or str(error)).replace("_", " ").lower()
        return (
            f"expected TLS, the handshake failed ({words}). Either the peer does not speak TLS on this port, "
            "or it wants a certificate of ours that it trusts."
        )
    except TimeoutError:
        return f"expected an association over TLS, no answer came. {_IS_IT_DICOM}"
    except OSError:
        return "expected TLS, the connection was closed. The peer may not speak TLS on this port."
    return f"expected an association over TLS, the connection was closed. {_IS_IT_DICOM}"


def _without_tls(connection: socket.socket) -> str:
    """Tries a handshake, which trusts anybody and carries no data, to see whether the peer wants one."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    connection.settimeout(1.0)
    try:
        with context.wrap_socket(connection):
            return "expected a DICOM node without TLS, it speaks TLS. Use TLS with the authority it trusts."
    except OSError:  # SSLError is one
        return f"expected an association, the connection was closed or no answer came. {_IS_IT_DICOM}"


_IS_IT_DICOM = "Is this port a DICOM node's, and not a web server's?"
