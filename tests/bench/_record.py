"""What a benchmark found, as a record under docs/records, which docs/proof.md quotes."""

from collections.abc import Iterable
from typing import Any

from ferryman import paths, proving

ROOT = paths.CHECKOUT


def write(name: str, rows: Iterable[tuple[str, str, str]], **more: Any) -> None:
    """Write the record of `name`; a row is what was measured, the figure, and what is wanted of it (or "")."""
    record = {
        "name": name,
        **proving.provenance(ROOT),
        **more,
        "rows": [{"what": what, "measured": is_now, "target": wanted} for what, is_now, wanted in rows],
    }
    print(f"recorded in {proving.write(ROOT, record)}; `./invoke docs.reference` writes docs/proof.md anew")
