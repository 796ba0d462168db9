"""IDs by a pattern: two patients never share a case, whatever a label, a tag or a filename says."""

import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from vsv.identifiers import MAX_ID_TEXT, is_id_pattern
from vsv.ingest.id_pattern import SlideIds, parse_ids

LAB = r"(?P<slide>(?P<case>P\d{2}/\d{1,6})-(?P<block>[A-Z]\d?)(?:-(?P<stain>\w+))?)(?: .*)?"

# Formats met in public, with a place for the sequence number: the Cancer Genome Atlas (GDC, "TCGA barcode"), and
# what users of slide viewers wrote in their issues.
FORMATS = (
    "S14-{}", "14-{}S", "14S-{}", "AP26{}A2", "AP-26{}-A2", "S-2023-{}-A1", "S26-{}-C1-CD3", "S23-{};A1;1",
    "HP19.{}.A5", "SP-2014-{}", "H{}", "TCGA-A6-{}-01Z-00-DX1", "{}", "2023-{}", "2023-{}-A1", "S_23_{}_B_HE",
    "{}-A1", "NP 22 {} 3", "S14-1234-{}", "S14-A-{}", "20240102-{}", "1.2.840.113619.{}", "https://a.example/{}",
)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "case", "block", "stain"),
    [
        ("S14-9999", "S14-9999", None, None),
        ("14-9999S", "14-9999S", None, None),
        ("14S-9999", "14S-9999", None, None),
        ("HP19.754.A5", "HP19.754", "A5", None),
        ("AP26000230A2", "AP26000230", "A2", None),
        ("AP-26000230-A2", "AP-26000230", "A2", None),
        ("S-2023-012345-A1", "S-2023-012345", "A1", None),
        ("S26-04170-C1-CD3", "S26-04170", "C1", "CD3"),
        ("S23-12345;A1;1", "S23-12345", "A1", "1"),
        ("S23-12345 A1 H&E", "S23-12345", "A1", "H&E"),
        ("s23-12345-a1-Ki-67", "s23-12345", "a1", "Ki-67"),
        ("S14-9999A", "S14-9999A", None, None),
        ("S14-9999A1", "S14-9999", "A1", None),
        ("TCGA-A6-2671-01Z-00-DX1", "TCGA-A6-2671", None, None),
        ("TCGA-02-0001-01C-01D-0182-01", "TCGA-02-0001", None, None),
        ("TCGA-4V-A9QM", "TCGA-4V-A9QM", None, None),
    ],
)
def test_accession_number_is_divided_into_case_block_and_stain(
    text: str, case: str, block: str | None, stain: str | None
) -> None:
    assert parse_ids(text) == SlideIds(text, case, block, stain, confirmed=True)


@pytest.mark.parametrize(
    "text",
    [
        "S-2023", "20240102", "2024-01-02", "2024-0102", "02.012024", "02Jan2024", "02-Jan-2024", "Jan-02-2024",
        "HE20240102A1", "S20240102-A1", "2024-01-02T10:00:00", "12:21:45", "IMG_20240102_123456",
        "https://a.example/S23-12345", "www.a.example", "1.2.840.113619.2.55", "2.25.329800735698586629295641978511",
        "ab123456-e89b-12d3-a456-426614174000", "LOT24-00123", "REF-20-1234", "1004486", "CMU-1-Small-Region",
        "CON-1", "S23-12345\n", "S23-12345 ", "\uff3323-12345", "S23-\u0661\u0662\u0663\u0664\u0665", "S14-1234-5678",
        "S14-1234-A-5678", "S14-1234-A-B5678", "", "-", "S23-123456789", "xS23-12345-A123",
    ],
)  # fmt: skip
def test_other_text_is_its_own_unconfirmed_case(text: str) -> None:
    assert parse_ids(text) == SlideIds(text, text)
    assert not parse_ids(text).confirmed


