"""Rounds, and packing transcripts without times."""

from hypothesis import given, settings
from hypothesis import strategies as st

from callsift.speech.rounds import pack_untimed, rounds
from callsift.types import Turn


def script(pattern):
    return [Turn({"a": "agent", "c": "customer", "u": "unknown"}[letter], str(at)) for at, letter in enumerate(pattern)]


def shape(turns):
    return ["".join(turn.role[0] for turn in one) for one in rounds(turns)]


def words(text):
    return len(text.split())


def test_a_round_is_the_agent_then_the_customer():
    assert shape(script("acaacca")) == ["ac", "aacc", "a"]
    assert shape(script("cacac")) == ["c", "ac", "ac"]
    assert shape(script("aucuac")) == ["aucu", "ac"]


def test_where_roles_are_not_known_every_turn_is_a_round():
    assert shape(script("uuu")) == ["u", "u", "u"]
    assert shape(script("aaa")) == ["a", "a", "a"]
    assert shape([]) == []


def test_back_channels_neither_open_nor_answer():
    agent = Turn("agent", "", 0, 10)
    murmur = Turn("customer", "", 4, 4.4)
    more = Turn("agent", "", 11, 14)
    answer = Turn("customer", "", 14.2, 20)
    aha = Turn("agent", "", 16, 16.5)
    again = Turn("agent", "", 20.5, 25)
    assert rounds([agent, murmur, more, answer, aha, again]) == (
        (agent, murmur, more, answer, aha),
        (again,),
    )
    short_answer = Turn("customer", "yes", 10.1, 10.5)
    assert len(rounds([agent, short_answer, more, answer])) == 2


def test_packing_by_tokens():
    turns = [
        Turn("agent", "one two"),
        Turn("customer", "three"),
        Turn("agent", "four"),
        Turn("customer", "five"),
        Turn("agent", "six seven eight"),
    ]
    packed = pack_untimed(turns, segmenting="pack", max_segment_tokens=5, count_tokens=words)
    assert [words(" ".join(turn.text for turn in segment.turns)) for segment in packed] == [5, 3]
    assert [segment.segment_id for segment in packed] == ["0", "1"]
    single = pack_untimed(turns, segmenting="round", max_segment_tokens=5, count_tokens=words)
    assert [len(segment.turns) for segment in single] == [2, 2, 1]


def test_a_long_round_is_divided_between_turns_then_within():
    turns = [Turn("agent", "a b c"), Turn("customer", "d e. f g h i"), Turn("agent", "j")]
    packed = pack_untimed(turns, segmenting="round", max_segment_tokens=4, count_tokens=words)
    assert [[turn.text for turn in segment.turns] for segment in packed] == [
        ["a b c"],
        ["d e."],
        ["f g h i"],
        ["j"],
    ]


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("acu"), st.integers(0, 30)), max_size=25),
    st.integers(1, 20),
    st.sampled_from(["round", "pack"]),
)
def test_packing_loses_nothing_and_keeps_the_limit(made, limit, segmenting):
    counter = iter(range(10_000))
    roles = {"a": "agent", "c": "customer", "u": "unknown"}
    turns = [Turn(roles[who], " ".join(f"w{next(counter)}" for _ in range(count))) for who, count in made]
    packed = pack_untimed(turns, segmenting=segmenting, max_segment_tokens=limit, count_tokens=words)
    said = [turn for segment in packed for turn in segment.turns]
    assert " ".join(turn.text for turn in said).split() == " ".join(turn.text for turn in turns).split()
    assert all(sum(words(turn.text) for turn in segment.turns) <= limit for segment in packed)
