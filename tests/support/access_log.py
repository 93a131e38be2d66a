"""Lines of an entry's access log, as role nginx has them written (roles/nginx/templates/site.conf.j2)."""

from __future__ import annotations


def line(
    epoch: float,
    *,
    arm: str = "blue",
    status: int = 200,
    upstream_status: int | None = None,
    seconds: float = 0.01,
    address: str = "192.0.2.1",
    path: str = "/",
) -> bytes:
    """Return a line that ends at `epoch`; `upstream_status` is what the first slot said, `status` unless given."""
    first = status if upstream_status is None else upstream_status
    return (
        f'{{"time":"2026-11-26T20:00:00+00:00","epoch":{epoch:.3f},"level":"info","service":"entry","site":"shop",'
        '"request_id":"0123456789abcdef0123456789abcdef","method":"GET","scheme":"https","host":"shop.example.org",'
        f'"path":"{path}","protocol":"HTTP/1.1","status":{status},"bytes":512,"request_bytes":431,'
        f'"request_s":{seconds:.3f},"arm":"{arm}","bucket":"07","release":"20261126T200000Z-1a2b3c4",'
        f'"upstream":"127.0.0.1:20010","upstream_status":{first or "null"},"upstream_s":{seconds:.3f},'
        f'"upstream_statuses":"{first}","upstream_times":"{seconds:.3f}","remote_addr":"{address}",'
        '"user_agent":"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0"}\n'
    ).encode()
