"""Mandarin in one form, whoever wrote it down: simplified characters, Western marks, numbers in digits.

Recognisers and people differ in all three ("這個課程一百二十塊。", "这个课程120块."). Characters go by the phrases that
OpenCC knows (後 is 后, yet 皇后 stays; 乾淨 is 干净, yet 乾坤 stays), by its conversion `tw2s`: `t2s`, and 着 for 著.

Numbers are changed only where they can be nothing else: amounts of correct form with 十, 百, 千, 万 or 亿 ("一百二十",
"三千五"), "百分之二十", and strings of three or more digits ("二零二四", "幺三八"). "万一", "千万别", "三四百", "一起",
"三七二十一" and "七七八八" stay, and so do single numerals.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import cast

from callsift.errors import ConfigError

FEWEST_DIGITS = 3
"""Numerals in a row, without 十, 百, 千 …, from which they are a string of digits."""

_DIGITS = dict(zip("零〇幺一二两三四五六七八九", (0, 0, 1, 1, 2, 2, 3, 4, 5, 6, 7, 8, 9), strict=True))
_UNITS = {"十": 10, "百": 100, "千": 1000}
_LARGE = {"亿": 10**8, "万": 10**4}
_NUMERALS = "".join([*_DIGITS, *_UNITS, *_LARGE])
_RUN = re.compile(rf"(百分之)?(?<![几数{_NUMERALS}])([{_NUMERALS}]+)(?!火急)")
_NO_NUMBERS = frozenset({"七七八八"})
_MARKS = str.maketrans("。、「」『』《》〈〉【】·・", """.,\"\"\"\"\"\"\"\"[]  """)
_IDEOGRAPH = r"[\u3400-\u9fff\uf900-\ufaff]"
_SPACES_INSIDE = re.compile(rf"(?<={_IDEOGRAPH})[ \t\u3000]+(?={_IDEOGRAPH})")
_ANY = re.compile(_IDEOGRAPH)


def unified(text: str) -> str:
    """Text with its Mandarin in one form; text without ideographs stays as it is.

    Raises:
        ConfigError: there are ideographs and opencc is not installed.
    """
    if _ANY.search(text) is None:
        return text
    return digits_for_numerals(_SPACES_INSIDE.sub("", simplify()(text)).translate(_MARKS))


@cache
def simplify() -> Callable[[str], str]:
    """What makes simplified characters of traditional ones, and leaves a text without any of those alone.

    Raises:
        ConfigError: opencc is not installed.
    """
    try:
        import opencc
    except ImportError as error:
        raise ConfigError(
            "front_end.chinese is 'simplified', which needs opencc. "
            'Install it with: pip install "callsift[zh]", or set front_end.chinese: keep.'
        ) from error
    one_by_one = cache(opencc.OpenCC("t2s").convert)
    convert = cast("Callable[[str], str]", opencc.OpenCC("tw2s").convert)

    def simplified(text: str) -> str:
        # Some characters mean one thing in either writing: 坏 is 坯 in traditional text alone.
        return convert(text) if any(one_by_one(character) != character for character in text) else text

    return simplified


def digits_for_numerals(text: str) -> str:
    """Simplified text with the numbers that are surely numbers in digits: "一百二十块" → "120块"."""
    return _RUN.sub(_number, text)


def _number(match: re.Match[str]) -> str:
    percent, run = match[1] or "", match[2]
    if percent:
        value = _amount(run) if len(run) > 1 else _DIGITS.get(run, _UNITS.get(run))
        return match[0] if value is None else f"{value}%"
    if all(numeral in _DIGITS for numeral in run):
        is_string = len(run) >= FEWEST_DIGITS and "两" not in run and run not in _NO_NUMBERS
        return "".join(str(_DIGITS[numeral]) for numeral in run) if is_string else run
    value = _amount(run) if len(run) > 1 else None
    if value is None:
        return run
    # "两万" is 2万, as recognisers write it that give digits
    large, worth = next(((name, worth) for name, worth in _LARGE.items() if value % worth == 0), ("", 1))
    return f"{value // worth}{large}"


def _amount(run: str) -> int | None:
    """The value of an amount, None where its form is not that of one."""
    for unit, worth in _LARGE.items():
        before, found, after = run.partition(unit)
        if found:
            high, low = _amount(before) if before else None, _rest(after, worth)
            return None if high is None or high == 0 or low is None else high * worth + low
    return _below_ten_thousand(run)


def _rest(run: str, worth: int) -> int | None:
    """What follows 万 or 亿: nothing, an amount, or one numeral that counts tenths of it ("一万二")."""
    if not run:
        return 0
    if len(run) == 1 and run in _DIGITS:
        return _DIGITS[run] * worth // 10
    value = _amount(run[1:] if run[0] in "零〇" else run)
    return value if value is None or value < worth else None


def _below_ten_thousand(run: str) -> int | None:
    """Numerals with falling units: "三千五百二十一", "一百零五", "十五", and "三千五" for 3500."""
    total, last, digit, zero = 0, 10**4, -1, False
    for at, numeral in enumerate(run):
        if numeral in _UNITS:
            unit = _UNITS[numeral]
            if digit < 0 and (unit != 10 or at > 0):
                return None
            if unit >= last or digit == 0:
                return None
            total, last, digit, zero = total + (1 if digit < 0 else digit) * unit, unit, -1, False
        elif _DIGITS[numeral] == 0:
            if digit >= 0 or zero or total == 0:
                return None
            zero = True
        elif digit >= 0 or numeral == "幺":
            return None
        else:
            digit = _DIGITS[numeral]
    if digit < 0:
        return None if zero else total
    return total + digit * (1 if zero or last == 10**4 else last // 10)
