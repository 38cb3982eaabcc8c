"""The meter of a location as people bring its values: a file that is wrong, one that is right, and what the pages then say."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.support.browser import PHONE, overflows

WORDS = {
    "en-GB": {
        "prices": "Energy prices", "new": "New price", "price": "Price of a kWh", "feed_in": "What feeding a kWh in earns",
        "add": "Add", "earns": "feeding in earns", "none": "No meter gives values here", "meter": "Site meter",
        "file": "CSV or JSON",
        "look": "Look at it",
        "nothing": "Nothing of it can be kept", "negative": "Energy is never negative",
        "another": "Another file", "would": "2 quarters of an hour would be kept", "keep": "Keep these values",
        "kept": "2 quarters of an hour were kept", "share": "75%", "until": "The site meter gave values until",
    },
    "fr-FR": {
        "prices": "Prix de l’énergie", "new": "Nouveau prix", "price": "Prix d’un kWh",
        "feed_in": "Ce que rapporte un kWh injecté",
        "add": "Ajouter", "earns": "l’injection rapporte", "none": "Aucun compteur ne donne de valeurs ici",
        "meter": "Compteur du site", "file": "CSV ou JSON", "look": "Examiner",
        "nothing": "Rien n’en peut être gardé", "negative": "L’énergie n’est jamais négative", "another": "Un autre fichier",
        "would": "2 quarts d’heure seraient gardés", "keep": "Garder ces valeurs", "kept": "2 quarts d’heure ont été gardés",
        "share": "75\N{NO-BREAK SPACE}%", "until": "Le compteur du site a donné des valeurs jusqu’au",
    },
}  # fmt: skip
HEAD = "start,import_wh,export_wh,solar_wh\n"
WRONG = HEAD + "2026-03-01T12:00+01:00,-5,0,100\n2026-03-01T12:15+01:00,5,0,lots\n"
GOOD = HEAD + "2026-03-01T12:00+01:00,1000,0,3000\n2026-03-01T12:15+01:00,500,500,2000\n"


@pytest.mark.parametrize(("locale", "viewport"), [("en-GB", None), ("fr-FR", PHONE)], ids=["en", "fr-phone"])
def test_from_no_meter_to_a_solar_share(browse, new_organisation, locale, viewport):
    browse.watch.expect("status of 422")
    word, name = WORDS[locale], new_organisation("business", "East")
    page = browse.open("/locations", f"boss@{name}.test", locale=locale, **({"viewport": viewport} if viewport else {}))
    page.get_by_role("link", name="East").first.click()
    page.locator('main a[href$="/prices"]').first.click()
    expect(page.get_by_text(word["none"])).to_be_visible()
    page.get_by_role("link", name=word["new"]).first.click()
    page.get_by_label(word["price"]).fill("0,25")
    page.get_by_label(word["feed_in"]).fill("0,08")
    page.get_by_role("button", name=word["add"], exact=True).click()
    expect(page.locator("main")).to_contain_text(word["earns"])
    assert overflows(page) == 0
    page.get_by_role("link", name=word["meter"]).click()
    assert overflows(page) == 0
    _give(page, word, WRONG)
    expect(page.get_by_role("heading", level=1)).to_have_text(word["nothing"])
    expect(page.get_by_role("row").filter(has_text=word["negative"])).to_contain_text("2")
    assert overflows(page) == 0
    page.get_by_role("link", name=word["another"]).click()
    _give(page, word, GOOD)
    expect(page.get_by_role("heading", level=1)).to_have_text(word["would"])
    assert overflows(page) == 0
    page.get_by_role("button", name=word["keep"]).click()
    expect(page.get_by_text(word["kept"])).to_be_visible()
    expect(page.locator("main")).to_contain_text(word["share"])
    page.get_by_role("link", name=word["prices"]).click()
    expect(page.locator("main")).to_contain_text(word["until"])
    assert overflows(page) == 0


def _give(page, word, text):
    file = {"name": "meter.csv", "mimeType": "text/csv", "buffer": text.encode()}
    page.get_by_label(word["file"]).set_input_files(file)
    page.get_by_role("button", name=word["look"]).click()
