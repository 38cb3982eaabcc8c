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

document.addEventListener("htmx:after:swap", tick);
setInterval(() => { if (!document.hidden) tick(); }, 1000);
tick();
