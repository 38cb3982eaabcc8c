// Lists to tick in: all of a page at once, and how many are ticked. Works on what htmx swaps in, too.

function count(form) {
  const boxes = [...form.querySelectorAll("td.tick input[type=checkbox]")];
  const ticked = boxes.filter((box) => box.checked).length;
  const all = form.querySelector("[data-tick-page]");
  if (all) {
    all.checked = ticked > 0 && ticked === boxes.length;
    all.indeterminate = ticked > 0 && ticked < boxes.length;
  }
  for (const place of form.querySelectorAll("[data-ticked]")) place.textContent = ticked ? ` ${ticked}` : "";
  for (const button of form.querySelectorAll("[data-needs-tick]")) button.disabled = ticked === 0;
}

document.addEventListener("change", (event) => {
  const form = event.target.closest("form[data-ticks]");
  if (!form) return;
  if (event.target.matches("[data-tick-page]")) {
    for (const box of form.querySelectorAll("td.tick input[type=checkbox]")) box.checked = event.target.checked;
  }
  count(form);
});
document.addEventListener("htmx:after:swap", () => document.querySelectorAll("form[data-ticks]").forEach(count));
document.querySelectorAll("form[data-ticks]").forEach(count);
