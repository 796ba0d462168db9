import io
import re

from PIL import Image
from playwright.sync_api import expect

from tests.browser.conftest import SAMPLE_ID, Pages, Slides
from tests.browser.review import (
    choose,
    edit,
    field,
    in_list_order,
    notice,
    press,
    row,
    search,
    status,
    wait_for_picture,
)
from tests.browser.standalone_server import StandaloneServer, with_image_id
from tests.support.servers.running import wait_until


def test_empty_table_shows_the_first_slide_without_reload(
    own_pages: Pages, own_server: StandaloneServer, sample: bytes
) -> None:
    page = own_pages.open()
    expect(page.get_by_text("No slides yet")).to_be_visible()
    own_server.drop("first.svs", with_image_id(sample, "4000001"))
    expect(row(page, "4000001")).to_be_visible()
    expect(page.get_by_text("No slides yet")).to_be_hidden()
    expect(page.get_by_role("button", name="All 1", exact=True)).to_be_visible()
    expect(page.locator("#imports")).to_be_hidden()


def test_slide_id_can_be_edited_cancelled_and_undone_by_keyboard(
    pages: Pages, slides: Slides, server: StandaloneServer
) -> None:
    (image_id,) = slides.take()
    page = pages.open()
    edit(page, image_id, "e", "S26-4711-A1")
    page.keyboard.press("Enter")
    expect(field(page, image_id, "SlideID")).to_have_text("S26-4711-A1")
    expect(row(page, image_id)).to_be_focused()
    assert server.slide(image_id)["SlideID"] == "S26-4711-A1"

    edit(page, image_id, "e", "a slip of the finger")
    page.keyboard.press("Escape")
    expect(field(page, image_id, "SlideID")).to_have_text("S26-4711-A1")
    assert server.slide(image_id)["SlideID"] == "S26-4711-A1"

    page.keyboard.press("Control+z")
    expect(field(page, image_id, "SlideID")).to_have_text(f"S{image_id}")


def test_case_without_confirmed_id_says_so_until_it_is_set(
    own_pages: Pages, own_server: StandaloneServer, sample: bytes
) -> None:
    photo = io.BytesIO()
    Image.new("RGB", (600, 400), "red").save(photo, "PNG")
    own_server.drop("photo.png", photo.getvalue())  # neither barcode nor tag, and a name that does not fit
    own_server.drop("first.svs", with_image_id(sample, "4000001"))
    page = own_pages.open()
    mark = row(page, "photo").get_by_text("ID not confirmed")
    expect(mark).to_be_visible()
    expect(row(page, "4000001")).to_be_visible()
    expect(row(page, "4000001").get_by_text("ID not confirmed")).to_be_hidden()
    edit(page, "photo", "c", "S26-04171")
    page.keyboard.press("Enter")
    expect(mark).to_be_hidden()


def test_tab_and_arrow_save_an_id_and_edit_the_next_cell(
    pages: Pages, slides: Slides, server: StandaloneServer
) -> None:
    ids = slides.take(2)
    page = pages.open()
    expect(row(page, ids[0])).to_be_visible()
    first, second = in_list_order(page, ids)
    edit(page, first, "e", "one")
    page.keyboard.press("Tab")
    expect(field(page, first, "CaseID").locator("input")).to_be_focused()
    page.keyboard.type("case one")
    page.keyboard.press("ArrowDown")
    expect(field(page, second, "CaseID").locator("input")).to_be_focused()
    page.keyboard.type("case two")
    page.keyboard.press("Enter")
    expect(field(page, second, "CaseID")).to_have_text("case two")
    assert (server.slide(first)["SlideID"], server.slide(first)["CaseID"]) == ("one", "case one")


def test_marking_a_slide_focuses_the_next_row_and_can_be_undone(
    pages: Pages, slides: Slides, server: StandaloneServer
) -> None:
    ids = slides.take(2)
    page = pages.open()
    expect(row(page, ids[0])).to_be_visible()
    first, second = in_list_order(page, ids)
    choose(page, first)
    page.keyboard.press("g")
    expect(status(page, first)).to_have_text("Good")
    expect(row(page, second)).to_be_focused()
    assert server.slide(first)["Status"] == "GOOD"
    notice(page, "marked Good").get_by_role("button", name="Undo").click()
    expect(status(page, first)).to_have_text("New")


