"""A real proxy: a process that carries requests on from another address of this machine."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

EGRESS = "127.0.0.2"
"""Where the proxy's own connections come from: who comes from there has passed it."""


class Proxy:
    """A proxy of *scheme* (http, socks5, or https with a *certificate*) on a free port; used as a context."""

    def __init__(self, scheme: str, *, credentials: str = "", certificate: Path | None = None) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        protocol = {"https": "http+ssl", "socks5h": "socks5"}.get(scheme, scheme)
        flags = ["-l", f"{protocol}://127.0.0.1:{self.port}{f'#{credentials}' if credentials else ''}"]
        flags += ["-r", f"direct:///@{EGRESS}"]
        flags += ["--auth", "0"]
        flags += ["--ssl", str(certificate)] if certificate else []
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "pproxy", *flags],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.address = f"{scheme}://127.0.0.1:{self.port}"
        self.address_with_credentials = f"{scheme}://{f'{credentials}@' if credentials else ''}127.0.0.1:{self.port}"

    def __enter__(self) -> Proxy:
        for _ in range(500):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return self
            time.sleep(0.02)
        self._process.kill()
        message = "the proxy did not start"
        raise TimeoutError(message)

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()
