"""A real nginx in front of a service of this machine."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

__all__ = ["nginx"]

_CONFIG = """
{user}
daemon off;
pid nginx.pid;
error_log stderr;
events {{}}
http {{
  access_log off;
  client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;
  proxy_http_version 1.1;
  proxy_set_header Host $host;
  proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
  proxy_set_header Upgrade $http_upgrade;
  proxy_set_header Connection upgrade;
  server {{
    listen 127.0.0.1:{plain};
    listen 127.0.0.1:{tls} ssl;
    ssl_certificate {certificate};
    ssl_certificate_key {certificate};
    location /lab/ {{ proxy_pass {service}/; }}
    location /left/as/it/is/ {{ proxy_pass {service}; }}
  }}
}}
"""


@contextlib.contextmanager
def nginx(service_url: str, folder: Path, certificate: Path) -> Iterator[tuple[str, str]]:
    """Serve a service below ``/lab/``, and with its paths as they came below ``/left/as/it/is/``.

    Yields:
        The proxy's address, in the clear and with TLS.
    """
    plain, tls = _unused_ports(2)
    config = folder / "nginx.conf"
    user = "user root;" if os.geteuid() == 0 else ""
    config.write_text(
        _CONFIG.format(user=user, plain=plain, tls=tls, certificate=certificate, service=service_url)
    )
    program = shutil.which("nginx") or "nginx"
    process = subprocess.Popen(
        [program, "-p", str(folder), "-c", str(config)], stderr=subprocess.PIPE, text=True
    )
    try:
        _wait_for(process, tls)
        yield f"http://127.0.0.1:{plain}", f"https://127.0.0.1:{tls}"
    finally:
        process.terminate()
        process.communicate(timeout=20)


def _wait_for(process: subprocess.Popen[str], port: int) -> None:
    for _ in range(500):
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        if process.poll() is not None:
            raise AssertionError(f"nginx did not start: {process.communicate()[1]}")
        time.sleep(0.02)
    raise AssertionError("nginx does not listen")


def _unused_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        listeners = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [int(listener.getsockname()[1]) for listener in listeners]
