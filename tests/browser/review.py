"""Actions of a technician on the page."""

from typing import Any

from playwright.sync_api import Locator, Page, expect

PERSON_MS = 300


def row(page: Page, image_id: str) -> Locator:
    return page.locator(f'tr[data-id="{image_id}"]')


def in_list_order(page: Page, ids: list[str]) -> list[str]:
    """Return the ImageIDs in the order of their rows."""
    listed = [one.get_attribute("data-id") or "" for one in page.locator("tbody tr").all()]
    return sorted(ids, key=listed.index)


def choose(page: Page, image_id: str) -> Locator:
    """Put the focus on a slide's row, as the arrow keys do."""
    found = row(page, image_id)
    found.focus()
    expect(found).to_be_focused()
    wait_for_picture(page, image_id)
    return found


def wait_for_picture(page: Page, image_id: str) -> None:
    """Wait for the thumbnail of a row: without a look, a key marks nothing."""
    page.wait_for_function(
        """id => {
            const picture = document.querySelector(`tr[data-id="${id}"] td.thumbnail img`);
            return !picture || (picture.complete && picture.naturalWidth > 0);
        }""",
        arg=image_id,
    )


def press(page: Page, *keys: str) -> None:
    """Press keys one after the other with a person's pauses: keys at once are a barcode scanner's."""
    for key in keys:
        page.keyboard.press(key)
        page.wait_for_timeout(PERSON_MS)


def field(page: Page, image_id: str, name: str) -> Locator:
    return row(page, image_id).locator(f'[data-field="{name}"]')


def edit(page: Page, image_id: str, key: str, text: str) -> None:
    """Open the editor with its key and write over what is there."""
    choose(page, image_id)
    page.keyboard.press(key)
    expect(page.locator("input:focus")).to_be_visible()
    page.keyboard.type(text)


def status(page: Page, image_id: str) -> Locator:
    return row(page, image_id).locator(".status")


def notice(page: Page, text: str) -> Locator:
    return page.locator(".notice", has_text=text)


def search(page: Page, text: str) -> None:
    page.locator("#search").fill(text)


def view(page: Page, image_id: str) -> None:
    choose(page, image_id)
    page.keyboard.press("Enter")
    expect(page.locator("#viewer")).to_be_visible()
    wait_until_drawn(page)


def wait_until_drawn(page: Page, panes: int = 1) -> None:
    """Wait until every pane shows all tiles of its view: then its thumbnail has stepped aside."""
    page.wait_for_function(
        """count => {
            const stages = [...document.querySelectorAll(".pane")];
            return stages.length === count && stages.every((pane) =>
                pane.querySelector(".scale:not([hidden])") && !pane.querySelector(".stand-in:not([hidden])"));
        }""",
        arg=panes,
    )


def violations(page: Page, axe: str) -> list[dict[str, Any]]:
    """Return the serious and critical violations that axe finds, shortened so that a failure can be read."""
    page.evaluate(axe)
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        {"rule": one["id"], "impact": one["impact"], "where": [node["html"] for node in one["nodes"]][:3]}
        for one in found["violations"]
        if one["impact"] in {"serious", "critical"}
    ]
