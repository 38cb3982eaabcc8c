// An EventSource on /live that follows the wanted topics, comes back by itself, and misses nothing: it says since when it has heard nothing.
const MAX_TOPICS = 500;
const SETTLE_MS = 40; // a page that goes and one that comes change the topics once
const BACK_MS = [1_000, 2_000, 4_000, 8_000, 15_000];
const SILENT_MS = 40_000; // the server says something every 15 s

export class LiveStream {
  #tell; #source = null; #topics = new Set(); #carried = new Set(); #lastMs = Infinity; #sinceMs = Infinity;
  #tries = 0; #timer = null; #heardAt = 0;
  isOpen = false;

  constructor(tell) {
    this.#tell = tell;
    setInterval(() => { if (this.#source && this.isOpen && Date.now() - this.#heardAt > SILENT_MS) this.#broken(); }, 5_000);
  }

  // Carry these topics. What was already carried and is no longer wanted stays until the next opening.
  want(topics, sinceMs = Infinity) {
    this.#topics = new Set([...topics].slice(0, MAX_TOPICS));
    this.#sinceMs = Math.min(this.#sinceMs, sinceMs);
    if (!this.#topics.size) return this.#close();
    if (this.#source && [...this.#topics].every((topic) => this.#carried.has(topic))) return;
    this.#later(SETTLE_MS);
  }

  #later(delayMs) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#open(), delayMs);
  }

  #close() {
    clearTimeout(this.#timer);
    this.#source?.close();
    this.#source = null;
    this.#carried = new Set();
    this.isOpen = false;
  }

  #open() {
    if (!this.#topics.size) return;
    const sinceMs = Math.min(this.#sinceMs, this.#lastMs);
    this.#close();
    this.#carried = new Set(this.#topics);
    const query = new URLSearchParams({ topics: [...this.#carried].sort().join(",") });
    if (Number.isFinite(sinceMs)) query.set("since", sinceMs);
    const source = this.#source = new EventSource(`/live?${query}`);
    source.addEventListener("hello", (event) => this.#opened(event));
    source.addEventListener("changed", (event) => this.#changed(event));
    source.addEventListener("beat", (event) => this.#heard(event));
    source.addEventListener("bye", () => { this.#close(); this.#tell({ bye: true }); });
    source.onerror = () => this.#broken();
  }

  #opened(event) {
    this.#tries = 0;
    this.#sinceMs = Infinity;
    this.isOpen = true;
    this.#heard(event);
    this.#tell({ open: true });
  }

  #changed(event) {
    this.#heard(event);
    this.#tell({ changed: event.data.split(" ") });
  }

  #heard(event) {
    this.#heardAt = Date.now();
    if (event.lastEventId) this.#lastMs = Number(event.lastEventId);
  }

  #broken() {
    const sinceMs = this.#sinceMs;
    this.#close();
    this.#sinceMs = sinceMs;
    this.#tell({ open: false });
    this.#later(BACK_MS[Math.min(this.#tries++, BACK_MS.length - 1)]);
  }
}
