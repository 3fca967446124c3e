"""Environments: pure functions, and simulators on the host, behind one record."""
