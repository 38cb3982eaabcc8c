// What every page does: toasts, times in the browser's own zone, menus that close, buttons that copy.
import "./organisations.js";
import { showToast } from "./toast.js";
import { refreshTimes } from "./times.js";

document.addEventListener("toast", (event) => showToast(event.detail.text, event.detail.kind));
document.addEventListener("htmx:error", () => showToast(document.body.dataset.failed, "bad"));
document.addEventListener("htmx:after:swap", () => refreshTimes());

// A toast that the page brought along leaves by itself too.
for (const toast of document.querySelectorAll("#toasts .toast")) showToast(toast.textContent, "ok", toast);

// A menu closes when something else is clicked, and by Escape.
document.addEventListener("click", (event) => {
  for (const open of document.querySelectorAll("details.pop[open]")) {
    if (!open.contains(event.target)) open.open = false;
  }
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const open of document.querySelectorAll("details.pop[open]")) {
    open.open = false;
    open.querySelector("summary").focus();
  }
});

// <button data-copy="#id" data-copied="Copied">: puts the text of an element on the clipboard.
document.addEventListener("click", async (event) => {
  const button = event.target.closest?.("[data-copy]");
  if (!button) return;
  const source = document.querySelector(button.dataset.copy);
  try {
    await navigator.clipboard.writeText(source.textContent.trim());
    showToast(button.dataset.copied);
  } catch {
    getSelection().selectAllChildren(source); // no clipboard without https: leave it selected
  }
});
