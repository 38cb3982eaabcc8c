"""An organisation with very many people, locations and chargers: how long the server takes for each of its pages."""

import re
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace

from bench import measure
from bench.portal import Browser
from bench.scenarios import Figure, Plan
from bench.stage import Running
from bench.subjects import ADMIN_EMAIL, PASSWORD, Subject, admin

SETTLE_S = 3.0  # the gateway's directory reads the new chargers
IDLE_S = 0.01

# Searches ask for what many, a few and none have. {user}, {location} and {group} are some that the lists lead to.
PAGES = (
    "/users", "/users?q=martin", "/users?q=p77", "/users?q=zebra", "/users?location={location}", "/users?page=100",
    "/users?sort=-seen", "/users?role=admin", "/users/{user}", "/locations", "/locations?q=lyon", "/locations?page=5",
    "/locations/{location}", "/access-groups", "/access-groups?q=7", "/access-groups/{group}",
    "/access-groups/{group}/people", "/tags", "/tags?q=martin", "/tags?q=zebra", "/tags?state=blocked", "/tags?page=100",
    "/audit", "/audit?q=martin", "/audit?q=zebra", "/audit?kind=chargers", "/notices", "/notices?page=10", "/plan",
    "/sessions", "/sessions?location={location}", "/sessions?q=quai", "/organisation",
)  # fmt: skip
NOT_OF_ADMINS = ("/audit", "/plan")


def big(subject: Subject, plan: Plan, core: int, beside: int) -> Iterator[Figure]:
    """The p99 of all pages as a super-admin and as an admin of three locations, with the slowest page of each."""
    with subject.start(core, 1) as running:
        config = str(running.config)
        admin(config, "create-user", "--email", ADMIN_EMAIL, "--password", PASSWORD, "--role", "admin")
        fill(running, "organisation", plan.share)
        asked = plan.requests // 3
        yield from pages(running, Browser.of(running), PAGES, asked, "big_p99")
        limited = Browser.of(replace(running, login=(ADMIN_EMAIL, PASSWORD)))
        those = [page for page in PAGES if not page.startswith(NOT_OF_ADMINS)]
        yield from pages(running, limited, those, asked, "big_admin_p99")


def fill(running: Running, what: str, size: float) -> str:
    """Write to the server's database beside it; gives in words how much. Raises RuntimeError with the words of the writer."""
    started = time.monotonic()
    words = [what, running.database_url or "", str(running.chargers_file.parent), str(size)]
    done = subprocess.run([sys.executable, "-m", "bench.fill", *words], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"the database was not filled: {done.stderr[-2000:]}")
    print(f"  filled in {time.monotonic() - started:.0f} s {done.stdout.strip()}", flush=True)
    time.sleep(SETTLE_S)
    return done.stdout.strip()


def pages(running: Running, browser: Browser, paths: Iterable[str], rounds: int, name: str) -> Iterator[Figure]:
    """Ask for each page in turn, `rounds` times, with a little rest between; the first time of each is left out."""
    names = found(browser)
    times: dict[str, list[float]] = {}
    for number in range(rounds + 1):
        for path in paths:
            started = time.perf_counter()
            browser.get(path.format(**names))
            if number:
                times.setdefault(path, []).append((time.perf_counter() - started) * 1e3)
            time.sleep(IDLE_S)
    every = [value for values in times.values() for value in values]
    p99s = {path: measure.percentile(values, 0.99) for path, values in times.items()}
    slow = sorted(p99s, key=lambda path: -p99s[path])[:5]
    note = f"p50 {measure.percentile(every, 0.5):.1f}, {len(every)} requests of {len(times)} pages, slowest: "
    note += ", ".join(f"{path} {measure.percentile(times[path], 0.5):.0f}/{p99s[path]:.0f}" for path in slow)
    yield Figure(name, running.name, measure.percentile(every, 0.99), "ms", note + " (p50/p99)")


def found(browser: Browser) -> dict[str, str]:
    """A user, a location and an access group that this person reaches."""
    names = {}
    for name, path in (("user", "/users"), ("location", "/locations"), ("group", "/access-groups")):
        ids = re.findall(rf'href="{path}/(\d+)"', browser.get(path))
        if not ids:
            raise RuntimeError(f"{path} leads nowhere")
        names[name] = ids[len(ids) // 2]
    if sessions := re.findall(r'href="/sessions/(\d+)"', browser.get("/sessions")):
        names["session"] = sessions[len(sessions) // 2]
    return names
