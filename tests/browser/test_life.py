"""A slide's life on the page: what is asked for, what goes on, what has failed."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.browser.conftest import Pages, Slides
from tests.browser.review import choose, notice, row, status, view, violations
from tests.browser.standalone_server import StandaloneServer, with_image_id
from tests.browser.test_accessibility import axe as axe  # noqa: PLC0414  a fixture

JOBS = "query Jobs($id: String!) { slideJobs(ImageID: $id) { Kind State Name } }"
NOW = "2026-11-21T12:00:00Z"
SOME_DAY = "2099-11-22T12:30:00Z"


def activity(page: Page, image_id: str) -> Locator:
    return row(page, image_id).locator(".activity")


def act(page: Page, name: str) -> None:
    """Choose from the menu of what is done seldom."""
    page.get_by_role("button", name="More", exact=True).click()
    page.get_by_role("menuitem", name=name).click()


def show(page: Page, status_name: str) -> None:
    page.get_by_label("Other status").select_option(status_name)


def job(image_id: str, kind: str, state: str, **fields: Any) -> dict[str, Any]:
    plain = {"Name": None, "RequestedAt": NOW, "UpdatedAt": NOW, "ExpectedAt": None, "Error": None}
    return {"ImageID": image_id, "Kind": kind, "State": state} | plain | fields


def pretend(
    page: Page, slides: dict[str, dict[str, Any]], jobs: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Have the server say so of slides and jobs; gives what is asked for meanwhile, which it does not hear of."""
    asked: list[dict[str, Any]] = []

    def answer(route: Route) -> None:
        sent = json.loads(route.request.post_data or "{}")
        if "query Jobs" in sent["query"]:
            lists = {
                state: {"items": [one for one in jobs if one["State"] == state], "nextToken": None}
                for state in ("FAILED", "WAITING")
            }
            route.fulfill(json={"data": lists})
        elif "mutation Ask" in sent["query"]:
            asked.append(sent)
            route.fulfill(json={"data": {"job": job(sent["variables"]["id"], "ARCHIVE", "WAITING")}})
        else:
            response = route.fetch()
            body = response.json()
            for found in _slides(body.get("data") or {}):
                found.update(slides.get(found["ImageID"], {}))
            route.fulfill(response=response, json=body)

    page.route("**/graphql", answer)
    return asked


def _slides(data: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for value in data.values():
        rows = value.get("items", []) if isinstance(value, dict) else value
        yield from (one for one in rows if "LabelURL" in one)


class Registry(BaseHTTPRequestHandler):
    """Refuses what it is sent until it is told otherwise."""

    answers = 422

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(type(self).answers)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def registry() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Registry) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/slides"
        finally:
            server.shutdown()
            thread.join()


def test_publish_dialog_shows_a_refused_name_and_publishes_an_accepted_name(
    pages: Pages, slides: Slides, server: StandaloneServer, axe: str
) -> None:
    (image_id,) = slides.take()
    server.set(image_id, Status="GOOD")
    page = pages.open()
    choose(page, image_id)
    page.keyboard.press("m")
    publish = page.get_by_role("menuitem", name="Publish")
    expect(publish).to_be_focused()
    assert violations(page, axe) == []
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name=f"Publish S{image_id}")
    expect(dialog).to_contain_text("without patient data")
    expect(dialog.get_by_role("textbox")).to_be_focused()
    page.keyboard.type(f"C{image_id}")
    page.keyboard.press("Enter")
    expect(dialog).to_contain_text("needs a new name, not one of its present IDs: choose another")
    expect(dialog.get_by_role("textbox")).to_be_focused()
    assert violations(page, axe) == []
    assert server.ask(JOBS, id=image_id)["slideJobs"] == []

    dialog.get_by_role("textbox").fill("STUDY-A")
    dialog.get_by_role("button", name="Publish").click()
    expect(dialog).to_be_hidden()
    expect(activity(page, image_id)).to_contain_text("as STUDY-A")
    expect(row(page, image_id)).to_be_focused()
    (asked,) = server.ask(JOBS, id=image_id)["slideJobs"]
    assert (asked["Kind"], asked["Name"]) == ("PUBLISH", "STUDY-A")


