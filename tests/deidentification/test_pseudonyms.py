"""A study name that holds an ID or the scan date of its slide is refused, however it is written; others are not."""

import calendar
from datetime import date, timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from vsv.deidentification.pseudonyms import find_revealed
from vsv.records.models import SlideRecord

from tests.support.stores.store_records import slide

SEPARATORS = st.sampled_from(("", "-", "_", ".", "--"))
GERMAN = [
    "Januar",
    "Februar",
    "Maerz",
    "April",
    "Mai",
    "Juni",
    "Juli",
    "August",
    "September",
    "Oktober",
    "November",
    "Dezember",
]
FRENCH = [
    "janvier",
    "fevrier",
    "mars",
    "avril",
    "mai",
    "juin",
    "juillet",
    "aout",
    "septembre",
    "octobre",
    "novembre",
    "decembre",
]


def scanned(case: str = "S23-12345", day: str = "2024-01-02") -> SlideRecord:
    return slide(
        "340001",
        filename=f"{case}-A1.svs",
        slide_id=f"{case}-A1",
        case_id=case,
        barcode=f"{case}-A1-HE",
        scan_date=f"{day}T10:00:00",
    )


@pytest.mark.parametrize(
    "name",
    [
        "ST_S23_12345_A1", "S2312345", "ST-2024_01_02", "ST-2Jan2024", "ST-12345", "ST-s23.12345", "S2023-12345",
        "12_345",
        "ST-020124", "ST-240102", "ST-010224", "ST-01022024", "ST-20240102093000", "ST-2.1.24", "ST-1-2-2024",
        "ST-24-1-2", "ST-02-JAN-2024", "ST-January-2-2024", "ST-2nd-of-January-2024", "ST-2024Jan02", "ST-2Ene2024",
        "ST-2-de-enero-de-2024", "ST-2-gen-2024", "ST-02I2024", "ST-2024002", "ST-D2M1Y2024", "ST-2024-W01-2",
    ],
)  # fmt: skip
def test_name_that_holds_an_identifier_is_revealing(name: str) -> None:
    assert find_revealed(name, scanned())


@pytest.mark.parametrize(
    "name",
    [
        "ST-1", "LUNG-2026-PILOT", "LUNG-2024-PILOT", "STUDY-7-0001", "A1", "HE-2024-001", "S23", "JAN-2024",
        "ST-1234",
        "ST-12Jan2024", "ST-2024-01-03", "ST-2024-01-20", "ST-2024-10-2", "ST-3-2024", "COHORT-24-12",
        "BREAST-23-0001",
    ],
)  # fmt: skip
def test_name_without_an_identifier_is_allowed(name: str) -> None:
    assert find_revealed(name, scanned()) == ()


@given(
    st.sampled_from(("S", "HP", "14")),
    st.integers(10, 29),
    st.integers(10_000, 99_999_999),
    st.lists(SEPARATORS, min_size=4, max_size=4),
    st.booleans(),
)
def test_case_is_found_whatever_stands_between_its_parts(
    letters: str, year: int, number: int, between: list[str], is_upper: bool
) -> None:
    parts = ("st", letters, str(year), str(number), "x")
    name = "".join(part + gap for part, gap in zip(parts, [*between, ""], strict=True))
    revealed = find_revealed(name.upper() if is_upper else name.lower(), scanned(f"{letters}{year}-{number}"))
    assert "case id" in revealed


@given(st.dates(date(2000, 1, 1), date(2039, 12, 31)), SEPARATORS, st.data())
def test_scan_date_is_found_in_every_usual_form(day: date, gap: str, data: st.DataObject) -> None:
    year = data.draw(st.sampled_from((f"{day.year}", f"{day.year % 100:02}")))
    names = [
        calendar.month_name[day.month],
        calendar.month_abbr[day.month],
        GERMAN[day.month - 1],
        FRENCH[day.month - 1],
    ]
    month, number = f"{day.month:02}", f"{day.day:02}"
    if gap:
        month, number = data.draw(st.sampled_from(((month, number), (str(day.month), str(day.day)))))
    word = data.draw(st.sampled_from((month, *names)))
    parts = data.draw(st.sampled_from(((year, word, number), (number, word, year), (word, number, year))))
    name = f"ST-{gap.join(parts)}"
    assert "scan date" in find_revealed(name, scanned("S77-00000", day.isoformat()))


@given(st.dates(date(2000, 1, 1), date(2039, 12, 31)), st.integers(1, 5000))
def test_other_days_are_not_the_scan_date(day: date, days: int) -> None:
    other = day + timedelta(days)
    assume({other.day, other.month, other.year % 100} != {day.day, day.month, day.year % 100})
    record = scanned("S77-00000", day.isoformat())
    for name in (other.isoformat(), other.strftime("ST-%Y_%m_%d"), other.strftime("ST-%d%b%Y")):
        assert find_revealed(name, record) == (), name


@given(st.from_regex(r"[A-Z]{2,8}-[1-9][0-9]{0,3}", fullmatch=True))
def test_study_counters_are_allowed(name: str) -> None:
    assert find_revealed(name, scanned()) == ()