def test_two_quick_status_keys_on_a_slide_cause_no_conflict(
    pages: Pages, slides: Slides, server: StandaloneServer
) -> None:
    (image_id,) = slides.take()
    page = pages.open()
    page.locator("#actions").get_by_label("Auto-advance").uncheck()
    choose(page, image_id)
    press(page, "b", "g")
    expect(notice(page, "marked Good")).to_be_visible()
    expect(status(page, image_id)).to_have_text("Good")
    expect(page.locator("dialog")).to_have_count(0)
    assert server.slide(image_id)["Status"] == "GOOD"


def test_marking_several_slides_reports_each_refusal_and_undo_restores_all(
    pages: Pages, slides: Slides, server: StandaloneServer
) -> None:
    ids = slides.take(3)
    server.set(ids[0], Status="GOOD")
    page = pages.open()
    for image_id in ids:
        row(page, image_id).get_by_role("checkbox").check()
    expect(page.locator("#chosen")).to_have_text("3 slides selected")
    for image_id in ids:
        wait_for_picture(page, image_id)
    page.keyboard.press("s")
    expect(notice(page, f"S{ids[0]} marked Sent")).to_be_visible()
    for image_id in ids[1:]:
        expect(
            notice(page, f"S{image_id} was not changed: Mark the slide Good before sending it")
        ).to_be_visible()
    page.locator("#actions").get_by_role("button", name="Bad").click()
    expect(notice(page, "3 slides marked Bad")).to_be_visible()
    assert {server.slide(image_id)["Status"] for image_id in ids} == {"BAD"}
    choose(page, ids[0])
    page.keyboard.press("Control+z")  # the way back from BAD to SENT leads over GOOD
    expect(status(page, ids[0])).to_have_text("Sent")
    expect(status(page, ids[1])).to_have_text("New")


def test_delete_asks_for_confirmation_and_can_be_undone(
    pages: Pages, slides: Slides, server: StandaloneServer
) -> None:
    (image_id,) = slides.take()
    server.set(image_id, Status="GOOD")
    page = pages.open()
    choose(page, image_id)
    page.keyboard.press("Delete")
    question = page.get_by_role("dialog", name="Delete this slide?")
    expect(question).to_contain_text(f"S{image_id}")
    page.keyboard.press("Escape")
    expect(question).to_be_hidden()
    expect(row(page, image_id)).to_be_focused()

    page.keyboard.press("Delete")
    question.get_by_role("button", name="Delete").click()
    expect(row(page, image_id)).to_have_count(0)
    assert server.slide(image_id)["Status"] == "DELETED"
    expect(page.locator("tr:focus")).to_have_count(1)  # the neighbour, so that the next key has an aim

    page.keyboard.press("Control+z")
    expect(status(page, image_id)).to_have_text("Good")
    assert server.slide(image_id)["Status"] == "GOOD"


def test_conflicting_edits_let_the_second_person_choose_a_value(
    pages: Pages, slides: Slides, server: StandaloneServer
) -> None:
    (image_id,) = slides.take()
    ann, ben = pages.open(), pages.open()
    edit(ann, image_id, "e", "from Ann")
    edit(ben, image_id, "e", "from Ben")
    ann.keyboard.press("Enter")
    expect(field(ann, image_id, "SlideID")).to_have_text("from Ann")
    ben.keyboard.press("Enter")
    conflict = ben.get_by_role("dialog", name="Somebody else changed this")
    expect(conflict).to_contain_text("from Ann")
    expect(conflict).to_contain_text("from Ben")
    expect(conflict.get_by_role("button", name="Keep theirs")).to_be_focused()
    assert server.slide(image_id)["SlideID"] == "from Ann"

    conflict.get_by_role("button", name="Save mine").click()
    for page in (ann, ben):
        expect(field(page, image_id, "SlideID")).to_have_text("from Ben")
    assert server.slide(image_id)["SlideID"] == "from Ben"

    edit(ben, image_id, "e", "again")
    server.set(image_id, SlideID="elsewhere")
    ben.keyboard.press("Enter")
    conflict.get_by_role("button", name="Keep theirs").click()
    expect(field(ben, image_id, "SlideID")).to_have_text("elsewhere")
    assert server.slide(image_id)["SlideID"] == "elsewhere"


