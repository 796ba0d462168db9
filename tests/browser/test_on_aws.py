"""The page as it works on AWS: login, tokens, cookies, labels, changes by others; under the policy of the edge."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import boto3
import httpx
import pytest
from cryptography.hazmat.primitives import serialization
from mint_session.handler import _signing_key
from moto import mock_aws
from playwright.sync_api import Browser, Page, Route, expect
from vsv import runtime

from tests.browser.conftest import SAMPLE_ID, Pages
from tests.browser.review import choose, edit, field, press, row, search, status, view, violations
from tests.browser.standalone_server import with_image_id
from tests.browser.test_accessibility import axe as axe  # noqa: PLC0414  a fixture
from tests.support.aws_site.asgi import served
from tests.support.aws_site.login import Login
from tests.support.aws_site.site import EDGE_SECRET, LABELS, AwsSite
from tests.support.servers.running import running_site

SET = "mutation Set($input: UpdateSlideInput!) { updateSlide(input: $input) { ImageID } }"
KEY_ID = "K2JCJMDEHXQW5F"
TOKEN = """() => {
    const [, user] = Object.entries(sessionStorage).find(([key]) => key.startsWith("oidc.user"));
    return JSON.parse(user).access_token;
}"""
# Asks for one label under as many addresses as are kept, then for the first again, then for another.
MANY_LABELS = """async ([label, count]) => {
    const { fetchLabel } = await import("/slide/labels.js");
    for (let at = 0; at < count; at++) await fetchLabel(`${label}?${at}`);
    await fetchLabel(`${label}?0`);
    await fetchLabel(`${label}?another`);
    await fetchLabel(`${label}?0`);
    await fetchLabel(`${label}?1`);
}"""
KEPT_LABELS = 120


@pytest.fixture(scope="module")
def aws(browser: Browser, sample: bytes, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AwsSite]:
    """The site with the sample slide and the handlers' own settings; no request leaves this machine."""
    with (
        pytest.MonkeyPatch.context() as patch,
        mock_aws(),
        running_site(tmp_path_factory.mktemp("aws")) as site,
    ):
        assert site.bring("a.svs", with_image_id(sample, SAMPLE_ID)) == 200
        settings = replace(
            site.services.settings, edge_secret=EDGE_SECRET, tile_caching="public", allow_origin=""
        )
        runtime.use(replace(site.services, settings=settings))
        with served(Login) as login, served(lambda origin: _site(origin, login, patch)) as made:
            yield made


