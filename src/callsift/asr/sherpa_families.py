"""The model families of sherpa-onnx that callsift runs: how a folder's family is told, and which files it consists of.

A family is told from the roles in the files' names (encoder, decoder, joiner, or one model) and the `model_type` that
the exporters write into the ONNX metadata. `needs` are keys that sherpa-onnx reads when it loads a model (its
csrc/offline-*-model.cc) and without which it ends the process.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from callsift.asr.onnx_metadata import read_metadata
from callsift.errors import UsageError

_MODEL, _ENCODER, _DECODER, _JOINER = "model", "encoder", "decoder", "joiner"
_STREAMING = "decode_chunk_len"
_SENSE_VOICE = ("zh", "en", "yue", "ja", "ko")
_LFR = ("vocab_size", "lfr_window_size", "lfr_window_shift", "neg_mean", "inv_stddev")


@dataclass(frozen=True, slots=True)
class Family:
    """`constructor`: of `sherpa_onnx.OfflineRecognizer`; `files`: role → its keyword; `options`: further keywords.

    `model_types`: beginnings of the metadata's `model_type`; none: told by `needs` alone. `languages`: codes, empty
    where they differ from model to model.
    """

    name: str
    constructor: str
    files: Mapping[str, str]
    model_types: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    options: Mapping[str, object] = field(default_factory=dict)
    takes_language: bool = False
    takes_itn: bool = False

    def fits(self, roles: frozenset[str], metadata: Mapping[str, str]) -> bool:
        """Whether a model with files of these roles and this metadata is of the family."""
        if roles != set(self.files):
            return False
        if not self.model_types:
            return all(key in metadata for key in self.needs)
        return metadata.get("model_type", "").startswith(self.model_types)


FAMILIES = (
    Family(
        "sense-voice",
        "from_sense_voice",
        {_MODEL: "model"},
        ("sense_voice_ctc",),
        (*_LFR, "normalize_samples", "with_itn", "without_itn", *(f"lang_{code}" for code in ("auto", *_SENSE_VOICE))),
        _SENSE_VOICE,
        takes_language=True,
        takes_itn=True,
    ),
    Family("paraformer", "from_paraformer", {_MODEL: "paraformer"}, ("paraformer",), _LFR, ("zh", "en")),
    Family("zipformer-ctc", "from_zipformer_ctc", {_MODEL: "model"}, ("zipformer2_ctc",)),
    Family("wenet-ctc", "from_wenet_ctc", {_MODEL: "model"}, ("wenet_ctc",), ("vocab_size", "subsampling_factor")),
    Family(
        "nemo-ctc",
        "from_nemo_ctc",
        {_MODEL: "model"},
        ("EncDecCTC", "EncDecHybrid"),
        ("vocab_size", "subsampling_factor"),
    ),
    Family("telespeech-ctc", "from_telespeech_ctc", {_MODEL: "model"}, ("telespeech_ctc",), (), ("zh",)),
    Family(
        "whisper",
        "from_whisper",
        {_ENCODER: "encoder", _DECODER: "decoder"},
        ("whisper",),
        (
            *("n_mels", "n_text_layer", "n_text_ctx", "n_text_state", "n_vocab", "sot", "eot", "sot_sequence"),
            *("blank_id", "translate", "transcribe", "is_multilingual", "no_timestamps", "no_speech"),
        ),
        takes_language=True,
    ),
    Family(
        "fire-red-asr",
        "from_fire_red_asr",
        {_ENCODER: "encoder", _DECODER: "decoder"},
        (),
        ("num_decoder_layers", "num_head", "head_dim", "sos", "eos", "max_len", "cmvn_mean", "cmvn_inv_stddev"),
        ("zh", "en"),
    ),
    Family(
        "transducer",
        "from_transducer",
        {_ENCODER: "encoder", _DECODER: "decoder", _JOINER: "joiner"},
        ("zipformer", "conformer"),
        options={"model_type": "transducer"},
    ),
    Family(
        "nemo-transducer",
        "from_transducer",
        {_ENCODER: "encoder", _DECODER: "decoder", _JOINER: "joiner"},
        ("EncDecRNNT", "EncDecHybrid"),
        options={"model_type": "nemo_transducer"},
    ),
)


@dataclass(frozen=True, slots=True)
class FoundModel:
    """A model as it lies in a folder: its family, the file of each role, the token table, the main file's metadata."""

    family: Family
    files: Mapping[str, Path]
    tokens: Path
    metadata: Mapping[str, str]

    @property
    def languages(self) -> tuple[str, ...]:
        """Those of the family; of Whisper, those that this size was trained on."""
        if "is_multilingual" not in self.metadata:
            return self.family.languages
        multilingual = self.metadata["is_multilingual"] == "1"
        return tuple(self.metadata.get("all_language_codes", "").split(",")) if multilingual else ("en",)


