"""What a benchmark found, as a record under docs/records, which docs/proof.md quotes."""

import json
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
    path = ROOT / "docs" / "records" / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    print(f"recorded in {path.relative_to(ROOT)}; `./invoke docs.reference` writes docs/proof.md anew")