@pytest.mark.parametrize("text_format", FORMATS)
@given(
    first=st.from_regex(r"[0-9]{3,8}", fullmatch=True), second=st.from_regex(r"[0-9]{3,8}", fullmatch=True)
)
def test_different_sequence_numbers_never_share_a_case(text_format: str, first: str, second: str) -> None:
    assume(first != second)
    assert parse_ids(text_format.format(first)).case != parse_ids(text_format.format(second)).case


@given(
    start=st.from_regex(r"[A-Z]{0,3}[-. ]?(20)?[0-9]{2}[-._;/ ]?[A-Z]{0,2}[-._;/ ]?", fullmatch=True),
    numbers=st.lists(st.integers(1000, 99_999_999), min_size=2, max_size=2, unique=True),
    end=st.from_regex(r"([-._;/ ]?[A-Z]{1,2}[0-9]{0,2}([-._;/ ][A-Z0-9]{1,6})?)?", fullmatch=True),
)
def test_different_sequence_numbers_of_any_grammar_never_share_a_case(
    start: str, numbers: list[int], end: str
) -> None:
    first, second = (parse_ids(f"{start}{number}{end}") for number in numbers)
    assert first.case != second.case


@given(st.text(max_size=300))
def test_any_text_has_a_case_that_the_text_begins_with(text: str) -> None:
    ids = parse_ids(text)
    assert ids.slide == text
    assert text.startswith(ids.case)
    assert ids.confirmed or ids.case == text


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("P21/77-A1-HE", SlideIds("P21/77-A1-HE", "P21/77", "A1", "HE", confirmed=True)),
        ("P21/77-A 2nd cut", SlideIds("P21/77-A", "P21/77", "A", None, confirmed=True)),
        ("S26-04170-C1", SlideIds("S26-04170-C1", "S26-04170-C1")),
        ("x P21/77-A", SlideIds("x P21/77-A", "x P21/77-A")),
    ],
)
def test_own_pattern_replaces_the_default_grammar(text: str, ids: SlideIds) -> None:
    assert parse_ids(text, LAB) == ids


@pytest.mark.parametrize("pattern", [r"(?P<case>a)?b*", r"(?P<case>a*)b*"])
def test_own_pattern_that_finds_an_empty_case_confirms_none(pattern: str) -> None:
    assert parse_ids("bb", pattern) == SlideIds("bb", "bb")


def test_text_beyond_the_limit_is_not_matched() -> None:
    pattern = "(?P<case>a)a*"
    assert parse_ids("a" * MAX_ID_TEXT, pattern).confirmed
    assert not parse_ids("a" * (MAX_ID_TEXT + 1), pattern).confirmed


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        LAB,
        "(?P<case>.+)-.+",
        "(?i)(?P<case>(?:s|sp)[0-9]{2}-[0-9]+);.*",
        r"(?P<case>\w+/\d+)-[A-Z](?: .*)?",
        "(?P<case>a){300}",
    ],
)
def test_pattern_with_case_and_few_choices_is_accepted(pattern: str) -> None:
    assert is_id_pattern(pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        "S.*", "(", "(?P<slide>.*)", "(?P<case>(a+)+)b", "(?P<case>(a*)*)b", "(?P<case>(a|aa)+)b",
        "(?P<case>a{1,9}{1,9})",
        "(?P<case>" + "a?" * 30 + "a" * 30 + ")", r"(?P<case>a)\1", "(?P<case>a)(?=b)", "(?P<case>.*.*.*.*)x",
        "(?P<case>.*(?:.*.*(?:.*.*a{199})))",
        "(?P<case>" + "a" * 1000 + ")", "(?P<case>(?:a?){5000})", "(?P<case>" + "(" * 2000,
        "(?P<case>(?:(?:(?:){200}){200}){200})a",
    ],
)  # fmt: skip
def test_pattern_without_case_or_with_too_many_choices_is_refused(pattern: str) -> None:
    assert not is_id_pattern(pattern)


def test_sequence_number_of_a_matching_text_is_in_its_case() -> None:
    for text_format in FORMATS:
        ids = parse_ids(text_format.format("01234"))
        assert not ids.confirmed or re.search("1234", ids.case)
