"""What `prepare`, `import`, `validate` and `split` take, and what they say of anything else."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from callsift.cli import app
from callsift.cli.importing import MAP_HELP
from callsift.data.importers.fields import FIELDS
from callsift.errors import UsageError
from tests.cli.commands import here, refusal, rows_of

RUNNER = CliRunner()


@pytest.fixture(scope="module")
def small(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two recordings, one with a transcript, and a note."""
    folder = tmp_path_factory.mktemp("small")
    for name, source in (("one", "en-01-broadband"), ("two", "en-03-solar")):
        shutil.copy(demo / f"calls/{source}.ogg", folder / f"{name}.ogg")
    (folder / "one.txt").write_text("agent: Hello there.\ncustomer: Hi.", encoding="utf-8")
    (folder / "notes.txt").write_text("x", encoding="utf-8")
    return folder


def test_prepare_takes_what_score_takes(small: Path, tmp_path: Path) -> None:
    out, features = tmp_path / "set", tmp_path / "F.csv"
    done = here("prepare", small, "-o", out, "--features", features, "--asr", "none")
    assert done.returncode == 0, done.stderr
    assert [row["call_id"] for row in rows_of(out / "manifest.jsonl")] == ["one.ogg", "two.ogg"]
    assert "warning: approximate_times in 1 call (one.ogg): " in done.stderr
    assert f"2 calls prepared in {out}, 1 other file skipped; features in {features}" in done.stderr
    with features.open(encoding="utf-8", newline="") as file:
        whole = next(csv.DictReader(file))
    assert (whole["start_s"], whole["end_s"]) == ("0", whole["duration_s"])
    again = here("validate", out)
    assert again.returncode == 0, again.stderr
    assert "2 calls in" in again.stdout


def test_prepare_writes_over_nothing(small: Path, tmp_path: Path) -> None:
    done, taken, free = tmp_path / "done", tmp_path / "taken.csv", tmp_path / "free"
    done.mkdir()
    for path in (done / "manifest.jsonl", taken):
        path.write_text("as it was", encoding="utf-8")
    cases = {
        ("-o", str(done)): f"{done} holds a manifest.jsonl already",
        ("-o", str(taken)): f"{taken} is a file; --output names a folder",
        ("-o", str(free), "--features", str(taken)): f"{taken} exists",
        ("-o", str(free), "--features", "F.txt"): "--features F.txt: the name must end in .csv",
    }
    for arguments, message in cases.items():
        refused = here("prepare", small, *arguments)
        assert (refused.returncode, refused.stderr.count("\n")) == (2, 1), refused.stderr
        assert refused.stderr.startswith(f"callsift: {message}")
    assert (done / "manifest.jsonl").read_text("utf-8") == taken.read_text("utf-8") == "as it was"
    assert not free.exists()