def test_publish_dialog_for_several_slides_publishes_only_named_slides(
    pages: Pages, slides: Slides, server: StandaloneServer
) -> None:
    ids = slides.take(2)
    for image_id in ids:
        server.set(image_id, Status="GOOD")
    page = pages.open()
    asked = pretend(page, {}, [])
    for image_id in ids:
        row(page, image_id).get_by_role("checkbox").check()
    act(page, "Publish … (2)")
    dialog = page.get_by_role("dialog", name="Publish 2 slides")
    dialog.get_by_label(f"Name of the copy of S{ids[1]}").fill("STUDY-7")
    dialog.get_by_role("button", name="Publish").click()
    expect(dialog).to_be_hidden()
    assert [one["variables"] for one in asked] == [{"id": ids[1], "argument": "STUDY-7"}]
    page.unroute_all(behavior="wait")


def test_archive_of_several_slides_reports_each_refusal_with_its_reason(
    pages: Pages, slides: Slides, server: StandaloneServer, axe: str
) -> None:
    ids = slides.take(2)
    page = pages.open()
    for image_id in ids:
        row(page, image_id).get_by_role("checkbox").check()
    refusal = {"errors": [{"message": "It waits for another job.", "errorType": "CONFLICT"}]}

    def refuse_one(route: Route) -> None:
        sent = route.request.post_data or ""
        if "archiveSlide" in sent and ids[1] in sent:
            route.fulfill(json=refusal)
        else:
            route.continue_()

    page.route("**/graphql", refuse_one)
    act(page, "Archive")
    question = page.get_by_role("dialog", name="Archive 2 slides?")
    expect(question).to_contain_text(f"S{ids[0]}")
    assert violations(page, axe) == []
    question.get_by_role("button", name="Archive").click()
    expect(notice(page, f"S{ids[1]} was not changed: It waits for another job.")).to_be_visible()
    page.unroute_all(behavior="wait")
    assert [one["Kind"] for one in server.ask(JOBS, id=ids[0])["slideJobs"]] == ["ARCHIVE"]
    assert server.ask(JOBS, id=ids[1])["slideJobs"] == []


def test_menu_moves_by_keys_and_escape_restores_focus_and_selection(
    pages: Pages, slides: Slides, server: StandaloneServer
) -> None:
    (image_id,) = slides.take()
    server.set(image_id, Status="GOOD")
    page = pages.open()
    row(page, image_id).get_by_role("checkbox").check()
    choose(page, image_id)
    page.keyboard.press("m")
    expect(page.get_by_role("menuitem", name="Publish")).to_be_focused()
    for key, name in (("ArrowDown", "Archive"), ("ArrowDown", "Publish"), ("End", "Archive")):
        page.keyboard.press(key)
        expect(page.get_by_role("menuitem", name=name)).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("menu")).to_be_hidden()
    expect(row(page, image_id)).to_be_focused()
    expect(row(page, image_id).get_by_role("checkbox")).to_be_checked()
    assert server.ask(JOBS, id=image_id)["slideJobs"] == []


def test_activity_of_each_slide_is_described_in_words(pages: Pages, slides: Slides, axe: str) -> None:
    told: list[tuple[dict[str, Any], dict[str, Any] | None, str]] = [
        ({}, {"kind": "ARCHIVE"}, "Archiving"),
        ({"Original": "RESTORING"}, {"kind": "RESTORE", "ExpectedAt": SOME_DAY}, "Unarchiving, expected 22 Nov, "),
        ({"Status": "PUBLISHED", "PublishedAs": "STUDY-7"}, None, "as STUDY-7"),
        ({"Status": "ARCHIVED", "Original": "ARCHIVED", "PublishedAs": "STUDY-8"}, None, "Published as STUDY-8"),
        ({"Delivery": "WAITING"}, None, "Waiting for the registry"),
        ({"Delivery": "WAITING"}, {"kind": "SEND", "Error": "closed"}, "Waiting for the registry: closed"),
        ({"Delivery": "FAILED"}, {"kind": "SEND", "state": "FAILED", "Error": "422"}, "Sending failed: 422"),
        ({"Status": "GOOD", "Original": None}, {"kind": "PUBLISH", "Name": "STUDY-9"}, "Publishing as STUDY-9"),
    ]  # fmt: skip
    ids = slides.take(len(told))
    jobs = [
        job(image_id, given.pop("kind"), given.pop("state", "WAITING"), **given)
        for image_id, (_, given, _) in zip(ids, told, strict=True)
        if given
    ]
    page = pages.blank()
    pretend(page, {image_id: fields for image_id, (fields, _, _) in zip(ids, told, strict=True)}, jobs)
    page.goto(pages.url)
    for image_id, (_, _, words) in zip(ids, told, strict=True):
        expect(activity(page, image_id)).to_contain_text(words)
    expect(page.locator("#jobs-title")).to_have_text("Jobs: 4 in progress, 1 failed")
    expect(page.locator("#job-list li")).to_have_count(3)  # what has failed, has a reason or takes long
    expect(page.locator("#job-list li").first).to_contain_text("Sending failed: 422")
    assert violations(page, axe) == []
    view(page, ids[6])
    expect(page.locator(".title .about")).to_contain_text("Sending failed: 422")
    page.unroute_all(behavior="wait")


