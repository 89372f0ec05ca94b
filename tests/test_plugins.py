"""Specifications of parts: what can't be meant is said in one sentence that names the option."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import pytest

from callsift.errors import ConfigError, UsageError
from callsift.plugins import make


@dataclass
class Part:
    """An engine with an option of every kind."""

    model: str
    threads: int = 1
    timeout_s: float = 1.0
    int8: bool = False
    key_env: str | None = None
    seed: int | None = None
    anything: Any = None


@pytest.fixture(autouse=True)
def part(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("parts_of_a_test")
    module.Part = Part  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "parts_of_a_test", module)


@pytest.mark.parametrize(
    ("options", "made"),
    [
        ("model=a/b", Part("a/b")),
        ("model=@dir", Part("@dir")),
        ("model=3", Part("3")),
        ("model=no,key_env=null", Part("no", key_env="null")),  # text as it stands, whatever YAML would make of it
        ("model=x, threads = 2,timeout_s=3,int8=true", Part("x", 2, 3.0, int8=True)),
        ("model=x,seed=null,anything=[1]", Part("x", anything=[1])),
        ("model=x,seed=4", Part("x", seed=4)),
    ],
)
def test_values_are_what_the_constructor_says(options: str, made: Part) -> None:
    found = make("asr", f"parts_of_a_test:Part,{options}")
    assert found == made
    assert type(found.timeout_s) is float


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("model=x,threads=two", "threads is 'two'; give a whole number"),
        ("model=x,threads=2.5", "threads is '2.5'; give a whole number"),
        ("model=x,threads=true", "threads is 'true'; give a whole number"),
        ("model=x,threads=@2", "threads is '@2', which can't be read"),
        ("model=x,timeout_s=long", "timeout_s is 'long'; give a number"),
        ("model=x,int8=1", "int8 is '1'; give true or false"),
        ("model=x,seed=x", "seed is 'x'; give a whole number"),
        ("model=", "model is empty"),
        ("threads=2", "needs model: write parts_of_a_test:Part,model=VALUE"),
        ("model=x,speed=2", "Its options: model, threads, timeout_s, int8, key_env, seed, anything"),
        ("model", "'model' is not key=value"),
    ],
)
def test_options_of_no_use(options: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        make("asr", f"parts_of_a_test:Part,{options}")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_of_an_odd_name_is_looked_for() -> None:
    pytest.importorskip("sherpa_onnx")
    with pytest.raises(UsageError, match="model=@dir: no such folder or model"):
        make("asr", "sherpa-onnx,model=@dir")


def test_an_engine_without_its_address() -> None:
    with pytest.raises(ConfigError, match="asr 'http' needs url: write http,url=VALUE"):
        make("asr", "http")
