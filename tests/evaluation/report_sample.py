"""An evaluation as `callsift evaluate` writes it, made up: figures are possible ones, and texts are what calls hold.

`sample()` is a whole one; the others are what a page must bear: nothing but the least, numbers, many classes, one call,
texts that want to be code.
"""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]
GRADES = ["A", "B", "C", "D", "E"]
TASKS = {
    "five": {grade: [grade] for grade in GRADES},
    "two": {"ABC": ["A", "B", "C"], "DE": ["D", "E"]},
}
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>'\"&{{ 7 * 7 }}\u202e\x00\ud800"


def figure(value: float, half: float = 0.07) -> Json:
    return {"value": value, "low": round(value - half, 6), "high": round(value + half, 6)}


def beside(names: tuple[str, ...], value: float, mine: float) -> Json:
    """A baseline's figures, and the difference of the model to them."""
    return {name: figure(value) for name in names} | {
        "difference": {name: figure(mine - value, 0.06) for name in names}
    }


def figures(calls: int, classes: list[str], accuracy: float, majority: float, tfidf: float | None) -> Json:
    names = ("accuracy", "macro_f1", "weighted_f1", "uar", "quadratic_kappa")
    each = calls // len(classes)
    right = round(accuracy * each)
    counts = [[(each - right) // max(len(classes) - 1, 1)] * len(classes) for _ in classes]
    for at in range(len(classes)):
        counts[at][at] = right
    found: Json = {
        "calls": calls,
        **{name: figure(accuracy - 0.02 * at) for at, name in enumerate(names)},
        "per_class": {name: {"precision": 0.6, "recall": 0.5, "f1": 0.545455, "support": each} for name in classes},
        "confusion": {"classes": classes, "counts": counts},
        "majority": beside(names, majority, accuracy),
    }
    if tfidf is not None:
        found["tfidf"] = beside(names, tfidf, accuracy)
    return found


def reliability(calls: int) -> Json:
    bins = [
        {
            "low": at / 10,
            "high": (at + 1) / 10,
            "sure": at / 10 + 0.05,
            "right": max(0.0, at / 10 - 0.03),
            "count": 5 + 3 * at,
            "right_low": max(0.0, at / 10 - 0.13),
            "right_high": min(1.0, at / 10 + 0.12),
        }
        for at in range(10)
    ]
    return {
        "calls": calls,
        "ece_mass": figure(0.083, 0.03),
        "ece_width": figure(0.075, 0.03),
        "ece_mass_chance": 0.041,
        "brier": figure(0.41),
        "nll": figure(0.92),
        "bins": bins,
    }


def gain(calls: int, buyers: int) -> Json:
    shares = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
    points = [
        {
            "share": share,
            "calls": max(1, round(share * calls)),
            "reached": 1 - (1 - share) ** 1.9,
            "low": max(0.0, 1 - (1 - share) ** 1.9 - 0.08 * (share < 1)),
            "high": min(1.0, 1 - (1 - share) ** 1.9 + 0.08),
            "lift": (1 - (1 - share) ** 1.9) / share,
            "ideal": min(1.0, share * calls / buyers),
        }
        for share in shares
    ]
    return {"calls": calls, "buyers": buyers, "auroc": figure(0.71), "auprc": figure(0.58), "by": "rank_score",
            "points": points}  # fmt: skip


def segment(at: int, text: str, contribution: float | None, moments: list[Json] | None = None) -> Json:
    found: Json = {
        "segment_id": f"{at}",
        "start_s": 14.5 * at,
        "end_s": 14.5 * at + 13.25,
        "speech_s": {"agent": 6.5, "customer": 4.25},
        "text": text,
        "contribution": contribution,
    }
    return found | ({"moments": moments} if moments is not None else {})


def moment(kind: str, text: str | None, contribution: float, start_s: float | None = None) -> Json:
    stream = {"word": "text", "sound": "audio", "pause": "silence"}[kind]
    end_s = None if start_s is None else start_s + 1.2
    return {"stream": stream, "kind": kind, "text": text, "start_s": start_s, "end_s": end_s,
            "contribution": contribution}  # fmt: skip


def mistake(call_id: str, language: str, segments: list[Json], streams: Json | None = None) -> Json:
    row = {
        "call_id": call_id,
        "grade": "A",
        "value": None,
        "propensity": 0.91,
        "segments": segments,
        "warnings": [{"code": "short_speech", "message": "the customer speaks for 4.2 s only"}],
        "error": None,
    }
    return {
        "call_id": call_id,
        "label": "E",
        "grade": "A",
        "propensity": 0.91,
        "probability_of_label": 0.02,
        "duration_s": 312.4,
        "language": language,
        "row": row | ({"streams": streams} if streams is not None else {}),
    }


def mistakes() -> list[Json]:
    english = [
        segment(0, "agent: Good morning, is this a good time?; customer: Well, make it quick.", -0.031),
        segment(
            1,
            "agent: It is twenty euros a month.; customer: That sounds good, send me the offer today.",
            0.284,
            [
                moment("word", "sounds good,", 0.162, 20.0),
                moment("word", "send", 0.05, 20.0),
                moment("word", "month.", -0.021, 15.0),
                moment("pause", "pause of 2.4 s before the customer answers", -0.04, 18.0),
                moment("sound", None, 0.017, 21.3),
            ],
        ),
        segment(2, "", 0.0),
    ]
    chinese = [
        segment(0, "agent: 您好，请问现在方便吗？; customer: 我在开会，有什么事吗？", -0.12,
                [moment("word", "开会，", -0.09, 3.0), moment("word", "方便", 0.02, 1.0)]),
        segment(1, "agent: 我们有一个优惠活动，每个月只要二十块钱。; customer: 好的，你加我微信吧。", 0.33,
                [moment("word", "微信", 0.21, 22.0), moment("word", "好的，", 0.06, 22.0)]),
    ]  # fmt: skip
    long = [
        segment(at, f"agent: Part {at} of a long talk. " + "And so on, and on. " * 60, 0.3 - 0.003 * at)
        for at in range(120)
    ]
    return [
        mistake("en-0192-insurance", "en", english, {"text": 0.21, "audio": -0.06, "silence": 0.01}),
        mistake("zh-0007-broadband", "zh", chinese, {"text": 0.3}),
        mistake("2026-11-03/a-very-long-recording-name-" + "0123456789abcdef" * 8 + ".wav", "en", long),
        mistake(
            HOSTILE, "en", [segment(0, HOSTILE, 0.1, [moment("word", HOSTILE, 0.1), moment("sound", HOSTILE, 0.1)])]
        ),
    ]


def phone(count: int = 50) -> list[Json]:
    """The calls to phone first, about half of them buyers."""
    return [
        {
            "call_id": f"en-{(37 * at) % 173:04d}-insurance",
            "propensity": round(0.97 - 0.009 * at, 6),
            "rank_score": round(3.9 - 0.05 * at, 6),
            "grade": GRADES[min(at // 12, 4)],
            "label": GRADES[(at * at) % 5],
            "duration_s": 95.0 + 7 * at,
        }
        for at in range(count)
    ]


def sample() -> Json:
    return {
        "schema_version": 1,
        "made": {
            "callsift": "0.9.0",
            "date": "2026-11-21",
            "model": {"name": "starter", "version": "1.2.0", "sha256": "5f3c" * 16},
            "data": "calls/manifest.jsonl",
            "split": "test",
            "command": "callsift evaluate starter calls/manifest.jsonl --split test --report out",
        },
        "data": {
            "calls": 173,
            "segments": 2411,
            "hours": 14.62,
            "languages": {"en": 120, "zh": 53},
            "groups": 41,
            "failed": {"en-0003": "unreadable: the file is empty"},
            "unit": "call",
            "learnt": ["en-0004", "en-0005"],
            "related": ["en-0009"],
            "chosen_by": True,
        },
        "scheme": {
            "id": "marketcalls",
            "kind": "ordered",
            "grades": GRADES,
            "tasks": TASKS,
            "positive": GRADES[:3],
            "finest_task": "five",
            "target": "call",
        },
        "balance": {
            "train": {"A": 0.1, "B": 0.2, "C": 0.17, "D": 0.4, "E": 0.13},
            "here": {"A": 18, "B": 34, "C": 29, "D": 69, "E": 23},
        },
        "results": {
            "combined": {
                "five": figures(173, GRADES, 0.61, 0.53, 0.63),
                "two": figures(173, ["ABC", "DE"], 0.78, 0.55, 0.7),
            },
            "raw": {
                "five": figures(173, GRADES, 0.6, 0.53, None),
                "two": figures(173, ["ABC", "DE"], 0.77, 0.55, None),
            },
        },
        "baselines": {"tfidf": {"calls": 690, "note": "3 training calls share a group with these", "left_out": 3}},
        "reliability": {"five": reliability(173), "two": reliability(173), "propensity": reliability(173)},
        "gain": gain(173, 81),
        "breakdowns": {
            "length": [{"name": name, "calls": 43, "few": False, "figure": figure(value, 0.14),
                        "clearly_worse": value < 0.5}
                       for name, value in (("up to 1:20", 0.7), ("1:20–3:00", 0.64), ("over 3:00", 0.44))],
            "language": [{"name": "en", "calls": 120, "few": False, "figure": figure(0.66)},
                         {"name": "zh", "calls": 53, "few": False, "figure": figure(0.4, 0.1), "clearly_worse": True}],
            "group": [{"name": f"agent-{at:02d}", "calls": 6, "few": True, "figure": figure(0.6, 0.35)}
                      for at in range(10)],
            "asr_confidence": [{"name": "unknown", "calls": 90, "few": False, "figure": figure(0.62, 0.1)},
                               {"name": "0.80–0.95", "calls": 83, "few": False, "figure": figure(0.6, 0.1)}],
        },
        "breakdown_metric": "accuracy",
        "breakdown_parts": 7,
        "faithfulness": {
            "calls": 60,
            "rows": [{"remove": k, "top": figure(0.1 * k, 0.03), "random": figure(0.02 * k, 0.01),
                      "bottom": figure(-0.04 * k, 0.02), "difference": figure(0.08 * k, 0.03), "p": 0.0005 * k,
                      "bottom_difference": figure(0.06 * k, 0.03), "bottom_p": 0.0007 * k} for k in (1, 2, 3)],
            "note": "Of 173 calls the 60 with at least four segments.",
        },
        "mistakes": mistakes(),
        "phone": phone(),
    }  # fmt: skip


def least() -> Json:
    """Everything that may be missing is; all of the one class that there is."""
    found = sample()
    one = {"calls": 4, "accuracy": {"value": 1.0, "low": 1.0, "high": 1.0},
           "majority": {"accuracy": {"value": 1.0, "low": 1.0, "high": 1.0}}}  # fmt: skip
    return found | {
        "made": found["made"] | {"split": None, "command": None},
        "data": {"calls": 4, "segments": 0, "hours": None, "languages": {}, "groups": None, "failed": {}, "learnt": []},
        "balance": {"train": None, "here": {"D": 4}},
        "results": {"combined": {"five": one, "two": {"calls": 0}}},
        "baselines": {},
        "reliability": {},
        "gain": None,
        "breakdowns": {},
        "faithfulness": None,
        "mistakes": [],
        "phone": [],
    }


def numbers() -> Json:
    """A model that gives a number, for every segment."""
    found = sample()
    names = ("mean_absolute_error", "correlation", "acc2_has0", "f1_has0", "acc2_non0", "f1_non0", "acc5", "acc7")
    mine = {"calls": 686, **{name: figure(0.78, 0.05) for name in names},
            "majority": beside(names, 1.3, 0.78)}  # fmt: skip
    wrong = mistake("video-12", "en", [segment(0, "customer: It was fine, I suppose.", None) | {"value": -1.25}])
    wrong |= {
        "label": 2.4,
        "value": -1.25,
        "segment_id": "0",
        "grade": None,
        "propensity": None,
        "probability_of_label": None,
    }
    wrong["row"] |= {"value": -1.25}
    return found | {
        "data": found["data"] | {"calls": 31, "segments": 686, "unit": "segment", "failed": {}, "learnt": [],
                                 "related": [], "chosen_by": False},
        "scheme": {"id": "sentiment", "kind": "number", "grades": [], "tasks": {}, "positive": [],
                   "finest_task": "value", "target": "segment"},
        "balance": {"train": None, "here": {"-3 to 0": 300, "0 to 3": 386}},
        "results": {"combined": {"value": mine}},
        "reliability": {},
        "gain": None,
        "breakdowns": {"language": [{"name": "en", "calls": 600, "few": False, "figure": figure(0.77)},
                                    {"name": "es", "calls": 86, "few": False, "figure": figure(1.1),
                                     "clearly_worse": True}]},
        "breakdown_metric": "mean_absolute_error",
        "faithfulness": None,
        "mistakes": [wrong],
        "phone": [],
    }  # fmt: skip


def many_classes() -> Json:
    """Thirteen emotions with long names, some of them Chinese."""
    found = sample()
    names = [
        *("快乐 happy", "感激 grateful", "放松 relaxed", "其他正面 other positive", "中性 neutral", "愤怒 angry"),
        *("悲伤 sad", "害怕 fearful", "失望 disappointed", "厌恶 disgusted", "惊讶 astonished", "担忧 worried"),
        "其他负面 other negative",
    ]
    return found | {
        "scheme": {"id": "emotions", "kind": "classes", "grades": names, "tasks": {"emotion": {n: [n] for n in names}},
                   "positive": [], "finest_task": "emotion", "target": "call"},
        "balance": {"train": None, "here": dict.fromkeys(names, 13)},
        "results": {"combined": {"emotion": figures(173, names, 0.31, 0.2, 0.3)},
                    "raw": {"emotion": figures(173, names, 0.3, 0.2, None)}},
        "reliability": {"emotion": reliability(173)},
        "gain": None,
    }  # fmt: skip


def one_call() -> Json:
    found = least()
    found["data"] |= {"calls": 1, "segments": 1}
    found["results"]["combined"]["five"] |= {"calls": 1}
    return found | {"balance": {"train": None, "here": {"D": 1}}, "reliability": {"five": reliability(1)}}


SAMPLES = {
    "whole": sample,
    "least": least,
    "numbers": numbers,
    "many_classes": many_classes,
    "one_call": one_call,
}