def test_rescanned_slide_shows_its_predecessor(pages: Pages, slides: Slides) -> None:
    (image_id,) = slides.take()
    page = pages.blank()
    pretend(page, {image_id: {"Predecessor": "4711"}}, [])
    page.goto(pages.url)
    expect(row(page, image_id)).to_contain_text("Rescan of 4711")
    page.unroute_all(behavior="wait")


def test_failed_jobs_are_listed_and_can_be_tried_again(pages: Pages, slides: Slides) -> None:
    ids = slides.take(3)
    jobs = [
        job(ids[0], "PUBLISH", "FAILED", Name="STUDY-7", Error="the label cannot be removed"),
        job(ids[1], "ARCHIVE", "FAILED", Error="the archive is full"),
        job(ids[2], "ARCHIVE", "FAILED", Error="it was archived since"),
    ]
    page = pages.blank()
    asked = pretend(page, {ids[2]: {"Status": "ARCHIVED", "Original": "ARCHIVED"}}, jobs)
    page.goto(pages.url)
    expect(page.locator("#jobs-title")).to_have_text("Jobs: 2 failed")
    expect(page.locator("#job-list li")).to_have_count(2)
    entry = page.locator("#job-list li", has_text=f"S{ids[0]}")
    expect(entry).to_contain_text("Publishing failed: the label cannot be removed")
    with page.expect_response(lambda one: "mutation Ask" in (one.request.post_data or "")):
        entry.get_by_role("button", name=f"Try again: S{ids[0]}").click()
    assert "publishSlide(ImageID: $id, name: $argument)" in asked[0]["query"]
    assert asked[0]["variables"] == {"id": ids[0], "argument": "STUDY-7"}
    expect(page.locator("#jobs-title")).to_contain_text("failed")
    with page.expect_response(lambda one: "archiveSlide" in (one.request.post_data or "")):
        page.get_by_role("button", name="Try all again").click()
    assert asked[-1]["variables"] == {"id": ids[1]}
    page.unroute_all(behavior="wait")


def test_undeleted_slide_shows_its_label_and_thumbnail_again(
    pages: Pages, server: StandaloneServer, sample: bytes
) -> None:
    server.drop("4100002.svs", with_image_id(sample, "4100002"))
    server.wait_for_slide("4100002")
    server.set("4100002", Status="DELETED")
    page = pages.open()
    show(page, "DELETED")
    pictures = row(page, "4100002").locator("td img")
    expect(row(page, "4100002")).to_be_visible()
    expect(pictures).to_have_count(0)
    server.set("4100002", Status="NEW")
    expect(pictures).to_have_count(2)


