"""Every environment variable of the kit, and its deadlines and sizes, each with its reason.

How soon a workflow goes on after something died is in `tuning.py`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import platformdirs

from durable_demo import tuning

# --- environment variables -------------------------------------------------------------------------------------------

ENV_HOME = "DURABLE_DEMO_HOME"
"""State directory: database, logs, locks. Default: the platform's state directory for `durable-demo`."""
ENV_WORKER = "DURABLE_DEMO_WORKER"
"""`embedded` (default): the kit starts a Worker process. `external`: you run Workers yourself."""
ENV_TASK_QUEUE = "DURABLE_DEMO_TASK_QUEUE"
"""Task Queue of the kit's workflows. Default: `durable-demo`."""
ENV_PORT = "DURABLE_DEMO_PORT"
"""Port of the embedded server. Default: a free one."""
ENV_TEMPORAL_BINARY = "DURABLE_DEMO_TEMPORAL"
"""Path of the `temporal` program. Default: the one beside this Python, else the one on PATH."""
ENV_WEB_UI = "DURABLE_DEMO_WEB_UI"
"""Address of a configured server's Web UI. Temporal Cloud's is known; the embedded server has its own."""
ENV_HUB_PREFIX = "JUPYTERHUB_SERVICE_PREFIX"
"""Where JupyterHub and Binder serve this Jupyter server, such as `/user/someone/`; they set it."""
ENV_FAULTS = "DURABLE_DEMO_FAULTS"
"""State directory whose `faults.json` a Worker obeys; the supervisor sets it for its Workers."""
ENV_TOKEN = "DURABLE_DEMO_TOKEN"  # noqa: S105  # its name
"""What each request to the gateway must carry."""
ENV_MODEL = "AGENT_MODEL"
"""Which language model the agent asks: `offline` (default) or `provider:model`."""
ENV_WEATHER = "DEMO_WEATHER"
"""`typical` (default): typical values from the package. `open-meteo`: live data."""

VARIABLES: Mapping[str, str] = {
    ENV_HOME: "state directory (database, logs, locks); default: the platform's state directory",
    ENV_WORKER: "`embedded` (default) starts a Worker process, `external` leaves Workers to you",
    ENV_TASK_QUEUE: "Task Queue of the kit's workflows; default `durable-demo`",
    ENV_PORT: "port of the embedded server; default: a free one",
    ENV_TEMPORAL_BINARY: "path of the `temporal` program; default: the one beside this Python, else on PATH",
    ENV_WEB_UI: "address of a configured server's Web UI, such as `http://127.0.0.1:8233`",
    ENV_HUB_PREFIX: "path of this Jupyter server, for the Web UI of the embedded server; JupyterHub and Binder set it",
    ENV_FAULTS: "state directory whose faults (tab Break it) a Worker obeys; the supervisor sets it",
    ENV_TOKEN: "token that each request to `durable-demo serve` must carry; needed on another address than loopback",
    ENV_MODEL: "the agent's language model: `offline` (default), or `openai:`, `openai-chat:`, `anthropic:`, `google:` "
    "or `ollama:` and its name",
    ENV_WEATHER: "`typical` (default) takes weather from the package, `open-meteo` asks open-meteo.com for live data",
    "OPENAI_API_KEY": "key for `openai:` and `openai-chat:` models",
    "ANTHROPIC_API_KEY": "key for `anthropic:` models",
    "GOOGLE_API_KEY": "key for `google:` models",
    "GEMINI_API_KEY": "the same, if GOOGLE_API_KEY is not set",
    "OPENAI_BASE_URL": "another address for `openai:` and `openai-chat:` models",
    "ANTHROPIC_BASE_URL": "another address for `anthropic:` models",
    "GOOGLE_GEMINI_BASE_URL": "another address for `google:` models",
    "OLLAMA_BASE_URL": "where Ollama listens; default `http://127.0.0.1:11434/v1`",
    "TEMPORAL_ADDRESS": "use this server instead of the embedded one, as `host:port`",
    "TEMPORAL_NAMESPACE": "Namespace on that server; default `default`",
    "TEMPORAL_API_KEY": "API key for that server (switches TLS on)",
    "TEMPORAL_PROFILE": "profile of `temporal.toml` to use",
    "TEMPORAL_CONFIG_FILE": "where `temporal.toml` is",
}
"""All environment variables that the kit reads; README lists them and a test holds the two together."""

APP_NAME = "durable-demo"
DEFAULT_TASK_QUEUE = "durable-demo"


def home() -> Path:
    """State directory of this user, not created yet."""
    configured = os.environ.get(ENV_HOME, "").strip()
    return Path(configured).expanduser().absolute() if configured else Path(platformdirs.user_state_dir(APP_NAME))


