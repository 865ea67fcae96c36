"""Which model the agent asks: the one that `AGENT_MODEL` names, else the offline brain and a line that says why."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from durable_demo.agent.keys import KEY_VARIABLES, MASK, RESTART, all_keys, find_key, redact
from durable_demo.agent.model import Model
from durable_demo.agent.offline import OfflineModel
from durable_demo.settings import ENV_MODEL

OFFLINE = "offline"
MAXIMUM_SHOWN = 20
"""Of what somebody wrote into `AGENT_MODEL` so many characters are shown: it may be a key of a kind unknown to us."""

_INSTALL = '`python -m pip install -c constraints.txt -e ".[llm]"`'
_MODEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@-]{0,99}")
# How the keys of OpenAI, Anthropic and others (`sk-`) and of Google (`AIza`, `AQ.`) begin: people paste them anywhere.
_KEY_LIKE = re.compile(r"\b(?:sk-|AIza|AQ\.)\S*")


@dataclass(frozen=True)
class Choice:
    """The model that answers.

    Attributes:
        model: The model.
        notice: Why it is not the one that was asked for, and what to do; empty if it is. For people, holds no key.
    """

    model: Model
    notice: str = ""


def choose_model(environ: Mapping[str, str] = os.environ) -> Choice:
    """The model that `AGENT_MODEL` names; whatever is wrong with it, a model that can answer.

    Offline no SDK of a provider is imported.

    Args:
        environ: Where `AGENT_MODEL`, the keys and the base URLs are taken from.
    """
    spec = environ.get(ENV_MODEL, "").strip()
    if spec.lower() in ("", OFFLINE):
        return Choice(OfflineModel())
    provider, _, name = spec.partition(":")
    if provider not in KEY_VARIABLES or not _MODEL_NAME.fullmatch(name) or _without_keys(name, environ) != name:
        known = " ".join(f"`{each}:...`" for each in KEY_VARIABLES)
        return _offline(spec, environ, "that names no model of a known provider", f"set it to `{OFFLINE}` or {known}")

    variables = KEY_VARIABLES[provider]
    key = find_key(provider, environ)
    if variables and not key:
        return _offline(spec, environ, f"{' or '.join(variables)} is not set", f"set {variables[0]} to your key")
    if not (key.isascii() and key.isprintable()):
        why = f"the value of {' or '.join(variables)} has characters that no key has"
        return _offline(spec, environ, why, f"set {variables[0]} to your key")
    try:
        # Here, not at the top: the SDKs are an optional extra, and take a second to import.
        from durable_demo.agent.provider import ProviderModel

        return Choice(ProviderModel(spec, environ))
    except ImportError:
        return _offline(spec, environ, "what it needs is not installed", f"run {_INSTALL} in the checkout")
    except Exception as error:  # an SDK does not like what it finds in the environment; its own words may hold the key
        why = f"its SDK refused the settings ({type(error).__name__})"
        return _offline(spec, environ, why, "check the base URL and proxy variables of your environment")


def _offline(spec: str, environ: Mapping[str, str], why: str, remedy: str) -> Choice:
    printable = "".join(character if character.isprintable() else "?" for character in spec)
    shown = _without_keys(printable, environ)
    if len(shown) > MAXIMUM_SHOWN:
        shown = shown[: MAXIMUM_SHOWN - 3] + "..."
    return Choice(
        OfflineModel(),
        f"{ENV_MODEL} is `{shown}`, but {why}: the offline brain answers instead. Next: {remedy}, then {RESTART}.",
    )


def _without_keys(text: str, environ: Mapping[str, str]) -> str:
    """The text without the keys that are set, and without what looks like another one."""
    return _KEY_LIKE.sub(MASK, redact(text, all_keys(environ)))
