// Lines over time, drawn by uPlot in the place of what the server drew, which stays for print and for those without scripts.
//   <div class="plot" hx-morph-skip data-plot="ID" data-name="Power and energy over time"></div>
//   <div id="ID" hidden data-lines='{"zone": "Europe/Paris", "locale": "fr", "times": [seconds, …], "series": [{"key": "power",
//     "name": "Power", "unit": "kW", "look": "area", "digits": 2, "values": [7.4, null, …]}, …]}'></div>
// Looks: area, line, limit (steps, dashed). The first two units get an axis each. Colours: of .plot-KEY in the page's styles.
// When the lines change (a live page), they are drawn anew in the same place. Arrow keys, a finger and the mouse read values.
const HEIGHT = 240, LOW_HEIGHT = 200, LOW_WIDTH = 560;
const AXIS_PX = 38, GAP_PX = 64;
const DAY_S = 86_400, MINUTE_S = 60;
const STEPS = { ArrowLeft: -1, ArrowRight: 1, PageDown: -10, PageUp: 10, Home: -Infinity, End: Infinity };
const plots = new Map(); // node -> Plot

class Plot {
  constructor(node, text) {
    this.node = node;
    this.at = null; // of the times, where somebody reads
    this.take(text);
    this.build();
    this.resized = new ResizeObserver(() => this.chart.setSize(this.size()));
    this.resized.observe(node);
    node.addEventListener("keydown", (event) => this.step(event));
    node.addEventListener("blur", () => this.chart.setCursor({ left: -10, top: -10 }));
  }

  take(text) {
    this.text = text;
    this.lines = JSON.parse(text);
    this.data = [this.lines.times, ...this.lines.series.map((one) => one.values)];
    this.shape = JSON.stringify(this.lines.series.map(({ values, ...others }) => others));
  }

  // What came since is drawn into the same chart; a line more or less makes it anew.
  renew(text) {
    const before = this.shape;
    this.take(text);
    if (this.shape !== before) return this.build();
    this.chart.setData(this.data);
    this.tell(this.chart.cursor.idx ?? null);
  }

  build() {
    this.chart?.destroy();
    const { node, lines } = this;
    this.units = [...new Set(lines.series.map((one) => one.unit))];
    node.replaceChildren(this.keys(), this.unitRow());
    node.setAttribute("role", "slider");
    node.setAttribute("aria-label", node.dataset.name);
    node.setAttribute("aria-valuemin", 0);
    node.tabIndex = 0;
    this.chart = new uPlot(this.options(), this.data, node);
    this.listenToFingers();
    this.tell(null);
  }

  // ---- words beside the drawing

  keys() {
    const row = make("div", "plot-keys");
    this.instant = row.appendChild(make("span", "plot-at num quiet"));
    this.values = this.lines.series.map((one) => {
      const key = row.appendChild(make("span", `plot-key plot-${one.key} plot-${one.look}`));
      key.append(make("i"), `${one.name} `);
      return key.appendChild(make("b", "num"));
    });
    row.ariaHidden = "true";
    return row;
  }

  unitRow() {
    const row = make("div", "plot-units quiet");
    for (const unit of this.units.slice(0, 2)) row.appendChild(make("span")).textContent = unit;
    row.ariaHidden = "true";
    return row;
  }

  tell(at) {
    this.at = at;
    const { times, series } = this.lines;
    const said = series.map((one) => (at === null || one.values[at] === null ? "" : `${this.number(one.values[at], one.digits)}\u00a0${one.unit}`));
    this.instant.textContent = at === null ? "" : this.clock(times[at]);
    this.values.forEach((node, index) => { node.textContent = said[index]; });
    const now = at ?? times.length - 1;
    const words = series.map((one) => (one.values[now] === null ? "" : `${one.name} ${this.number(one.values[now], one.digits)} ${one.unit}`));
    this.node.setAttribute("aria-valuemax", times.length - 1);
    this.node.setAttribute("aria-valuenow", now);
    this.node.setAttribute("aria-valuetext", [this.clock(times[now]), ...words.filter(Boolean)].join(", "));
  }

  number(value, digits) {
    return new Intl.NumberFormat(this.lines.locale, { maximumFractionDigits: digits }).format(value);
  }

  format(options) {
    return new Intl.DateTimeFormat(this.lines.locale, { timeZone: this.lines.zone, hourCycle: "h23", ...options });
  }

  clock(second) {
    const { times } = this.lines;
    const time = { hour: "2-digit", minute: "2-digit", second: "2-digit" };
    const options = times.at(-1) - times[0] > DAY_S ? { day: "numeric", month: "short", ...time } : time;
    return this.format(options).format(second * 1000);
  }

