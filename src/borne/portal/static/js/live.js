// Live pages. An element with data-live="charger:12 chargers" hears the event "live" when one of them changed (htmx: hx-trigger="live");
// one with data-live-rows="/chargers/rows" and data-live-id is fetched with its neighbours in a single request.
import { LiveStream } from "./live-stream.js";

const HERE_MS = 15_000;
const PATIENCE_MS = 2_500; // a short break is nobody's business
const AWAY_MS = 1_000;
const BELL = "notices";
const banner = document.getElementById("live-banner");
let bannerTimer = null;
let said = "";
let awayAt = 0;
// When the server made what is on screen: what happened since then is told when the stream opens.
function madeMs() {
  const made = [...document.querySelectorAll("[data-made-ms]")].map((node) => Number(node.dataset.madeMs));
  return made.length ? Math.min(...made) : Number(document.getElementById("bell")?.dataset.bellMs ?? Infinity);
}

// ---- the stream: shared between tabs where the browser can, else this tab's own

let send;
try {
  const worker = new SharedWorker(new URL("./live-worker.js", import.meta.url), { type: "module", name: "borne-live" });
  worker.port.onmessage = ({ data }) => news(data);
  send = (word) => worker.port.postMessage(word);
} catch {
  const stream = new LiveStream(news);
  send = ({ topics, sinceMs, bye }) => stream.want(bye ? [] : topics, sinceMs);
}

function topicsOnPage() {
  const topics = new Set();
  for (const node of document.querySelectorAll("[data-live]")) for (const topic of node.dataset.live.split(" ")) if (topic) topics.add(topic);
  return [...topics].sort();
}

function subscribe(always = false) {
  const topics = document.hidden ? [] : topicsOnPage();
  if (!always && topics.join() === said) return;
  const isNew = topics.some((topic) => !said.split(",").includes(topic));
  said = topics.join();
  send({ topics, sinceMs: isNew ? madeMs() : undefined });
}

function news({ changed, open, bye }) {
  if (changed) tellElements(new Set(changed));
  if (open !== undefined) state(open);
  if (bye) reload();
}

// The login ended or its reach changed. A question that is on screen is still answered: the server judges the answer.
const CLOSING_MS = 400; // a modal takes its step of the history back
function reload() {
  if (topicsOnPage().join() === BELL) return; // a page that only has the bell keeps what was typed into it
  const asking = document.querySelector("dialog[open]");
  if (asking) asking.addEventListener("close", () => setTimeout(() => location.reload(), CLOSING_MS), { once: true });
  else location.reload();
}

function state(open) {
  if (open) {
    clearTimeout(bannerTimer);
    bannerTimer = null;
    show(true);
  } else bannerTimer ??= setTimeout(() => { bannerTimer = null; show(document.hidden); }, PATIENCE_MS);
}

function show(open) {
  if (banner) banner.hidden = open;
  for (const dot of document.querySelectorAll(".dot-live")) dot.dataset.state = open ? "on" : "off";
}

// ---- what changed is fetched anew, one fragment at a time

function tellElements(changed) {
  const rows = new Map();
  for (const node of document.querySelectorAll("[data-live]")) {
    if (!node.dataset.live.split(" ").some((topic) => changed.has(topic))) continue;
    const { liveRows, liveId } = node.dataset;
    if (liveRows) rows.set(liveRows, [...(rows.get(liveRows) ?? []), liveId]);
    else node.dispatchEvent(new CustomEvent("live"));
  }
  for (const [address, ids] of rows) fetchRows(address, ids);
}

const waiting = new Map(); // address -> ids that changed while a request was under way
async function fetchRows(address, ids) {
  if (waiting.has(address)) {
    for (const id of ids) waiting.get(address).add(id);
    return;
  }
  waiting.set(address, new Set());
  try {
    await htmx.ajax("GET", `${address}?ids=${ids.join(",")}`, { target: "body", swap: "none" });
  } finally {
    const more = waiting.get(address);
    waiting.delete(address);
    if (more.size) fetchRows(address, [...more]);
  }
}

// ---- gentle marks on what changed: data-look says what is worth a mark

const looks = new Map();
function mark() {
  for (const node of document.querySelectorAll("[data-look][id]")) {
    const before = looks.get(node.id);
    looks.set(node.id, node.dataset.look);
    if (before === undefined || before === node.dataset.look) continue;
    node.classList.remove("fresh");
    requestAnimationFrame(() => node.classList.add("fresh"));
    setTimeout(() => node.classList.remove("fresh"), 1_600);
  }
}

document.addEventListener("htmx:after:swap", () => { mark(); subscribe(); });
document.addEventListener("visibilitychange", () => {
  subscribe();
  if (document.hidden) awayAt = Date.now();
  else if (Date.now() - awayAt > AWAY_MS) tellElements(new Set(topicsOnPage()));
});
addEventListener("pagehide", () => { said = ""; send({ topics: [], bye: true }); });
addEventListener("pageshow", (event) => { if (event.persisted) subscribe(true); });
setInterval(() => { if (!document.hidden) subscribe(true); }, HERE_MS);
mark();
subscribe();
