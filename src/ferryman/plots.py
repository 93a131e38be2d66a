"""Records as pictures: docs/pictures/canary.svg is drawn from docs/records/canary.json, and nobody moves a bar."""

from html import escape
from typing import Any

WAYS = {
    "verdict": "this verdict",
    "flagger_10": "Flagger's loop, 10 %",
    "flagger_1": "Flagger's loop, 1 %",
    "plain": "over 10 % for 5 min",
}
WIDTH, LEFT, BAR, GAP, HEAD = 840, 350, 13, 16, 64
SCALE = (WIDTH - LEFT - 130) / 100  # per cent
STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1f2328; } .dim { fill: #57606a; font-size: 11px; }
.grid { stroke: #d0d7de; } .verdict { fill: #0969da; } .flagger_10 { fill: #bf8700; } .flagger_1 { fill: #d4a72c; }
.plain { fill: #8c959f; }
@media (prefers-color-scheme: dark) { text { fill: #e6edf3; } .dim { fill: #9198a1; } .grid { stroke: #3d444d; }
.verdict { fill: #4493f8; } .flagger_10 { fill: #d29922; } .flagger_1 { fill: #9e6a03; } .plain { fill: #656c76; } }
"""


def canary(record: dict[str, Any]) -> str:
    """Return how many releases of each kind were sent back by each way of judging, as SVG: kinds below each other."""
    kinds = record["scenarios"]
    tall = len(WAYS) * BAR + GAP
    height = HEAD + len(kinds) * tall + 24
    head = f'xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img"'
    lines = [
        f'<svg {head} aria-label="{escape(said(record))}">',
        f"<style>{STYLE}</style>",
        '<text x="0" y="16">Sent back, per cent of releases: of the healthy none should be, of the others all.</text>',
        *legend(),
    ]
    for percent in (0, 50, 100):
        x = LEFT + percent * SCALE
        lines.append(f'<line class="grid" x1="{x:g}" x2="{x:g}" y1="{HEAD - 8}" y2="{height - 24}"/>')
        lines.append(f'<text class="dim" x="{x:g}" y="{height - 8}" text-anchor="middle">{percent} %</text>')
    for at, kind in enumerate(kinds):
        lines += rows(kind, HEAD + at * tall)
    return "\n".join([*lines, "</svg>", ""])


def legend() -> list[str]:
    """Return which colour is which way."""
    found, x = [], 0
    for way, name in WAYS.items():
        found.append(f'<rect class="{way}" x="{x}" y="30" width="10" height="10"/>')
        found.append(f'<text class="dim" x="{x + 15}" y="39">{escape(name)}</text>')
        x += 40 + 7 * len(name)
    return found


def rows(kind: dict[str, Any], top: float) -> list[str]:
    """Return one kind of release: its name, and a bar for each way with its figures."""
    middle = top + len(WAYS) * BAR / 2
    found = [
        f'<text x="0" y="{middle:g}">{escape(kind["scenario"])}</text>',
        f'<text class="dim" x="0" y="{middle + 13:g}">{kind["runs"]:,} releases</text>',
    ]
    for at, way in enumerate(WAYS):
        told, y = kind["ways"][way], top + at * BAR
        wide = told["back_percent"] * SCALE
        found.append(f'<rect class="{way}" x="{LEFT}" y="{y:g}" width="{max(wide, 0.5):.1f}" height="{BAR - 1}"/>')
        figures = f"{told['back_percent']:g} %{median(told['median_s'])}"
        found.append(f'<text class="dim" x="{LEFT + wide + 4:.1f}" y="{y + BAR - 3:g}">{figures}</text>')
    return found


def median(seconds: float | None) -> str:
    """Return after what time releases were sent back; those that were before anything was wrong are no catch."""
    if seconds is None:
        return ""
    return f", {seconds:.0f} s" if seconds >= 0 else ", before it began"


def said(record: dict[str, Any]) -> str:
    """Return the picture in words, for who cannot see it."""
    return "; ".join(
        f"{kind['scenario']}: " + ", ".join(f"{WAYS[way]} {kind['ways'][way]['back_percent']:g} %" for way in WAYS)
        for kind in record["scenarios"]
    )
