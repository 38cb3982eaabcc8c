"""People of an organisation: invited by form and by file, joined by a link, changed, removed; and what the roles may do."""

import re

from playwright.sync_api import expect

from tests.support.browser import PHONE
from tests.support.server import PASSWORD


def link_to(site, email):
    """The link of the newest mail to an address."""
    [(body,)] = site.sql("SELECT body FROM mails WHERE recipient = ? ORDER BY id DESC LIMIT 1", email)
    found = re.search(r"http://\S+/invitations/\S+", body)
    assert found, body
    return found[0]


def test_invited_joined_changed_and_removed(browse, site, new_organisation):
    name = new_organisation("business", "East", "West")
    new = f"mona@{name}.test"
    boss = browse.open("/chargers", f"boss@{name}.test")
    boss.get_by_role("link", name="Users").first.click()
    boss.get_by_role("link", name="Invite users").click()
    browse.watch.expect("422", "404")  # what is wrong is said first; and a link that is over
    boss.get_by_label("E-mail addresses").fill(f"{new} 04A1B2\nnobody")
    boss.get_by_label("Role", exact=True).select_option(label="Operator")
    boss.get_by_role("button", name="Send the invitations").click()
    expect(boss.get_by_role("alert")).to_contain_text("“nobody” does not begin with an e-mail address.")
    expect(boss.get_by_text("Choose one location at least")).to_be_visible()
    boss.get_by_label("E-mail addresses").fill(f"{new} 04A1B2")
    boss.get_by_label("East").check()
    boss.get_by_role("button", name="Send the invitations").click()
    row = boss.get_by_role("row", name=new)
    expect(row).to_contain_text("Invited")
    expect(row).to_contain_text("1 badge")

    guest = browse.open(link_to(site, new))
    expect(guest.get_by_role("heading", level=1)).to_have_text(f"Join {name}")
    guest.get_by_label("Your name").fill("Mona Roux")
    guest.get_by_label("Password").fill("a password of mine")
    guest.get_by_role("button", name="Make the account and join").click()
    expect(guest.get_by_role("heading", level=1)).to_have_text("Chargers")
    again = browse.open(link_to(site, new))
    expect(again.locator("main")).to_contain_text("accepted already")

    boss.goto("/users")
    boss.get_by_role("searchbox").fill("roux")
    expect(boss.get_by_text("1 match")).to_be_visible()
    boss.get_by_role("link", name="Mona Roux").click()
    expect(boss.get_by_label("East")).to_be_checked()
    boss.get_by_label("Role", exact=True).select_option(label="Super-admin")
    expect(boss.get_by_label("East")).to_be_hidden()
    boss.get_by_label("Role", exact=True).select_option(label="Admin")
    boss.get_by_role("button", name="Save").click()
    expect(boss.locator("#toasts")).to_contain_text("Saved.")
    guest.goto("/users")
    expect(guest.get_by_role("row", name="Mona Roux")).to_contain_text("Admin")
    expect(guest.get_by_role("link", name="Invite users")).to_have_count(0)
    boss.get_by_role("link", name="Remove…").click()
    boss.get_by_role("button", name="Remove").click()
    expect(boss.locator("#toasts")).to_contain_text("Mona Roux was removed.")
    assert guest.goto("/users").status == 404
    assert guest.goto("/account").status == 200


def test_invited_by_a_file_in_french_and_joined_with_an_account(browse, site, new_organisation):
    name, other = new_organisation("business", "Est"), new_organisation("basic", "Ailleurs")
    known = f"boss@{other}.test"
    boss = browse.open("/users/import", f"boss@{name}.test", locale="fr-FR", viewport=PHONE)
    browse.watch.expect("422")
    lines = f"E-mail;Rôle;Sites\n{known};Opérateur;%s\nzoe@{name}.test;;\n"

    def choose(place):
        raw = (lines % place).encode("cp1252")
        boss.get_by_label("Fichier CSV").set_input_files({"name": "a.csv", "mimeType": "text/csv", "buffer": raw})
        boss.get_by_role("button", name="Examiner le fichier").click()

    choose("Ouest")
    expect(boss.get_by_role("row", name="2 ")).to_contain_text("Il n’y a pas de site « Ouest ».")
    choose("EST")
    boss.get_by_role("button", name="Envoyer 2 invitations").click()
    expect(boss.locator("#toasts")).to_contain_text("2 invitations sont parties.")
    expect(boss.get_by_role("row", name=known)).to_contain_text("Invité")
    boss.get_by_role("button", name=f"Retirer l’invitation de zoe@{name}.test").click()
    expect(boss.locator("#toasts")).to_contain_text("est retirée")

    context = browse.context(locale="fr-FR")
    guest = context.new_page()
    guest.goto(link_to(site, known))
    expect(guest.locator("main")).to_contain_text("a déjà un compte ici")
    guest.get_by_role("link", name="Se connecter").click()
    guest.locator("#email").fill(known)
    guest.locator("#password").fill(PASSWORD)
    guest.locator("form:has(#password) button[type=submit]").click()
    guest.get_by_role("button", name="Rejoindre").click()
    expect(guest.locator("#toasts")).to_contain_text(f"Bienvenue chez {name}.")
    expect(guest.locator(".org").first).to_contain_text(name)


def test_what_the_roles_may_do_on_a_phone(browse):
    page = browse.open("/roles", "uma@lumen.test", locale="fr-FR", viewport=PHONE)
    restart = page.locator('tr[data-action="restart"]')
    expect(restart.locator('td[data-role="admin"]')).to_contain_text("ses sites")
    expect(restart).to_contain_text("Standard")
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
