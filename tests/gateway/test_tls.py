"""TLS: profiles 2 and 3, and who is refused."""

import asyncio
import shutil
import ssl
import subprocess
from pathlib import Path

import pytest
from msgspec.structs import replace

from borne.core.facts import LinkOpened
from borne.gateway.settings import GatewaySettings
from tests.gateway.fakes import SECRET, SETTINGS, house
from tests.gateway.peers import Raw, basic
from tests.support.policy import require

pytestmark = pytest.mark.anyio


class Authority:
    """Makes certificates into a folder, with the openssl program."""

    def __init__(self, folder: Path, name: str) -> None:
        require(shutil.which("openssl"), "the openssl program is not installed")
        self.folder = folder
        self.name = name
        self.path, self.key = folder / f"{name}.pem", folder / f"{name}.key"
        self._run(
            "req", "-x509", *self._new_key(self.key), "-out", str(self.path), "-days", "2", "-subj", f"/CN={name}"
        )

    def issue(self, name: str, days: int = 1) -> tuple[Path, Path]:
        """Certificate and key for a common name."""
        stem = self.folder / f"{name}-{days}"
        certificate, key, request = (Path(f"{stem}.{kind}") for kind in ("pem", "key", "csr"))
        self._run("req", "-new", *self._new_key(key), "-out", str(request), "-subj", f"/CN={name}")
        signing = ("-CA", str(self.path), "-CAkey", str(self.key), "-CAcreateserial", "-days", str(days))
        self._run("x509", "-req", "-in", str(request), "-out", str(certificate), *signing)
        return certificate, key

    def _new_key(self, path: Path) -> tuple[str, ...]:
        return ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", str(path))

    def _run(self, *command: str) -> None:
        subprocess.run(["openssl", *command], check=True, capture_output=True)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"), "root")


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("other"), "stranger")


@pytest.fixture(scope="module")
def tls_settings(authority: Authority) -> GatewaySettings:
    certificate, key = authority.issue("localhost")
    return replace(
        SETTINGS,
        tls_certificate=str(certificate),
        tls_key=str(key),
        tls_client_ca=str(authority.path),
        handshake_timeout_s=0.5,
    )


def client(authority: Authority, shown: tuple[Path, Path] | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(authority.path))
    context.check_hostname = False
    if shown is not None:
        context.load_cert_chain(*shown)
    return context


async def test_profile_2_a_password_inside_tls(authority: Authority, tls_settings: GatewaySettings) -> None:
    async with house(tls_settings) as it:
        raw = await Raw.connect(it, client(authority))
        assert (await raw.request(b"/ocpp/CP1", basic("CP1", SECRET)))[0] == 101
        assert (await it.engine.wait_for(LinkOpened))[0].security == "tls"
        raw.close()


async def test_profile_3_a_certificate_instead_of_a_password(
    authority: Authority, tls_settings: GatewaySettings
) -> None:
    async with house(tls_settings) as it:
        raw = await Raw.connect(it, client(authority, authority.issue("CP1")))
        assert (await raw.request(b"/ocpp/CP1"))[0] == 101
        assert (await it.engine.wait_for(LinkOpened))[0].security == "mutual_tls"
        raw.close()


async def test_s4_a_certificate_of_another_charger_is_refused_even_with_the_password(
    authority: Authority, tls_settings: GatewaySettings
) -> None:
    async with house(tls_settings) as it:
        raw = await Raw.connect(it, client(authority, authority.issue("CP2")))
        assert (await raw.request(b"/ocpp/CP1", basic("CP1", SECRET)))[0] == 401
        assert [attempt.reason for attempt in it.attempts.recent()] == ["certificate"]
        raw.close()


async def test_without_a_certificate_the_password_counts(authority: Authority, tls_settings: GatewaySettings) -> None:
    async with house(tls_settings) as it:
        raw = await Raw.connect(it, client(authority))
        assert (await raw.request(b"/ocpp/CP1"))[0] == 401
        raw.close()


@pytest.mark.parametrize("which", ["expired", "stranger"])
async def test_a16_certificates_that_do_not_verify_end_the_handshake(
    which: str, authority: Authority, stranger: Authority, tls_settings: GatewaySettings
) -> None:
    shown = authority.issue("CP1", -1) if which == "expired" else stranger.issue("CP1")
    async with house(tls_settings) as it:
        with pytest.raises((ssl.SSLError, ConnectionError, asyncio.IncompleteReadError)):
            raw = await Raw.connect(it, client(authority, shown))
            await raw.request(b"/ocpp/CP1")
        assert it.engine.facts == []


async def test_a16_tls_1_1_is_refused(authority: Authority, tls_settings: GatewaySettings) -> None:
    context = client(authority)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    async with house(tls_settings) as it:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await Raw.connect(it, context)


async def test_t8_a_tls_handshake_that_never_ends_is_dropped(tls_settings: GatewaySettings) -> None:
    async with house(tls_settings) as it:
        raw = await Raw.connect(it)
        raw.writer.write(b"\x16\x03\x01")
        await raw.ended(3)


async def test_plain_http_on_the_tls_port_gets_no_link(tls_settings: GatewaySettings) -> None:
    async with house(tls_settings) as it:
        raw = await Raw.connect(it)
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await raw.request(b"/ocpp/CP1", basic("CP1", SECRET))
        assert it.engine.facts == []


async def test_an_unreadable_certificate_is_said_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        async with house(replace(SETTINGS, tls_certificate=str(tmp_path / "none.pem"))):
            pass
    (tmp_path / "bad.pem").write_text("nonsense")
    with pytest.raises(ssl.SSLError):
        async with house(replace(SETTINGS, tls_certificate=str(tmp_path / "bad.pem"))):
            pass
