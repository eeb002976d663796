"""The data gateway carries every request, and says which hop failed; with real proxies and real certificates."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from threading import Event
from typing import TYPE_CHECKING, Any

import pytest
import trustme

import reiterate
from reiterate.api import Client, Clock, Pacer
from reiterate.errors import GatewayError, Unauthorized, Unreachable
from reiterate.flow import RunFinished, Status
from reiterate.library.opening import now_utc
from reiterate.settings import Secret
from reiterate.simulator import ServerOptions, Simulator, WorldOptions
from tests import replica
from tests.conftest import KEY, settings
from tests.walk.proxy import EGRESS, Proxy

if TYPE_CHECKING:
    from pathlib import Path

    from reiterate import ReiterateError

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has 127.0.0.2 without being asked")

SMALL = WorldOptions(days=1, events_per_day=100)
CREDENTIALS = "egress:5e(ret-of-the-gate"


class Certificates:
    """A private certificate authority, and a certificate of this machine that it signed."""

    def __init__(self, directory: Path) -> None:
        authority = trustme.CA()
        self.bundle = directory / "authority.pem"
        self.server = directory / "server.pem"
        authority.cert_pem.write_to_path(str(self.bundle))
        authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(self.server))


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return Certificates(tmp_path)


def first_error(**values: Any) -> ReiterateError:
    """Return the first error that testing a connection meets."""
    return next(check.error for check in reiterate.check(**values) if check.error)


@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
@pytest.mark.parametrize("credentials", ["", CREDENTIALS], ids=["open", "credentials"])
@pytest.mark.parametrize("scheme", ["http", "https", "socks5", "socks5h"])
def test_every_request_passes_the_gateway(
    certificates: Certificates, tmp_path: Path, scheme: str, credentials: str, *, tls: bool
) -> None:
    """A sync through a proxy reads all tables, file downloads included, and asks nothing past it."""
    options = ServerOptions(api_key=KEY, certificate=certificates.server if tls else None)
    certificate = certificates.server if scheme == "https" else None
    with (
        Simulator(SMALL, options) as simulator,
        Proxy(scheme, credentials=credentials, certificate=certificate) as proxy,
    ):
        file = tmp_path / "replica.duckdb"
        values = settings(simulator, file, data_gateway=proxy.address_with_credentials, ca_bundle=certificates.bundle)
        *_, last = reiterate.sync(**values)
        assert isinstance(last, RunFinished)
        assert Status.SUCCEEDED is last.status
        assert {} == replica.differences(file, simulator)
        assert {EGRESS} == {seen.peer for seen in simulator.requests}


@pytest.mark.parametrize("wrong", ["", "egress:wrong@"], ids=["none", "wrong"])
@pytest.mark.parametrize(
    ("scheme", "message"),
    [
        ("http", "The data gateway wants other credentials."),
        # this proxy hangs up instead of saying why
        ("socks5h", "The data gateway could not be passed."),
    ],
)
def test_refused_credentials(simulator: Simulator, tmp_path: Path, scheme: str, message: str, wrong: str) -> None:
    """A proxy that refuses the credentials is named, without them; Iterable is never asked past it."""
    with Proxy(scheme, credentials=CREDENTIALS) as proxy:
        gateway = f"{scheme}://{wrong}127.0.0.1:{proxy.port}"
        error = first_error(**settings(simulator, tmp_path / "replica.duckdb", data_gateway=gateway))
        assert isinstance(error, GatewayError)
        assert message in str(error)
        assert proxy.address in str(error)
        assert "credentials" in str(error)
        assert "wrong" not in str(error)
        assert [] == simulator.requests


@pytest.mark.parametrize("scheme", ["http", "https", "socks5", "socks5h"])
def test_a_gateway_that_is_not_there(simulator: Simulator, tmp_path: Path, scheme: str) -> None:
    """A proxy that does not answer is the hop that failed."""
    with Proxy("http") as proxy:
        pass
    gateway = f"{scheme}://127.0.0.1:{proxy.port}"
    error = first_error(**settings(simulator, tmp_path / "replica.duckdb", data_gateway=gateway))
    assert isinstance(error, GatewayError)
    assert gateway in str(error)
    assert [] == simulator.requests


@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
@pytest.mark.parametrize("scheme", ["http", "socks5h"])
def test_iterable_is_not_there_behind_the_gateway(
    simulator: Simulator, tmp_path: Path, scheme: str, *, tls: bool
) -> None:
    """When the proxy answers and the API does not, the API's address is the hop that failed."""
    address = f"http{'s' if tls else ''}://127.0.0.1:9"
    with Proxy(scheme) as proxy:
        values = settings(simulator, tmp_path / "replica.duckdb", api_address=address, data_gateway=proxy.address)
        error = first_error(**values)
        assert isinstance(error, GatewayError | Unreachable)
        assert proxy.address in str(error)
        assert address in str(error)


def test_a_certificate_that_nobody_vouches_for(certificates: Certificates, tmp_path: Path) -> None:
    """Without its authority a certificate is refused, and `ca_bundle` is named as the remedy."""
    with Simulator(SMALL, ServerOptions(api_key=KEY, certificate=certificates.server)) as simulator:
        error = first_error(**settings(simulator, tmp_path / "replica.duckdb"))
        assert isinstance(error, Unreachable)
        assert "ca_bundle" in str(error)
        assert [] == simulator.requests


def test_proxies_of_the_environment_are_ignored(
    simulator: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`data_gateway = none` is a direct way, whatever HTTP_PROXY says."""
    with ExitStack() as stack:
        proxy = stack.enter_context(Proxy("http"))
        monkeypatch.setenv("HTTP_PROXY", proxy.address)
        monkeypatch.setenv("http_proxy", proxy.address)
        assert all(check.error is None for check in reiterate.check(**settings(simulator, tmp_path / "replica.duckdb")))
        assert {"127.0.0.1"} == {seen.peer for seen in simulator.requests}


def test_a_key_of_the_other_region(simulator: Simulator) -> None:
    """A key that is refused here and works in the other region is told from a wrong one."""
    with Simulator(SMALL, ServerOptions(api_key="another")) as other:
        client = Client(
            other.url,
            Secret(KEY),
            pacer=Pacer(factor=1e6, stop=Event()),
            clock=Clock(now_utc),
            other_address=simulator.url,
        )
        with pytest.raises(Unauthorized, match="belongs to the other region") as caught:
            client.caller().json("/api/campaigns", form=lambda answer: answer)
        client.close()
    assert simulator.url in str(caught.value)
    assert KEY not in str(caught.value)
