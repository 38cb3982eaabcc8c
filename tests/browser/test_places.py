"""Locations, the organisation's switcher, and many chargers at once, as people use them, in both languages."""

from __future__ import annotations

import csv

import pytest
from playwright.sync_api import expect

from tests.support.browser import PHONE, overflows, row_of

WORDS = {
    "en-GB": {
        "add": "Add location", "name": "Name", "zone": "Time zone", "cost": "Cost of a kWh",
        "breaker": "Main breaker (A per phase)", "phases": "Phases", "three": "Three phases", "save": "Add",
        "wrong": "There is no such time zone.", "price": "€0.2516", "edit": "Edit", "keep": "Save",
        "delete": "Delete this location…", "really": "Delete", "gone": "was deleted",
    },
    "fr-FR": {
        "add": "Ajouter un site", "name": "Nom", "zone": "Fuseau horaire", "cost": "Coût d’un kWh",
        "breaker": "Disjoncteur (A par phase)", "phases": "Phases", "three": "Trois phases", "save": "Ajouter",
        "wrong": "Ce fuseau horaire n’existe pas.", "price": "0,2516", "edit": "Modifier", "keep": "Enregistrer",
        "delete": "Supprimer ce site…", "really": "Supprimer", "gone": "a été supprimé",
    },
}  # fmt: skip


