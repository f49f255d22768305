"""What the service is told when it starts: where it listens, who may ask, how much it takes."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field, fields

from cmelt.errors import ConfigError

DEFAULT_PORT = 8517
SHORTEST_TOKEN = 16
#: How long what still comes of a refused request is thrown away: many clients see an answer only once they have sent all.
LINGER_SECONDS = 2.0


@dataclass(frozen=True)
class Limits:
    """How much one request, and all of them together, may ask for.

    Attributes:
        body_bytes: of one request's body.
        bodies: so many full bodies may be on their way at a time, in all requests together.
        files: parts of one upload.
        receive_seconds: from the first byte of a request until its body is there, at most.
        slow_seconds: in which a request's head has to come; and in which its body has to bring `slow_bytes`, each time anew.
        slow_bytes: see `slow_seconds`.
        answer_seconds: from the first byte until the answer, waiting included.
        waiting: requests whose bodies are there, at work or waiting; one more is told to come again.
        per_caller: of those, from one address; one more from there is told so. None: as many as there may be.
        connections: that are open at a time, idle ones too; one more is told to come again.
        windows: stretches of the model's length that one ECG may have.
        batch_windows: stretches that go through the model together.
        batch_seconds: how long the first of a batch waits for others.
        readers: files that are read at a time.
        stop_seconds: how long requests may take to end once the service is told to stop.
    """

    body_bytes: int = 32 << 20
    bodies: int = 8
    files: int = 8
    receive_seconds: float = 20.0
    slow_seconds: float = 3.0
    slow_bytes: int = 24 << 10
    answer_seconds: float = 60.0
    waiting: int = 64
    per_caller: int | None = None
    connections: int = 512
    windows: int = 180
    batch_windows: int = 32
    batch_seconds: float = 0.005
    readers: int = 2
    stop_seconds: float = 20.0

    def __post_init__(self) -> None:
        for one in fields(self):
            value = getattr(self, one.name)
            if value is not None and not value > 0 and one.name != "batch_seconds":
                raise ConfigError(one.name, "must be more than nothing", "give a positive number")


@dataclass(frozen=True)
class ServiceSettings:
    """Where the service listens and for whom.

    Attributes:
        host: address to bind; loopback unless told otherwise.
        port: 0 for any free one.
        token: what callers have to show; None for nothing. Never printed.
        open_without_token: whether it may listen beyond this machine without a token.
        hosts: names under which callers may address it, beside those of this machine; "*" for any.
        limits: see `Limits`.
    """

    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    token: str | None = field(default=None, repr=False)
    open_without_token: bool = False
    hosts: tuple[str, ...] = ()
    limits: Limits = Limits()

    def __post_init__(self) -> None:
        if self.token is not None and len(self.token) < SHORTEST_TOKEN:
            raise ConfigError("token", f"is shorter than {SHORTEST_TOKEN} characters", "make a random one: openssl rand -hex 32")
        if self.token is not None and not (self.token.isascii() and self.token.isprintable() and " " not in self.token):
            raise ConfigError("token", "holds spaces or letters that no header carries", "make one: openssl rand -hex 32")
        if not 0 <= self.port <= 65535:
            raise ConfigError("port", f"{self.port} is none", "give 1 to 65535, or 0 for any free one")
        if not is_loopback(self.host) and self.token is None and not self.open_without_token:
            raise ConfigError(
                "host",
                f"{self.host} is reached from other machines, and no token is set",
                "set one with --token-file or CMELT_TOKEN, stay on 127.0.0.1, or say --open-without-token",
            )

    @property
    def checked_hosts(self) -> frozenset[str] | None:
        """Names that a request's Host header may give, in lower case; None where any may.

        A page elsewhere whose name is made to point here (DNS rebinding) is told off by it. With a token that page lacks, and
        beyond loopback, where names are not known here, any name will do unless some are given.
        """
        if "*" in self.hosts or (not self.hosts and not is_loopback(self.host)):
            return None
        own = {"localhost", "127.0.0.1", "[::1]", f"[{self.host}]" if ":" in self.host else self.host}
        return frozenset(name.lower() for name in (*own, *self.hosts))


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches `host`. A name other than localhost counts as reached from elsewhere."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
