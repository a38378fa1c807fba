"""The page on 127.0.0.1: its files, and tiles as they are asked for."""

import logging
import re
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tilestyle.errors import UserError
from tilestyle.view.site import FILES, PAGE, description
from tilestyle.view.view import View

HOST = "127.0.0.1"
LOG = logging.getLogger("tilestyle")
_TILE = re.compile(r"/([a-z]+)_files/(\d{1,2})/(\d{1,7})_(\d{1,7})\.([a-z]+)")
_HEADERS = {
    "Content-Security-Policy": "frame-ancestors 'none'",  # the rest is in the page itself
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}

Answer = tuple[str, bytes]
"""Media type and body."""


class Server(ThreadingHTTPServer):
    """Serves one view on the loopback address; `serve_forever` runs it."""

    daemon_threads = True

    def __init__(self, view: View, port: int = 0) -> None:
        """Take a port.

        Args:
            view: What to show.
            port: 0 for any free one.

        Raises:
            UserError: The port is taken or not allowed.
        """
        self.view = view
        try:
            super().__init__((HOST, port), _Handler)
        except (OSError, OverflowError) as error:
            raise UserError(f"--port {port}: cannot be used; choose another or none") from error
        for picture in view.pictures.values():
            picture.warm()

    @property
    def url(self) -> str:
        """Of the page."""
        return f"http://{HOST}:{self.server_port}/"

    def answer(self, path: str) -> Answer | None:
        """What is at a path; None for nothing."""
        name = path.removeprefix("/") or "index.html"
        if name in FILES:
            return FILES[name], (PAGE / name).read_bytes()
        if name == "view.json":
            return "application/json", description(self.view)
        if name in self.view.styles:
            return "image/jpeg", self.view.styles[name]
        picture = self.view.pictures.get(name.removesuffix(".dzi"))
        if picture and name.endswith(".dzi"):
            return "application/xml", picture.descriptor()
        return self._tile(path)

    def _tile(self, path: str) -> Answer | None:
        match = _TILE.fullmatch(path)
        picture = match and self.view.pictures.get(match[1])
        if not match or not picture or match[5] != picture.suffix:
            return None
        body = picture.tile(int(match[2]), int(match[3]), int(match[4]))
        return (f"image/{picture.suffix.replace('jpg', 'jpeg')}", body) if body else None

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Stay silent: a browser that goes away is no error."""
        LOG.debug("request of %s failed", client_address, exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "tilestyle", ""

    def do_GET(self) -> None:
        """Answer; only to pages that came from here, whatever name a DNS server gave it."""
        port = self.server.server_port
        if self.headers.get("Host") not in (f"{HOST}:{port}", f"localhost:{port}"):
            self._send(HTTPStatus.FORBIDDEN, None)
            return
        try:
            answer = self.server.answer(self.path.partition("?")[0])
        except Exception as error:
            LOG.warning("%s cannot be made: %s", self.path, error)
            self._send(HTTPStatus.INTERNAL_SERVER_ERROR, None)
            return
        self._send(HTTPStatus.OK if answer else HTTPStatus.NOT_FOUND, answer)

    def _send(self, status: HTTPStatus, answer: Answer | None) -> None:
        kind, body = answer or ("text/plain; charset=utf-8", f"{status.phrase}\n".encode())
        self.send_response(status)
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Say nothing of each request."""


def serve(view: View, port: int, started: Callable[[str], object]) -> None:
    """Serve a view until an interrupt.

    Args:
        view: What to show.
        port: 0 for any free one.
        started: Is told the address when the page is there.

    Raises:
        UserError: The port is taken or not allowed.
    """
    with Server(view, port) as server:
        started(server.url)
        server.serve_forever()
