"""Runs the server: its address is the first line that it writes. With --attached it ends when its input does."""

from __future__ import annotations

import argparse
import ipaddress
import os
import signal
import sys
import threading

# before moto is imported: without them no managed policy of AWS exists
os.environ["MOTO_IAM_LOAD_MANAGED_POLICIES"] = "true"
os.environ.setdefault("MOTO_ALLOW_NONEXISTENT_REGION", "false")

from moto.moto_server.werkzeug_app import MotoRequestHandler
from werkzeug.serving import make_server

from tests.standins.aws_server import databases
from tests.standins.aws_server.gateway import Gateway
from tests.standins.aws_server.moto_gaps import mend


def main() -> None:
    parser = argparse.ArgumentParser(prog="tests.standins.aws_server", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", type=_loopback)
    parser.add_argument("--port", type=int, default=0, help="0: any that is free")
    parser.add_argument("--settle", type=float, default=0.2, help="seconds that an EKS resource is on its way")
    parser.add_argument("--attached", action="store_true", help="end when standard input does: with whoever started it")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    mend()
    databases.mend()
    server = make_server(given.host, given.port, lambda *_: [], threaded=True, request_handler=_Handler)
    url = f"http://{given.host}:{server.server_port}"
    os.environ["MOTO_PORT"] = str(server.server_port)
    server.app = Gateway(url, given.settle)
    if given.attached:
        threading.Thread(target=_until_input_ends, daemon=True).start()
    sys.stdout.write(f"{url}\n")
    sys.stdout.flush()
    server.serve_forever()


class _Handler(MotoRequestHandler):
    """Moto's handler, without a line per request, with connections that are kept."""

    protocol_version = "HTTP/1.1"

    def log_request(self, *_: object) -> None:
        """Say nothing: the call log has it."""


def _until_input_ends() -> None:
    sys.stdin.read()
    os._exit(0)


def _loopback(host: str) -> str:
    if not ipaddress.ip_address(host).is_loopback:
        raise argparse.ArgumentTypeError(f"{host} is not a loopback address: this server is for tests on this machine")
    return host


if __name__ == "__main__":
    main()
