"""What is well, by the answers of hosts."""

from types import SimpleNamespace
from typing import Any

import pytest

from ferryman import release, telling
from ferryman.errors import Stop

GOOD, ILL = {"good": True, "said": "200"}, {"good": False, "said": "503"}


@pytest.mark.parametrize(
    ("answers", "well"),
    [
        ({}, False),
        ({"web1": {}}, False),
        ({"web1": {"web": GOOD}}, True),
        ({"web1": {"web": GOOD}, "web2": {"web": ILL}}, False),
    ],
)
def test_only_what_answered_well_is_well_and_silence_is_not(answers: dict[str, Any], well: bool) -> None:
    assert release.all_well(answers) is well


def told(app: str, hosts: dict[str, Any], *, hidden: bool = False) -> dict[str, Any]:
    good = not hidden and release.all_well(hosts)
    return {"environment": "prod", "app": app, "good": good, "maintenance": hidden, "hosts": hosts}


def of_all(*apps: dict[str, Any]) -> dict[str, Any]:
    return {"environment": "prod", "good": all(each["good"] for each in apps), "apps": list(apps)}


WORDS = SimpleNamespace(ferryman=SimpleNamespace(json=False))


def test_of_several_applications_each_that_is_not_well_is_named() -> None:
    well = told("pages", {"web1": {"entry": GOOD}})
    ill = told("shop", {"web1": {"shop-web@blue-1.service": ILL, "entry": GOOD}})
    with pytest.raises(Stop) as stop:
        telling.tell_health(of_all(well, ill, told("api", {"web1": {}}), told("wiki", {}, hidden=True)), WORDS)
    assert "web1 shop-web@blue-1.service: 503" in stop.value.message
    assert "api: no host had anything to ask" in stop.value.message
    assert "wiki: the maintenance page is shown" in stop.value.message
    assert "pages" not in stop.value.message
    assert stop.value.hint.endswith("status --env prod --app shop")


def test_all_that_is_well_is_listed_with_its_application(capsys: pytest.CaptureFixture[str]) -> None:
    telling.tell_health(
        of_all(told("pages", {"web1": {"entry": GOOD}}), told("shop", {"web1": {"entry": GOOD}})), WORDS
    )
    assert capsys.readouterr().out == "well  web1 pages entry: 200\nwell  web1 shop entry: 200\n"
    telling.tell_health(told("", {"web1": {"entry": GOOD}}), WORDS)
    assert capsys.readouterr().out == "well  web1 entry: 200\n"
