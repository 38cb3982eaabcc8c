// One event stream for all tabs of a browser (HTTP/1.1 allows six connections). Tabs say which topics they show while they can be
// seen; the stream carries the union, and closes when no tab can be seen.
import { LiveStream } from "./live-stream.js";

const SILENT_MS = 45_000; // a tab that crashed says no goodbye
const tabs = new Map(); // port -> { topics, sinceMs, heardAt }

const stream = new LiveStream((news) => { for (const port of tabs.keys()) port.postMessage(news); });

function update() {
  const topics = new Set();
  let sinceMs = Infinity;
  for (const tab of tabs.values()) {
    for (const topic of tab.topics) topics.add(topic);
    sinceMs = Math.min(sinceMs, tab.sinceMs);
    tab.sinceMs = Infinity; // from now on the stream remembers
  }
  stream.want(topics, sinceMs);
}

function heard(port, { topics, sinceMs, bye }) {
  if (bye) tabs.delete(port);
  else {
    const before = tabs.get(port);
    tabs.set(port, { topics, sinceMs: before ? Math.min(before.sinceMs, sinceMs ?? Infinity) : sinceMs ?? Infinity, heardAt: Date.now() });
    if (!before) port.postMessage({ open: stream.isOpen });
  }
  update();
}

addEventListener("connect", (event) => {
  const port = event.ports[0];
  port.onmessage = (message) => heard(port, message.data);
});

setInterval(() => {
  for (const [port, tab] of tabs) if (Date.now() - tab.heardAt > SILENT_MS) tabs.delete(port);
  update();
}, 15_000);
