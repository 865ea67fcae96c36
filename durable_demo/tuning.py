"""How soon people see a workflow go on: every number that recovery depends on, each with its reason.

They were measured together on two cores: gap in progress after a Worker kill 2.6 s median (10 to 30 s with Temporal's
defaults, which are made for clusters, not for an audience). Change one, then measure again with `make chaos`.

Imports nothing, so that workflow code may import it in its sandbox.
"""

from __future__ import annotations

from datetime import timedelta

# --- Worker ----------------------------------------------------------------------------------------------------------

STICKY_TIMEOUT = timedelta(seconds=2)
"""How long a Workflow Task waits for the Worker that has the workflow cached: by default 10 s, lost after each kill."""
GRACEFUL_SHUTDOWN_TIMEOUT = timedelta(seconds=3)
"""How long a Worker that ends lets its Activities run on: they report where they are, and go on elsewhere."""
HEARTBEAT_THROTTLE = timedelta(milliseconds=150)
"""Both heartbeat throttle intervals: the default (30 s) would hide the progress, and lose it in a crash."""

MAX_ACTIVITIES = 500
"""Activities at once in one Worker. They mostly wait; with the default (100) half of 200 Montys would have to queue."""

# --- workflows -------------------------------------------------------------------------------------------------------

WORKFLOW_TASK_TIMEOUT = timedelta(seconds=5)
"""After a Worker kill the Workflow Task is handed out again this soon. 2 s wedges on the replay of a long history."""

# --- Activities ------------------------------------------------------------------------------------------------------

HEARTBEAT_TIMEOUT = timedelta(seconds=2)
"""A dead Worker is noticed this soon; most of the gap that people see after a kill. Below 1.5 s a busy laptop makes
Activities time out that run well."""
FIRST_RETRY = timedelta(milliseconds=200)
"""Before the second attempt: the Worker is dead already when its heartbeat is missed, so there is nothing to spare."""
FIRST_MODEL_RETRY = timedelta(milliseconds=300)
"""Likewise for the agent's model and tools, which may be busy: it doubles each time."""

# --- processes -------------------------------------------------------------------------------------------------------

RESTART_DELAY = timedelta(seconds=0.2)
"""Pause before a server or Worker that died is started again; it doubles with each that never came to work ..."""
RESTART_DELAY_LIMIT = timedelta(seconds=10)
"""... up to this one, so that a program that cannot live does not eat the machine. One that did work starts anew."""