def test_deleted_slide_can_be_undeleted_or_purged(
    pages: Pages, slides: Slides, server: StandaloneServer, axe: str
) -> None:
    (image_id,) = slides.take()
    page = pages.open()
    choose(page, image_id)
    page.keyboard.press("Delete")
    page.get_by_role("dialog", name="Delete this slide?").get_by_role("button", name="Delete").click()
    expect(row(page, image_id)).to_have_count(0)
    show(page, "DELETED")
    expect(activity(page, image_id)).to_contain_text("Will be deleted on ")
    choose(page, image_id)
    act(page, "Undelete")
    expect(notice(page, f"S{image_id} undeleted")).to_be_visible()
    assert server.slide(image_id)["Status"] == "NEW"

    server.set(image_id, Status="DELETED")
    page.reload()
    show(page, "DELETED")
    choose(page, image_id)
    act(page, "Purge")
    dialog = page.get_by_role("dialog", name="Purge this slide?")
    page.keyboard.type("4711")
    page.keyboard.press("Enter")
    expect(dialog).to_contain_text("the one given does not match")
    assert violations(page, axe) == []
    dialog.get_by_role("textbox").fill(image_id)
    page.keyboard.press("Enter")
    expect(dialog).to_be_hidden()
    expect(activity(page, image_id)).to_have_text("Files permanently deleted")


def test_slide_is_marked_sent_only_after_the_registry_accepts_delivery(
    own_pages: Pages, own_server: StandaloneServer, small_slides: dict[str, bytes]
) -> None:
    image_id, content = next(iter(small_slides.items()))
    with registry() as address:
        own_server.stop()
        destinations = [{"name": "registry", "url": address}]
        (own_server.data / "destinations.json").write_text(json.dumps(destinations))
        own_server.drop("one.svs", content)
        own_server.start()
        own_server.wait_for_slide(image_id)
        own_server.set(image_id, Status="GOOD")
        page = own_pages.open()
        choose(page, image_id)
        page.keyboard.press("s")
        expect(notice(page, "will be marked Sent when the registry confirms receipt")).to_be_visible()
        entry = page.locator("#job-list li", has_text="Sending failed: ")
        expect(entry).to_be_visible()
        expect(status(page, image_id)).to_have_text("Good")
        expect(activity(page, image_id)).to_contain_text("Sending failed")
        Registry.answers = 200
        entry.get_by_role("button", name="Try again").click()
        expect(status(page, image_id)).to_have_text("Sent")
        expect(activity(page, image_id)).to_have_count(0)
        expect(page.locator("#jobs")).to_be_hidden()


def test_failed_job_appears_on_every_page_without_polling_and_is_dismissed_for_everyone(
    own_pages: Pages, own_server: StandaloneServer, small_slides: dict[str, bytes], axe: str
) -> None:
    image_id, content = next(iter(small_slides.items()))
    Registry.answers = 422
    with registry() as address:
        own_server.stop()
        (own_server.data / "destinations.json").write_text(json.dumps([{"name": "registry", "url": address}]))
        own_server.drop("one.svs", content)
        own_server.start()
        own_server.wait_for_slide(image_id)
        own_server.set(image_id, Status="GOOD")
        page, other = own_pages.open(), own_pages.open()
        polled: list[str] = []
        other.on("request", lambda one: polled.append(one.post_data or ""))
        choose(page, image_id)
        page.keyboard.press("s")
        entries = [one.locator("#job-list li", has_text="Sending failed: ") for one in (page, other)]
        for entry in entries:
            expect(entry).to_contain_text("status 422")
        assert violations(page, axe) == []
        entries[0].get_by_role("button", name="Dismiss: Sending failed").click()
        for one in (page, other):
            expect(one.locator("#jobs")).to_be_hidden()
        assert [sent for sent in polled if "query Jobs" in sent] == []
        other.reload()
        expect(row(other, image_id)).to_be_visible()
        expect(other.locator("#jobs")).to_be_hidden()
    (kept,) = own_server.ask(JOBS, id=image_id)["slideJobs"]
    assert (kept["Kind"], kept["State"]) == ("SEND", "DISMISSED")


@pytest.mark.parametrize("name", ["PUBLISHED", "ARCHIVED", "DELETED"])
def test_status_menu_filters_the_list_by_rare_statuses(pages: Pages, name: str) -> None:
    page = pages.open()
    with page.expect_response(lambda one: f'"status":"{name}"' in (one.request.post_data or "")):
        show(page, name)
    expect(page.locator("#chips [aria-pressed=true]")).to_have_count(0)
    page.locator("#chips").get_by_role("button", name="All").click()
    expect(page.get_by_label("Other status")).to_have_value("")
