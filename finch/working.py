"""Serves an application in one of several worker processes, as their supervisor says."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterable
from typing import Any

import trio

from finch.app import FinchApp
from finch.cluster.control import Control, Place
from finch.cluster.orders import Ready
from finch.errors import ConfigurationError
from finch.lastresort import times_to_end
from finch.net.listeners import adopt_listeners
from finch.options import trust_in
from finch.server import Server
from finch.serving import run_server, tls_of


class WorkerProcess:
    """This process, as one of the workers.

    The supervisor's signals are meant for all processes, but it alone obeys them: the worker does
    what the supervisor says. They were blocked when this process was born.

    Parameters:
        place: what the supervisor wrote on the command line.
    """

    def __init__(self, place: Place) -> None:
        self.place = place
        self.control = Control(socket.socket(fileno=place.line))
        for number in (signal.SIGINT, signal.SIGHUP):
            # no SIG_IGN: processes that the application starts would ignore them too
            signal.signal(number, _nothing)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT, signal.SIGHUP))

    @property
    def label(self) -> str:
        """What says in the log that a line is this worker's; empty if it is the only one."""
        return f" [{self.place.number}]" if self.place.number else ""

    def prepare(self, app: FinchApp) -> None:
        """Tell an application which worker it is in.

        Raises:
            ConfigurationError: if it cannot be served by several.
        """
        app.check_workers(self.place.total)
        app.worker = self.place.number or 1
        app.leader = self.control.leader

    def ready(self, app: FinchApp, banner: str) -> None:
        """Tell the supervisor that the application is served."""
        alone = ""
        try:
            app.check_workers(2)
        except ConfigurationError as error:
            alone = str(error)
        patience, haste = times_to_end(app.limits)
        self.control.report(Ready(banner, patience, haste, alone))

    async def serve(
        self,
        app: FinchApp,
        *,
        certfile: str | os.PathLike[str] | None,
        keyfile: str | os.PathLike[str] | None,
        forwarded_allow_ips: str | Iterable[str],
        proxy_protocol: bool,
        access_log: bool,
        task_status: trio.TaskStatus[Any],
    ) -> None:
        """Serve until the supervisor says otherwise. Parameters: as for :func:`finch.serve`."""
        tls, trust = tls_of(certfile, keyfile), trust_in(forwarded_allow_ips)
        server = Server(app, access_log=access_log, trust=trust, proxy_protocol=proxy_protocol)
        listeners = adopt_listeners(self.place.listeners)
        await run_server(
            app, server, listeners, tls=tls, task_status=task_status, control=self.control
        )


def _nothing(number: int, frame: object) -> None:
    pass
