"""One bounded HTTP request: checked address, no redirects, a deadline over the whole exchange.

Errors name the host and never the path, the query or the headers: those carry tokens.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
import requests.adapters
import urllib3
import urllib3.connection
import urllib3.connectionpool

from alerts.address import AddressError, check_ip, check_url

MAX_ANSWER_BYTES = 64 * 1024
"""More than any vendor's answer; the rest is not read."""


@dataclass(frozen=True, slots=True)
class HttpPolicy:
    """What outgoing requests may do. Times in seconds.

    Attributes:
        ca_file: PEM file with the authorities to trust instead of the system's.
        proxy: URL of an HTTP proxy; it resolves names itself, so only literal addresses are
            checked.
    """

    allow_insecure: bool = False
    allow_hosts: Collection[str] = ()
    ca_file: Path | None = None
    proxy: str = ""
    timeout_s: float = 10.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. Header names are in lower case.

    Attributes:
        complete: false when the body was cut off or did not end within the time limit.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    complete: bool = True


class HttpFailure(Exception):
    """No answer: one line that is safe to log.

    Attributes:
        permanent: a policy or a certificate stands in the way; only a person can change it.
    """

    def __init__(self, message: str, *, permanent: bool = False) -> None:
        super().__init__(message)
        self.permanent = permanent


