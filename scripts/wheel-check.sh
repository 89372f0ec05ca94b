#!/usr/bin/env bash
# Build the wheel and use it in an environment of its own, with the scoring core alone: demo, score, evaluate.
set -euo pipefail
python="${PYTHON:-python3}"
scratch="$(mktemp -d)"
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$scratch"' EXIT

"$python" -m build --wheel --no-isolation --outdir "$scratch/dist" . >"$scratch/build.log" || { cat "$scratch/build.log"; exit 1; }
"$python" -m venv "$scratch/core"
"$scratch/core/bin/pip" install --quiet "$scratch"/dist/*.whl
cd "$scratch"
callsift="$scratch/core/bin/callsift"

if "$scratch/core/bin/python" -c "import torch" 2>/dev/null; then
  echo "the scoring core must not bring torch"; exit 1
fi
package="$("$scratch/core/bin/python" -c "import callsift, pathlib; print(pathlib.Path(callsift.__file__).parent)")"
manifest="$scratch/some.jsonl"
head -n 8 "$package/data/demo/manifest.jsonl" | sed "s|\"calls/|\"$package/data/demo/calls/|g" >"$manifest"

recordings() {
  "$callsift" demo --out "$scratch/demo" >/dev/null
  test -s "$scratch/demo/report.html"
  test "$(wc -l <"$scratch/demo/scores.jsonl")" = 24
  "$callsift" score "$package/data/demo/calls/en-05-gym.wav" --output "$scratch/heard.jsonl" >/dev/null
  grep -q '"text": "agent: ' "$scratch/heard.jsonl"
}

graded_calls() {
  "$callsift" score "$package/data/demo/calls" --asr none --output "$scratch/scores.csv" >/dev/null
  test "$(wc -l <"$scratch/scores.csv")" = 25
  "$callsift" evaluate "$package/data/starter" "$manifest" --output "$scratch/figures.json"
  "$callsift" doctor >/dev/null
  "$callsift" models list >/dev/null
  "$callsift" validate "$package/data/demo/manifest.jsonl"
  "$callsift" prepare "$manifest" -o "$scratch/prepared"
  "$callsift" score "$scratch/prepared" --output "$scratch/again.jsonl" >/dev/null
  test "$(wc -l <"$scratch/again.jsonl")" = 8
  if "$callsift" train "$package/data/demo/manifest.jsonl" -o "$scratch/run" 2>"$scratch/train.log"; then
    echo "training without torch must be refused"; exit 1
  fi
  grep -q 'callsift\[train\]' "$scratch/train.log"
}

recordings & one=$!
graded_calls & other=$!
wait "$one"
wait "$other"
echo "wheel: demo, score, evaluate, validate, prepare, doctor and models work with the scoring core alone"
