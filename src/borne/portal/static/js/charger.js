// The page of one charger: the wheel counts, and the frames are fetched when somebody opens them.
const DAY = document.body.dataset.language === "fr" ? "j" : "d";
let skewMs = 0;

function amount(seconds) {
  if (seconds < 3_600) return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
  return seconds < 86_400 ? `${Math.floor(seconds / 3_600)} h` : `${Math.floor(seconds / 86_400)} ${DAY}`;
}

function count() {
  for (const node of document.querySelectorAll("[data-since-ms]")) {
    if (node.dataset.serverMs) {
      skewMs = Number(node.dataset.serverMs) - Date.now();
      delete node.dataset.serverMs;
    }
    const shown = amount(Math.max(0, Math.round((Date.now() + skewMs - Number(node.dataset.sinceMs)) / 1000)));
    if (node.textContent !== shown) node.textContent = shown;
  }
  for (const arc of document.querySelectorAll("[data-arc-from-ms]")) {
    const part = (Date.now() + skewMs - Number(arc.dataset.arcFromMs)) / Number(arc.dataset.arcUsualMs);
    arc.setAttribute("stroke-dasharray", `${Math.min(97, Math.max(1, Math.round(100 * part)))} 100`);
  }
}

const frames = document.getElementById("frames");
frames?.addEventListener("toggle", () => {
  if (frames.open) document.getElementById("frames-body").dispatchEvent(new CustomEvent("open-frames"));
});

document.addEventListener("htmx:after:swap", count);
setInterval(() => { if (!document.hidden) count(); }, 1000);
count();
