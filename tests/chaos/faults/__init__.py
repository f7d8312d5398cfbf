"""Every kind of fault, in the order in which the schedule draws from them."""

from tests.chaos.faults import caches, databases, network, processes
from tests.chaos.faults.kinds import FAULTS, Fault

__all__ = ["FAULTS", "Fault", "caches", "databases", "network", "processes"]
