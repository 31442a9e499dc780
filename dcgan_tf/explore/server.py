"""The explorer's local server: loopback only, a token in the address, no other origin."""

import hmac
import json
import re
import secrets
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from dcgan_tf.common.errors import UserError, one_line
from dcgan_tf.common.foreign import reason

HOST = "127.0.0.1"
BODY_BYTES = 2**17  # in a request: 32 recipes with all their seeds
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "frame-ancestors 'none'",  # the page has the rest of it inside
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Refused(Exception):
    """A refused request; `args` are an HTTP status and one line."""


class PageServer(ThreadingHTTPServer):
    """Serve one page, and the images it asks for, to clients that know the token.

    GET /TOKEN/ is the page. POST /TOKEN/NAME passes its JSON to the function `draw[NAME]`, which
    returns bytes and headers; its ValueError is answered with 400. Requests from another Host or
    Origin, or without the token, are answered with 403. `address` is the page's; port 0 picks a
    free port.

    Raises:
        UserError: the port is taken.
    """

    daemon_threads = True

    def __init__(
        self, port: int, page: bytes, draw: dict[str, Callable[[object], tuple[bytes, dict]]]
    ):
        try:
            super().__init__((HOST, port), _Handler)
        except (OSError, OverflowError) as error:
            raise UserError(
                f"cannot be used ({reason(error)}); name another port, or omit it for a free one",
                flag=f"--port {port}",
            ) from None
        self.page, self.draw = page, draw
        self.token = secrets.token_urlsafe(24)
        self.hosts = {f"{name}:{self.server_port}" for name in (HOST, "localhost")}
        self.address = f"http://{HOST}:{self.server_port}/{self.token}/"

    def handle_error(self, request, client_address):
        """Ignore a browser that leaves in the middle."""


class _Handler(BaseHTTPRequestHandler):
    server: PageServer
    server_version, sys_version = "dcgan_tf", ""
    protocol_version = "HTTP/1.1"
    timeout = 30  # seconds that a connection may be silent

    def do_GET(self):
        self._answer(self._page)

    def do_POST(self):
        self._answer(self._images)

    def _answer(self, route):
        try:
            self._check_sender()
            kind, content, headers = route(self._route())
            status = 200
        except Refused as refused:
            # The rest of the request is not read, so the connection has to end.
            status, message = refused.args
            kind, headers = "text/plain", {"Connection": "close"}
            content = f"{message}\n".encode(errors="backslashreplace")
        self.send_response(status)
        headers = {"Content-Type": kind, "Content-Length": str(len(content))} | headers
        for name, value in (_HEADERS | headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def _check_sender(self):
        """Refuse another page's request, even if its host name leads to this machine."""
        if self.headers.get("Host") not in self.server.hosts:
            raise Refused(403, f"open {HOST}:{self.server.server_port} instead")
        origin = self.headers.get("Origin")
        if origin is not None and origin.removeprefix("http://") not in self.server.hosts:
            raise Refused(403, "another page may not ask here")

    def _route(self):
        """The path behind the token."""
        token, _, route = self.path.partition("?")[0].removeprefix("/").partition("/")
        if not hmac.compare_digest(token.encode(), self.server.token.encode()):
            raise Refused(403, "the address lacks its token; copy all of it")
        return route

    def _page(self, route):
        if route:
            raise Refused(404, "no such page")
        return "text/html; charset=utf-8", self.server.page, {}

    def _images(self, route):
        if route not in self.server.draw:
            raise Refused(404, "nothing to post to")
        length = self.headers.get("Content-Length", "")
        if not re.fullmatch("[0-9]{1,9}", length) or int(length) > BODY_BYTES:
            raise Refused(413, f"expected a Content-Length of at most {BODY_BYTES:,} bytes")
        try:
            asked = json.loads(self.rfile.read(int(length)))
        except (ValueError, RecursionError) as error:
            raise Refused(400, f"not JSON ({one_line(error)})") from None
        try:
            content, headers = self.server.draw[route](asked)
        except ValueError as error:  # also a UserError
            raise Refused(400, one_line(error)) from None
        return "application/octet-stream", content, headers

    def log_message(self, *_):
        """Log nothing: each image of a slider would be a line."""
