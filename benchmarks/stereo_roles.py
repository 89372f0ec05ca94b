"""Who is the agent on two channels, both ways round: real calls, text by the built-in engine or by people.

    python -m benchmarks.stereo_roles [--dry]

`aws-auto-repairs`: the agent is on the first channel. `spokenwoz`: the service is on the second channel (its words say
so), against the habit; and its words are known. Every call is taken as it is and with its channels changed for each
other. "right": the agent's role is on the agent's channel at the end. "swapped wrongly": it had been, by habit.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.data_folder import data_folder
from benchmarks.results import record
from callsift.asr.pocketsphinx import PocketsphinxEngine
from callsift.audio.decode import decode
from callsift.pipeline.listening import Hearing, listen
from callsift.pipeline.recognise import recognise
from callsift.pipeline.roles import settle_roles
from callsift.speech.turns import turns_from_speech
from callsift.types import Turn

AWS_AGENT, WOZ_AGENT = 0, 1


def main() -> None:
    """Hear every call once, and settle the roles both ways round."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dry", action="store_true", help="print the figures, keep none")
    arguments = parser.parse_args()
    rows = {name: outcome(hearing, turns, agent) for name, hearing, turns, agent in calls(data_folder() / "calls")}
    kinds = sorted({name.partition(":")[0] for name in rows})
    figures = {kind: total([row for name, row in rows.items() if name.startswith(kind)]) for kind in kinds}
    print(json.dumps({**rows, **figures}, indent=2))
    if not arguments.dry:
        record("the agent on two channels, both ways round", {**rows, **figures})


def calls(folder: Path) -> Iterator[tuple[str, Hearing, tuple[Turn, ...], int]]:
    """Name, what is heard, turns by channel with text, and the agent's channel."""
    engine = PocketsphinxEngine()
    found = [(folder / "aws-auto-repairs" / "auto_repairs_40.wav", AWS_AGENT)]
    found += [(path, WOZ_AGENT) for path in sorted((folder / "spokenwoz" / "audio").glob("*.wav"))]
    for path, agent in found:
        hearing = listen(decode(path).waveform, None, None)
        silent = turns_from_speech(hearing.speech, hearing.channels)
        yield f"recognised: {path.stem}", hearing, recognise(engine, hearing, silent, "en").turns, agent
        written = folder / "spokenwoz" / "text" / f"{path.stem}.json"
        if written.is_file():
            yield f"true words: {path.stem}", hearing, true_turns(written), agent


def true_turns(path: Path) -> tuple[Turn, ...]:
    """The words that people wrote down, joined while one speaker goes on."""
    turns: list[Turn] = []
    for word in json.loads(path.read_text(encoding="utf-8")):
        channel = "AB".index(word["speaker"])
        if turns and turns[-1].channel == channel:
            turns[-1] = replace(turns[-1], text=f"{turns[-1].text} {word['word']}")
        else:
            turns.append(Turn("unknown", word["word"], channel=channel))
    return tuple(turns)


def outcome(hearing: Hearing, turns: Sequence[Turn], agent: int) -> dict[str, Any]:
    """Whether the agent is found, as the call is and with its channels changed for each other."""
    row: dict[str, Any] = {}
    for name, flipped in (("as it is", False), ("changed over", True)):
        # The habit gives the first channel to the agent, whichever of the two that is.
        sides = tuple(reversed(hearing.sides)) if flipped else hearing.sides
        sides = (replace(sides[0], role="agent"), replace(sides[1], role="customer"))
        said = [replace(turn, channel=1 - (turn.channel or 0) if flipped else turn.channel) for turn in turns]
        place = 1 - agent if flipped else agent
        settled, _ = settle_roles(replace(hearing, sides=sides), said)
        right = settled.sides[place].role == "agent"
        row[name] = float(right)
        row[f"{name}, swapped wrongly"] = float(not right and place == 0)
    return row


def total(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Means over calls and both ways round."""
    ways = ("as it is", "changed over")
    return {
        "calls": float(len(rows)),
        "right": sum(row[way] for row in rows for way in ways) / (2 * len(rows)),
        "swapped wrongly": sum(row[f"{way}, swapped wrongly"] for row in rows for way in ways) / (2 * len(rows)),
    }


if __name__ == "__main__":
    main()
