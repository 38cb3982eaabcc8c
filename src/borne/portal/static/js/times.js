// Puts <time data-time> into the browser's own time zone and keeps "12 s ago" true. The server renders UTC, for those without this.
const SECOND_MS = 1000, MINUTE_MS = 60_000, HOUR_MS = 3_600_000, DAY_MS = 86_400_000;
const NOW_MS = 5 * SECOND_MS;
const TICK_MS = 5 * SECOND_MS;
const words = document.body.dataset; // ago, ahead, now: in the page's language, as formats.py says them
const skewMs = Number(words.atMs) - Date.now(); // by the server's clock: a wrong one in the browser shows nothing wrong
const locale = words.language === "fr" ? "fr" : "en-GB";

const formats = {
  clock: new Intl.DateTimeFormat(locale, { hour: "2-digit", minute: "2-digit", second: "2-digit" }),
  at: new Intl.DateTimeFormat(locale, { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit" }),
  old: new Intl.DateTimeFormat(locale, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" }),
  title: new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "long" }),
};

function relative(deltaMs) {
  const distance = Math.abs(deltaMs);
  if (distance < NOW_MS) return words.now;
  const [unit, size] = distance < MINUTE_MS ? ["s", SECOND_MS] : distance < HOUR_MS ? ["min", MINUTE_MS] : ["h", HOUR_MS];
  const amount = `${Math.floor(distance / size)}\u00a0${unit}`;
  return (deltaMs > 0 ? words.ago : words.ahead).replace("…", amount);
}

function text(element) {
  const at = new Date(element.dateTime);
  const kind = element.dataset.time;
  if (kind !== "when") return formats[kind].format(at);
  const deltaMs = Date.now() + skewMs - at.getTime();
  return Math.abs(deltaMs) < DAY_MS ? relative(deltaMs) : formats.old.format(at);
}

export function refreshTimes(root = document) {
  for (const element of root.querySelectorAll("time[data-time]")) {
    const shown = text(element);
    if (element.textContent !== shown) element.textContent = shown;
    if (!element.dataset.zoned) {
      element.dataset.zoned = "1";
      element.title = formats.title.format(new Date(element.dateTime));
    }
  }
}

refreshTimes();
setInterval(() => { if (!document.hidden) refreshTimes(); }, TICK_MS);
document.addEventListener("visibilitychange", () => { if (!document.hidden) refreshTimes(); });
