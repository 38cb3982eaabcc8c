// The switcher of organisations: a long list is narrowed by typing, and no tab goes on showing another organisation's things.
const fold = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase().trim();

document.addEventListener("input", (event) => {
  if (!event.target.matches?.("[data-narrow-by]")) return;
  const list = event.target.closest("[data-narrow]");
  const words = fold(event.target.value).split(/\s+/);
  let shown = 0;
  for (const button of list.querySelectorAll("button.item")) {
    const name = fold(button.textContent);
    button.hidden = !words.every((word) => name.includes(word));
    if (!button.hidden) shown += 1;
  }
  list.querySelector("[data-narrow-none]").hidden = shown > 0;
});

// Enter chooses the first that is left.
document.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || !event.target.matches?.("[data-narrow-by]")) return;
  event.preventDefault();
  if (event.target.value.trim()) event.target.closest("[data-narrow]").querySelector("button.item:not([hidden])")?.click();
});

// A menu with a search field begins there, where a keyboard is at hand.
document.addEventListener("toggle", (event) => {
  if (event.target.open && matchMedia("(pointer: fine)").matches) event.target.querySelector?.(":scope > .sheet > [data-narrow] [data-narrow-by]")?.focus();
}, true);

// All tabs of a browser show one organisation: whoever switches in one of them leads the others on.
const mine = document.body.dataset.organisation;
if (mine && "BroadcastChannel" in globalThis) {
  const channel = new BroadcastChannel("borne-organisation");
  channel.onmessage = ({ data }) => { if (data !== mine) location.replace("/"); };
  channel.postMessage(mine);
}
// A page that the browser kept in memory is of the organisation of its time.
addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
