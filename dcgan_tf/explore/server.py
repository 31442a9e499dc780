"""The explorer's local server: loopback only, a token in the address, no other origin."""

import hmac
import io
import json
import os
import re
import secrets
import socket
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from dcgan_tf.common.errors import UserError, one_line
from dcgan_tf.common.foreign import reason

HOST = "127.0.0.1"
BODY_BYTES = 2**22  # in a request: 32 recipes with all their seeds and labels
SECONDS = 30  # for receiving a request, and for sending its answer
MOVED = 301  # HTTP status of an address that is another
CONNECTIONS = 64  # at once; a browser holds six
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "frame-ancestors 'none'",  # the rest is in the page
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


Draw = Callable[[object], tuple[bytes, dict]]  # from parsed JSON to bytes and headers


class Refused(Exception):
    """A refused request; `args` are an HTTP status and one line."""


class PageServer(ThreadingHTTPServer):
    """Serve one page, and the images it asks for, to clients that know the token.

    GET /TOKEN/ is the page, at `address`. POST /TOKEN/NAME passes its JSON to the function
    `draw[NAME]`, which returns bytes and headers; its ValueError is answered with 400. Requests
    from another Host or Origin, or without the token, are answered with 403. Connections beyond
    CONNECTIONS, and those whose request takes longer than SECONDS, are closed. Port 0 picks a free
    port; a taken one is a UserError.
    """

    allow_reuse_address = os.name != "nt"  # where it would share a taken port
    daemon_threads = True
    request_queue_size = CONNECTIONS  # beyond the default of 5, a browser tries again after 1 s

    def __init__(self, port: int, page: bytes, draw: dict[str, Draw]):
        try:
            super().__init__((HOST, port), _Handler)
        except (OSError, OverflowError) as error:
            raise UserError(
                f"cannot be used ({reason(error)}); name another port, or omit it for a free one",
                flag=f"--port {port}",
            ) from None
        self.page, self.draw = page, draw
        self.token = secrets.token_urlsafe(24)
        ports = [f":{self.server_port}"] + [""] * (self.server_port == 80)  # which browsers omit
        self.hosts = {f"{name}{port}" for name in (HOST, "localhost") for port in ports}
        self._free = threading.Semaphore(CONNECTIONS)
        self.address = f"http://{HOST}:{self.server_port}/{self.token}/"

    def get_request(self):
        try:
            return super().get_request()
        except OSError:  # too many open files: an immediate retry would fail, too
            time.sleep(0.1)
            raise

    def verify_request(self, request, client_address):
        """Refuse a connection if no thread is free."""
        return self._free.acquire(blocking=False)

    def process_request_thread(self, request, client_address):
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request, client_address):
        """Ignore a browser that disconnects."""


class _Received(io.RawIOBase):
    """The bytes of a connection until `deadline`, then TimeoutError, however slowly they come."""

    def __init__(self, connection: socket.socket):
        self._connection, self.deadline = connection, 0.0

    def readable(self):
        return True

    def readinto(self, buffer):
        self._connection.settimeout(max(self.deadline - time.monotonic(), 1e-3))
        return self._connection.recv_into(buffer)


class _Handler(BaseHTTPRequestHandler):
    server: PageServer
    server_version, sys_version = "dcgan_tf", ""
    protocol_version = "HTTP/1.1"

    def setup(self):
        super().setup()
        self.rfile.close()
        self._received = _Received(self.connection)
        self.rfile = io.BufferedReader(self._received)

    def handle_one_request(self):
        self._received.deadline = time.monotonic() + SECONDS
        super().handle_one_request()

    def do_GET(self):
        self._answer(self._page)

    def do_POST(self):
        self._answer(self._images)

    def _answer(self, answer):
        try:
            kind, content, headers = answer(self._route())
            status = 200
        except Refused as refused:
            # The rest of the request is not read, so the connection has to end.
            status, message = refused.args
            kind, headers = "text/plain", {"Connection": "close"}
            if status == MOVED:
                headers["Location"] = message
            content = f"{message}\n".encode()
        self.connection.settimeout(SECONDS)
        self.send_response(status)
        headers = {"Content-Type": kind, "Content-Length": str(len(content))} | headers
        for name, value in (_HEADERS | headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def _route(self):
        """The path after the token; Refused for another Host or Origin, or a wrong token."""
        if self.headers.get("Host") not in self.server.hosts:
            raise Refused(403, f"open {HOST}:{self.server.server_port} instead")
        origin = self.headers.get("Origin")
        if origin is not None and origin.removeprefix("http://") not in self.server.hosts:
            raise Refused(403, "other pages may not send requests here")
        token, _, route = self.path.partition("?")[0].removeprefix("/").partition("/")
        if not hmac.compare_digest(token.encode(), self.server.token.encode()):
            raise Refused(403, "the address lacks its token; copy the whole address")
        if self.path == f"/{token}":  # else the page would ask for images at /images
            raise Refused(MOVED, f"/{token}/")
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