def test_concurrent_changes_of_different_fields_are_both_kept(
    pages: Pages, slides: Slides, server: StandaloneServer
) -> None:
    (image_id,) = slides.take()
    page = pages.open()
    edit(page, image_id, "e", "mine")
    server.set(image_id, Status="BAD")
    expect(status(page, image_id)).to_have_text("Bad")  # live, and the editor is still open
    page.keyboard.press("Enter")
    expect(field(page, image_id, "SlideID")).to_have_text("mine")
    found = server.slide(image_id)
    assert (found["SlideID"], found["Status"]) == ("mine", "BAD")


def test_failed_import_shows_its_reason_and_can_be_retried(
    pages: Pages, server: StandaloneServer, sample: bytes
) -> None:
    page = pages.open()
    whole = with_image_id(sample, "4100001")
    server.drop("cut-off.svs", whole[: len(whole) // 2])
    entry = page.locator("#import-list li", has_text="cut-off.svs")
    expect(entry).to_contain_text("Failed")
    expect(entry).to_contain_text("truncated")

    started = server.ask('{ listImports(state: "FAILED") { items { Filename StartedAt } } }')
    with page.expect_response(lambda answer: "retryImport" in (answer.request.post_data or "")) as retried:
        entry.get_by_role("button", name=re.compile("Try again: import cut-off.svs")).click()
    assert retried.value.json()["data"]["retryImport"]["State"] != "FAILED"
    expect(entry).to_contain_text("truncated")  # the same bytes fail in the same way
    assert server.ask('{ listImports(state: "FAILED") { items { Filename StartedAt } } }') != started

    server.drop("cut-off.svs", whole)  # scanned again
    expect(row(page, "4100001")).to_be_visible()
    expect(entry).to_have_count(0)


def test_purged_slides_file_is_imported_again_by_its_button_alone(
    pages: Pages, server: StandaloneServer, sample: bytes
) -> None:
    page = pages.open()
    content = with_image_id(sample, "4100007")
    server.drop("purged.svs", content)
    expect(row(page, "4100007")).to_be_visible()
    server.purge("4100007")
    server.drop("renamed.svs", content)
    entry = page.locator("#import-list li", has_text="renamed.svs")
    expect(entry).to_contain_text("This slide was purged on")
    expect(entry.get_by_role("button", name="Try again")).to_have_count(0)
    entry.get_by_role("button", name="Import again: renamed.svs").click()
    expect(entry).to_have_count(0)
    (found,) = server.ask('{ searchSlides(text: "renamed.svs") { items { ImageID } } }')["searchSlides"][
        "items"
    ]
    assert found["ImageID"].startswith("4100007-")


def test_hidden_failed_import_stays_hidden_until_the_next_failure(
    pages: Pages, server: StandaloneServer, sample: bytes
) -> None:
    page = pages.open()
    whole = with_image_id(sample, "4100003")
    server.drop("put-aside.svs", whole[: len(whole) // 2])
    entry = page.locator("#import-list li", has_text="put-aside.svs")
    entry.get_by_role("button", name="Hide put-aside.svs").click()
    expect(entry).to_have_count(0)
    page.reload()
    expect(page.locator("#health")).to_have_attribute("data-health", "live")
    server.drop("another-cut.svs", whole[: len(whole) // 3])
    expect(page.locator("#import-list li", has_text="another-cut.svs")).to_contain_text("truncated")
    expect(entry).to_have_count(0)

    server.ask('mutation { retryImport(Filename: "put-aside.svs") { State } }')
    expect(entry).to_contain_text("truncated")
    server.drop("put-aside.svs", whole)
    server.drop("another-cut.svs", with_image_id(sample, "4100004"))
    expect(page.locator("#import-list li", has_text="-aside.svs")).to_have_count(0)
    expect(page.locator("#import-list li", has_text="another-cut.svs")).to_have_count(0)


def test_files_that_are_not_imported_are_named_and_can_be_hidden(
    pages: Pages, server: StandaloneServer
) -> None:
    names = ["a.lif", "b\u202egpj.dcm", "<b>c.vsi"]
    for name in names:
        server.drop(name, b"1")
    wait_until(lambda: server.ask("{ listNotImported { count } }")["listNotImported"], "they were found", 0.2)
    page = pages.open()
    entry = page.locator("#import-list li", has_text="are not slides that can be read")
    expect(entry).to_contain_text(
        "3 files are not slides that can be read: <b>c.vsi (Olympus VSI), a.lif (Leica LIF), "
        "b\ufffdgpj.dcm (DICOM)"
    )
    expect(page.locator("#imports-title")).to_contain_text("some files not imported")
    entry.get_by_role("button", name="Hide").click()
    expect(entry).to_have_count(0)
    page.reload()
    expect(page.locator("#health")).to_have_attribute("data-health", "live")
    expect(entry).to_have_count(0)
    for name in names:
        (server.watched / name).unlink()
    wait_until(
        lambda: not server.ask("{ listNotImported { count } }")["listNotImported"], "they were forgotten", 0.2
    )


def test_notice_of_a_changed_id_names_the_previous_id(pages: Pages, slides: Slides) -> None:
    (image_id,) = slides.take()
    page = pages.open()
    edit(page, image_id, "e", "A7")
    page.keyboard.press("Enter")
    expect(notice(page, f"S{image_id}: slide ID is A7")).to_be_visible()


def test_search_and_status_filters_select_matching_slides(
    pages: Pages, slides: Slides, server: StandaloneServer
) -> None:
    ids = slides.take(2, case="Haystack")
    server.set(ids[0], SlideID="Needle-1", Status="GOOD")
    page = pages.open()
    page.keyboard.press("/")
    page.keyboard.type("need")
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(field(page, ids[0], "SlideID")).to_have_text("Needle-1")
    search(page, "Haystack")
    expect(page.locator("tbody tr")).to_have_count(2)
    page.locator("#chips").get_by_role("button", name="Good").click()
    expect(page.locator("tbody tr")).to_have_count(1)
    search(page, "nothing is called like this")
    expect(page.get_by_text("No matching slides")).to_be_visible()
    page.get_by_role("button", name="Clear filters").click()
    expect(row(page, ids[1])).to_be_visible()


def test_rows_are_sorted_in_natural_number_order(
    pages: Pages, slides: Slides, server: StandaloneServer
) -> None:
    ids = slides.take(3, case="Sorting")
    for image_id, name in zip(ids, ("S10", "S9", "S1"), strict=True):
        server.set(image_id, SlideID=name)
    page = pages.open()
    search(page, "Sorting")
    expect(page.locator("tbody tr")).to_have_count(3)
    page.get_by_role("button", name="Slide ID", exact=True).click()
    expect(page.locator("tbody td.slide-id .field")).to_have_text(["S1", "S9", "S10"])
    page.get_by_role("button", name="Slide ID", exact=True).click()
    expect(page.locator("tbody td.slide-id .field")).to_have_text(["S10", "S9", "S1"])
    expect(page.get_by_role("columnheader", name="Slide ID")).to_have_attribute("aria-sort", "descending")


def test_names_with_markup_are_shown_as_text(pages: Pages, slides: Slides, server: StandaloneServer) -> None:
    (image_id,) = slides.take()
    page = pages.open()
    hostile = "<img src=x onerror=alert(1)>"
    server.set(image_id, SlideID=hostile, CaseID=hostile, Note=hostile)
    expect(field(page, image_id, "SlideID")).to_have_text(hostile)
    assert page.locator("img[src=x]").count() == 0
    server.set(image_id, SlideID="harmless", CaseID=None, Note=None)


def test_scan_dates_of_different_zones_are_sorted_as_moments(pages: Pages) -> None:
    dates = ["2026-11-20T10:00:00+02:00", "2026-11-20T09:00:00Z", None, "2026-11-20T03:30:00-05:00"]
    found = pages.open().evaluate(
        """async (dates) => {
          const { comparator } = await import("/list/sorting.js");
          const slides = dates.map((ScanDate) => ({ ScanDate }));
          return slides.sort(comparator({ field: "ScanDate", down: false })).map(({ ScanDate }) => ScanDate);
        }""",
        dates,
    )
    assert found == [dates[0], dates[3], dates[1], None]


def test_row_with_longest_texts_has_at_most_three_lines(
    pages: Pages, slides: Slides, server: StandaloneServer
) -> None:
    image_id, other = slides.take(2)
    page = pages.open()
    longest = "S26 " + "0123456789" * 19 + "012345"
    server.set(image_id, SlideID=longest, CaseID=longest, Reviewer=longest[:100], Note=longest * 10)
    expect(field(page, image_id, "SlideID")).to_have_text(longest)
    boxes = [row(page, one).bounding_box() for one in (image_id, other)]
    assert boxes[0] is not None and boxes[1] is not None
    lines = page.evaluate(
        """(id) => [...document.querySelectorAll(`tr[data-id="${id}"] td:not(.choose, .label, .thumbnail)`)]
          .map((td) => [...td.querySelectorAll(".clamped, small")].reduce((sum, { offsetHeight }, at, all) =>
            sum + Math.round(offsetHeight / parseFloat(getComputedStyle(all[at]).lineHeight)), 0))""",
        image_id,
    )
    assert max(lines) <= 3
    assert boxes[0]["height"] <= boxes[1]["height"] + 8
    expect(field(page, image_id, "SlideID").locator(".clamped")).to_have_attribute("title", longest)
    server.set(image_id, SlideID="harmless", CaseID=None, Reviewer=None, Note=None)


def test_characters_that_reorder_text_are_marked_in_view(
    own_pages: Pages, own_server: StandaloneServer, sample: bytes
) -> None:
    page = own_pages.open()
    own_server.drop("cod\u202egvs.svs", with_image_id(sample, "4000001"))
    expect(row(page, "4000001").locator("td.file .clamped")).to_have_text("cod\ufffdgvs.svs")


def test_editing_a_cell_shows_the_label_and_barcode(pages: Pages) -> None:
    page = pages.open()
    edit(page, SAMPLE_ID, "c", "")
    expect(page.locator("#label-aid img")).to_be_visible()
    expect(page.locator("#label-aid")).to_contain_text("Barcode: S26-000123-A1")
    page.keyboard.press("Escape")
    expect(page.locator("#label-aid")).to_be_hidden()


def test_label_and_thumbnail_can_be_enlarged(pages: Pages) -> None:
    page = pages.open()
    for kind, least_px in (("label", 400), ("thumbnail", 700)):
        opener = row(page, SAMPLE_ID).get_by_role("button", name=f"Enlarge the {kind}")
        opener.click()
        image = page.get_by_role("dialog").locator("img")
        expect(image).to_be_visible()
        page.wait_for_function(
            "least => document.querySelector('dialog img').getBoundingClientRect().width >= least",
            arg=least_px,
        )
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_have_count(0)
        expect(opener).to_be_focused()


def test_reaching_the_end_of_the_table_loads_the_next_page(pages: Pages, slides: Slides) -> None:
    page = pages.blank()
    page.route(
        "**/graphql",
        lambda route: route.continue_(
            post_data=(route.request.post_data or "").replace('"limit":100', '"limit":20')
        ),
    )
    page.goto(pages.url)
    expect(page.locator("tbody tr")).to_have_count(20)
    page.locator("tbody tr").first.focus()
    for count in (20, 40, 60):
        page.keyboard.press("End")
        expect(page.locator("tbody tr")).not_to_have_count(count)
    expect(row(page, slides.take()[0])).to_be_attached()
    ids = page.evaluate("[...document.querySelectorAll('tbody tr')].map((tr) => tr.dataset.id)")
    assert len(ids) == len(set(ids))
    page.unroute_all(behavior="wait")


def test_import_in_progress_shows_its_progress(pages: Pages) -> None:
    page = pages.blank()
    run = {
        "Filename": "big.svs",
        "Size": 3e9,
        "State": "IMPORTING",
        "Progress": 0.4,
        "UpdatedAt": "2026-11-21T08:00:00Z",
    }
    empty: dict[str, list[object]] = {"items": []}
    answer = {"data": {"FAILED": empty, "TRANSFERRING": empty, "IMPORTING": {"items": [run]}}}
    page.route(
        "**/graphql",
        lambda route: (
            route.fulfill(json=answer)
            if "query Imports" in (route.request.post_data or "")
            else route.continue_()
        ),
    )
    page.goto(pages.url)
    entry = page.locator("#import-list li", has_text="big.svs")
    expect(entry).to_contain_text("3.00 GB")
    expect(entry.get_by_role("progressbar", name="Importing big.svs")).to_have_js_property("value", 0.4)
    page.unroute_all(behavior="wait")
