// Restarting from the browser: the modal (opens, cancels, gives the focus back), tooltips on touch, seconds that count,
// and what a screen reader is told. Everything is found by attributes, so fragments may come and go as they like.

const modal = () => document.querySelector("dialog.restart-modal");
let opener = null;
let inModal = false; // the step of history that the modal made is still ahead of Back

// ---- the modal: native <dialog>; Cancel, a click outside, Esc and Back send nothing ----

function show(dialog) {
  opener = document.activeElement;
  dialog.showModal();
  (dialog.querySelector("[data-first]") ?? dialog.querySelector("h2"))?.focus();
  if (!history.state?.restartModal) history.pushState({ ...history.state, restartModal: true }, "");
  inModal = true;
  if (!("closedBy" in HTMLDialogElement.prototype)) closeOutside(dialog);
  dialog.addEventListener("close", () => gone(dialog), { once: true });
}

function closeOutside(dialog) {
  // A drag that starts inside (selecting text) and ends outside is no click outside: both ends must be out.
  let downOutside = false;
  const outside = (event) => {
    const box = dialog.getBoundingClientRect();
    return event.clientX < box.left || event.clientX > box.right || event.clientY < box.top || event.clientY > box.bottom;
  };
  dialog.addEventListener("pointerdown", (event) => { downOutside = event.target === dialog && outside(event); });
  dialog.addEventListener("click", (event) => { if (downOutside && event.target === dialog && outside(event)) dialog.close(); });
}

function gone(dialog) {
  dialog.remove();
  giveFocusBack();
  if (history.state?.restartModal) {
    // Going back may move the focus once more, after the event that is heard here.
    window.navigation?.addEventListener("navigatesuccess", giveFocusBack, { once: true });
    history.back();
  }
}

function giveFocusBack() {
  // The icon may have been drawn anew meanwhile: its id is what stays.
  const back = opener?.isConnected ? opener : opener?.id && document.getElementById(opener.id);
  if (!modal()) (back || document.querySelector("main h1, main"))?.focus?.({ preventScroll: true });
}

// Back closes the modal and nothing else: the page behind it is still there, htmx need not restore it.
let ownStep = false;
if (history.state?.restartModal) history.replaceState({ ...history.state, restartModal: false }, ""); // after a reload
addEventListener("popstate", () => {
  if (!inModal) return;
  inModal = false;
  ownStep = true;
  setTimeout(() => { ownStep = false; }, 300);
  window.navigation?.addEventListener("navigatesuccess", giveFocusBack, { once: true });
  modal()?.close();
});
document.addEventListener("htmx:before:history:restore", (event) => { if (ownStep) event.preventDefault(); });

document.addEventListener("click", (event) => {
  if (event.target.closest?.("[data-cancel]") && modal()) {
    event.preventDefault();
    modal().close();
  }
});

// ---- OKAY: one click is enough; the key in the form makes a second one the same restart ----

const SENDING_MS = 20_000; // an answer that never came may be asked for again: same key
document.addEventListener("submit", (event) => {
  const form = event.target.closest?.("[data-restart-form]");
  if (!form) return;
  if (form.dataset.sending) {
    event.preventDefault();
    event.stopImmediatePropagation();
    return;
  }
  form.dataset.sending = "1";
  form.querySelector("[data-okay]")?.setAttribute("aria-busy", "true");
  setTimeout(() => ready(form), SENDING_MS);
}, true);

addEventListener("pageshow", () => { for (const form of document.querySelectorAll("[data-sending]")) ready(form); });

function ready(form) {
  delete form.dataset.sending;
  form.querySelector("[data-okay]")?.removeAttribute("aria-busy");
}

for (const failure of ["htmx:error", "htmx:response:error"]) {
  document.addEventListener(failure, (event) => {
    const form = event.target.closest?.("[data-restart-form]");
    if (form) ready(form);
    const note = form?.querySelector("[data-problem]");
    if (!note) return;
    note.querySelector("p").textContent = note.dataset.problem;
    note.hidden = false;
  });
}

