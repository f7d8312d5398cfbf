"""What every phase works with: the deployment, the clients' history and samples, and the rate that was chosen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import NullPool, create_engine, text

from tests.chaos import deployments
from tests.chaos.calls import Caller
from tests.chaos.history import History
from tests.chaos.rig import Rig
from tests.chaos.supervisor import Outcome
from tests.soak.gauges import Gauges
from tests.soak.samples import Samples
from tests.soak.traffic import Traffic

CLIENTS = 32
SHIPPED: dict[str, str] = {"LOG_LEVEL": "WARNING"}  # otherwise as it comes


@dataclass(slots=True)
class Scene:
    """`peak` and `target` are calls per second; they are known once the peak was measured."""

    rig: Rig
    history: History
    gauges: Gauges
    seed: int
    backend: str
    tell: Callable[[str], None]
    samples: Samples = field(default_factory=Samples)
    peak: float = 0.0
    target: float = 0.0
    faults: list[Outcome] = field(default_factory=list)
    spans: dict[str, tuple[float, float]] = field(default_factory=dict)

    def caller(self, **options: Any) -> Caller:
        return Caller(self.rig.urls, self.history, api_key=self.rig.api_key, **options)

    def traffic(self, phase: str, *, twice: bool = False) -> Traffic:
        return Traffic(phase, self.seed, self.caller(), self.samples, twice=twice)

    def number(self, question: str) -> int:
        """What the database itself answers to a question for one number; nothing is 0."""
        return int(self.rows(question)[0][0] or 0)

    def rows(self, question: str) -> list[Any]:
        with create_engine(self.rig.checked_url, poolclass=NullPool).connect() as connection:
            return list(connection.execute(text(question)))

    @contextmanager
    def serving(self, **changes: str) -> Iterator[None]:
        """One service, and a worker where there is Redis, with the shipped settings but for these."""
        with ExitStack() as stack:
            deployments.serve(self.rig, self.rig.env | changes, stack)
            try:
                yield
            finally:
                self.rig.keep_logs(self.history.path.parent)
                stack.close()
                self.rig.services.clear()
                self.rig.workers.clear()


@dataclass(frozen=True, slots=True)
class Shown:
    """What a phase showed, and which of its rules it broke."""

    phase: str
    seconds: float
    figures: dict[str, Any]
    broken: list[str]


BACKENDS = {
    "server": lambda: deployments.mariadb_and_redis(SHIPPED, small_disk=False),
    "embedded": lambda: deployments.sqlite(SHIPPED, small_disk=False),
}