def test_what_is_no_manifest_is_said_in_a_sentence(small: Path, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("id,text\na,b\n")
    cases = {
        ("validate", small): f"'{small}' is a folder; validate takes a manifest.jsonl, one call a line",
        ("validate", small / "one.ogg"): f"{small}/one.ogg: is no manifest (not UTF-8 text)",
        ("validate", tmp_path / "t.csv"): f"{tmp_path}/t.csv: is a table and no manifest; a table becomes one with: "
        f"callsift import {tmp_path}/t.csv -o manifest.jsonl",
        ("validate", small / "none.jsonl"): f"{small}/none.jsonl: does not exist",
        ("prepare", small / "none.jsonl", "-o", tmp_path / "x"): f"'{small}/none.jsonl' does not exist",
        ("prepare", small / "notes.txt", "-o", "/proc/absent"): "/proc/absent: no such file or directory",
    }
    for arguments, message in cases.items():
        refused = refusal(*arguments)
        assert (refused.returncode, refused.stderr.count("\n")) == (2, 1), refused.stderr
        assert refused.stderr.startswith(f"callsift: {message}"), refused.stderr
        assert "Errno" not in refused.stderr


def _write(path: Path, *rows: dict[str, object]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_import_says_what_became_what_and_writes_over_nothing(tmp_path: Path) -> None:
    source, out = tmp_path / "calls.csv", tmp_path / "manifest.jsonl"
    source.write_text("Nr,Was,Grade,Notiz\n1,agent: hi; customer: no,A,x\n2,,B,y\n", encoding="utf-8")
    asked = ("import", source, "-o", out, "--map", "call_id=Nr", "--map", "text=Was", "--map", "label=Grade")
    refused = here(*asked)
    assert refused.returncode == 2
    assert refused.stderr == f"callsift: {source}, line 3: has neither audio nor text: nothing to import\n"
    assert not out.exists()
    done = here(*asked, "--skip-bad", "--labels", "marketcalls")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        f"1 calls of {source} (csv) in {out}",
        "  call_id: Nr",
        "  text: Was",
        "  label: Grade",
        "  not used: Notiz",
        "  labelled: 1 of 1",
    ]
    assert "left out: 1\n  " in done.stderr
    assert rows_of(out)[0]["turns"] == [{"role": "agent", "text": "hi"}, {"role": "customer", "text": "no"}]
    again = here(*asked, "--skip-bad")
    assert again.stderr == f"callsift: {out} exists; --force writes over it\n"
    assert here(*asked, "--skip-bad", "--force").returncode == 0


def test_nothing_is_written_over_what_is_read(tmp_path: Path) -> None:
    table, link = tmp_path / "calls.csv", tmp_path / "link.jsonl"
    table.write_text("id,text,label\n1,hi,A\n", encoding="utf-8")
    link.symlink_to(table)
    manifest = _write(tmp_path / "m.jsonl", {"call_id": "1", "turns": [{"text": "hm"}]})
    folder = tmp_path / "set"
    folder.mkdir()
    inside = _write(folder / "manifest.jsonl", {"call_id": "1", "turns": [{"text": "hm"}]})
    lhotse = folder / "cuts.jsonl"
    lhotse.write_text("{}\n", encoding="utf-8")
    before = [path.read_bytes() for path in (table, manifest, inside, lhotse)]
    same = "is the very file that is read; name another one"
    cases = {
        ("import", table, "-o", table, "--force"): f"--output {table} {same}",
        ("import", table, "-o", link, "--force"): f"--output {link} {same}",
        (
            "import",
            table,
            "-o",
            tmp_path / "new.csv",
        ): f"--output {tmp_path}/new.csv: a manifest is written, whose name",
        ("import", lhotse.parent, "-o", lhotse, "--force"): f"--output {lhotse} {same}",
        ("split", manifest, "-o", folder / "../m.jsonl", "--force"): f"--output {folder}/../m.jsonl {same}",
        ("split", folder, "-o", inside, "--force"): f"--output {inside} {same}",
        ("raters", manifest, "--majority", "-o", manifest, "--force"): f"--output {manifest} {same}",
        ("validate", manifest, "--html", manifest): f"--html {manifest} {same}",
    }
    for arguments, message in cases.items():
        refused = RUNNER.invoke(app, list(map(str, arguments)))
        assert isinstance(refused.exception, UsageError), refused.output
        assert str(refused.exception).startswith(message)
    assert [path.read_bytes() for path in (table, manifest, inside, lhotse)] == before


def test_import_says_how_many_calls_have_a_grade(tmp_path: Path) -> None:
    source, out = tmp_path / "calls.csv", str(tmp_path / "m.jsonl")
    cases = {
        "id,text,mark\n1,hi,A\n2,ho,B\n": ("labelled: 0 of 2", "no call has a grade: map one with --map label=COLUMN"),
        "id,text,label\n1,hi,\n": ("labelled: 0 of 1", "no call has a grade: 'label' says none; map another one"),
        "id,text,label\n1,hi,A\n2,ho,\n": ("labelled: 1 of 2", ""),
        "id,segment,text,segment_label\n1,1,hi,A\n1,2,ho,\n": ("segments labelled: 1 of 2", ""),
    }
    for text, (labelled, warning) in cases.items():
        source.write_text(text, encoding="utf-8")
        done = RUNNER.invoke(app, ["import", str(source), "-o", out, "--force"])
        assert done.exit_code == 0, done.output
        assert done.stdout.splitlines()[-1] == f"  {labelled}"
        assert ("no call has a grade" in done.stderr) == bool(warning)
        assert warning in done.stderr
    source.write_text("id,text,rater,label\n1,hi,ann,A\n1,hi,bob,B\n", encoding="utf-8")
    done = RUNNER.invoke(app, ["import", str(source), "-o", out, "--force", "--votes", "none"])
    assert done.stdout.splitlines()[-1] == "  labelled: 0 of 1, and by graders only: 1"
    flat = tmp_path / "flat"
    flat.mkdir()
    (flat / "x.wav").write_bytes(b"x")
    done = RUNNER.invoke(app, ["import", str(flat), "-o", out, "--force"])
    assert f"warning: no call has a grade: there is no folder per grade in {flat}" in done.stderr


def test_the_help_of_map_names_every_field() -> None:
    assert MAP_HELP.rstrip(".").split("Fields: ")[1].split(", ") == list(FIELDS)


def test_validate_ends_with_1_where_there_are_problems(tmp_path: Path) -> None:
    said = [{"text": f"this is what the customer number {at} says in full"} for at in range(12)]
    rows = [{"call_id": str(at), "label": "AB"[at % 2], "turns": [said[at]]} for at in range(12)]
    manifest = _write(tmp_path / "manifest.jsonl", *rows)
    done = here("validate", manifest, "--html", tmp_path / "page.html")
    assert (done.returncode, done.stdout.splitlines()[1]) == (0, "grade: A 6, B 6")
    assert "No problems found" in (tmp_path / "page.html").read_text("utf-8")
    _write(manifest, *({**row, "turns": [said[0]], "label": "C" if row["call_id"] == "3" else "A"} for row in rows))
    wrong = here("validate", manifest, "--no-audio", "--html", tmp_path / "page.html")
    assert wrong.returncode == 1
    assert "problem: the same text in 12 calls: '0', '1', '2', …" in wrong.stderr
    assert "problem: grade 'C' has a single call ('3')" in wrong.stderr
    assert "hours" not in wrong.stdout
    assert "grade &#x27;C&#x27; has a single call" in (tmp_path / "page.html").read_text("utf-8")


def test_split_and_folds(tmp_path: Path) -> None:
    rows = [{"call_id": str(at), "label": "AAB"[at % 3], "group": f"g{at // 2}", "turns": [{"text": "hm"}]}
            for at in range(60)]  # fmt: skip
    manifest = _write(tmp_path / "manifest.jsonl", *rows)
    done = here("split", manifest, "-o", tmp_path / "new.jsonl", "--test", "0.2", "--val", "0.1", "--seed", "3")
    assert done.returncode == 0, done.stderr
    found = rows_of(tmp_path / "new.jsonl")
    assert [row["call_id"] for row in found] == [row["call_id"] for row in rows]
    homes = {row["group"]: row["split"] for row in found}
    assert all(homes[row["group"]] == row["split"] for row in found)
    assert "  train: 42 (A 28, B 14)" in done.stdout
    assert here("split", manifest, "-o", tmp_path / "folds", "--folds", "3", "--val", "0.1").returncode == 0
    tested = [row["call_id"] for at in (1, 2, 3) for row in rows_of(tmp_path / f"folds/fold-{at}.jsonl")
              if row["split"] == "test"]  # fmt: skip
    assert sorted(tested, key=int) == [row["call_id"] for row in rows]


def test_a_grade_that_a_part_lacks_is_named(tmp_path: Path) -> None:
    rows = [{"call_id": str(at), "label": "ABBBBBBBBB"[at % 10], "turns": [{"text": "hm"}]} for at in range(20)]
    manifest = _write(tmp_path / "m.jsonl", *rows)
    asked = ["split", str(manifest), "-o", str(tmp_path / "new.jsonl"), "--test", "0.3", "--val", "0.3"]
    done = RUNNER.invoke(app, asked)
    assert done.exit_code == 0, done.output
    lacking = {"train", "val", "test"} - {
        row["split"] for row in rows_of(tmp_path / "new.jsonl") if row["label"] == "A"
    }
    assert lacking
    assert [f"note: no call of grade A in {name}" in done.stderr for name in ("train", "val", "test")] == [
        name in lacking for name in ("train", "val", "test")
    ]


def test_a_split_keeps_the_keys_of_others(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [
        {"call_id": str(at), "paid": at, "turns": [{"text": "hm", "mood": "fine"}],
         "segments": [{"segment_id": "0", "text": "hm", "label": "AB"[at % 2], "sure": 0.5}]} for at in range(8)
    ]  # fmt: skip
    done = here("split", _write(tmp_path / "m.jsonl", *rows), "-o", tmp_path / "deep/new.jsonl", "--test", "0.5")
    assert done.returncode == 0, done.stderr
    assert "  test: 4 (segments: A 2, B 2)" in done.stdout
    for before, after in zip(rows, rows_of(tmp_path / "deep/new.jsonl"), strict=True):
        assert (after["paid"], after["turns"][0]["mood"]) == (before["paid"], "fine")
        assert (after["segments"][0]["sure"], after["segments"][0].get("text")) == (0.5, None)


def test_columns_of_graders(tmp_path: Path) -> None:
    source = tmp_path / "calls.csv"
    source.write_text("id,text,ann,bob\n1,hi,A,A\n2,hi,A,B\n", encoding="utf-8")
    done = here("import", source, "-o", tmp_path / "m.jsonl", "--raters", "ann, bob")
    assert done.returncode == 0, done.stderr
    assert "  labels: by ann, bob" in done.stdout
    assert [row["label"] for row in rows_of(tmp_path / "m.jsonl")] == ["A", ["A", "B"]]
    refused = here("import", source, "-o", tmp_path / "x.jsonl", "--raters", "ann,ann")
    assert refused.stderr.startswith("callsift: --raters 'ann,ann' is not like ann,bob,eve")


def test_wrong_splits_are_refused_in_a_sentence(tmp_path: Path) -> None:
    rows = [{"call_id": str(at), "label": "B", "group": "g", "turns": [{"text": "hm"}]} for at in range(4)]
    manifest = _write(tmp_path / "manifest.jsonl", *rows)
    single = _write(tmp_path / "single.jsonl", *rows, {"call_id": "0042", "label": "A", "turns": [{"text": "hm"}]})
    lone = _write(tmp_path / "lone.jsonl", *rows,
                  *({"call_id": f"c{at}", "label": "C", "turns": [{"text": "hm"}]} for at in range(2)))  # fmt: skip
    cases = {
        (manifest, "--test", "0.5"): "4 calls in 1 groups can't be split into 2 parts",
        (manifest, "--test", "0.7", "--val", "0.3"): "--test 0.7 and --val 0.3 must be shares",
        (manifest, "--folds", "1"): "--folds 1 must be from 2 to 100",
        (manifest, "--folds", "3", "--test", "0.2"): "--folds tests on each fold in turn: leave out --test",
        (lone, "--test", "0.5"): f"{lone}: grade 'B' lies in a single group ('g', 4 calls): it can't be both",
        (single, "--test", "0.5"): f"{single}: grade 'A' has a single call ('0042'): it can't be both learned and",
    }
    for arguments, message in cases.items():
        refused = refusal("split", *arguments, "-o", tmp_path / "new.jsonl")
        assert (refused.returncode, refused.stderr.count("\n")) == (2, 1), refused.stderr
        assert refused.stderr.startswith(f"callsift: {message}"), refused.stderr
    assert not (tmp_path / "new.jsonl").exists()
