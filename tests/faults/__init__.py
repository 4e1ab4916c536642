"""The fault suite: real processes are hurt under load, and what happens is measured.

`make faults` runs it; `python -m tests.faults --help` tells how to run a part.
"""
