"""What every test may ask for: the event loop, a browser, a PostgreSQL. And the policy on what is missing."""

from collections.abc import Generator, Iterator
from pathlib import Path

import hypothesis
import pytest

from tests.sim.coverage import pytest_runtest_logreport, pytest_sessionfinish, pytest_terminal_summary
from tests.support import chromium, postgres, tenancy_lint
from tests.support.policy import in_ci, require, unavailable

__all__ = ["pytest_runtest_logreport", "pytest_sessionfinish", "pytest_terminal_summary"]

TESTS = Path(__file__).parent
# Fast tests tell first. The browser's own come last: while it is open its event loop holds the thread.
SLOW, SIMULATED, BROWSER = 1, 2, 3
SIM_TIMEOUT_S = 900

# How long an example takes says nothing on a machine that does other things too.
hypothesis.settings.register_profile("borne", deadline=None)
hypothesis.settings.load_profile("borne")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put what takes long last, and give the simulation the time that its seeds need."""
    items.sort(key=_lateness)
    for item in items:
        if _folder(item) == "sim" and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(SIM_TIMEOUT_S))


# Every statement that Borne makes while tests run keeps to one organisation, or says why not.
GUARD = tenancy_lint.installed()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, None, None]:
    """A statement that reached several tenants fails its test, whoever swallowed the exception."""
    GUARD.taken()
    yield
    if found := GUARD.taken():
        pytest.fail("\n\n".join(found), pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI nothing is skipped quietly: a skip that did not come through `require` fails too."""
    report = yield
    if in_ci() and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, which CI does not allow: {report.longreprtext}"
    return report


def _folder(item: pytest.Item) -> str:
    parts = item.path.relative_to(TESTS).parts if item.path.is_relative_to(TESTS) else ()
    return parts[0] if len(parts) > 1 else ""


def _lateness(item: pytest.Item) -> int:
    if _folder(item) == "sim":
        return SIMULATED
    if _folder(item) == "browser" and item.get_closest_marker("anyio") is None:
        return BROWSER
    return SLOW if item.get_closest_marker("slow") else 0


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Async tests run on asyncio alone: it is what Borne runs on."""
    return "asyncio"


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """The Chromium to drive with playwright: `launch(executable_path=chromium_path, args=chromium.FLAGS)`."""
    path = chromium.find_chromium()
    require(path, chromium.HINT)
    assert path is not None
    return path


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[postgres.PostgresServer]:
    """A PostgreSQL of this test process (each xdist worker has its own), stopped at the end."""
    running = postgres.running_server()
    try:
        server = running.__enter__()
    except postgres.PostgresUnavailableError as error:
        unavailable(str(error))
    yield server
    running.__exit__(None, None, None)


@pytest.fixture(scope="session")
def postgres_url(postgres_server: postgres.PostgresServer) -> str:
    """URL of the server's maintenance database. Tests that write use `postgres_database`."""
    return postgres_server.url


@pytest.fixture
def postgres_database(postgres_server: postgres.PostgresServer) -> Iterator[str]:
    """URL (`postgresql://…`) of an empty database that only this test uses."""
    with postgres_server.database() as url:
        yield url
