"""Image descriptions are rebuilt of what is known to be harmless, by a policy that is read strictly."""

import re
from datetime import date, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vsv.deidentification.date_shift import KEY_FILE, days_earlier
from vsv.deidentification.image_description import rebuild, shifted_date
from vsv.deidentification.policy import Policy, read_policy
from vsv.errors import BadRequestError

KEEP_ALL = Policy(dates="shift", time="keep", scanner_serial="keep", keep_keys=("Filtered", "Parmset"))
HEAD = "Aperio Image Library v11.2.1 \r\n46000x32914 [42673,5576 2220x2967] (240x240) JPEG/RGB Q=30"
REAL = (
    f"{HEAD};Aperio Image Library v10.0.51\r\n46920x33014 [0,100 46000x32914] (256x256) JPEG/RGB Q=30"
    "|AppMag = 20|StripeWidth = 2040|ScanScope ID = CPAPERIOCS|Filename = CMU-1|Date = 12/29/09|Time = 09:59:15"
    "|User = b414003d-95c6-48b0-9369-8010ed517ba7|Parmset = USM Filter|MPP = 0.4990|Left = 25.691574"
    "|ImageID = 1004486|OriginalWidth = 46920|Originalheight = 33014|Filtered = 5"
)
ALPHABET = st.sampled_from("Aperio Image Library v1.2\r\n;|=[],()xX->/JPEGRGBQ0123456789Date MPP\0é")


def test_rebuild_keeps_only_allowed_fields_of_a_real_description() -> None:
    found = rebuild(REAL, Policy(), None)
    assert found.text == (
        f"{HEAD};Aperio Image Library v10.0.51 \r\n46920x33014 [0,100 46000x32914] (256x256) JPEG/RGB Q=30"
        "|AppMag = 20|MPP = 0.4990|OriginalWidth = 46920|Originalheight = 33014"
    )
    assert [field.key for field in found.removed] == [
        "StripeWidth", "ScanScope ID", "Filename", "Date", "Time", "User", "Parmset", "Left", "ImageID", "Filtered",
    ]  # fmt: skip
    assert found.strange == ()


def test_rebuild_keeps_more_fields_by_policy() -> None:
    found = rebuild(REAL, KEEP_ALL, 363)
    kept = "|AppMag = 20|ScanScope ID = CPAPERIOCS|Date = 12/31/08|Time = 09:59:15|Parmset = USM Filter|MPP = 0.4990"
    assert kept in found.text
    assert found.text.endswith("|Filtered = 5")
    assert [field.key for field in found.shifted] == ["Date"]


@pytest.mark.parametrize(
    "head",
    [
        "Aperio Image Library v11.2.1 \r\n100x80 Mustermann (256x256)",
        "Aperio Image Library v11.2.1 of Mustermann\r\n100x80 (256x256)",
        "Aperio Image Library vMustermann \r\n100x80 (256x256)",
        "Aperio Mustermann\r\n100x80 (256x256)",
        "Aperio Image Library v11.2.1 \r\n100x80 (256x256);Mustermann 100x80",
        "Aperio Image Library v11.2.1 \r\n100x80 [Mustermann] (256x256)",
        "Aperio Image Library v11.2.1 \r\n100x80 (256x256)\0Mustermann",
        "Aperio Image Library v11.2.1 \r\n100x80 (256x256)" + ";1x1" * 20 + " Mustermann",
    ],
)
def test_rebuild_removes_unknown_words_from_the_first_lines(head: str) -> None:
    found = rebuild(f"{head}|MPP = 0.5", Policy(), None)
    assert "mustermann" not in found.text.lower()
    assert any("Mustermann" in text for text in found.strange)
    assert found.text.startswith("Aperio Image Library")
    assert found.text.endswith("|MPP = 0.5")


@pytest.mark.parametrize(
    "field",
    [
        "OffsetZ = 12345", "OffsetZ = 1.2345", "OffsetZ = Mustermann",
        "AppMag = Mustermann", "MPP = 0.5 Mustermann", "OriginalWidth = 100 Mustermann", "MPP = 0.5\0Mustermann",
        "Mustermann", "Mustermann = 1", "mpp = Mustermann", "Date = 12/29/09 Mustermann", "Time = 09:59 Mustermann",
        "Filtered = 5\x01Mustermann", "Filtered = Müstermann", "ScanScope ID = SS/Mustermann", "= Mustermann",
        "Time Zone = GMT+01:00 Mustermann",
    ],
)  # fmt: skip
def test_rebuild_removes_malformed_values_regardless_of_policy(field: str) -> None:
    found = rebuild(f"{HEAD}|{field}|AppMag = 20", KEEP_ALL, 100)
    assert found.text == f"{HEAD}|AppMag = 20"


def test_rebuild_does_not_repeat_unknown_keys() -> None:
    found = rebuild(f"{HEAD}|Erika Mustermann = yes|User = x", Policy(), None)
    assert [field.name for field in found.removed] == ["a key that is not Aperio's", "User"]


