"""What a client sees from here: one request over HTTPS, trusted as a client would trust it."""

import http.client
import socket
import ssl
import time
from typing import Any
from urllib.parse import urlsplit

TIMEOUT_S = 5


def look(url: str, *, ca: str = "", address: str = "") -> dict[str, Any]:
    """Ask for `url` and return its `status` and `seconds`, or the `error` that a client would meet.

    It is asked at `address`, where its name leads elsewhere. Names below .localhost are this machine (RFC 6761, 6.3),
    whatever the resolver says.
    """
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or 443
    here = host == "localhost" or host.endswith(".localhost")
    address = address or ("127.0.0.1" if here else host)
    began = time.monotonic()
    try:
        context = ssl.create_default_context(cafile=ca or None)
        with (
            socket.create_connection((address, port), timeout=TIMEOUT_S) as raw,
            context.wrap_socket(raw, server_hostname=host) as stream,
        ):
            # Else the request waits until the end of the handshake is acknowledged: 40 ms.
            stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = http.client.HTTPConnection(host, port)
            connection.sock = stream
            connection.request("GET", parts.path or "/", headers={"User-Agent": "ferryman", "Connection": "close"})
            status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return {"error": str(error) or type(error).__name__}
    return {"status": status, "seconds": round(time.monotonic() - began, 3)}