class _Deadline:
    """Shuts the connection when the time is over.

    A read timeout alone starts again at every byte that arrives.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self.expired = False

    def watch(self, connection: socket.socket) -> None:
        """Keep a second handle: TLS takes the first one over and leaves it empty."""
        with self._lock:
            self._drop()
            self._socket = connection.dup()
            if self.expired:
                self._shut()

    def close(self) -> None:
        with self._lock:
            self._drop()

    def expire(self) -> None:
        with self._lock:
            self.expired = True
            self._shut()

    def _shut(self) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def _drop(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _connect(host: str, port: int, timeout_s: float, *, public: bool) -> socket.socket:
    """Resolve once, check every address, connect to one that was checked.

    Checking first and letting a library resolve again would let the name change in between.

    Args:
        timeout_s: over all addresses together.
        public: refuse addresses that are not.
    """
    until = time.monotonic() + timeout_s
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = [str(entry[4][0]) for entry in found]
    for address in addresses:
        check_ip(address, allow_insecure=not public)
    last: OSError = OSError("the name has no address")
    for address in addresses[:4]:
        left_s = until - time.monotonic()
        if left_s <= 0:
            break
        try:
            return socket.create_connection((address, port), timeout=left_s)
        except OSError as error:
            last = error
    raise last


class _Adapter(requests.adapters.HTTPAdapter):
    """A transport whose connections are checked and watched; those to a proxy only watched."""

    def __init__(self, policy: HttpPolicy, deadline: _Deadline) -> None:
        self._policy = policy
        self._deadline = deadline
        super().__init__(pool_connections=1, pool_maxsize=1, max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        public = not self._policy.allow_insecure
        self.poolmanager.pool_classes_by_scheme = self._pools(public=public)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **kwargs)
        if not proxy.lower().startswith("socks"):  # these connect in their own way
            manager.pool_classes_by_scheme = self._pools(public=False)
        return manager

    def _pools(self, *, public: bool) -> dict[str, type[urllib3.connectionpool.HTTPConnectionPool]]:
        policy, deadline = self._policy, self._deadline

        def connect(connection: urllib3.connection.HTTPConnection) -> socket.socket:
            # the host as written in the URL, without the trailing dot that urllib3 strips as well
            host = connection.host.strip("[]")
            made = _connect(host, connection.port, policy.timeout_s, public=public)
            deadline.watch(made)
            return made

        class Plain(urllib3.connection.HTTPConnection):
            def _new_conn(self) -> socket.socket:
                return connect(self)

        class Secure(urllib3.connection.HTTPSConnection):
            def _new_conn(self) -> socket.socket:
                return connect(self)

        class PlainPool(urllib3.connectionpool.HTTPConnectionPool):
            ConnectionCls = Plain

        class SecurePool(urllib3.connectionpool.HTTPSConnectionPool):
            ConnectionCls = Secure

        return {"http": PlainPool, "https": SecurePool}


class HttpClient:
    """Sends one request at a time; each with a connection of its own."""

    def __init__(self, policy: HttpPolicy) -> None:
        self._policy = policy

    def request(
        self, method: str, url: str, body: bytes | None, headers: Mapping[str, str]
    ) -> Answer:
        """Send, and read at most `MAX_ANSWER_BYTES` of the answer.

        Raises:
            HttpFailure: no answer within the policy.
        """
        policy = self._policy
        try:
            host = urlsplit(url).hostname or "the receiver"
            check_url(url, allow_insecure=policy.allow_insecure, allow_hosts=policy.allow_hosts)
        except AddressError as error:
            raise HttpFailure(f"not sent: {error}", permanent=True) from None
        except ValueError:  # its words may hold the URL
            raise HttpFailure("not sent: this is not a URL", permanent=True) from None
        deadline = _Deadline()
        timer = threading.Timer(policy.timeout_s, deadline.expire)
        timer.daemon = True
        timer.start()
        try:
            with _failures(host, policy.timeout_s, deadline):
                return self._exchange(deadline, method, url, body, headers)
        finally:
            timer.cancel()
            deadline.close()

    def _exchange(
        self,
        deadline: _Deadline,
        method: str,
        url: str,
        body: bytes | None,
        headers: Mapping[str, str],
    ) -> Answer:
        policy = self._policy
        with requests.Session() as session:
            session.trust_env = False
            adapter = _Adapter(policy, deadline)
            session.mount("https://", adapter)
            session.mount("http://", adapter)
            if policy.proxy:
                session.proxies = {"http": policy.proxy, "https": policy.proxy}
            with session.request(
                method,
                url,
                data=body,
                headers=dict(headers),
                timeout=policy.timeout_s,
                allow_redirects=False,
                stream=True,
                verify=str(policy.ca_file) if policy.ca_file else True,
            ) as response:
                received, complete = _read(response)
                return Answer(
                    status=response.status_code,
                    headers={name.lower(): value for name, value in response.headers.items()},
                    body=received,
                    complete=complete and not deadline.expired,
                )


def _read(response: requests.Response) -> tuple[bytes, bool]:
    """The body as far as it came, and whether all of it did; a long one is cut on purpose."""
    received = b""
    try:
        for piece in response.iter_content(4096):
            received += piece
            if len(received) >= MAX_ANSWER_BYTES:
                break
    except (requests.RequestException, OSError):
        return received[:MAX_ANSWER_BYTES], False
    return received[:MAX_ANSWER_BYTES], True


@contextlib.contextmanager
def _failures(host: str, timeout_s: float, deadline: _Deadline) -> Iterator[None]:
    """Turn what the library raises into words of ours: its own carry the URL with its token."""
    try:
        yield
    except HttpFailure:
        raise
    except AddressError as error:
        raise HttpFailure(f"not sent: {error}", permanent=True) from None
    except Exception as error:  # noqa: BLE001 the boundary to the library
        if deadline.expired or isinstance(error, requests.Timeout):
            raise HttpFailure(f"{host}: no answer within {timeout_s:g} s") from None
        raise HttpFailure(*_explain(host, error)) from None


def _explain(host: str, error: BaseException) -> tuple[str]:
    cause = _root(error)
    if isinstance(cause, ssl.SSLCertVerificationError):
        return (f"{host}: TLS: {cause.verify_message}",)
    if isinstance(cause, ssl.SSLError):
        return (f"{host}: TLS: {cause.reason or 'handshake failed'}",)
    if isinstance(cause, socket.gaierror):
        return (f"{host}: the name does not resolve",)
    if isinstance(cause, AddressError):
        return (f"not sent: {cause}",)
    if isinstance(cause, OSError) and cause.strerror:
        return (f"{host}: {cause.strerror.lower()}",)
    return (f"{host}: {type(cause).__name__}",)


def _root(error: BaseException) -> BaseException:
    """The first error in the chain that says something: libraries wrap them several times."""
    seen: list[BaseException] = []
    todo: list[BaseException] = [error]
    while todo and len(seen) < 20:
        current = todo.pop(0)
        if current in seen:
            continue
        seen.append(current)
        if isinstance(current, ssl.SSLError | socket.gaierror | AddressError):
            return current
        links = (current.__cause__, current.__context__, getattr(current, "reason", None))
        todo += [link for link in links if isinstance(link, BaseException)]
        todo += [arg for arg in current.args if isinstance(arg, BaseException)]
    for current in reversed(seen):
        if isinstance(current, OSError) and current.strerror:
            return current
    return seen[-1]
