"""Tables, clips and features in the published layouts of MELD, CPED, MER2024, MarketCalls and persuasionforgood."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from callsift.benchmarks import cped, marketcalls, meld, mer2024
from tests.benchmarks.clips_made import RATE_HZ, write_clip
from tests.hugging_face import save_small

WORDS = ("yes please", "no never", "maybe later", "oh dear", "well well", "go away", "look out")
CHINESE = ("好的谢谢", "不要了", "再说吧", "真的吗", "没有钱", "可以啊")
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789':;,.?!好的谢不要了再说吧真吗没有钱可以啊客服顾"


def write_csv(path: Path, rows: Sequence[Mapping[str, object]], columns: Iterable[str] | None = None) -> Path:
    """A table with a byte order mark, as some of these sets have."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8-sig") as stream:
        writer = csv.DictWriter(stream, list(columns or rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def change_cell(path: Path, row: int, **cells: str) -> None:
    """Write other cells into a row of a table, counted from 0."""
    with path.open(newline="", encoding="utf-8-sig") as stream:
        rows = list(csv.DictReader(stream))
    rows[row] |= cells
    write_csv(path, rows)


def drop_column(path: Path, name: str) -> None:
    with path.open(newline="", encoding="utf-8-sig") as stream:
        rows = [{key: cell for key, cell in row.items() if key != name} for row in csv.DictReader(stream)]
    write_csv(path, rows)


def make_meld(folder: Path, *, dialogues: int = 4, clips: bool = False) -> Path:
    """Dialogues of seven utterances, one of every emotion, in each part."""
    for place, part in enumerate(meld.SPLITS):
        rows = []
        for dialogue in range(dialogues):
            for at in range(len(meld.EMOTIONS)):
                kind = (at + dialogue) % len(meld.EMOTIONS)
                rows.append(
                    {
                        "Sr No.": len(rows) + 1,
                        "Utterance": f"It’s {WORDS[kind]}, {dialogue}",
                        "Speaker": "Joey",
                        "Emotion": meld.EMOTIONS[kind],
                        "Sentiment": "neutral",
                        "Dialogue_ID": dialogue,
                        "Utterance_ID": at,
                        "Season": 1,
                        "Episode": 1,
                        "StartTime": "00:16:16,059",
                        "EndTime": "00:16:21,731",
                    }
                )
                if clips:
                    write_clip(folder / meld.CLIPS[part] / f"dia{dialogue}_utt{at}.wav", kind, dialogue + 50 * place)
        write_csv(folder / f"{part}_sent_emo.csv", rows)
    return folder


def make_cped(folder: Path, parts: Sequence[str] = ("train", "valid", "test"), dialogues: int = 4) -> Path:
    for play, part in enumerate(parts):
        rows = [
            {
                "TV_ID": f"{play:02}",
                "Dialogue_ID": f"{play:02}_{dialogue:03}",
                "Utterance_ID": f"{play:02}_{dialogue:03}_{at:03}",
                "Speaker": "林宛瑜",
                "Sentiment": cped.SENTIMENTS[(at + dialogue) % 3],
                "Emotion": "neutral",
                "Utterance": CHINESE[(at + dialogue) % 3] * 2,
            }
            for dialogue in range(dialogues)
            for at in range(3)
        ]
        write_csv(folder / f"{part}_split.csv", rows)
    return folder


def make_persuasion(folder: Path, dialogues: int = 20, *, full_info: bool = False) -> Path:
    """Every other persuadee gives; with `full_info` the amounts stand as they are published."""
    units, info, donations = [], [], []
    for dialogue in range(dialogues):
        name, given = f"2018-{dialogue:02}_live", dialogue % 2 * 0.5
        for turn, role in ((0, 0), (0, 1), (1, 0), (1, 1)):
            said = WORDS[0] if given else WORDS[1]
            units.append({"": len(units), "Unit": f"{said} {turn} ", "Turn": turn, "B4": role, "B2": name})
        info += [{"B2": name, "B3": f"u{dialogue}{role}", "B4": role, "B6": given if role else 2.0} for role in (0, 1)]
        donations.append({"dialogue_id": name, "persuader_donation_usd": 2.0, "persuadee_donation_usd": given})
    write_csv(folder / "full_dialog.csv", units)
    if full_info:
        write_csv(folder / "full_info.csv", info)
    else:
        write_csv(folder / "donations.csv", donations)
    return folder


def make_mer2024(folder: Path, *, clips: int = 24, pool: int = 4, test: int = 6, features: bool = False) -> Path:
    """Labelled clips, some of a pool and the test part's, which lie among the unlabelled ones."""
    known = {f"sample_{at:08}": mer2024.EMOTIONS[at % 6] for at in range(clips)}
    asked = {f"sampletest_{at:08}": mer2024.EMOTIONS[at % 6] for at in range(test)}
    write_csv(folder / mer2024.LABELS, [{"name": n, "discrete": e, "valence": 0.5} for n, e in known.items()])
    if test:
        write_csv(folder / mer2024.TEST_LABELS, [{"name": n, "discrete": e} for n, e in asked.items()])
    words = {name: CHINESE[mer2024.EMOTIONS.index(emotion)] for name, emotion in (known | asked).items()}
    write_csv(folder / mer2024.WORDS, [{"name": n, "chinese": w, "english": ""} for n, w in words.items()])
    names = [*words, *(f"samplepool_{at:08}" for at in range(pool))]
    for at, name in enumerate(names):
        place = "video-labeled" if name in known else "video-unlabeled"
        write_clip(folder / place / f"{name}.wav", at % 6, at)
    for stream, called in mer2024.FEATURES.items() if features else ():
        for at, name in enumerate(names):
            path = folder / f"features/{called}-UTT/{name}.npy"
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, np.random.default_rng(at % 6).normal(size=mer2024.WIDTHS[stream]).astype(np.float32))
    return folder


def make_marketcalls(folder: Path, *, calls: int = 10, recordings: bool = True) -> Path:
    """Calls of two rounds, of every grade; the second round stands first in the table."""
    for place, part in enumerate(marketcalls.SPLITS):
        rows = []
        for call in range(calls):
            grade = marketcalls.GRADES[call % 5]
            for number in (2, 1):
                name = f"{part}_{call}_{number}.wav"
                text = f"客服: {CHINESE[3]}; 顾客: {CHINESE[call % 5]}"
                rows.append(
                    {
                        "phone": f"{part}-{call}",
                        "Audio_id": name,
                        "Segment_number": number,
                        "text": text,
                        "label": grade,
                    }
                )
                if recordings:
                    write_clip(folder / part / name, call % 5, number + 2 * call + 50 * place)
        write_csv(folder / f"{part}.csv", rows)
    return folder


def write_mp4(path: Path, seconds: float = 0.5) -> None:
    """A film of a grey picture and a tone, as the published clips are."""
    import av

    count = int(seconds * RATE_HZ)
    tone = (0.1 * np.sin(np.arange(count) / 5)).astype(np.float32)
    with av.open(str(path), "w") as film:
        pictures = film.add_stream("mpeg4", rate=10)
        pictures.width, pictures.height, pictures.pix_fmt = 16, 16, "yuv420p"
        sound = film.add_stream("aac", rate=RATE_HZ)
        picture = av.VideoFrame.from_ndarray(np.full((16, 16, 3), 128, dtype=np.uint8), format="rgb24")
        for _ in range(int(seconds * 10)):
            film.mux(pictures.encode(picture))
        frame = av.AudioFrame.from_ndarray(tone[None], format="fltp", layout="mono")
        frame.sample_rate = RATE_HZ
        film.mux(sound.encode(frame))
        film.mux(pictures.encode(None))
        film.mux(sound.encode(None))


def save_encoders(folder: Path, audio: str, text: str) -> tuple[str, ...]:
    """A small random HuBERT and BERT in the published format, as `--encoder` takes them for two hub ids."""
    save_small("hubert", folder / "audio")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *LETTERS, *(f"##{letter}" for letter in LETTERS)]
    save_small("bert", folder / "text", vocab_size=len(words), max_position_embeddings=256)
    (folder / "text/vocab.txt").write_text("\n".join(words), "utf-8")
    return f"{audio}={folder / 'audio'}", f"{text}={folder / 'text'}"
