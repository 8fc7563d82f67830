"""A WSGI app on the standard library's own server, with a thread for each request."""
import os
import signal
import socketserver
import sys
import threading
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server


def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8")])
    if environ["PATH_INFO"] == "/health":
        return [b"ok\n"]
    who = os.environ.get("NINES_PROCESS", "web.1")
    release = os.environ.get("NINES_RELEASE", "v0")
    return [f"Hello from Python {sys.version.split()[0]}, {who}, release {release}\n".encode()]


class Server(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = False
    request_queue_size = 128


class Quiet(WSGIRequestHandler):
    def log_message(self, *arguments):
        pass


port = int(os.environ.get("PORT", "8000"))
with make_server("0.0.0.0", port, app, Server, Quiet) as server:
    # shutdown() waits for the loop below, so it cannot be called from within it.
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    print(f"listening on {port}", flush=True)
    server.serve_forever(poll_interval=0.1)
