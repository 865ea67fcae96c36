"""Which model is chosen, and what people read when it is not the one that they asked for."""

from __future__ import annotations

import subprocess
import sys

import pytest

from durable_demo.agent.model import Model
from durable_demo.agent.models import Choice, choose_model
from durable_demo.agent.offline import OfflineModel
from durable_demo.agent.provider import ProviderModel

KEY = "sk-SECRET-0123456789"
KEYS = {"OPENAI_API_KEY": KEY, "ANTHROPIC_API_KEY": KEY, "GOOGLE_API_KEY": KEY}


def in_another_process(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def assert_offline(choice: Choice, *told: str) -> None:
    """The offline model, and a notice of one line that says what, why and what next, and holds no key."""
    assert isinstance(choice.model, OfflineModel)
    for each in ("AGENT_MODEL is", "the offline brain answers instead", "Next: ", "durable-demo down", *told):
        assert each in choice.notice
    assert choice.notice.isprintable()
    assert KEY[3:] not in choice.notice


@pytest.mark.parametrize("spec", [None, "", "  ", "offline", " Offline "])
def test_it_is_the_offline_model_unless_told_otherwise(spec: str | None) -> None:
    choice = choose_model(KEYS if spec is None else {**KEYS, "AGENT_MODEL": spec})
    assert isinstance(choice.model, OfflineModel)
    assert choice.notice == ""


def test_the_offline_model_needs_no_sdk_of_a_provider() -> None:
    code = (
        "import sys; from durable_demo.agent.models import choose_model; choose_model({}); "
        "choose_model({'AGENT_MODEL': 'openai:mock-1'}); "
        "print({'pydantic_ai', 'openai', 'anthropic', 'google'} & {name.split('.')[0] for name in sys.modules})"
    )
    assert in_another_process(code).strip() == "set()"


@pytest.mark.parametrize("provider", ["openai", "openai-chat", "anthropic", "google", "ollama"])
def test_a_known_provider_with_its_key_is_asked(provider: str) -> None:
    choice = choose_model({**KEYS, "AGENT_MODEL": f" {provider}:mock-1 "})
    model: Model = choice.model
    assert isinstance(model, ProviderModel)
    assert (model.name, choice.notice) == (f"{provider}:mock-1", "")


@pytest.mark.parametrize(
    ("provider", "variable"),
    [
        ("openai", "OPENAI_API_KEY"),
        ("openai-chat", "OPENAI_API_KEY"),
        ("anthropic", "ANTHROPIC_API_KEY"),
        ("google", "GOOGLE_API_KEY"),
    ],
)
@pytest.mark.parametrize("value", [None, "", " \n"], ids=["unset", "empty", "space"])
def test_a_missing_key_is_told_with_the_variable_to_set(provider: str, variable: str, value: str | None) -> None:
    environ = {"AGENT_MODEL": f"{provider}:mock-1"} | ({} if value is None else {variable: value})
    assert_offline(choose_model(environ), f"`{provider}:mock-1`", f"{variable} ", "is not set", f"set {variable}")


@pytest.mark.parametrize("key", [f"{KEY}\x00", f"{KEY}é", f"{KEY}\n{KEY}"], ids=["nul", "accent", "two-lines"])
def test_a_key_that_cannot_be_one_is_told_without_showing_it(key: str) -> None:
    choice = choose_model({"AGENT_MODEL": "openai:mock-1", "OPENAI_API_KEY": key})
    assert_offline(choice, "OPENAI_API_KEY has characters that no key has")


@pytest.mark.parametrize(
    "spec",
    [
        "openai",
        "openai:",
        ":mock-1",
        "mistral:large",
        "OpenAI:mock-1",
        "openai:two words",
        "openai:" + "x" * 101,
        "openai:line\nbreak\x1b[31m\x00",
        "offline:please",
        f"openai:{KEY}",
        KEY,
        "openai:own-key-of-a-proxy",
        "anthropic:sk-ant-another-key-that-nobody-set",
        "google:AIzaSyAnotherKeyThatNobodySet",
        "x" * 10_000,
        "\ud800",
    ],
    ids=lambda spec: spec[:24].encode("ascii", "backslashreplace").decode(),
)
def test_a_spec_that_names_no_model_is_told_and_cut(spec: str) -> None:
    choice = choose_model({**KEYS, "GEMINI_API_KEY": "own-key-of-a-proxy", "AGENT_MODEL": spec})
    assert_offline(choice, "names no model of a known provider", "`openai:...`")
    assert len(choice.notice) < 400
    assert "nobody" not in choice.notice.lower()
    assert "own-key" not in choice.notice


@pytest.mark.parametrize("missing", ["pydantic_ai", "openai"])
def test_a_missing_extra_is_told_with_the_command_that_installs_it(missing: str) -> None:
    code = (
        f"import sys; sys.modules[{missing!r}] = None; from durable_demo.agent.models import choose_model; "
        f"print(choose_model({{'AGENT_MODEL': 'openai:mock-1', 'OPENAI_API_KEY': {KEY!r}}}).notice)"
    )
    told = in_another_process(code)
    assert 'python -m pip install -c constraints.txt -e ".[llm]"' in told
    assert "durable-demo down" in told
    assert KEY not in told


def test_settings_that_an_sdk_refuses_are_told_without_its_own_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", f"nonsense://{KEY}")
    choice = choose_model({"AGENT_MODEL": "openai:mock-1", "OPENAI_API_KEY": KEY})
    assert_offline(choice, "refused the settings (", "base URL and proxy")
