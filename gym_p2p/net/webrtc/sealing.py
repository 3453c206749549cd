"""Records of one DTLS session, sealed and opened by OpenSSL with as little around it as can be.

pyOpenSSL's own methods do the same in a microsecond and a half each, two for each record, most of which goes
into buffers that are made and given back. Here one buffer stays. Errors are pyOpenSSL's.
"""

from __future__ import annotations

from typing import Any

from OpenSSL import SSL

__all__ = ["MAX_RECORD_BYTES", "Sealing"]

MAX_RECORD_BYTES = 1_500
"""What aiortc reads at once; one record is one datagram."""

_openssl: Any = SSL
_ffi = _openssl._ffi
_lib = _openssl._lib


class Sealing:
    """Both directions of a session.

    Args:
        connection: it, over memory.

    Attributes:
        connection: the same.
    """

    def __init__(self, connection: SSL.Connection) -> None:
        self.connection = connection
        private: Any = connection
        self._ssl = private._ssl
        self._in = private._into_ssl
        self._out = private._from_ssl
        self._raise_ssl_error = private._raise_ssl_error
        self._handle_bio_errors = private._handle_bio_errors
        self._buffer = _ffi.new("char[]", MAX_RECORD_BYTES)
        self._bytes = _ffi.buffer(self._buffer)

    def seal(self, plain: bytes) -> bytes:
        """Return the record that holds this.

        Raises:
            SSL.Error: the session takes nothing any more.
        """
        done = _lib.SSL_write(self._ssl, plain, len(plain))
        if done <= 0:
            self._raise_ssl_error(self._ssl, done)
        size = _lib.BIO_read(self._out, self._buffer, MAX_RECORD_BYTES)
        if size <= 0:
            self._handle_bio_errors(self._out, size)
        record: bytes = self._bytes[:size]
        return record

    def open(self, record: bytes) -> bytes:
        """Return what is in a record.

        Raises:
            SSL.Error: nothing, by this session's keys, or it was taken before.
        """
        if _lib.BIO_write(self._in, record, len(record)) <= 0:
            self._handle_bio_errors(self._in, 0)
        size = _lib.SSL_read(self._ssl, self._buffer, MAX_RECORD_BYTES)
        if size <= 0:
            self._raise_ssl_error(self._ssl, size)
        plain: bytes = self._bytes[:size]
        return plain
