"""A server of one file."""

import http.server
import os
import threading


class Server:
    """Serves one body on 127.0.0.1, and counts the requests."""

    def __init__(self, body, announced=None, status=200):
        self.requests = 0

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(handler):
                self.requests += 1
                handler.send_response(status)
                handler.send_header("Content-Length", str(announced or len(body)))
                handler.end_headers()
                handler.wfile.write(body)

            def log_message(handler, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/file.bin"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def files_in(folder):
    """Names of all files but the lock, which stays."""
    return [name for name in os.listdir(folder) if not name.endswith(".lock")]
