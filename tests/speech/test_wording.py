"""Dividing text: nothing lost, nothing doubled, nothing cut inside a word."""

from hypothesis import given, settings
from hypothesis import strategies as st

from callsift.speech.wording import divide, pieces_up_to

TEXTS = st.text(alphabet="ab c你好，。.!? \n1", max_size=80)


def bare(text):
    return "".join(text.split())


def test_divide_at_words_and_characters():
    assert divide("one two three four", [1, 1]) == ("one two", "three four")
    assert divide("one two three four", [3, 1]) == ("one two three", "four")
    assert divide("我想了解一下，价格。", [1, 1]) == ("我想了解", "一下，价格。")
    assert divide("one two", [0, 1]) == ("", "one two")
    assert divide("one two", [1, 0]) == ("one two", "")
    assert divide("one two", [0, 0]) == ("one two", "")
    assert divide("", [1, 2]) == ("", "")


@settings(deadline=None)
@given(TEXTS, st.lists(st.floats(0, 100), min_size=1, max_size=6))
def test_divide_loses_nothing(text, shares):
    pieces = divide(text, shares)
    assert len(pieces) == len(shares)
    assert bare("".join(pieces)) == bare(text)


@settings(deadline=None)
@given(st.lists(st.from_regex(r"[a-z]{1,5}", fullmatch=True), max_size=20), st.lists(st.integers(0, 9), min_size=1))
def test_divide_never_cuts_a_word(words, shares):
    assert " ".join(piece for piece in divide(" ".join(words), shares) if piece).split() == words


def test_pieces_prefer_sentences():
    text = "One two three. Four five! Six seven eight nine ten eleven."
    assert pieces_up_to(text, 5, lambda part: len(part.split())) == (
        "One two three. Four five!",
        "Six seven eight nine ten",
        "eleven.",
    )
    assert pieces_up_to("你好。我想了解价格。", 8, len) == ("你好。", "我想了解价格。")


@settings(deadline=None)
@given(TEXTS, st.integers(1, 10))
def test_pieces_lose_nothing_and_keep_the_limit(text, limit):
    pieces = pieces_up_to(text, limit, lambda part: len(bare(part)))
    assert bare("".join(pieces)) == bare(text)
    for piece in pieces:
        assert len(bare(piece)) <= limit or " " not in piece
