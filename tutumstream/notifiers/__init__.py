"""Destinations: classes that tell one message at a time and give a verdict; `interface.py` is the contract."""
