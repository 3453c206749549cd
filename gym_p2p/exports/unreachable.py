"""Why a host could not be reached, in words that name the cause.

It knows what the operating system and the TLS library raise, and what a proxy's answers mean; whoever opens
a connection, with whatever library, gets the words from here.
"""

from __future__ import annotations

import http
import os
import socket
import ssl

__all__ = ["NO_SERVICE", "is_busy", "status_in_words", "why_unreachable"]

NO_SERVICE = "what answers there is no gym_p2p service"

_BUSY = frozenset({429, 503})
"""Answers that say of themselves that they will be another one soon (RFC 6585, 4; RFC 9110, 15.6.4)."""

_TRUST = "make its certificate authority known here: SSL_CERT_FILE names a file with its certificate"
_CERTIFICATE_PROBLEMS = {
    9: "its TLS certificate is not valid yet: check the clocks of both machines",
    10: "its TLS certificate has expired: its owner has to renew it",
    18: f"its TLS certificate is not trusted, for it has signed itself; {_TRUST}",
    19: f"its TLS certificate is not trusted, for a certificate in its chain has signed itself; {_TRUST}",
    20: f"its TLS certificate is not trusted, for its issuer is unknown here; {_TRUST}",
    21: f"its TLS certificate is not trusted, for its chain is not complete; {_TRUST}",
    62: "its TLS certificate is for another host name: use the name that it was made for",
    63: "its TLS certificate is for another host name: use the name that it was made for",
    64: "its TLS certificate is not for this address: use the host name that it was made for",
}
"""By OpenSSL's X509_V_ERR codes."""
_NO_TLS = frozenset(
    {"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG"}
)
"""How OpenSSL calls an answer that is not TLS at all, by its versions."""


def why_unreachable(error: OSError) -> str:
    """Return what it means that opening a connection raised this."""
    match error:
        case ssl.SSLCertVerificationError():
            other = f"its TLS certificate is not accepted: {error.verify_message}"
            told = _CERTIFICATE_PROBLEMS.get(error.verify_code, other)
        case ssl.SSLError(reason=reason) if reason in _NO_TLS:
            told = "what answers there does not speak TLS: try http:// instead of https://"
        case ssl.SSLError():
            told = f"TLS failed: {(error.reason or str(error)).replace('_', ' ').lower()}"
        case socket.gaierror(errno=socket.EAI_AGAIN):
            told = "the host name could not be looked up: no name server answers"
        case socket.gaierror():
            told = "the host name is unknown"
        case ConnectionResetError() | BrokenPipeError():
            told = "it hangs up at once"
        case TimeoutError():
            told = "no answer in time"
        case _:
            told = os.strerror(error.errno) if error.errno else str(error) or "connection failed"
    return told


def status_in_words(status: int) -> str:
    """Return what it means that something answered with this HTTP status, where the service would not."""
    if status == http.HTTPStatus.TOO_MANY_REQUESTS:
        meaning = "it takes no more connections for the moment; try again"
    elif status == http.HTTPStatus.SERVICE_UNAVAILABLE:
        meaning = "it is not available for the moment; try again"
    elif status in {http.HTTPStatus.BAD_GATEWAY, http.HTTPStatus.GATEWAY_TIMEOUT}:
        meaning = "a proxy answers there, and the service behind it does not"
    elif status == http.HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        meaning = "it is too large for a proxy in front of the service (nginx: client_max_body_size)"
    elif status == http.HTTPStatus.INSUFFICIENT_STORAGE:
        meaning = "the disk of a proxy in front of the service is full"
    elif status == http.HTTPStatus.NOT_FOUND:
        meaning = f"{NO_SERVICE}: nothing is served at this path"
    elif 300 <= status < 400:
        meaning = f"{NO_SERVICE}: it redirects to another address"
    elif status in {http.HTTPStatus.UNAUTHORIZED, http.HTTPStatus.FORBIDDEN}:
        meaning = f"{NO_SERVICE}, or a proxy that wants a permission of its own"
    else:
        meaning = NO_SERVICE
    return f"{meaning} (HTTP {status})"


def is_busy(status: int) -> bool:
    """Return whether the same request may be granted soon."""
    return status in _BUSY
