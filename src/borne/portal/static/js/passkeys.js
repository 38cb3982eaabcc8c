// Passkeys: <form data-passkey="get|create" data-options="address">. The browser is asked with the options of that address;
// what it answers is posted in the form's field `credential`. The form shows only where passkeys exist.

const bytesOf = (text) => {
  const plain = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(plain, (letter) => letter.charCodeAt(0));
};

const textOf = (buffer) => {
  if (!buffer) return null;
  const letters = Array.from(new Uint8Array(buffer), (byte) => String.fromCharCode(byte)).join("");
  return btoa(letters).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
};

const withBytes = (list) => (list ?? []).map((one) => ({ ...one, id: bytesOf(one.id) }));

async function ask(form) {
  const token = form.elements._csrf_token.value;
  const answer = await fetch(form.dataset.options, { method: "POST", headers: { "x-csrftoken": token } });
  if (!answer.headers.get("content-type")?.includes("json")) return null;
  const options = await answer.json();
  const publicKey = { ...options, challenge: bytesOf(options.challenge) };
  if (form.dataset.passkey === "create") {
    publicKey.user = { ...options.user, id: bytesOf(options.user.id) };
    publicKey.excludeCredentials = withBytes(options.excludeCredentials);
    return navigator.credentials.create({ publicKey });
  }
  publicKey.allowCredentials = withBytes(options.allowCredentials);
  return navigator.credentials.get({ publicKey });
}

function written(credential) {
  const { response } = credential;
  const told = { clientDataJSON: textOf(response.clientDataJSON) };
  if (response.attestationObject) {
    told.attestationObject = textOf(response.attestationObject);
    told.transports = response.getTransports?.() ?? [];
  } else {
    told.authenticatorData = textOf(response.authenticatorData);
    told.signature = textOf(response.signature);
    if (response.userHandle?.byteLength) told.userHandle = textOf(response.userHandle);
  }
  return JSON.stringify({ id: credential.id, rawId: textOf(credential.rawId), type: credential.type, response: told });
}

function words(form, error) {
  if (error.name === "InvalidStateError") return form.dataset.known;
  if (error.name === "SecurityError") return form.dataset.elsewhere;
  return form.dataset.none;
}

async function use(form) {
  const note = form.querySelector(".passkey-note");
  const button = form.querySelector("button[type=submit]");
  note.hidden = true;
  button.disabled = true;
  try {
    const credential = await ask(form);
    if (!credential) return location.reload(); // the login is over, or asks to be confirmed: the page itself says so
    form.elements.credential.value = written(credential);
    form.submit();
  } catch (error) {
    note.textContent = words(form, error);
    note.hidden = false;
  } finally {
    button.disabled = false;
  }
}

if (window.PublicKeyCredential) {
  for (const form of document.querySelectorAll("form[data-passkey]")) {
    form.hidden = false;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      use(form);
    });
  }
  for (const words of document.querySelectorAll("[data-passkey-missing]")) words.hidden = true;
}
