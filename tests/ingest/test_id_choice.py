"""Which of a slide's texts names it: codes of its label, the scanner's tag, the filename."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vsv.barcodes.reader import Barcode
from vsv.ingest.id_choice import IdChoice, choose_ids, id_texts
from vsv.ingest.id_pattern import parse_ids
from vsv.settings import ID_SOURCES

LOT, URL, A1, B2 = "LOT123456EXP2027", "https://vendor.example/lot/1", "S23-12345-A1", "S24-99999-B2"
KINDS = ("Data Matrix", "QR", "Code 128", "Code 39")


def choice(
    *codes: str, tag: str | None = None, name: str = "1.svs", order: str = "", pattern: str = ""
) -> IdChoice:
    """Choose among these texts of a label, this tag and this filename."""
    read = [Barcode(text, kind, "test") for text, kind in zip(codes, KINDS, strict=False)]
    texts = id_texts(read, {} if tag is None else {"Barcode": tag}, name)
    return choose_ids(texts, order.split(",") if order else ID_SOURCES, pattern)


def named(chosen: IdChoice) -> tuple[str, str] | None:
    return (chosen.ids.slide, chosen.ids.case) if chosen.ids else None


def code(chosen: IdChoice) -> str | None:
    return chosen.code.text if chosen.code else None


@pytest.mark.parametrize("codes", [(A1,), (A1, LOT), (LOT, A1), (URL, LOT, A1)])
def test_code_that_alone_fits_names_the_slide(codes: tuple[str, ...]) -> None:
    chosen = choice(*codes, name="S24-99999-B2.svs")
    assert (named(chosen), code(chosen)) == ((A1, "S23-12345"), A1)


@pytest.mark.parametrize("text", [LOT, URL, "20240102", "S-2023"])
def test_lone_code_that_does_not_fit_is_kept_and_names_nothing(text: str) -> None:
    assert choice(text) == IdChoice(None, Barcode(text, "Data Matrix", "test"), None)


@pytest.mark.parametrize("name", ["1.svs", "S23-12345-A1.svs"])
@pytest.mark.parametrize("tag", [None, A1])
def test_of_two_codes_that_fit_none_is_taken(tag: str | None, name: str) -> None:
    chosen = choice(A1, B2, LOT, tag=tag, name=name)
    assert (named(chosen), code(chosen)) == (None, None)
    assert chosen.candidates == {A1: "Data Matrix", B2: "QR", LOT: "Code 128"}


def test_of_several_codes_that_do_not_fit_none_is_taken() -> None:
    assert choice(LOT, URL) == IdChoice(None, None, {LOT: "Data Matrix", URL: "QR"})
    assert named(choice(LOT, URL, tag=A1)) == (A1, "S23-12345")
    assert named(choice(LOT, URL, name="S23-12345-A1.svs")) == (A1, "S23-12345")


def test_two_codes_with_the_same_ids_count_as_one() -> None:
    pattern = "(?P<slide>(?P<case>P[0-9]+)-[A-Z])(?: .*)?"
    chosen = choice("P12-A HE", "P12-A", pattern=pattern)
    assert (named(chosen), code(chosen)) == (("P12-A", "P12"), "P12-A HE")


def test_tag_names_a_slide_whose_label_has_no_code() -> None:
    assert choice(tag=A1) == IdChoice(parse_ids(A1), None, None)


@pytest.mark.parametrize("order", ["", "tag,barcode,filename", "filename,tag,barcode"])
def test_tag_and_code_of_different_cases_name_nothing(order: str) -> None:
    chosen = choice(A1, tag=B2, name="S23-12345-A1.svs", order=order)
    assert (named(chosen), code(chosen)) == (None, A1)
    assert chosen.candidates == {A1: "Data Matrix", B2: "tag"}


@pytest.mark.parametrize(("order", "slide"), [("barcode,tag", A1), ("tag,barcode", "S23/12345-B1")])
def test_tag_and_code_of_one_case_follow_the_order_and_the_difference_is_kept(order: str, slide: str) -> None:
    chosen = choice(A1, tag="S23/12345-B1", order=order)
    assert chosen.ids is not None
    assert (chosen.ids.slide, chosen.candidates) == (slide, {A1: "Data Matrix", "S23/12345-B1": "tag"})


@pytest.mark.parametrize("tag", [A1, f" {A1} ", A1.lower(), "S23.12345.A1"])
def test_tag_that_repeats_the_code_is_no_difference(tag: str) -> None:
    chosen = choice(A1, tag=tag)
    assert (named(chosen), chosen.candidates) == ((A1, "S23-12345"), None)


@pytest.mark.parametrize("order", ["barcode", "tag", "filename"])
def test_source_outside_the_order_names_nothing_and_blocks_nothing(order: str) -> None:
    chosen = choice(A1, tag=B2, name="S25-00001-C3.svs", order=order)
    texts: Mapping[str, str] = {"barcode": A1, "tag": B2, "filename": "S25-00001-C3"}
    assert chosen.ids is not None
    assert chosen.ids.slide == texts[order]


@pytest.mark.parametrize("tag", ["", "   ", "x" * 201, "S23-12345\u202e-A1", "S23-1\n2345", "\x00"])
def test_tag_that_cannot_be_shown_is_no_candidate(tag: str) -> None:
    assert choice(LOT, tag=tag) == IdChoice(None, Barcode(LOT, "Data Matrix", "test"), None)


CODES = st.lists(st.sampled_from([A1, B2, LOT, URL, "S23-12345", "7"]), max_size=4, unique=True)


@given(CODES, st.sampled_from([None, A1, B2, LOT]), st.permutations(ID_SOURCES))
def test_no_choice_contradicts_a_text_of_label_or_tag(
    codes: list[str], tag: str | None, order: list[str]
) -> None:
    chosen = choice(*codes, tag=tag, order=",".join(order))
    cases = {ids.case for text in (*codes, tag) if text and (ids := parse_ids(text)).confirmed}
    assert chosen.ids is None or cases == {chosen.ids.case}
    assert len(cases) < 2 or chosen.candidates is not None
