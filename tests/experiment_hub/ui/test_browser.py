"""The pages in headless Chromium: hostile names, keyboard, charts, phone width, dark mode, nothing inline."""

import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import experiment_hub

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from playwright.sync_api import Browser, Page

    Serving = Callable[..., AbstractContextManager[dict[str, Any]]]

pytestmark = [pytest.mark.integrations, pytest.mark.slow]
ATTACK = """"><script>window.owned=1</script><img src=x onerror="window.owned=1">"""
NAMES = [ATTACK, "a" * 10_000, "\u202eexe.gnp \u2066hidden", "\x1b[2J\x07bell", "{{7*7}} ${7*7}", "javascript:alert(1)"]
DRAWN = "() => [...document.querySelectorAll('.chart output')].every((each) => each.textContent !== '…')"
SECONDS = 20
READING = "willReadFrequently"  # the tests themselves read back what was drawn
COVERED = """() => {
  const canvas = document.querySelector('.chart canvas'), pen = canvas.getContext('2d');
  return pen.getImageData(0, 0, canvas.width, canvas.height).data.filter((value, index) => index % 4 === 3 && value > 0).length;
}"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One home for all tests here: a browser and a server take seconds to start."""
    return tmp_path_factory.mktemp("browser") / "home"


@pytest.fixture(scope="module")
def runs(home: Path) -> list[str]:
    """Two runs of long curves, and one for each hostile name."""
    made: list[str] = []
    for name in ["first", "second", *NAMES]:
        config = {"lr": 0.1 * (len(made) + 1)}
        run = experiment_hub.start(name, config=config, tags=[name], home=home, system_seconds=None, capture=False)
        for step in range(3000 if name in {"first", "second"} else 2):
            run.log({"loss": math.exp(-step / 500), name: math.nan if step == 1 else float(step)}, step=step)
        run.finish()
        made.append(run.id)
    return made


@pytest.fixture(scope="module")
def link(serving: "Serving", runs: list[str], home: Path) -> Iterator[str]:
    """What `hub serve` printed."""
    assert runs
    with serving(home) as printed:
        yield printed["open"]


@pytest.fixture
def page(chromium: "Browser", link: str) -> "Iterator[Page]":
    """A page of a person who opened the printed link; whatever the browser complains about fails the test."""
    complaints: list[str] = []
    context = chromium.new_context(viewport={"width": 1280, "height": 900}, color_scheme="light")
    page = context.new_page()
    page.set_default_timeout(SECONDS * 1000)
    page.on(
        "console",
        lambda said: (
            complaints.append(said.text) if said.type in {"error", "warning"} and READING not in said.text else None
        ),
    )
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(link)
    yield page
    context.close()
    assert complaints == []


def until(page: "Page", expression: str) -> None:
    """Asked from outside: the page's own policy forbids to evaluate text inside it."""
    end = time.monotonic() + SECONDS
    while not page.evaluate(expression):
        assert time.monotonic() < end, expression
        page.wait_for_timeout(50)


def base(page: "Page") -> str:
    return "/".join(page.url.split("/")[:3])


def test_hostile_names_are_shown_and_do_nothing(page: "Page", runs: list[str]) -> None:
    for address in ["/", "/?group=name", f"/compare?run={'&run='.join(runs)}", *(f"/runs/{run}" for run in runs[2:])]:
        page.goto(f"{base(page)}{address}")
        page.wait_for_load_state("networkidle")
        assert page.evaluate("window.owned === undefined")
        assert (
            page.evaluate(
                "document.querySelectorAll('main img, main script, main style, main [style], main [onerror]').length"
            )
            == 0
        )
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), address


def test_a_person_filters_sorts_selects_and_compares_by_keyboard(page: "Page") -> None:
    page.keyboard.press("/")
    page.keyboard.type("first")
    until(page, "document.querySelectorAll('tbody tr[data-href]').length === 1")
    assert "q=first" in page.url
    page.fill("[data-filter]", "s")
    page.fill("#where", "lr <= 0.2")
    until(page, "document.querySelectorAll('tbody tr[data-href]').length === 2")
    page.click("th a[title='name']")
    until(page, "document.querySelector('th[aria-sort=ascending]') !== null")
    page.keyboard.press("Escape")
    for key in ("j", "x", "j", "x"):
        page.keyboard.press(key)
    assert page.inner_text("[data-count]") == "2 runs selected"
    page.keyboard.press("c")
    page.wait_for_url("**/compare?run=*")
    until(page, DRAWN)
    assert page.inner_text("h1") == "Comparison of 2 runs"
    page.keyboard.press("?")
    assert page.is_visible("#help")
    page.keyboard.press("Escape")
    assert not page.is_visible("#help")