def find_model(folder: Path, kind: str = "auto", *, int8: bool = False) -> FoundModel:
    """The model in a folder. With `int8` its 8-bit files where there are such, without them only where nothing else is.

    Raises:
        UsageError: there is none, more than one, one of an unknown family, or one that lacks what sherpa-onnx needs.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder; model= takes the folder of a sherpa-onnx model")
    files = _files_by_role(folder, int8)
    main = files.get(_ENCODER) or files[_MODEL]
    metadata = read_metadata(main)
    family = _family(folder, kind, files, metadata)
    if missing := [key for key in family.needs if key not in metadata]:
        raise UsageError(
            f"{main} lacks the metadata {', '.join(missing)}, without which sherpa-onnx can't run a {family.name} "
            "model; take one that was exported for sherpa-onnx"
        )
    return FoundModel(family, {role: files[role] for role in family.files}, _tokens(folder), metadata)


def _files_by_role(folder: Path, int8: bool) -> dict[str, Path]:
    candidates: dict[str, list[Path]] = {}
    for path in sorted(folder.glob("*.onnx")):
        role = next((role for role in (_ENCODER, _DECODER, _JOINER) if role in path.name), _MODEL)
        candidates.setdefault(role, []).append(path)
    if not candidates:
        raise UsageError(f"{folder} holds no .onnx file, but {_listed(folder)}")
    chosen = {}
    for role, paths in candidates.items():
        of_precision = [path for path in paths if (".int8." in path.name) == int8] or paths
        if len(of_precision) > 1:
            raise UsageError(
                f"{folder} has several files that may be the {role}: {', '.join(path.name for path in of_precision)}; "
                "keep one of them there"
            )
        chosen[role] = of_precision[0]
    return chosen


def _family(folder: Path, kind: str, files: Mapping[str, Path], metadata: Mapping[str, str]) -> Family:
    names = ", ".join(family.name for family in FAMILIES)
    roles = frozenset(files)
    if _STREAMING in metadata:
        raise UsageError(f"{folder} holds a streaming model; callsift runs the others, which hear more: {names}")
    if kind == "auto":
        found = next((family for family in FAMILIES if family.fits(roles, metadata)), None)
        if found is None:
            raise UsageError(
                f"{folder} holds a model of unknown family: {_listed(folder)} "
                f"(model_type {metadata.get('model_type', 'not given')!r}). Known: {names}; kind= names one"
            )
        return found
    found = next((family for family in FAMILIES if family.name == kind), None)
    if found is None:
        raise UsageError(f"kind={kind} is not known; use auto, {names}")
    if roles != set(found.files):
        raise UsageError(
            f"{folder} is no {kind} model: it needs files for {', '.join(found.files)}, not {_listed(folder)}"
        )
    return found


def _tokens(folder: Path) -> Path:
    found = sorted(folder.glob("*tokens.txt"))
    if len(found) != 1:
        many = ", ".join(path.name for path in found)
        raise UsageError(f"{folder} has {f'several token tables: {many}' if found else 'no tokens.txt'}; it needs one")
    return found[0]


def _listed(folder: Path) -> str:
    names = sorted(path.name for path in folder.iterdir())
    return ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "") or "nothing"
