// The list of chargers: what is ticked stays ticked across pages, filters and live changes.
const KEY = `borne-chosen-chargers-${document.body.dataset.organisation}`; // nothing of another organisation is chosen here
const bar = document.getElementById("selection");
const list = () => document.getElementById("charger-list");
const boxes = () => [...document.querySelectorAll("table.chargers td.tick input")];

let chosen = new Set();
let allOf = null; // the filter whose matches are all chosen
try { chosen = new Set(JSON.parse(sessionStorage.getItem(KEY)) ?? []); } catch { /* nothing kept */ }

function keep() {
  try { sessionStorage.setItem(KEY, JSON.stringify([...chosen])); } catch { /* private mode: kept on this page only */ }
}

function draw() {
  if (!bar || !list()) return;
  const { filter, total, allWords } = list().dataset;
  if (allOf !== null && allOf !== filter) allOf = null;
  for (const box of boxes()) box.checked = !box.disabled && (allOf !== null || chosen.has(box.value));
  const count = allOf !== null ? Number(total) : chosen.size;
  bar.classList.toggle("on", count > 0);
  const words = bar.dataset.words.replace("%(n)s", count.toLocaleString(document.documentElement.lang));
  const shown = bar.querySelector("[data-selected]");
  if (shown.textContent !== words) shown.textContent = words;
  const all = bar.querySelector("[data-select-all]");
  all.textContent = allWords;
  all.hidden = allOf !== null || Number(total) <= count || !pageIsChosen();
  const head = document.querySelector("[data-tick-page]");
  if (head) {
    head.checked = pageIsChosen();
    head.indeterminate = !head.checked && boxes().some((box) => box.checked);
  }
}

function pageIsChosen() {
  const free = boxes().filter((box) => !box.disabled);
  return free.length > 0 && free.every((box) => box.checked);
}

function tick(box) {
  if (allOf !== null) { // one less than all: what is on this page stays chosen
    allOf = null;
    chosen = new Set(boxes().filter((other) => !other.disabled).map((other) => other.value));
  }
  if (box.checked) chosen.add(box.value);
  else chosen.delete(box.value);
}

let last = null; // with Shift a click ticks all between it and the one before
document.addEventListener("click", (event) => {
  const box = event.target.closest?.("table.chargers td.tick input");
  if (!box) return;
  const all = boxes();
  if (event.shiftKey && last && all.includes(last)) {
    const [from, to] = [all.indexOf(last), all.indexOf(box)].sort((a, b) => a - b);
    for (const other of all.slice(from, to + 1)) if (!other.disabled) { other.checked = box.checked; tick(other); }
  }
  last = box;
});

document.addEventListener("change", (event) => {
  if (event.target.matches?.("table.chargers td.tick input")) tick(event.target);
  else if (event.target.matches?.("[data-tick-page]")) {
    allOf = null;
    for (const box of boxes()) if (!box.disabled) { box.checked = event.target.checked; tick(box); }
  } else return;
  keep();
  draw();
});

document.addEventListener("click", (event) => {
  if (event.target.closest?.("[data-select-all]")) allOf = list().dataset.filter;
  else if (event.target.closest?.("[data-select-none]")) { chosen.clear(); allOf = null; }
  else return;
  keep();
  draw();
});

// What is chosen on other pages goes along; "all" goes as the filter itself.
bar?.addEventListener("submit", () => {
  for (const old of bar.querySelectorAll("[data-extra]")) old.remove();
  const add = (name, value) => {
    const field = Object.assign(document.createElement("input"), { type: "hidden", name, value });
    field.dataset.extra = "";
    bar.append(field);
  };
  if (allOf !== null) {
    for (const [name, value] of new URLSearchParams(allOf)) add(name, value);
    add("all", "1");
    return;
  }
  const here = new Set(boxes().filter((box) => box.checked).map((box) => box.value));
  for (const id of chosen) if (!here.has(id)) add("charger", id);
});

// The fields outside the list follow it: "All chargers" empties them too.
function followFields() {
  const { q, location } = list()?.dataset ?? {};
  const search = document.getElementById("charger-search"), place = document.getElementById("charger-location");
  if (search && search !== document.activeElement && q !== undefined) search.value = q;
  if (place && place !== document.activeElement && location !== undefined) place.value = location;
}

document.addEventListener("htmx:after:swap", () => { followFields(); draw(); });
addEventListener("pageshow", draw);
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.target.matches?.("input, textarea, select") || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  document.getElementById("charger-search")?.focus();
});
draw();
