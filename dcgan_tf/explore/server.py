"""The explorer's local server: loopback only, a token in the address, no other origin."""

import hmac
import io
import json
import secrets
import socket
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from dcgan_tf.common import limits
from dcgan_tf.common.errors import UserError, one_line
from dcgan_tf.common.foreign import reason

HOST = "127.0.0.1"
BODY_BYTES = 2**17  # of a request: 32 recipes with all their seeds
SECONDS = 30  # that a connection may take for each request, and for each answer
CONNECTIONS = 64  # at once; a browser holds six
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "frame-ancestors 'none'",  # the page has the rest of it inside
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Refused(Exception):
    """A request that is refused: `args` are an HTTP status and one line."""


class PageServer(ThreadingHTTPServer):
    """Serves one page, and the images that it asks for, to clients that know the token.

    GET /TOKEN/ is the page. POST /TOKEN/NAME takes JSON and answers with the result of the function
    `draw[NAME]`: bytes and further headers. Any other request is refused: 403 for another Host or
    Origin or a wrong token, 404, 405, 411, 413, 415, and 400 where the function raises a
    ValueError. `address` is what to type in a browser; port 0 is a free one.

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
                f"cannot be used ({reason(error)}); name another one, or none for a free one",
                flag=f"--port {port}",
            ) from None
        self.page, self.draw = page, draw
        self.token = secrets.token_urlsafe(24)
        places = [f":{self.server_port}", *([""] if self.server_port == 80 else [])]
        self.hosts = {f"{name}{port}" for name in (HOST, "localhost") for port in places}
        self._free = threading.Semaphore(CONNECTIONS)
        self.address = f"http://{HOST}:{self.server_port}/{self.token}/"

    def get_request(self):
        try:
            return super().get_request()
        except OSError:  # at the limit of open files the next try would come at once, and fail
            time.sleep(0.1)
            raise

    def verify_request(self, request, client_address):
        """Whether there is a thread for one more connection; else it is closed."""
        return self._free.acquire(blocking=False)

    def process_request_thread(self, request, client_address):
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request, client_address):
        """A browser that leaves in the middle is nothing to report."""


class _Timed(io.RawIOBase):
    """What a connection sends until `until`, then TimeoutError, however little comes at a time."""

    def __init__(self, connection: socket.socket):
        self._connection, self.until = connection, 0.0

    def readable(self):
        return True

    def readinto(self, buffer):
        self._connection.settimeout(max(self.until - time.monotonic(), 1e-3))
        return self._connection.recv_into(buffer)


class _Handler(BaseHTTPRequestHandler):
    server_version, sys_version = "dcgan_tf", ""
    protocol_version = "HTTP/1.1"

    def setup(self):
        super().setup()
        self.rfile.close()
        self.rfile = io.BufferedReader(_Timed(self.connection))

    def handle_one_request(self):
        self.rfile.raw.until = time.monotonic() + SECONDS
        super().handle_one_request()

    def do_GET(self):
        self._answer(self._page)

    def do_POST(self):
        self._answer(self._pictures)

    def _answer(self, route):
        try:
            self._check_sender()
            kind, content, headers = route(self._route())
            status = HTTPStatus.OK
        except Refused as refused:
            # What the request still holds is not read, so the connection has to end with it.
            status, message = refused.args
            kind, headers = "text/plain", {}
            content = f"{message}\n".encode(errors="backslashreplace")
            self.close_connection = True
        self.connection.settimeout(SECONDS)
        self.send_response(status)
        for name, value in (_HEADERS | headers).items():
            self.send_header(name, value)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(content)

    def _check_sender(self):
        """Refuse what another page sends, also one whose name leads to this machine."""
        if self.headers.get("Host") not in self.server.hosts:
            raise Refused(HTTPStatus.FORBIDDEN, f"open {HOST}:{self.server.server_port} instead")
        origin = self.headers.get("Origin")
        if origin is not None and origin.removeprefix("http://") not in self.server.hosts:
            raise Refused(HTTPStatus.FORBIDDEN, "another page may not ask here")

    def _route(self):
        """The path behind the token."""
        token, slash, route = self.path.partition("?")[0].removeprefix("/").partition("/")
        if not hmac.compare_digest(token.encode(), self.server.token.encode()):
            raise Refused(HTTPStatus.FORBIDDEN, "the address lacks its token; copy all of it")
        return slash + route

    def _page(self, route):
        if route.removeprefix("/") in self.server.draw:
            raise Refused(HTTPStatus.METHOD_NOT_ALLOWED, "expected POST")
        if route != "/":
            raise Refused(HTTPStatus.NOT_FOUND, "there is no such page")
        return "text/html; charset=utf-8", self.server.page, {}

    def _pictures(self, route):
        draw = self.server.draw.get(route.removeprefix("/"))
        if draw is None:
            raise Refused(HTTPStatus.NOT_FOUND, "there is nothing to post to")
        if self.headers.get_content_type() != "application/json":
            raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "expected application/json")
        body = self._body()
        try:
            asked = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise Refused(HTTPStatus.BAD_REQUEST, f"not JSON ({one_line(error)})") from None
        try:
            content, headers = draw(asked)
        except ValueError as error:  # also a UserError
            message = limits.shorten(" ".join(str(error).split()), 500)
            raise Refused(HTTPStatus.BAD_REQUEST, message) from None
        return "application/octet-stream", content, headers

    def _body(self):
        text = self.headers.get("Content-Length", "")
        if "Transfer-Encoding" in self.headers or not (text.isascii() and text.isdigit()):
            raise Refused(HTTPStatus.LENGTH_REQUIRED, "expected a Content-Length")
        if len(text) > 9 or int(text) > BODY_BYTES:
            raise Refused(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"expected {BODY_BYTES:,} bytes at most"
            )
        return self.rfile.read(int(text))

    def log_message(self, *_):
        """Log nothing: each image of a slider would be a line."""
