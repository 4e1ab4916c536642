"""Unit tests on every supported Python that is on this machine: `make nox`."""

import nox

nox.options.error_on_missing_interpreters = False


@nox.session(python=["3.10", "3.11", "3.12", "3.13", "3.14"])
def unit(session: nox.Session) -> None:
    session.install("--quiet", "--editable", ".[dev]")
    session.run("pytest", "-q", "-m", "not e2e and not real and not gpu and not slow")
