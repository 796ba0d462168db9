"""The page when something is wrong outside: no server, no session, no live connection."""

from playwright.sync_api import expect

from tests.browser.conftest import Pages, Slides
from tests.browser.review import choose, edit, field, notice, row, status, wait_for_picture
from tests.browser.standalone_server import StandaloneServer, with_image_id


def test_page_keeps_slides_and_typed_text_while_the_server_is_unreachable(
    own_pages: Pages, own_server: StandaloneServer, small_slides: dict[str, bytes]
) -> None:
    image_id, content = next(iter(small_slides.items()))
    own_server.drop("one.svs", content)
    own_server.wait_for_slide(image_id)
    own_server.set(image_id, CaseID=f"C{image_id}")  # a slide whose ID is not confirmed asks before Good
    page = own_pages.open()
    own_pages.expect_complaint("ERR_CONNECTION_REFUSED|ERR_EMPTY_RESPONSE|ERR_CONNECTION_RESET|WebSocket")
    expect(row(page, image_id)).to_be_visible()
    wait_for_picture(page, image_id)
    own_server.stop()
    expect(page.get_by_role("alert").filter(has_text="No connection")).to_be_visible()
    expect(row(page, image_id)).to_be_visible()  # what was known stays

    choose(page, image_id)
    page.keyboard.press("g")
    name = field(page, image_id, "SlideID").inner_text()
    expect(notice(page, f"Not saved – no connection. {name} is unchanged.")).to_be_visible()

    edit(page, image_id, "e", "written meanwhile")
    page.keyboard.press("Enter")
    expect(row(page, image_id)).to_contain_text("Not saved – no connection")
    expect(page.locator("input:focus")).to_have_value("written meanwhile")

    own_server.start()
    expect(page.locator("#offline")).to_be_hidden()
    expect(page.locator("#health")).to_have_attribute("data-health", "live")
    page.keyboard.press("Enter")
    expect(field(page, image_id, "SlideID")).to_have_text("written meanwhile")
    assert own_server.slide(image_id)["SlideID"] == "written meanwhile"


def test_page_polls_for_changes_without_a_live_connection(
    pages: Pages, slides: Slides, server: StandaloneServer
) -> None:
    (image_id,) = slides.take()
    page = pages.blank()
    page.route_web_socket("**/graphql", lambda socket: socket.close())
    page.goto(pages.url)
    expect(page.locator("#health")).to_have_attribute("data-health", "polling")
    expect(status(page, image_id)).to_have_text("New")
    server.set(image_id, Status="GOOD")
    expect(status(page, image_id)).to_have_text("Good")


def test_page_retries_config_until_the_login_mode_is_known(pages: Pages, slides: Slides) -> None:
    (image_id,) = slides.take()
    page = pages.blank()
    pages.expect_complaint("status of (503|404)")
    page.clock.install()
    answers = iter([503, 404])
    page.route("**/config.json", lambda route: route.fulfill(status=next(answers)))
    page.goto(pages.url)
    expect(page.get_by_role("alert").filter(has_text="No connection")).to_be_visible()
    page.clock.fast_forward(5000)
    expect(status(page, image_id)).to_have_text("New")
    expect(page.locator("#health")).to_have_attribute("data-health", "live")
    expect(page.locator("#who")).to_be_hidden()


def test_expired_session_shows_a_dialog_that_stays_until_login(pages: Pages, slides: Slides) -> None:
    (image_id,) = slides.take()
    page = pages.open()
    choose(page, image_id)
    pages.expect_complaint("status of 401")
    page.route(
        "**/graphql", lambda route: route.fulfill(status=401, json={"errors": [{"message": "expired"}]})
    )
    page.keyboard.press("g")
    over = page.get_by_role("dialog", name="Your session has expired")
    expect(over).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    expect(over).to_be_visible()
    page.unroute("**/graphql")
    over.get_by_role("button", name="Log in again").click()
    expect(status(page, image_id)).to_have_text("New")


def test_refused_change_shows_the_servers_message(pages: Pages, slides: Slides) -> None:
    (image_id,) = slides.take()
    page = pages.open()
    refusal = {
        "errors": [{"message": "Only Admins may do this.", "extensions": {"errorType": "Unauthorized"}}]
    }
    page.route("**/graphql", lambda route: route.fulfill(json=refusal))
    choose(page, image_id)
    page.keyboard.press("g")
    expect(notice(page, "Not saved – Only Admins may do this.")).to_be_visible()
    page.unroute("**/graphql")


def test_viewer_shows_slides_without_scale_or_magnification(
    pages: Pages, server: StandaloneServer, small_slides: dict[str, bytes]
) -> None:
    content = with_image_id(next(iter(small_slides.values())), "4300001")
    for tag in (b"|AppMag = 20", b"|MPP = 0.4990"):
        content = content.replace(tag, b"|" + b"X" * (len(tag) - 5) + b" = 1")
    server.drop("no-scale.svs", content)
    server.wait_for_slide("4300001")
    page = pages.open()
    choose(page, "4300001")
    page.keyboard.press("Enter")
    expect(page.locator(".scale")).to_contain_text("no scale (MPP unknown)")
    expect(page.get_by_role("button", name="1×", exact=True)).to_be_disabled()
