// Sessions that run: their time goes on between two looks.
let skewMs = 0;

function amount(seconds) {
  const minutes = String(Math.floor(seconds / 60) % 60).padStart(2, "0");
  return `${Math.floor(seconds / 3_600)}:${minutes}:${String(seconds % 60).padStart(2, "0")}`;
}

function tick() {
  for (const node of document.querySelectorAll("[data-tick-ms]")) {
    if (node.dataset.serverMs) {
      skewMs = Number(node.dataset.serverMs) - Date.now();
      delete node.dataset.serverMs;
    }
    const shown = amount(Math.max(0, Math.round((Date.now() + skewMs - Number(node.dataset.tickMs)) / 1000)));
    if (node.textContent !== shown) node.textContent = shown;
  }
}

// An export names itself, and the page asks how far it is. Without this it is downloaded all the same.
const KEY_BYTES = 12;
document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[data-export]");
  const place = document.getElementById("session-exports");
  if (!link || !place || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  const key = [...crypto.getRandomValues(new Uint8Array(KEY_BYTES))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const address = new URL(link.href);
  address.searchParams.set("export", key);
  link.href = address.href;
  link.closest("details")?.removeAttribute("open");
  htmx.ajax("GET", `/sessions/exports?export=${key}`, { target: place, swap: "beforeend" });
});
document.addEventListener("click", (event) => {
  event.target.closest?.("[data-dismiss]")?.closest(".export").remove();
});

document.addEventListener("htmx:after:swap", tick);
setInterval(() => { if (!document.hidden) tick(); }, 1000);
tick();
