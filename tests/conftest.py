"""Fixtures that tests of several folders share."""

from tests.support.fixtures import running_simulator, simulator

__all__ = ["running_simulator", "simulator"]