  // ---- the drawing

  size() {
    const width = Math.floor(this.node.clientWidth);
    return { width, height: width < LOW_WIDTH ? LOW_HEIGHT : HEIGHT };
  }

  options() {
    const style = getComputedStyle(this.node);
    const ink = style.color, line = style.borderTopColor, font = `12px ${style.fontFamily}`;
    const axis = { stroke: ink, font, ticks: { show: false }, size: AXIS_PX, gap: 6 };
    const scales = { x: { time: true } };
    for (const unit of this.units) scales[unit] = { range: (_, low, high) => [Math.min(low ?? 0, 0), high > 0 ? high * 1.06 : 1] };
    return {
      ...this.size(),
      scales,
      tzDate: (second) => uPlot.tzDate(new Date(second * 1000), this.lines.zone),
      series: [{}, ...this.lines.series.map((one, index) => this.series(one, index))],
      axes: [
        { ...axis, size: 28, space: GAP_PX, grid: { show: false }, ticks: { show: true, stroke: line, size: 5 }, values: (_, at, __, ___, step) => this.instants(at, step) },
        ...this.units.slice(0, 2).map((unit, index) => ({
          ...axis, scale: unit, side: index ? 1 : 3, space: 36, grid: { show: !index, stroke: line, width: 1 },
          values: (_, at) => at.map((value) => this.number(value, 2)),
        })),
      ],
      legend: { show: false },
      cursor: {
        y: false, drag: { x: false, y: false }, points: { size: 8 },
        bind: { mouseleave: (_, __, leave) => (event) => { if (!this.byFinger) leave(event); } }, // browsers say so after each tap
      },
      hooks: { setCursor: [(chart) => this.tell(chart.cursor.idx ?? null)] },
    };
  }

  series(one, index) {
    const marker = getComputedStyle(this.values[index].parentElement.querySelector("i"));
    const common = { label: one.name, scale: one.unit, stroke: marker.color, width: 2, spanGaps: true, points: { show: this.lines.times.length < 3 } };
    if (one.look === "area") return { ...common, width: 1.5, fill: marker.backgroundColor };
    if (one.look === "limit") return { ...common, dash: [7, 5], paths: uPlot.paths.stepped({ align: 1 }) };
    return { ...common, width: 2.5 };
  }

  instants(at, step) {
    const day = this.format({ day: "numeric", month: "short" });
    const time = this.format({ hour: "2-digit", minute: "2-digit", ...(step < MINUTE_S ? { second: "2-digit" } : {}) });
    return at.map((second) => {
      const text = time.format(second * 1000);
      return step >= DAY_S || /^00[:.h ]+00$/.test(text) ? day.format(second * 1000) : text;
    });
  }

  // ---- reading values

  step(event) {
    const by = STEPS[event.key];
    if (by === undefined && event.key !== "Escape") return;
    event.preventDefault();
    if (by === undefined) return void this.chart.setCursor({ left: -10, top: -10 });
    const last = this.lines.times.length - 1;
    const at = Math.max(0, Math.min(last, (this.at ?? (by > 0 ? -1 : last + 1)) + by));
    this.chart.setCursor({ left: this.chart.valToPos(this.lines.times[at], "x"), top: 0 });
    this.tell(at);
  }

  // uPlot hears the mouse alone.
  listenToFingers() {
    const read = (event) => {
      this.byFinger = event.pointerType !== "mouse";
      if (!this.byFinger) return;
      const { left, top } = this.chart.over.getBoundingClientRect();
      this.chart.setCursor({ left: event.clientX - left, top: event.clientY - top });
    };
    this.chart.over.addEventListener("pointerdown", read);
    this.chart.over.addEventListener("pointermove", read);
  }

  end() {
    this.resized.disconnect();
    this.chart.destroy();
  }
}

function make(tag, classes = "") {
  const node = document.createElement(tag);
  node.className = classes;
  return node;
}

function draw() {
  for (const [node, plot] of plots) if (!node.isConnected) { plot.end(); plots.delete(node); }
  for (const node of document.querySelectorAll(".plot[data-plot]")) {
    const text = document.getElementById(node.dataset.plot)?.dataset.lines;
    if (!text) continue;
    const known = plots.get(node);
    if (!known) plots.set(node, new Plot(node, text));
    else if (known.text !== text) known.renew(text);
  }
}

// Colours are read when a chart is made.
function drawAnew() {
  for (const plot of plots.values()) plot.build();
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAnew);
new MutationObserver(drawAnew).observe(document.documentElement, { attributeFilter: ["data-theme"] });

document.addEventListener("htmx:after:swap", draw);
draw();