def task_queue() -> str:
    """Task Queue that the kit's workflows and Workers share."""
    return os.environ.get(ENV_TASK_QUEUE, "").strip() or DEFAULT_TASK_QUEUE


def live_task_queue(name: str) -> str:
    """Task Queue of a module of workflows that was written in a notebook."""
    return f"{task_queue()}.{name}"


# --- client ----------------------------------------------------------------------------------------------------------

CONNECT_TIMEOUT = timedelta(seconds=3)
"""Bound of the handshake; a server that accepts and never answers is bounded by CONNECT_DEADLINE only."""
CONNECT_DEADLINE = timedelta(seconds=5)
"""Bound of the whole connect."""
CALL_DEADLINE = timedelta(seconds=10)
"""Bound of one client call with its retries (`rpc_timeout` bounds each attempt only)."""
QUERY_DEADLINE = timedelta(seconds=4)
"""Bound of a Query or an Update: with the looks at the server around it, people have an answer within 5 s. With no
Worker alive a Query would take 29 s to fail."""
MINIMUM_SERVER_VERSION = (1, 24)
"""Updates with a validator and `GetWorkflowExecutionHistory` as we use them need this Temporal Server."""

# --- follow ----------------------------------------------------------------------------------------------------------

LONG_POLL_DEADLINE = timedelta(seconds=70)
"""Bound of one history long poll; a server answers an idle one after 20 s (Cloud: up to 60 s)."""
PROGRESS_POLL_INTERVAL = timedelta(milliseconds=250)
"""How often `follow()` reads heartbeats while an Activity is open: half of the default progress interval."""
HEALTH_POLL_INTERVAL = timedelta(seconds=0.7)
"""How often `follow()` looks whether the server answers while no Activity is open; within 2 s people see that it does
not."""
RECONNECT_PATIENCE = timedelta(minutes=10)
"""How long `follow()` keeps on trying while the server is away."""

UNTIL_DEADLINE = timedelta(minutes=1)
"""How long a cell waits for what it wants to see, unless it says otherwise: a busy machine may take ten times as long
as a quiet one."""

# --- stack -----------------------------------------------------------------------------------------------------------

WEB_UI_PORTS = (6665, 6666, 6667, 6668, 6669, 6697, 3659, 4045)
"""Where the embedded server's Web UI listens: ports that Chromium, Firefox and Safari all refuse to open
(https://fetch.spec.whatwg.org/#port-blocking; others of its list, such as 6679, are open in Chromium), so that no web
page reaches the UI past JupyterLab's token. A test asks Chromium for each."""
START_DEADLINE = timedelta(seconds=30)
"""How long the embedded server and Worker may take to start, on a slow laptop with a cold disk."""
LOCK_DEADLINE = timedelta(seconds=60)
"""How long a start waits for another process that is starting or stopping the same stack."""
LEASE_GRACE = timedelta(seconds=6)
"""How long a stack outlives its last session, so that a kernel restart finds it running."""
LEASE_POLL_INTERVAL = timedelta(milliseconds=250)
FAULT_POLL_INTERVAL = timedelta(milliseconds=100)
"""How soon the supervisor carries out what somebody breaks or mends."""
BREAK_DEADLINE = timedelta(seconds=10)
"""How long it may take until that is done; a Worker that is told to end may take `WORKER_STOP_TIMEOUT`."""
RESET_DEADLINE = timedelta(seconds=45)
"""How long a reset may take, from any mess. It takes a second or two; longer if the whole stack must be started."""
LIVE_MODULE_KEPT = timedelta(days=1)
"""How long a workflow from a notebook has a Worker in each new stack: its runs go on after an evening, not for ever."""
WORKER_STOP_TIMEOUT = tuning.GRACEFUL_SHUTDOWN_TIMEOUT + timedelta(seconds=1.5)
"""A Worker that has not ended by then is killed: its work is durable."""
SERVER_STOP_TIMEOUT = timedelta(seconds=3)
"""A server needs 1.0 to 1.3 s to end; later it is killed (30 kills left the database intact)."""
KILL_DEADLINE = timedelta(seconds=3)
"""How long a killed process may take to vanish; longer only in a broken device or a frozen machine."""
STOP_DEADLINE = timedelta(seconds=15)
"""How long a stack may take to stop altogether."""
MAXIMUM_LOG_MB = 5
"""A log larger than this is set aside (as `.1`) at the next start."""
MINIMUM_FREE_DISK_MB = 50
"""Below this the embedded server is not started: SQLite would fail in the middle of a demo."""
