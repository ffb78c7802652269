"""A scripted Tutum account, for demonstrations and tests."""

from tutumstream.gateway.scenario.platform import ScenarioPlatform

__all__ = ["ScenarioPlatform"]