document.addEventListener("input", (event) => {
  if (event.target.matches?.("[data-when-at]")) {
    const choice = document.getElementById("when-at");
    if (choice) choice.checked = true;
  }
});

// ---- what arrives in the page ----

function arrived(root) {
  const find = (selector) => (root.matches?.(selector) ? [root] : [...root.querySelectorAll(selector)]);
  for (const dialog of find("dialog.restart-modal:not([open])")) show(dialog);
  for (const done of find("[data-restart-done]")) {
    const { say: words, restartDone: charger } = done.dataset;
    done.remove();
    modal()?.close();
    if (words) say(words);
    lookAgain(`charger:${charger}`); // at once, not at the next second's hint
  }
  for (const body of find(".restart-body")) if (body.closest("dialog[open]")) (body.querySelector("[data-first]") ?? body).focus();
  for (const node of find("[data-announce]")) announce(node);
  count();
}

function lookAgain(topic) {
  for (const node of document.querySelectorAll("[data-live]")) {
    if (node.dataset.live.split(" ").includes(topic)) node.dispatchEvent(new CustomEvent("live"));
  }
}

// A live region is heard only when it stood there before its words came: one for the whole page, outside the fragments.
function region() {
  let node = document.getElementById("restart-said");
  if (!node) {
    node = Object.assign(document.createElement("div"), { id: "restart-said", className: "restart-said" });
    node.setAttribute("role", "status");
    node.setAttribute("aria-live", "polite");
    document.body.append(node);
  }
  return node;
}

function say(words) {
  region().textContent = words;
}

const announced = new Map(); // restart -> what was said last
function announce(node) {
  const { announce: id, say: words } = node.dataset;
  const before = announced.get(id);
  announced.set(id, words);
  if (before !== undefined && before !== words && words) say(words);
}

// ---- seconds that count: from the server's clock, so that a wrong clock in the browser shows no wrong seconds ----

let skewMs = 0;
function count() {
  for (const node of document.querySelectorAll("[data-counts-from-ms]")) {
    if (node.dataset.nowMs) {
      skewMs = Number(node.dataset.nowMs) - Date.now();
      delete node.dataset.nowMs;
    }
    const seconds = Math.max(0, Math.round((Date.now() + skewMs - Number(node.dataset.countsFromMs)) / 1000));
    node.textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
  }
}
setInterval(() => { if (!document.hidden) count(); }, 1000);
document.addEventListener("htmx:after:swap", count);

// ---- tooltips: touch has no hover, and Esc puts one away without moving the focus ----

document.addEventListener("click", (event) => {
  const here = event.target.closest?.(".tipped");
  for (const shown of document.querySelectorAll(".tipped.shown")) if (shown !== here) shown.classList.remove("shown");
  if (here?.querySelector("[aria-disabled=true]")) here.classList.add("shown");
  here?.classList.remove("hushed");
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const tip of document.querySelectorAll(".tipped:focus-within, .tipped:hover, .tipped.shown")) {
    tip.classList.remove("shown");
    tip.classList.add("hushed");
  }
});
for (const leave of ["pointerout", "focusout"]) {
  document.addEventListener(leave, (event) => event.target.closest?.(".tipped")?.classList.remove("hushed"));
}

// ---- batches: the number on the button follows the ticks ----

document.addEventListener("change", (event) => {
  const form = event.target.closest?.("[data-batch-pick]");
  if (!form) return;
  const chosen = form.querySelectorAll("[data-pick]:checked").length;
  for (const node of form.querySelectorAll("[data-chosen]")) node.textContent = chosen + Number(node.dataset.more ?? 0);
  const okay = form.querySelector("[data-okay]");
  if (okay) okay.disabled = chosen + Number(okay.dataset.more ?? 0) === 0;
});

region();
arrived(document);
new MutationObserver((changes) => {
  for (const { addedNodes, target, type } of changes) {
    if (type === "attributes") announce(target);
    for (const node of addedNodes) if (node.nodeType === 1) arrived(node);
  }
}).observe(document.body, { childList: true, subtree: true, attributes: true, attributeFilter: ["data-say"] });
