"""Notices in tests: what makes and mails them, on the house's database and clock."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select, update

from borne.bus.port import Hint
from borne.core.notifications import Event, Wish
from borne.engine.notice_mail import NoticeMail
from borne.engine.notifications import Notifications
from borne.portal.notice_words import composer
from borne.store import notices as store
from borne.store.schema import news, notices, people
from tests.support.house import House
from tests.support.portal import SentMail

STEP_S = 60
KEY = b"a key of the tests"


class Desk:
    """The notices of a house: `wait` lets time pass as the running server would."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.mail = SentMail()
        self.bells: list[Hint] = []
        self.notifications = Notifications(house.db, house.bus, house.clock)
        compose = composer("https://borne.test", house.clock.now_ms)
        self.post = NoticeMail(house.db, house.clock, self.mail, KEY, compose)  # type: ignore[arg-type]
        house.bus.listen("notices", self.bells.append)

    async def look(self) -> None:
        """What the server does every few seconds."""
        await self.notifications.take_news()
        await self.notifications.look()
        await self.post.send_due()

    async def wait(self, minutes: float) -> None:
        """Let time pass, and look each minute."""
        rest_s = minutes * 60
        while rest_s > 0:
            self.house.clock.pass_s(min(STEP_S, rest_s))
            rest_s -= STEP_S
            await self.look()

    async def told(self, **wanted: Any) -> list[Any]:
        """The notices with these columns, oldest first."""
        conditions = [notices.c[name] == value for name, value in wanted.items()]
        return await self.house.db.all(select(notices).where(*conditions).order_by(notices.c.id))

    async def news_waiting(self) -> int:
        return len(await self.house.db.all(select(news.c.id)))

    async def wishes(self, person_id: int, organisation_id: int, **wishes: Wish) -> None:
        """Replace a person's rules."""
        rows: list[tuple[Event | str, int, int, int]] = [
            (event, int(one.in_portal), int(one.by_mail), one.minutes) for event, one in wishes.items()
        ]
        async with self.house.db.transaction() as tx:
            await store.set_rules(tx, person_id, organisation_id, rows)

    async def change_person(self, person_id: int, **values: Any) -> None:
        async with self.house.db.transaction() as tx:
            await tx.run(update(people).where(people.c.id == person_id).values(**values))
