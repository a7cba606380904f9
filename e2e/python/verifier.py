"""An app's verifier of forwarded events, the official one, in a process of its own.

The client keeps key sets for as long as its process lives, whoever published them. Headers and what is expected of them
go in as JSON, and what both surfaces of the client say comes out. Connections to ``host`` go to a port of this machine, as
if its name led here; the certificate is checked as ever.
"""

import asyncio
import json
import socket
import sys
from unittest import mock

import vercel.connect as connect
import vercel.connect.sync as connect_sync
from vercel.api import session


def accepted(headers: dict[str, str], expected: dict[str, str]) -> bool:
    async def asynchronously() -> bool:
        async with session():
            try:
                await connect.verify_connect_webhook(headers, **expected)
            except connect.ConnectWebhookVerificationError:
                return False
            return True

    with session():
        try:
            connect_sync.verify_connect_webhook(headers, **expected)
            synchronously = True
        except connect.ConnectWebhookVerificationError as refused:
            print(refused, file=sys.stderr)
            synchronously = False
    assert asyncio.run(asynchronously()) == synchronously, expected
    return synchronously


def main() -> None:
    asked = json.load(sys.stdin)
    usual = socket.getaddrinfo

    def look_up(host, port, *more, **named):
        name = host.decode() if isinstance(host, bytes) else host
        if name == asked["host"]:
            here = ("127.0.0.1", asked["port"])
            return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", here)]
        return usual(host, port, *more, **named)

    with mock.patch("socket.getaddrinfo", look_up):
        json.dump([accepted(asked["headers"], expected) for expected in asked["expected"]], sys.stdout)


if __name__ == "__main__":
    main()
