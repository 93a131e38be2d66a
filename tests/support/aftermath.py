"""How a run stands that something has struck, as `status` tells it before anybody does anything about it."""

from tests.support.site import ENV, Site


def told(site: Site, known: int, purpose: str, *, live: str, stands: bool) -> str:
    """Return how `status` says that the run stands, once nothing is pending anywhere; fails where it is not so.

    `finished`, `undone`, `unfinished` (nothing of it serves, and nobody has written down its end yet) or `unbegun`. The
    ledger had `known` lines before it, `purpose` is what its lock is for, `live` the release that serves, and `stands`
    says whether that is the run's. People and pipelines are told the same.
    """
    seen = site.arbiter()
    answer = site.begin("status", "--env", ENV, "--app", site.app).wait()
    assert answer.code == 0, str(answer)
    shown = " ".join(answer.out.split())
    assert seen["shift"]["release_stable"] == live
    assert f"live {live}" in shown, shown
    assert "in doubt" not in shown, shown
    assert "is not confirmed" not in shown, shown
    # What its hosts still did without their driver may have come to the ledger since.
    lines = [line for line in site.ledger()[known : seen["ledger"]["lines"]] if line.get("status")]
    if not lines:
        assert (stands, seen["unfinished"]) == (False, {}), shown
        return "unbegun"
    last = lines[-1]
    if last["status"] == "started":
        assert (stands, seen["unfinished"]["run"]) == (False, last["run"]), shown
        ended = f"{last['event']} of {last['release']} by {last['who']} did not end: nothing of it serves" in shown
        # Until its lease is over nobody knows whether whoever drives it is still there.
        assert ended or f"{purpose}, since" in shown, shown
        return "unfinished"
    (entry,) = (each for each in seen["history"] if each["release"] == last["release"])
    assert (entry["status"], seen["unfinished"]) == (last["status"], {}), shown
    assert (entry["status"] == "live") == stands, shown
    if not entry["good"]:
        assert f"after it {last['release']} ({last['status']})" in shown, shown
    return "finished" if stands else "undone"
