"""What every page stands in: its language, its visitor, the menu; and how a template becomes an answer.

A handler asks for `page: Page` and answers with `page.show(...)` (a whole page), `page.part(...)` (a fragment) or `page.go(...)`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias, cast
from urllib.parse import quote, unquote

import msgspec
from babel.support import NullTranslations
from jinja2 import BytecodeCache, Environment, FileSystemLoader, StrictUndefined
from jinja2.bccache import Bucket
from litestar import Request, Response
from litestar.datastructures import Cookie
from litestar.di import NamedDependency
from litestar.enums import MediaType
from litestar.utils.empty import value_or_default
from litestar.utils.scope.state import ScopeState
from markupsafe import Markup

from borne.core.actor import Actor
from borne.core.scope import Role, Scope
from borne.engine.audit import About
from borne.portal import language as languages
from borne.portal.access import May, Visitor, scope_of, visitor_of
from borne.portal.assets import SPRITE, Assets
from borne.portal.bell import Bells
from borne.portal.formats import Formats, iso
from borne.portal.language import LANGUAGES, N_, Language
from borne.portal.security import address_of, browser_cookie
from borne.portal.services import Services
from borne.store.db import Transaction

TEMPLATE_FOLDER = Path(__file__).parent / "templates"
THEME_COOKIE = "borne_theme"
THEMES = ("light", "dark")
TOAST_COOKIE = "borne_toast"
TOAST_S = 30
TOAST_BOUND = 600
ADDRESS_SIGNS = "%/?#[]@!$&'()*+,;=:~-._"  # what an address may hold as it is

AnyRequest = Request[Any, Any, Any]


class Entry(msgspec.Struct, frozen=True):
    """An entry of the menu. It shows only where its page exists and to whom `may` names.

    `far`: on a phone it is in the sheet behind the person's name, not in the bar. `role`: it is for this role alone.
    """

    path: str
    label: str
    icon: str
    may: May
    far: bool = False
    role: Role | None = None


MENU = (
    Entry("/home", N_("Home"), "house", "see_chargers", role="user"),
    Entry("/dashboard", N_("Overview"), "layout-dashboard", "see_dashboard", far=True),
    Entry("/chargers", N_("Chargers"), "ev-charger", "member"),
    Entry("/restarts", N_("Restarts"), "history", "member"),
    Entry("/sessions", N_("Sessions"), "zap", "see_sessions"),
    Entry("/statistics", N_("Statistics"), "chart-column", "see_statistics", far=True),
    Entry("/savings", N_("Savings"), "leaf", "see_savings", far=True),
    Entry("/vehicles", N_("Vehicles"), "car", "see_vehicles", far=True),
    Entry("/users", N_("Users"), "users", "see_people"),
    Entry("/locations", N_("Locations"), "map-pin", "see_locations", far=True),
    Entry("/organisation", N_("Organisation"), "settings-2", "see_locations", far=True),
)
INSTALLATION_MENU = (
    Entry("/installation/organisations", N_("Organisations"), "building-2", "installation"),
    Entry("/installation/health", N_("Health"), "activity", "installation"),
    Entry("/installation/attempts", N_("Refused attempts"), "shield-alert", "installation"),
    Entry("/installation/outbox", N_("Outbox"), "inbox", "installation"),
)


class _Compiled(BytecodeCache):
    """Compiled templates of this process: the languages share them."""

    def __init__(self) -> None:
        self._kept: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if (kept := self._kept.get(bucket.key)) is not None:
            bucket.bytecode_from_string(kept)

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._kept[bucket.key] = bucket.bytecode_to_string()


COMPILED = _Compiled()


class Frame:
    """The templates, compiled once for each language, and what all pages share."""

    def __init__(self, services: Services, assets: Assets) -> None:
        self.services = services
        self.assets = assets
        self.bells = Bells(services.db, services.bus)
        self.paths: frozenset[str] = frozenset()  # those of the routes, once the app is made
        self.formats = {language: Formats(language, services.clock.now_ms) for language in LANGUAGES}
        self._environments = {language: self._environment(language) for language in LANGUAGES}

    def render(self, template: str, language: Language, context: Mapping[str, Any]) -> str:
        return self._environments[language].get_template(template).render(context)

    def _environment(self, language: Language) -> Environment:
        environment = Environment(
            loader=FileSystemLoader(TEMPLATE_FOLDER),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
            bytecode_cache=COMPILED,
            extensions=["jinja2.ext.i18n"],
        )
        environment.policies["ext.i18n.trimmed"] = True  # as the messages are collected
        words = cast(NullTranslations, languages.translations(language))
        environment.install_gettext_translations(words, newstyle=True)  # type: ignore[attr-defined]
        formats = self.formats[language]
        environment.filters |= {
            name: getattr(formats, name)
            for name in (
                "when",
                "at",
                "ago",
                "clock",
                "date",
                "absolute",
                "duration",
                "number",
                "energy",
                "power",
                "money",
                "day",
            )
        }
        environment.filters["iso"] = iso
        environment.globals |= {
            "static": self.assets.address,
            "icon": self._icon,
            "language": language,
            "languages": languages.NAMES,
        }
        return environment

    def _icon(self, name: str, css: str = "") -> Markup:
        """An icon of the sprite, for decoration: words stand beside it, or the button has a label."""
        return Markup('<svg class="i {}" aria-hidden="true"><use href="{}#{}"/></svg>').format(
            css, self.assets.address(SPRITE), name
        )


class PageView:
    """One request, seen from its handler."""

    def __init__(self, request: AnyRequest) -> None:
        self.request = request
        self.frame = cast(Frame, request.app.state.frame)
        self.services = self.frame.services

    # ---- who and where

    @cached_property
    def visitor(self) -> Visitor | None:
        return visitor_of(self.request)

    @property
    def person(self) -> Visitor:
        """The visitor, behind a guard of "person" or stricter."""
        assert self.visitor is not None
        return self.visitor

    @property
    def scope(self) -> Scope:
        """What the visitor reaches, behind a guard of "member" or stricter."""
        return scope_of(self.request)

    @cached_property
    def actor(self) -> Actor:
        """The visitor as the audit log knows them, behind a guard of "person" or stricter."""
        return Actor(self.person.person_id, self.person.name, self.address)

    async def audit(self, tx: Transaction, action: str, about: About, **details: object) -> None:
        """Write an audit row of the visitor's organisation, in the transaction of what it tells of."""
        organisation = self.person.organisation
        organisation_id = organisation.id if organisation else None
        await self.services.audit.record(tx, self.actor, action, about, organisation_id=organisation_id, **details)

    @cached_property
    def address(self) -> str:
        return address_of(self.request, self.services.settings)

    @property
    def is_part(self) -> bool:
        """Whether htmx asks for a fragment, not for a whole page."""
        return self.request.headers.get("hx-request") == "true"

    @cached_property
    def csrf_token(self) -> str:
        return value_or_default(ScopeState.from_scope(self.request.scope).csrf_token, "")

    # ---- words

    @cached_property
    def language(self) -> Language:
        return languages.choose(
            self.visitor.language if self.visitor else None,
            self.request.cookies.get(languages.COOKIE),
            self.request.headers.get("accept-language", ""),
        )

    @property
    def formats(self) -> Formats:
        return self.frame.formats[self.language]

    def _(self, message: str, **values: object) -> str:
        """A message in the page's language; `%(name)s` in it takes a value."""
        text = languages.translations(self.language).gettext(message)
        return text % values if values else text

    def ngettext(self, one: str, many: str, n: int, **values: object) -> str:
        text = languages.translations(self.language).ngettext(one, many, n)
        return text % {"n": self.formats.number(n), **values}

    # ---- answers

    def show(self, template: str, status_code: int = 200, **context: Any) -> Response[str]:
        """A whole page: a template that extends `frame.html`."""
        response = self._answer(template, status_code, self._frame_context() | context)
        if self._toast is not None:
            response.set_cookie(browser_cookie(self.services.settings, TOAST_COOKIE, "", 0))
        return response

    def part(self, template: str, status_code: int = 200, toast: str | None = None, **context: Any) -> Response[str]:
        """A fragment, with the same context but for the frame's own."""
        response = self._answer(template, status_code, self._context() | context)
        if toast is not None:
            response.headers["hx-trigger"] = toast_event(toast)
        return response

    def go(self, path: str, toast: str | None = None, cookies: Iterable[Cookie] = ()) -> Response[str]:
        """Send the browser on to a path of ours, with a message to show there."""
        path = quote(path, safe=ADDRESS_SIGNS)  # a header holds nothing but ASCII
        answer = Response("", media_type=MediaType.HTML, status_code=200 if self.is_part else 303)
        answer.headers["hx-redirect" if self.is_part else "location"] = path
        for cookie in cookies:
            answer.set_cookie(cookie)
        if toast is not None:
            answer.set_cookie(browser_cookie(self.services.settings, TOAST_COOKIE, quote(toast[:TOAST_BOUND]), TOAST_S))
        return answer

    def _answer(self, template: str, status_code: int, context: Mapping[str, Any]) -> Response[str]:
        text = self.frame.render(template, self.language, context)
        return Response(
            text, media_type=MediaType.HTML, status_code=status_code, headers={"vary": "Cookie, HX-Request"}
        )

    @cached_property
    def _toast(self) -> str | None:
        kept = self.request.cookies.get(TOAST_COOKIE)
        return unquote(kept)[:TOAST_BOUND] if kept else None

    def _context(self) -> dict[str, Any]:
        visitor = self.visitor
        return {
            "page": self,
            "visitor": visitor,
            "scope": visitor.scope if visitor else None,
            "csrf_token": self.csrf_token,
            "now_ms": self.services.clock.now_ms(),
        }

    def _frame_context(self) -> dict[str, Any]:
        theme = self.request.cookies.get(THEME_COOKIE)
        return self._context() | {
            "theme": theme if theme in THEMES else "",
            "menu": self._entries(MENU),
            "installation_menu": self._entries(INSTALLATION_MENU),
            "path": self._path,
            "here": self._here(),
            "toast": self._toast,
            "bell": self._bell(),
            "storage_failing": self.services.storage_failing(),
        }

    def _bell(self) -> int | None:
        """How many notices are not read, None when the bell has to ask; where there is none, too."""
        scope = self.visitor.scope if self.visitor else None
        return self.frame.bells.known(scope) if scope is not None else None

    def _entries(self, entries: tuple[Entry, ...]) -> list[Entry]:
        visitor = self.visitor
        role = visitor.scope.role if visitor and visitor.scope else None
        return [
            entry
            for entry in entries
            if visitor and entry.path in self.frame.paths and visitor.may(entry.may) and entry.role in (None, role)
        ]

    def _here(self) -> str:
        """The address to come back to after a switch of language or theme."""
        if self.request.method != "GET":
            return "/"
        query = self.request.url.query
        return self._path + (f"?{query}" if query else "")

    @property
    def _path(self) -> str:
        """The path that the browser asked for."""
        asked: str = self.request.scope.get("state", {}).get("asked_path") or self.request.url.path
        return asked


Page: TypeAlias = NamedDependency[PageView]  # how handlers ask for it


def toast_event(text: str, kind: str = "ok") -> str:
    """The HX-Trigger header that shows a toast: a header is ASCII, JSON's escapes make it so."""
    return json.dumps({"toast": {"text": text, "kind": kind}})


async def page_of(request: AnyRequest) -> PageView:
    """Litestar's dependency `page`."""
    return PageView(request)
