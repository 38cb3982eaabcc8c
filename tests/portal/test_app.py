"""The application: headers, static files, the menu, health."""

import gzip
import re
from pathlib import Path

import pytest

from borne.portal.assets import STATIC_FOLDER, Assets, icon_names
from borne.portal.frame import TEMPLATE_FOLDER
from borne.portal.security import address_of
from borne.portal.services import PortalSettings
from tests.support.portal import Portal, log_in, running_portal

pytestmark = pytest.mark.anyio
CAMILLE = "camille@demo.test"


async def with_camille(portal: Portal, operates: bool = False) -> None:
    organisation_id, _ = await portal.add_organisation()
    await portal.add_person(CAMILLE, (organisation_id, "super-admin"), operates=operates)


@pytest.mark.parametrize("path", ["/login", "/nothing", "/healthz", "/account", "/static/x/nothing.js"])
async def test_every_answer_carries_the_headers(tmp_path: Path, path: str) -> None:
    async with running_portal(tmp_path) as portal, portal.client() as browser:
        await with_camille(portal)
        headers = (await browser.get(path, follow_redirects=False)).headers
        policy = headers["content-security-policy"]
        assert "script-src 'self';" in policy
        assert "style-src 'self';" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert "default-src 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
        assert headers["cache-control"] == "no-store"
        assert "strict-transport-security" not in headers


async def test_static_files_are_kept_for_a_year_under_the_hash_of_their_content(tmp_path: Path) -> None:
    async with running_portal(tmp_path) as portal, portal.client() as browser:
        page = (await browser.get("/setup")).text
        addresses = re.findall(r'(?:href|src)="(/static/[^"#]+)"', page)
        assert len(addresses) >= 4
        for address in addresses:
            answer = await browser.get(address)
            assert answer.status_code == 200
            assert "immutable" in answer.headers["cache-control"]
        stale = await browser.get("/static/0000000000000000/css/base.css")
        assert stale.headers["cache-control"] == "no-cache"
        assert stale.headers["content-type"].startswith("text/css")


async def test_no_static_address_leaves_its_folder(tmp_path: Path) -> None:
    async with running_portal(tmp_path) as portal, portal.client() as browser:
        await with_camille(portal)
        for path in ("../app.py", "..%2fapp.py", "css/../../app.py", "icons/LICENSE", "vendor/README", "/etc/passwd"):
            assert (await browser.get(f"/static/x/{path}")).status_code == 404, path


def test_the_hash_follows_the_content(tmp_path: Path) -> None:
    (tmp_path / "icons").mkdir()
    (tmp_path / "a.js").write_text("1")
    before = Assets(tmp_path)
    (tmp_path / "a.js").write_text("2")
    assert Assets(tmp_path).hash != before.hash
    with pytest.raises(KeyError):
        before.address("b.js")


async def test_a_page_is_never_compressed_beside_its_token(tmp_path: Path) -> None:
    async with running_portal(tmp_path) as portal, portal.client() as browser:
        answer = await browser.get("/setup", headers={"accept-encoding": "gzip, br"})
        assert "_csrf_token" in answer.text
        assert "content-encoding" not in answer.headers


def test_what_is_compressed_is_the_same() -> None:
    asset = Assets().get("css/base.css")
    assert asset is not None
    assert asset.gzipped is not None
    assert gzip.decompress(asset.gzipped) == asset.body
    assert len(asset.gzipped) < len(asset.body) / 2


