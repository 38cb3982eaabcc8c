// Short messages at the edge of the page. Text only: what comes from a server or a charger is never HTML here.
const SHOWN_MS = 6000;
const SHOWN_BAD_MS = 12000;
const AT_ONCE = 3;

export function showToast(text, kind = "ok", existing = null) {
  if (!text) return;
  const toasts = document.getElementById("toasts");
  const toast = existing ?? document.createElement("div");
  if (!existing) {
    toast.className = kind === "bad" ? "toast bad" : "toast";
    toast.textContent = text;
    toasts.append(toast);
  }
  while (toasts.children.length > AT_ONCE) toasts.firstElementChild.remove();
  toast.addEventListener("click", () => toast.remove());
  setTimeout(() => toast.remove(), kind === "bad" ? SHOWN_BAD_MS : SHOWN_MS);
}
