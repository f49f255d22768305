"""Who may reach the service, said before it listens."""

from __future__ import annotations

import pytest

from cmelt.errors import ConfigError
from cmelt.serving.http.settings import Limits, ServiceSettings, is_loopback

TOKEN = "a-token-of-thirty-two-characters"


@pytest.mark.parametrize(("host", "own"), [
    ("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("::", False),
    ("192.168.1.7", False), ("example.org", False), ("localhost.example.org", False), ("", False),
])  # fmt: skip
def test_loopback_is_this_machine_alone(host, own):
    assert is_loopback(host) is own


def test_beyond_this_machine_a_token_or_a_word_is_needed():
    with pytest.raises(ConfigError, match="no token is set"):
        ServiceSettings(host="0.0.0.0")
    assert ServiceSettings(host="0.0.0.0", token=TOKEN).checked_hosts is None
    assert ServiceSettings(host="0.0.0.0", open_without_token=True).token is None
    assert ServiceSettings().host == "127.0.0.1"


def test_a_token_is_long_printable_and_never_printed():
    for token in ("short", "with spaces in the middle of it", "ümlaut-in-a-token-of-this-length"):
        with pytest.raises(ConfigError, match="token"):
            ServiceSettings(token=token)
    assert TOKEN not in repr(ServiceSettings(token=TOKEN))


def test_on_loopback_only_names_of_this_machine_are_answered_unless_more_are_given():
    own = ServiceSettings().checked_hosts
    assert own == {"localhost", "127.0.0.1", "[::1]"}
    assert ServiceSettings(hosts=("ECG.example",)).checked_hosts == {*own, "ecg.example"}
    assert ServiceSettings(hosts=("*",)).checked_hosts is None
    assert ServiceSettings(host="0.0.0.0", token=TOKEN, hosts=("ward",)).checked_hosts == {*own, "0.0.0.0", "ward"}


def test_limits_are_more_than_nothing_and_ports_are_ports():
    with pytest.raises(ConfigError, match="waiting"):
        Limits(waiting=0)
    assert Limits(batch_seconds=0.0).batch_seconds == 0
    with pytest.raises(ConfigError, match="port"):
        ServiceSettings(port=70000)
