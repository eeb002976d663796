"""The HTTP server around the application: in a thread for tests, or until it is interrupted."""

from __future__ import annotations

import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import uvicorn

from reiterate.simulator.app import App
from reiterate.simulator.world import World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from reiterate.simulator.app import Seen
    from reiterate.simulator.jobs import Job
    from reiterate.simulator.options import Fault, ServerOptions, WorldOptions


def _server(app: App, host: str, port: int) -> uvicorn.Server:
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        log_level="critical",
        access_log=False,
        lifespan="off",
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=1,
        ssl_certfile=app.options.certificate,
    )
    return uvicorn.Server(config)


def _listen(host: str, port: int) -> socket.socket:
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind((host, port))
    listening.listen(256)
    return listening


def _address(listening: socket.socket, server: ServerOptions) -> str:
    host, port = listening.getsockname()
    return f"{'https' if server.certificate else 'http'}://{host}:{port}"


class Simulator:
    """
    A simulated project behind a server on a free port of this machine, in a thread; used as a context.

    ``truth`` and the other methods act on the project at once; ``requests`` are all that came in.
    """

    def __init__(self, world: WorldOptions, server: ServerOptions) -> None:
        self.world = World(world)
        self.api_key = server.api_key
        self._app = App(self.world, server, "127.0.0.1")
        self._socket, storage = _listen("127.0.0.1", 0), _listen("127.0.0.1", 0)
        self._sockets = [self._socket, storage]
        self._server = _server(self._app, "127.0.0.1", 0)
        self._thread = threading.Thread(target=self._server.run, args=(self._sockets,), daemon=True)
        self.url = _address(self._socket, server)
        self.storage_url = self._app.jobs.storage_url = _address(storage, server)

    def __enter__(self) -> Simulator:
        self._thread.start()
        while not self._server.started:
            time.sleep(0.005)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join()
        for listening in self._sockets:
            listening.close()

    def truth(self, table: str) -> list[dict[str, Any]]:
        """Return what a complete replica holds of *table*, as the source has it."""
        if table == "export_jobs":
            return [job.row for job in self.jobs]
        return self.world.truth(table)

    def mutate(self, *, fraction: float = 0.01, seed: int = 1) -> None:
        """Let time pass until the last whole second: see :meth:`World.mutate`."""
        self.world.mutate(fraction=fraction, seed=seed, now_s=self._app.last_second)

    def delete_user(self, identifier: str) -> None:
        """Delete a user by email or userId, with memberships and events."""
        self.world.delete_user(identifier)

    def forget_user(self, identifier: str) -> None:
        """Delete a user for good, and list the hashes of the identifiers."""
        self.world.forget_user(identifier)

    def unforget_user(self, identifier: str) -> None:
        """List those hashes no more."""
        self.world.unforget_user(identifier)

    def change_email(self, old: str, new: str) -> None:
        """Rename a user now: see :meth:`World.change_email`."""
        self.world.change_email(old, new, now_s=self._app.last_second)

    def merge_users(self, source: str, destination: str) -> None:
        """Merge one user into another now: see :meth:`World.merge_users`."""
        self.world.merge_users(source, destination, now_s=self._app.last_second)

    @property
    def control_token(self) -> str:
        """What ``/_simulator/`` wants in the header ``X-Control-Token``."""
        return self._app.control_token

    @property
    def requests(self) -> list[Seen]:
        return list(self._app.requests)

    @property
    def jobs(self) -> list[Job]:
        """Every export job that was started, oldest first."""
        return list(self._app.jobs.all.values())

    def set_faults(self, faults: Iterable[Fault | Mapping[str, Any]]) -> None:
        """Take the place of all faults; counting begins anew."""
        self._app.set_faults(faults)

    def limit_report(self) -> dict[str, int]:
        """Return how often each limit was exceeded; empty when none was."""
        return dict(self._app.limits.exceeded)


def serve(
    world: WorldOptions,
    server: ServerOptions,
    host: str,
    port: int,
    *,
    on_ready: Callable[[str, str], None] | None = None,
) -> None:
    """Serve until interrupted; *on_ready* gets the address and the token of the controls when it answers."""
    app = App(World(world), server, host)
    with _listen(host, port) as listening, _listen(host, 0) as storage:
        app.jobs.storage_url = _address(storage, server)
        if on_ready:
            on_ready(_address(listening, server), app.control_token)
        _server(app, host, port).run([listening, storage])