def test_each_icon_in_the_sprite_is_used_and_each_used_one_is_there() -> None:
    portal = TEMPLATE_FOLDER.parent
    sources = [*TEMPLATE_FOLDER.rglob("*.html"), *portal.glob("*.py"), *(STATIC_FOLDER / "js").glob("*.js")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    unused = [name for name in icon_names() if not re.search(rf"['\"#]{name}['\"]", text)]
    assert unused == []
    asked = set(re.findall(r"\bicon\('([\w-]+)'", text))
    assert asked <= set(icon_names())


TEMPLATES = sorted(TEMPLATE_FOLDER.rglob("*.html"))


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_templates_obey_the_security_policy(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"\sstyle\s*=", text)
    assert not re.search(r"\son[a-z]+\s*=", text)
    assert not re.search(r"<script(?![^>]*\bsrc=)", text)
    assert not re.search(r"<style\b", text)
    assert not re.search(r"hx-on|\bjs:|javascript:|hx-trigger=\"[^\"]*\[", text)
    assert "|safe" not in text
    assert not re.search(r"{%\s*autoescape", text)


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_every_form_that_posts_carries_its_token(path: Path) -> None:
    for form in re.findall(r"<form\b[^>]*method=\"post\".*?</form>", path.read_text(encoding="utf-8"), re.DOTALL):
        assert 'name="_csrf_token"' in form


async def test_the_menu_shows_what_exists_to_whom_it_is_for(tmp_path: Path) -> None:
    async with running_portal(tmp_path) as portal, portal.client() as browser, portal.client() as operator:
        await with_camille(portal)
        await portal.add_person("op@demo.test", operates=True)
        await log_in(browser, CAMILLE)
        await log_in(operator, "op@demo.test")
        assert "/installation/" not in (await browser.get("/account")).text
        shown = (await operator.get("/account")).text
        assert 'href="/installation/attempts"' in shown
        assert 'href="/chargers"' not in shown  # belongs to no organisation
        page = await operator.get("/installation/outbox")
        assert 'href="/installation/outbox" aria-current="page"' in page.text


async def test_every_entry_of_the_menu_opens(tmp_path: Path) -> None:
    async with running_portal(tmp_path) as portal, portal.client() as browser:
        await with_camille(portal, operates=True)
        await log_in(browser, CAMILLE)
        page = (await browser.get("/account")).text
        menu = page[page.index("<nav") : page.index("</nav>")]
        paths = set(re.findall(r'<a class="item[^"]*" href="([^"]+)"', menu))
        assert {"/account", "/installation/attempts", "/installation/outbox"} <= paths
        for path in paths:
            assert (await browser.get(path)).status_code == 200, path


async def test_a_page_in_french_has_no_english_frame(tmp_path: Path) -> None:
    async with running_portal(tmp_path) as portal, portal.client(**{"accept-language": "fr"}) as browser:
        await with_camille(portal, operates=True)
        await log_in(browser, CAMILLE)
        page = (await browser.get("/account")).text
        assert '<html lang="fr">' in page
        for word in ("Se déconnecter", "Connexions refusées", "Votre compte", "Menu principal"):
            assert word in page
        assert "Log out" not in page


async def test_health_follows_what_the_portal_stands_on(tmp_path: Path) -> None:
    async with running_portal(tmp_path, storage_failing=lambda: True) as portal, portal.client() as browser:
        answer = await browser.get("/healthz")
        assert (answer.status_code, answer.text) == (503, "not ready")


@pytest.mark.parametrize(
    ("peer", "forwarded", "trusted", "address"),
    [
        ("192.0.2.7", "203.0.113.5", (), "192.0.2.7"),
        ("192.0.2.7", "203.0.113.5", ("10.0.0.0/8",), "192.0.2.7"),
        ("10.0.0.2", "203.0.113.5", ("10.0.0.0/8",), "203.0.113.5"),
        ("10.0.0.2", "6.6.6.6, 203.0.113.5, 10.0.0.3", ("10.0.0.0/8",), "203.0.113.5"),
        ("10.0.0.2", "nonsense", ("10.0.0.0/8",), "10.0.0.2"),
        ("10.0.0.2", "", ("10.0.0.0/8",), "10.0.0.2"),
    ],
)
def test_only_a_trusted_proxy_names_the_address(
    peer: str, forwarded: str, trusted: tuple[str, ...], address: str
) -> None:
    from litestar.testing import RequestFactory

    request = RequestFactory().get("/", headers={"x-forwarded-for": forwarded})
    request.scope["client"] = (peer, 1)
    assert address_of(request, PortalSettings(csrf_secret="s", trusted_proxies=trusted)) == address
