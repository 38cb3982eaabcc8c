"""Find the Chromium that browser tests drive, and the flags that make it start everywhere."""

import os
import shutil

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
HINT = "Chromium is not installed (apt-get install chromium, or name one in BORNE_CHROMIUM)"
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def find_chromium() -> str | None:
    """Return the path of a Chromium: `BORNE_CHROMIUM` when set, else the first known name on the PATH."""
    chosen = os.environ.get("BORNE_CHROMIUM")
    candidates = (chosen,) if chosen else NAMES
    return next((path for name in candidates if (path := shutil.which(name))), None)
