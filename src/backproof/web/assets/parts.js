// Small things that the page is put together from: the link that holds a sheet, the stream of
// answers, pieces of HTML. Knows nothing of the page itself.

// --- a sheet in a link ---------------------------------------------------------------------------

async function through(bytes, stream, most) {
  const writer = stream.writable.getWriter();
  writer.write(bytes).catch(() => {});
  writer.close().catch(() => {});
  const reader = stream.readable.getReader();
  const parts = [];
  let size = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    size += value.length;
    if (size > most) {
      await reader.cancel();
      throw new Error("The sheet in this link is too long.");
    }
    parts.push(value);
  }
  const all = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

export async function packed(text) {
  const bytes = await through(new TextEncoder().encode(text), new CompressionStream("deflate-raw"), 1e7);
  let letters = "";
  for (const byte of bytes) letters += String.fromCharCode(byte);
  return btoa(letters).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

export async function unpacked(packedText, most) {
  const letters = atob(packedText.replaceAll("-", "+").replaceAll("_", "/"));
  const bytes = Uint8Array.from(letters, (c) => c.charCodeAt(0));
  return new TextDecoder().decode(await through(bytes, new DecompressionStream("deflate-raw"), most));
}

// --- the server ----------------------------------------------------------------------------------

// Which open page this is: the same one after a reload and on the student's page, so that its data
// files are found again; another one in a tab that was made as a copy of this.
const page = await (async () => {
  const letters = crypto.getRandomValues(new Uint8Array(18));
  const fresh = btoa(String.fromCharCode(...letters)).replaceAll("+", "-").replaceAll("/", "_");
  const known = sessionStorage.getItem("page");
  const taken = known && navigator.locks && await locked(known, 500);
  if (taken) return known;
  sessionStorage.setItem("page", fresh);
  if (navigator.locks) await locked(fresh, 500);
  return fresh;
})();

// Holds a name until the page goes away; false where another page holds it.
function locked(name, wait) {
  return new Promise((resolve) => {
    navigator.locks.request(`backproof ${name}`, { signal: AbortSignal.timeout(wait) }, () => {
      resolve(true);
      return new Promise(() => {});
    }).catch(() => resolve(false));
  });
}

export function ask(path, options = {}) {
  return fetch(path, { ...options, headers: { "x-backproof-page": page, ...options.headers } });
}

export function post(path, body, signal) {
  return ask(path, { method: "POST", body: JSON.stringify(body), headers: { "content-type": "application/json" }, signal });
}

// Every event of a job, as it comes.
export async function* events(body, signal, path = "/api/work") {
  const reply = await post(path, body, signal);
  if (!reply.ok) throw new Error((await reply.json()).message);
  const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const line of lines) yield JSON.parse(line);
  }
}

// --- elements ------------------------------------------------------------------------------------

export const byId = (id) => document.getElementById(id);

export function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

export function button(text, onclick, className = "small") {
  return make("button", { type: "button", textContent: text, className, onclick });
}

// Puts a piece of HTML into a slot, unless it is there already. What the reader folded stays folded.
export function fill(slot, html, copies = true) {
  slot.classList.remove("stale");
  if (slot.html === html) return false;
  slot.html = html;
  const folds = new Map();
  for (const fold of slot.querySelectorAll("details")) folds.set(fold.querySelector("summary")?.textContent, fold.open);
  const template = document.createElement("template");
  template.innerHTML = html;
  for (const fold of template.content.querySelectorAll("details")) {
    const open = folds.get(fold.querySelector("summary")?.textContent);
    if (open !== undefined) fold.open = open;
  }
  slot.replaceChildren(template.content);
  if (copies) for (const line of slot.querySelectorAll(".line")) addCopy(line);
  return true;
}

function addCopy(line) {
  const note = line.querySelector("annotation");
  if (!note || !navigator.clipboard) return;
  const copy = button("TeX", async () => {
    await navigator.clipboard.writeText(note.textContent);
    copy.textContent = "copied";
    setTimeout(() => { copy.textContent = "TeX"; }, 1200);
  }, "copy");
  copy.setAttribute("aria-label", "Copy this formula as LaTeX");
  line.append(copy);
}

// As many slots in a host as wanted; those that are there keep what they show until it is replaced.
export function slots(host, count, tag = "div") {
  while (host.children.length > count) host.lastElementChild.remove();
  while (host.children.length < count) host.append(make(tag, { className: "slot" }));
  for (const slot of host.children) slot.classList.add("stale");
  return [...host.children];
}

// Why a job was stopped, as a sentence; "" where the page stopped it itself.
export function stopped(event) {
  const seconds = event.seconds ? ` after ${event.seconds} seconds` : "";
  return {
    time: `This took too long and was stopped${seconds}.`,
    died: "This took too much memory and was stopped.",
    memory: "This took too much memory and was stopped.",
    large: "The answer is too large to be shown here.",
    busy: "The server has too much to do at the moment. Try again in a moment.",
  }[event.why ?? event.stopped] ?? "";
}

export function save(name, blob) {
  const link = make("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