@pytest.mark.parametrize(("locale", "viewport"), [("en-GB", None), ("fr-FR", PHONE)], ids=["en", "fr-phone"])
def test_a_location_from_its_form_to_its_end(browse, new_organisation, locale, viewport):
    browse.watch.expect("status of 422")
    word, name = WORDS[locale], new_organisation()
    options = {"viewport": viewport} if viewport else {}
    page = browse.open("/locations", f"boss@{name}.test", locale=locale, **options)
    page.get_by_role("link", name=word["add"]).first.click()
    page.get_by_role("textbox", name=word["name"], exact=True).fill("Rezé")
    page.get_by_label(word["zone"]).fill("Mars")
    page.get_by_label(word["cost"]).fill("0,2516")
    page.get_by_label(word["breaker"]).fill("63")
    page.get_by_label(word["phases"]).select_option(label=word["three"])
    page.get_by_role("button", name=word["save"], exact=True).click()
    expect(page.get_by_text(word["wrong"])).to_be_visible()
    expect(page.get_by_label(word["cost"])).to_have_value("0,2516")
    assert overflows(page) == 0
    page.get_by_label(word["zone"]).fill("europe/paris")
    page.get_by_role("button", name=word["save"], exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Rezé")
    expect(page.locator("main")).to_contain_text(word["price"])
    expect(page.locator("main")).to_contain_text("3 × 63")
    assert overflows(page) == 0
    page.get_by_role("link", name=word["edit"], exact=True).click()
    page.get_by_role("textbox", name=word["name"], exact=True).fill("Rezé Sud")
    page.get_by_role("button", name=word["keep"]).click()
    page.goto("/locations?q=reze")
    expect(page.get_by_role("link", name="Rezé Sud")).to_be_visible()
    assert overflows(page) == 0
    page.get_by_role("link", name="Rezé Sud").click()
    page.get_by_role("link", name=word["delete"]).click()
    page.get_by_role("button", name=word["really"], exact=True).click()
    expect(page.get_by_text(word["gone"])).to_be_visible()


def test_the_list_of_locations_follows_its_chargers_live(browse, yard, add, new_organisation):
    name = new_organisation("business", "East")
    page = browse.open("/locations", f"boss@{name}.test")
    expect(row_of(page, "East")).to_contain_text("no charger")
    charger = yard.connect(add(organisation=name, location="East"))
    expect(row_of(page, "East")).to_contain_text("1 Ready")
    charger.stop()
    expect(row_of(page, "East")).to_contain_text("1 Offline")


def test_switching_leaves_nothing_of_the_other_organisation(browse, site, add, new_organisation):
    one, two = new_organisation("business", "East"), new_organisation("business", "West")
    others = [two, *(f"{two} and {number}" for number in range(8))]
    for other in others[1:]:
        site.sql("INSERT INTO organisations (name, plan, created_ms) VALUES (?, 'basic', 1)", other)
    for other in others:
        site.sql(
            "INSERT INTO memberships (person_id, organisation_id, role) SELECT people.id, organisations.id, 'admin'"
            " FROM people, organisations WHERE email = ? AND organisations.name = ?",
            f"boss@{one}.test", other,
        )  # fmt: skip
    charger = add("Left behind", organisation=one)
    context = browse.context(f"boss@{one}.test")
    page, elsewhere = context.new_page(), context.new_page()
    for tab in (page, elsewhere):
        tab.goto("/chargers")
    page.goto("/account")
    row_of(elsewhere, charger.name).get_by_role("checkbox").check()
    expect(elsewhere.locator("#selection")).to_be_visible()
    page.locator("details.org summary").click()
    search = page.get_by_role("searchbox", name="Search organisations")
    expect(search).to_be_focused()
    search.fill(two.upper())
    search.press("Enter")
    for tab in (page, elsewhere):
        expect(tab.locator("details.org summary")).to_contain_text(two)
        expect(tab.locator("main")).not_to_contain_text(charger.name)
        expect(tab.locator("#selection")).not_to_be_visible()
    page.go_back()
    expect(page.locator("main")).not_to_contain_text(charger.name)


def test_a_file_is_looked_at_then_added_and_downloaded(browse, new_organisation, tmp_path):
    name = new_organisation("business", "Quai Nord")
    file = tmp_path / "chargeurs.csv"
    file.write_bytes(
        "nom;série;modèle;site\nBorne é 1;1;Pulsar Max;quai nord\nBorne 2;2;Inconnu;Quai Nord\n".encode("cp1252")
    )
    page = browse.open("/chargers/import", f"boss@{name}.test", locale="fr-FR")
    page.get_by_label("Fichier CSV").set_input_files(file)
    page.get_by_role("button", name="Examiner").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("1 chargeur serait ajouté")
    expect(page.get_by_role("region", name="1 ligne n’est pas correcte")).to_contain_text(
        "« Inconnu » n’est pas au catalogue."
    )
    page.get_by_role("button", name="Ajouter 1 chargeur").dblclick()  # sent twice, added once
    expect(page.get_by_role("heading", level=1)).to_have_text("1 chargeur a été ajouté")
    identity, password = (cell.inner_text() for cell in page.locator("td code").all()[:2])
    with page.expect_download() as download:
        page.get_by_role("link", name="Télécharger le fichier").click()
    text = download.value.path().read_text(encoding="utf-8-sig")
    head, told = csv.reader(text.splitlines(), delimiter=";")
    assert head[:2] == ["Chargeur", "Numéro de série"]
    assert (told[0], told[3], told[4]) == ("Borne é 1", identity, password)
    page.goto("/chargers")
    expect(page.locator("tbody tr")).to_have_count(1)
    assert password not in page.content()


def test_many_are_moved_with_a_confirmation_and_progress(browse, yard, add, new_organisation):
    name = new_organisation("business", "East", "West")
    here = [add(organisation=name, location="East") for _ in range(2)]
    there = yard.connect(add(organisation=name, location="West"))
    page = browse.open("/chargers", f"boss@{name}.test")
    for charger in (*here, there):
        row_of(page, charger.name).get_by_role("checkbox").check()
    page.locator("#selection").get_by_role("button", name="Change").click()
    page.get_by_role("radio", name="Move to another location").check()
    page.get_by_label("Location", exact=True).select_option(label="West")
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Change 2 chargers?")
    expect(page.get_by_role("region", name="Left out")).to_contain_text(there.name)
    page.get_by_role("checkbox", name=here[1].name).uncheck()
    page.get_by_role("button", name="OKAY").click()
    expect(page.get_by_text("1 charger was changed.")).to_be_visible()
    page.goto("/chargers")
    expect(row_of(page, here[0].name)).to_contain_text("West")
    expect(row_of(page, here[1].name)).to_contain_text("East")
