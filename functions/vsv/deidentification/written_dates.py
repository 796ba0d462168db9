"""Days as people write them in names: ISO, day or month first, with or without separators, with names of months."""

import re
import unicodedata
from datetime import date
from functools import lru_cache

# English, German, French, Spanish, Italian, Portuguese, Dutch, without accents; abbreviations are their beginnings.
_MONTHS = (
    ("january", "januar", "janvier", "enero", "gennaio", "janeiro", "januari", "janner", "jaenner"),
    ("february", "februar", "fevrier", "febrero", "febbraio", "fevereiro", "februari", "feber"),
    ("march", "marz", "maerz", "mrz", "mars", "marzo", "marco", "maart", "mrt"),
    ("april", "avril", "abril", "aprile"),
    ("may", "mai", "mayo", "maggio", "maio", "mei"),
    ("june", "juni", "juin", "junio", "giugno", "junho"),
    ("july", "juli", "juillet", "julio", "luglio", "julho"),
    ("august", "aout", "agosto", "augustus"),
    ("september", "septembre", "septiembre", "settembre", "setembro"),
    ("october", "oktober", "octobre", "octubre", "ottobre", "outubro"),
    ("november", "novembre", "noviembre", "novembro"),
    ("december", "dezember", "decembre", "diciembre", "dicembre", "dezembro"),
)
_ROMAN = ("i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix", "x", "xi", "xii")
_ABBREVIATED = (3, 4)
# A letter or two may stand between the numbers of a day, as in D2M1Y2024. Matches may overlap.
_THREE_NUMBERS = re.compile(r"(?<!\d)(?=(\d{1,4})\D{1,3}(\d{1,4})\D{1,3}(\d{1,4})(?!\d))", re.ASCII)


def holds_day(name: str, day: date) -> bool:
    """Return whether a name holds the day in any usual form."""
    text = unicodedata.normalize("NFKD", name).casefold()
    letters_and_digits = "".join(c for c in text if c.isascii() and c.isalnum())
    if any(form in letters_and_digits for form in _glued(day)):
        return True
    return _has_numbers_of(text, day) or _with_month(day).search(letters_and_digits) is not None


def _glued(day: date) -> frozenset[str]:
    """Return the day in digits of fixed length, the year first or last, and by its place in year and week."""
    month, number, week = f"{day.month:02}", f"{day.day:02}", day.isocalendar()
    forms = {day.strftime("%Y%j"), f"{week.year}w{week.week:02}{week.weekday}"}
    for year in (f"{day.year:04}", f"{day.year % 100:02}"):
        forms |= {year + month + number, year + number + month, number + month + year, month + number + year}
    return frozenset(forms)


def _has_numbers_of(text: str, day: date) -> bool:
    """Return whether three numbers in a row are the day's, the year first or last."""
    for match in _THREE_NUMBERS.finditer(text):
        first, second, third = map(int, match.groups())
        for year, rest in ((first, [second, third]), (third, [first, second])):
            if year in {day.year, day.year % 100} and sorted(rest) == sorted((day.month, day.day)):
                return True
    return False


@lru_cache(maxsize=64)
def _with_month(day: date) -> re.Pattern[str]:
    """Return a pattern of the day with the name of its month."""
    whole = _MONTHS[day.month - 1]
    names = {*whole, *(name[:length] for name in whole for length in _ABBREVIATED), _ROMAN[day.month - 1]}
    month = f"(?:{'|'.join(sorted(names, key=len, reverse=True))})"
    number, year = rf"0?{day.day}(?:st|nd|rd|th)?", f"(?:{day.year}|{day.year % 100:02})"
    between = "(?:de|of|of the)?"
    forms = (
        rf"(?<!\d){number}{between}{month}{between}{year}(?!\d)",
        rf"{month}{number}{year}(?!\d)",
        rf"(?<!\d){year}{month}{number}(?!\d)",
    )
    return re.compile("|".join(forms), re.ASCII)