@given(st.text(ALPHABET, max_size=300) | st.text(max_size=300), st.sampled_from([Policy(), KEEP_ALL]))
def test_rebuild_is_idempotent_and_returns_known_form_for_any_text(text: str, policy: Policy) -> None:
    days = 0 if policy.dates == "shift" else None
    found = rebuild(text, policy, days)
    assert found.text.isascii()
    assert found.text.startswith("Aperio ")
    again = rebuild(found.text, policy, days)
    assert (again.text, again.removed, again.strange, again.shifted) == (found.text, (), (), ())
    allowed = r"Aperio [A-Za-z0-9 .]* \r\n[-0-9xX \[\](),>/=A-Za-z]*"
    for stage in found.text.partition("|")[0].split(";"):
        assert re.fullmatch(allowed, stage)


@given(st.text(alphabet=st.characters(categories=["L", "N"]), min_size=5, max_size=30))
def test_rebuild_removes_values_of_all_dropped_keys(word: str) -> None:
    text = f"{HEAD}|User = {word}|Title = {word}|{word}|{word} = {word}|AppMag = 20"
    assert rebuild(text, Policy(), None).text == f"{HEAD}|AppMag = 20"


@given(st.dates(date(1970, 1, 1), date(2068, 12, 31)), st.integers(30, 3650))
def test_shifted_date_keeps_format_and_moves_by_given_days(day: date, days: int) -> None:
    for form in ("%m/%d/%Y", "%Y-%m-%d"):
        moved = shifted_date(day.strftime(form), days)
        assert moved is not None
        assert (day - datetime.strptime(moved, form).date()).days == days
    assert shifted_date("12/29/09", 363) == "12/31/08"


@pytest.mark.parametrize("text", ["", "99/99/99", "29.12.2009", "12/29/2009 09:59", "01/01/0001", "12/29/٩"])
def test_shifted_date_returns_none_for_invalid_dates(text: str) -> None:
    assert shifted_date(text, 400) is None


def test_days_earlier_is_stable_per_case_and_differs_between_cases(tmp_path: Path) -> None:
    policy = Policy(dates="shift")
    shifts = {case: days_earlier(policy, tmp_path, case) for case in map(str, range(200))}
    assert shifts == {case: days_earlier(policy, tmp_path, case) for case in shifts}
    assert all(days is not None and 30 <= days <= 3650 for days in shifts.values())
    assert len(set(shifts.values())) > 150
    assert (tmp_path / KEY_FILE).stat().st_mode & 0o777 == 0o600


def test_days_earlier_depends_on_shift_key_of_policy_without_key_file(tmp_path: Path) -> None:
    one, other = (Policy(dates="shift", shift_key=key * 16) for key in "ab")
    cases = [str(number) for number in range(20)]
    assert [days_earlier(one, tmp_path, c) for c in cases] != [
        days_earlier(other, tmp_path, c) for c in cases
    ]
    assert not (tmp_path / KEY_FILE).exists()
    assert days_earlier(Policy(), tmp_path, "1") is None


def test_read_policy_returns_safe_default_for_empty_text() -> None:
    assert read_policy("") == Policy("drop", "drop", "drop", "keep", "keep", (), None)


def test_read_policy_reads_every_setting() -> None:
    text = (
        'dates = "shift"\ntime = "keep"\nscanner_serial = "keep"\nicc = "drop"\nthumbnail = "drop"\n'
        'keep_keys = ["Filtered"]\nshift_key = "0123456789abcdef"\n'
    )
    found = read_policy(text)
    assert found == Policy("shift", "keep", "keep", "drop", "drop", ("Filtered",), "0123456789abcdef")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("dates", "not TOML"),
        ('date = "drop"', "unknown key 'date'"),
        ('dates = "keep"', '"drop" or "shift"'),
        ("dates = true", '"drop" or "shift"'),
        ('icc = ["keep"]', '"keep" or "drop"'),
        ('keep_keys = "Filtered"', "list"),
        ("keep_keys = [1]", "keys of an image description"),
        ('keep_keys = ["a|b"]', "keys of an image description"),
        ('keep_keys = ["User"]', "may not name User"),
        ('keep_keys = ["filename"]', "may not name filename"),
        ('keep_keys = ["Patient Name"]', "may not name Patient Name"),
        ('keep_keys = ["Slide ID"]', "may not name Slide ID"),
        ('keep_keys = ["case_id"]', "may not name case_id"),
        ('keep_keys = ["Date"]', "what dates is for"),
        ('keep_keys = ["ScanScope ID"]', "what scanner_serial is for"),
        ('shift_key = "short"', "at least 16"),
        ("shift_key = 12345678901234567890", "at least 16"),
        ("[publishing]\n", "unknown key 'publishing'"),
        ("x = " + "[" * 5000, "policy"),
        ("#" * 10_001, "longer than"),
    ],
)
def test_read_policy_refuses_invalid_policy_with_a_reason(text: str, says: str) -> None:
    with pytest.raises(BadRequestError, match=re.escape(says)):
        read_policy(text)


@pytest.mark.parametrize("depth", ["0.0", "-1.5", "12,25", "3", "0.500000"])
def test_depth_of_a_focal_plane_is_kept(depth: str) -> None:
    assert rebuild(f"{HEAD}|OffsetZ = {depth}", Policy(), None).text == f"{HEAD}|OffsetZ = {depth}"
