"""How much of the chaos suite: what the issue asks for, or what fits into `make test`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How much of each scenario.

    Attributes:
        worker_kills: SIGKILLs of the Worker while Monty and chat run.
        server_kills: SIGKILLs of the server.
        server_stops: SIGTERMs of the server.
        frozen: Seconds for which a Worker is stopped.
        server_away: Seconds without a server.
        network_cut: Seconds of each disturbance of the network.
        kernel_kills: Kernels that are killed.
        kernels: Kernels that start at once.
        kernel_rounds: How often they do.
        many: Workflows at once.
        many_for: Seconds for which they run.
        soaked: Workflows of the soak.
        soaked_for: Seconds that it takes; 0 for no soak.
        examples: Random stories of commands.
        story: Commands in each at most.
    """

    worker_kills: int
    server_kills: int
    server_stops: int
    frozen: float
    server_away: float
    network_cut: float
    kernel_kills: int
    kernels: int
    kernel_rounds: int
    many: int
    many_for: float
    soaked: int
    soaked_for: float
    examples: int
    story: int


LONG = Scale(
    worker_kills=50,
    server_kills=30,
    server_stops=10,
    frozen=20,
    server_away=25,
    network_cut=15,
    kernel_kills=5,
    kernels=5,
    kernel_rounds=3,
    many=200,
    many_for=60,
    soaked=20,
    soaked_for=30 * 60,
    examples=40,
    story=15,
)
"""`make chaos`."""

SHORT = Scale(
    worker_kills=2,
    server_kills=1,
    server_stops=1,
    frozen=4,
    server_away=2,
    network_cut=2,
    kernel_kills=1,
    kernels=2,
    kernel_rounds=1,
    many=20,
    many_for=4,
    soaked=0,
    soaked_for=0,
    examples=4,
    story=10,
)
"""A part of `make test`. Half an hour cannot be made short: there is no soak in it."""