def test_a_curve_is_drawn_zoomed_smoothed_and_read_by_keyboard(page: "Page", runs: list[str]) -> None:
    page.goto(f"{base(page)}/runs/{runs[0]}?names=loss")
    until(page, DRAWN)
    assert page.evaluate(COVERED) > 1000
    assert "3,000 points" in page.inner_text(".chart output")
    box = page.locator(".chart canvas").bounding_box() or {}
    with page.expect_response(lambda answer: "first=" in answer.url) as zoomed:
        page.mouse.move(box["x"] + 200, box["y"] + 80)
        page.mouse.down()
        page.mouse.move(box["x"] + 400, box["y"] + 90, steps=4)
        page.mouse.up()
    assert 0 < zoomed.value.json()["curves"][0]["total"] < 2000
    page.mouse.move(5, 5)
    page.focus(".chart canvas")
    page.keyboard.press("0")
    until(page, "document.querySelector('.chart output').textContent.includes('3,000 points')")
    page.keyboard.press("ArrowRight")
    assert page.inner_text(".chart output").startswith("step ")
    page.check("[name=log]")
    page.fill("[name=smoothing]", "0.9")
    assert page.inner_text("[data-smoothing]") == "0.90"
    assert page.evaluate(COVERED) > 1000


def test_values_that_are_no_numbers_are_marked(page: "Page", runs: list[str]) -> None:
    page.goto(f"{base(page)}/runs/{runs[0]}?names=first")
    until(page, DRAWN)
    assert page.evaluate(COVERED) > 1000
    page.goto(f"{base(page)}/")
    assert "NaN" not in page.inner_text("h1")


def test_a_phone_shows_every_page_within_its_width(page: "Page", runs: list[str]) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    tabs = [f"/runs/{runs[2]}/{tab}" for tab in ("", "log", "configuration", "difference", "lineage")]
    for address in [
        "/",
        "/queue",
        "/spend",
        "/models",
        "/metrics",
        "/datasets",
        f"/compare?run={runs[0]}&run={runs[1]}",
        *tabs,
    ]:
        page.goto(f"{base(page)}{address.rstrip('/') or '/'}")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, address


def test_dark_and_light_are_the_systems_choice_until_a_person_chooses(page: "Page") -> None:
    background = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(background)
    page.emulate_media(color_scheme="dark")
    dark = page.evaluate(background)
    assert dark != light
    page.click("[data-theme-switch]")
    assert page.evaluate(background) == light
    page.reload()
    assert page.evaluate(background) == light, "remembered, and there from the first paint"


def test_every_control_has_a_name_and_text_is_readable(page: "Page", runs: list[str]) -> None:
    nameless = """() => [...document.querySelectorAll('button, input:not([type=hidden]), select, textarea, a[href], canvas')].filter(
      (each) => !(each.labels?.length || each.getAttribute('aria-label') || each.title || each.textContent.trim() || each.placeholder)
    ).map((each) => each.outerHTML.slice(0, 120))"""
    for address in (
        "/",
        f"/runs/{runs[0]}",
        f"/runs/{runs[0]}/difference",
        f"/compare?run={runs[0]}&run={runs[1]}",
        "/spend",
    ):
        page.goto(f"{base(page)}{address}")
        assert page.evaluate(nameless) == [], address
        assert page.evaluate("document.documentElement.lang") == "en"
        assert page.evaluate("document.querySelectorAll('h1').length") == 1


def test_a_run_that_goes_on_is_followed(page: "Page", home: Path) -> None:
    run = experiment_hub.start("followed", home=home, system_seconds=None)
    run.log({"loss": 1.0})
    print("said before")  # noqa: T201 -- becomes the run's log
    until(page, "!document.querySelector('#changed').classList.contains('hidden')")
    page.click("#changed")
    page.goto(f"{base(page)}/runs/{run.id}/log")
    assert "said before" in page.inner_text(".log")
    print("said later")  # noqa: T201 -- the same
    until(page, "document.querySelector('.log').textContent.includes('said later')")
    page.goto(f"{base(page)}/runs/{run.id}")
    until(page, DRAWN)
    run.log({"loss": 0.5})
    until(page, "document.querySelector('.chart output').textContent.includes('2 points')")
    run.finish()
    until(page, "!document.querySelector('#changed').classList.contains('hidden')")