def _site(origin: str, login: Login, patch: pytest.MonkeyPatch) -> AwsSite:
    """Set up as the stack does; the pool's key signs the cookies, too, which only saves making another."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        patch.setenv(name, "fake")
    patch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    pem = login.key.private_bytes(encoding, form, serialization.NoEncryption()).decode()
    secret = boto3.client("secretsmanager").create_secret(
        Name="key", SecretString=json.dumps({"privateKey": pem})
    )
    for name, value in {"SITE": origin, "SIGNING_SECRET": secret["ARN"], "KEY_ID": KEY_ID}.items():
        patch.setenv(f"VSV_{name}", value)
    _signing_key.cache_clear()
    return AwsSite(origin, login, {KEY_ID: login.key.public_key()})


@pytest.fixture
def people(browser: Browser, aws: AwsSite) -> Iterator[Pages]:
    """Opens pages; the site is as it was before, whatever a test did to it."""
    made = Pages(browser, f"{aws.origin}/")
    aws.asked.clear()
    yield made
    for context in made.contexts:
        context.close()
    aws.login.lifetime = 3600
    aws.refused.clear()
    made.check()


def log_in(people: Pages, aws: AwsSite, user: str, path: str = "") -> Page:
    """Open the page as somebody whom the login page knows already."""
    page = people.blank()
    page.context.add_cookies([{"name": "user", "value": user, "url": aws.login.origin}])
    page.goto(people.url + path)
    expect(page.locator("#health")).to_have_attribute("data-health", "live")
    return page


def label(page: Page) -> Any:
    return row(page, SAMPLE_ID).locator("td.label img")


def is_drawn(image: Any) -> bool:
    return bool(image.evaluate("one => one.complete && one.naturalWidth > 0"))


def wait_until_drawn(page: Page, selector: str) -> None:
    page.wait_for_function("one => document.querySelector(one)?.naturalWidth > 0", arg=selector)


def test_technician_sees_labels_live_changes_and_permitted_actions(
    people: Pages, aws: AwsSite, axe: str
) -> None:
    page = log_in(people, aws, "technician")
    expect(page.locator("#who")).to_have_text("technician Log out")
    assert page.url == people.url  # the code of the login is gone from the address
    wait_until_drawn(page, "td.label img")
    assert str(label(page).get_attribute("src")).startswith("blob:")
    aws.ask("technician", SET, input={"ImageID": SAMPLE_ID, "Status": "GOOD"})
    expect(status(page, SAMPLE_ID)).to_have_text("Good")
    assert is_drawn(label(page))
    assert violations(page, axe) == []

    choose(page, SAMPLE_ID)
    page.keyboard.press("b")
    expect(status(page, SAMPLE_ID)).to_have_text("Bad")
    expect(page.locator("#actions .mark:visible")).to_have_count(4)
    expect(page.locator("#actions .danger, #more-actions")).to_have_count(
        0
    )  # only Admins delete, publish, archive
    choose(page, SAMPLE_ID)
    page.keyboard.press("l")
    wait_until_drawn(page, "dialog img")
    page.keyboard.press("Escape")
    view(page, SAMPLE_ID)
    page.keyboard.press("l")
    wait_until_drawn(page, ".label-panel img:last-child")
    assert set(aws.tiles()) == {200}


def test_labels_in_memory_are_bounded_and_least_recently_used_are_removed(
    people: Pages, aws: AwsSite
) -> None:
    page = log_in(people, aws, "technician")
    wait_until_drawn(page, "td.label img")
    address = f"/DeepZoom/{SAMPLE_ID}_files/label.jpeg"
    aws.asked.clear()
    page.evaluate(MANY_LABELS, [address, KEPT_LABELS])
    # Each once, and the second again: it was the one used longest ago when another one came.
    assert [path for _, path, _ in aws.asked].count(address) == KEPT_LABELS + 2


def test_session_cookies_open_tiles_but_not_labels(aws: AwsSite) -> None:
    authorization = {"authorization": aws.login.tokens("pathologist")["access_token"]}
    assert httpx.post(f"{aws.origin}/session").status_code == 401
    cookies = dict(httpx.post(f"{aws.origin}/session", headers=authorization).cookies)
    tile, shown = f"{aws.origin}/DeepZoom/{SAMPLE_ID}_files/8/0_0.jpeg", "CloudFront-Policy"
    assert httpx.get(tile).status_code == 403
    answer = httpx.get(tile, cookies=cookies)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")
    assert answer.headers["cache-control"].startswith("public")
    assert httpx.get(tile, cookies=cookies | {shown: cookies[shown][:-8] + "AAAAAAA_"}).status_code == 403
    private = f"{aws.origin}/DeepZoom/{SAMPLE_ID}_files/label.jpeg"
    assert httpx.get(private, cookies=cookies).status_code == 401  # cookies open no label


def test_pathologist_sees_no_label_and_no_action_that_changes_a_slide(
    people: Pages, aws: AwsSite, axe: str
) -> None:
    page = log_in(people, aws, "pathologist")
    expect(row(page, SAMPLE_ID).locator("td.label")).to_have_text("Label not shown")
    expect(row(page, SAMPLE_ID).locator("td.thumbnail img")).to_be_visible()
    expect(page.locator("#actions button:visible")).to_have_text("ViewEnter")
    expect(row(page, SAMPLE_ID).locator(".host button")).to_have_count(0)
    choose(page, SAMPLE_ID)
    press(page, "u", "e", "Delete")
    assert page.locator("input:focus, dialog, .notice").count() == 0
    view(page, SAMPLE_ID)
    expect(page.locator("#viewer .mark:visible, #viewer .danger:visible")).to_have_count(0)
    assert violations(page, axe) == []
    assert not [path for _, path, _ in aws.asked if LABELS.fullmatch(path)]
    token = aws.login.tokens("pathologist")["access_token"]
    private = f"{aws.origin}/DeepZoom/{SAMPLE_ID}_files/label.jpeg"
    assert httpx.get(private, headers={"authorization": token}).status_code == 403


def test_user_without_a_group_sees_a_message_and_can_log_out(people: Pages, aws: AwsSite) -> None:
    people.expect_complaint("status of 403")
    page = people.blank()
    page.context.add_cookies([{"name": "user", "value": "visitor", "url": aws.login.origin}])
    page.goto(people.url)
    expect(page.get_by_role("alert").filter(has_text="needs one of the groups")).to_be_visible()
    expect(page.get_by_role("button", name="Log out").first).to_be_visible()


def test_expiring_tokens_and_cookies_are_renewed(
    people: Pages, aws: AwsSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mint_session.handler.LIFETIME", timedelta(seconds=6))
    people.expect_complaint("status of 401")
    page = log_in(people, aws, "technician")
    before = aws.login.refreshed
    with page.expect_response(lambda one: one.url.endswith("/session") and one.ok):
        pass
    assert aws.login.refreshed == before  # the token has an hour left
    aws.refused.add(page.evaluate(TOKEN))  # as if it had been revoked
    aws.login.lifetime = 50  # seconds: each such token is renewed before it is used
    choose(page, SAMPLE_ID)
    page.keyboard.press("g")
    expect(status(page, SAMPLE_ID)).to_have_text("Good")
    refreshed = aws.login.refreshed
    assert refreshed > before
    page.keyboard.press("u")  # by a refresh token that came but once
    expect(status(page, SAMPLE_ID)).to_have_text("New")
    assert aws.login.refreshed > refreshed
    served = aws.realtime.served
    aws.realtime.drop()
    expect(page.locator("#health")).to_have_attribute("data-health", "polling")
    expect(page.locator("#health")).to_have_attribute("data-health", "live")
    assert aws.realtime.served == served + 1


def test_expired_session_keeps_typed_text_and_search_through_login(people: Pages, aws: AwsSite) -> None:
    people.expect_complaint("status of 40[01]|WebSocket")
    page = log_in(people, aws, "technician")
    search(page, "a.sv")
    edit(page, SAMPLE_ID, "c", "typed before")
    aws.refused.add(page.evaluate(TOKEN))
    aws.login.refresh_tokens.clear()
    page.keyboard.press("Enter")
    over = page.get_by_role("dialog", name="Your session has expired")
    expect(over).to_contain_text("What you have typed is kept.")
    over.get_by_role("button", name="Log in again").click()
    expect(page.locator("input:focus")).to_have_value("typed before")
    expect(page.locator("#search")).to_have_value("a.sv")
    page.keyboard.press("Enter")
    expect(field(page, SAMPLE_ID, "CaseID")).to_have_text("typed before")


def test_link_to_a_slide_opens_the_slide_after_login(people: Pages, aws: AwsSite) -> None:
    page = people.blank()
    page.context.add_cookies([{"name": "user", "value": "technician", "url": aws.login.origin}])
    page.goto(f"{people.url}#/view/{SAMPLE_ID}")
    expect(page.locator("#viewer h1")).to_be_visible()
    assert f"#/view/{SAMPLE_ID}" in page.url


def test_logging_out_ends_the_session_in_every_tab(people: Pages, aws: AwsSite) -> None:
    page = log_in(people, aws, "technician")
    other = page.context.new_page()
    other.goto(people.url)
    expect(other.locator("#who")).to_have_text("technician Log out")
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    expect(other.get_by_text("You have logged out.")).to_be_visible()
    expect(other.get_by_role("table")).to_have_count(0)
    other.get_by_role("button", name="Log in").click()
    expect(other.get_by_role("heading", name="Sign in")).to_be_visible()
    assert not page.context.cookies(aws.origin)
    page.go_back()
    outside = page.get_by_role("heading", name="Sign in").or_(page.get_by_text("You have logged out."))
    expect(outside).to_be_visible()
    expect(page.get_by_role("table")).to_have_count(0)


def test_login_begun_before_a_logout_is_discarded(people: Pages, aws: AwsSite) -> None:
    page = log_in(people, aws, "technician")
    other = page.context.new_page()
    held: list[Route] = []
    other.route("**/oauth2/token", lambda route: held.append(route))  # noqa: PLW0108  it gets marks
    with other.expect_request("**/oauth2/token"):
        other.goto(people.url)
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    held[0].continue_()
    expect(other.get_by_text("You have logged out.")).to_be_visible()
    other.reload()
    expect(other.get_by_text("You have logged out.")).to_be_visible()


def test_tab_without_storage_events_detects_a_logout(people: Pages, aws: AwsSite) -> None:
    page = log_in(people, aws, "technician")
    other = page.context.new_page()
    other.add_init_script("addEventListener('storage', (event) => event.stopImmediatePropagation())")
    other.goto(people.url)
    expect(other.locator("#who")).to_have_text("technician Log out")
    page.get_by_role("button", name="Log out").click()
    expect(other.get_by_text("You have logged out.")).to_be_visible()
