"""Listens to a container platform's event stream and tells the right people."""

from importlib.metadata import version

__version__ = version("tutumstream")
