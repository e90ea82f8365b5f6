"""Makes the API server reachable at the same loopback address outside the node's namespace: one kubeconfig for both.

Run as a script: PORT NAMESPACE_FILE. It listens on the machine's 127.0.0.1, then enters the namespace, where its
connections go out. It forwards bytes; TLS and the token stay between the client and the API server.
"""

import asyncio
import contextlib
import ctypes
import os
import socket
import sys

CHUNK = 1 << 16
HOST = "127.0.0.1"


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()
        writer.write_eof()
    except OSError:
        writer.close()  # one side is gone: so is what it would have asked for


async def _serve(listening: socket.socket, port: int) -> None:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer), contextlib.suppress(OSError):
            upstream_reader, upstream = await asyncio.open_connection(HOST, port)
            with contextlib.closing(upstream):
                await asyncio.gather(_copy(reader, upstream), _copy(upstream_reader, writer))

    server = await asyncio.start_server(connected, sock=listening)
    await server.serve_forever()


def main() -> None:
    """Listen outside, connect inside."""
    port, namespace = int(sys.argv[1]), sys.argv[2]
    listening = socket.create_server((HOST, port), backlog=128)
    descriptor = os.open(namespace, os.O_RDONLY)
    if ctypes.CDLL(None, use_errno=True).setns(descriptor, 0) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error), namespace)
    os.close(descriptor)
    asyncio.run(_serve(listening, port))


if __name__ == "__main__":
    main()
