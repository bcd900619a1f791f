// The student's page: a paper as a form, kept in the browser while it is filled in, marked by the
// server line by line. There is no answer in the form; the server works the paper out again.

import { ask, byId, events, fill, make, save, stopped, unpacked } from "./parts.js";

const PAUSE = 350; // milliseconds without a keystroke before an answer is read
const KEPT = 12; // papers whose answers are kept in this browser
const PREFIX = "backproof-paper-";

const state = { text: "", digest: "", title: "", unread: new Set(), reading: null, timer: 0, submitted: false };

// --- saying --------------------------------------------------------------------------------------

function say(text) {
  byId("said").textContent = text;
}

function trouble(text) {
  byId("fault").replaceChildren(make("p", { className: "message", textContent: text }));
  byId("fault").hidden = false;
}

// The events of a job about the paper; what is wrong with it is shown above the form.
async function* job(body, signal) {
  for await (const event of events({ text: state.text, ...body }, signal, "/api/paper")) {
    if (event.kind === "error") throw new Error(event.message + (event.hint ? ` Hint: ${event.hint}.` : ""));
    if (event.kind === "stopped" || event.stopped) throw new Error(stopped(event));
    if (event.fault) throw new Error(`This is a fault in backproof: ${event.fault}`);
    yield event;
  }
}

// --- answers -------------------------------------------------------------------------------------

const items = () => [...document.querySelectorAll("#questions [data-item]")];
const itemOf = (id) => document.querySelector(`#questions [data-item="${CSS.escape(id)}"]`);

function answerOf(item) {
  const { kind } = item.dataset;
  if (kind === "choice") return item.querySelector("input:checked")?.value ?? "";
  if (kind === "match") {
    const letters = [...item.querySelectorAll("select")].map((s) => s.value || "-");
    return letters.every((letter) => letter === "-") ? "" : letters.join("");
  }
  return item.querySelector("textarea").value;
}

function write(item, answer) {
  const { kind } = item.dataset;
  if (kind === "choice") for (const radio of item.querySelectorAll("input")) radio.checked = radio.value === answer;
  else if (kind === "match") item.querySelectorAll("select").forEach((s, k) => { s.value = answer[k] === "-" ? "" : answer[k] ?? ""; });
  else {
    item.querySelector("textarea").value = answer;
    grow(item.querySelector("textarea"));
  }
}

function answers() {
  const found = {};
  for (const item of items()) {
    const answer = answerOf(item);
    if (answer.trim()) found[item.dataset.item] = answer;
  }
  return found;
}

function grow(area) {
  const lines = area.value.split("\n").length;
  area.rows = Math.min(12, Math.max(area.closest("[data-kind=essay]") ? 4 : 1, lines));
}

// --- kept in this browser ------------------------------------------------------------------------

function keep() {
  const kept = { title: state.title, at: Date.now(), answers: answers(), submitted: state.submitted, student: byId("student").value };
  try {
    localStorage.setItem(PREFIX + state.digest, JSON.stringify(kept));
    const all = Object.keys(localStorage).filter((k) => k.startsWith(PREFIX));
    const at = (k) => JSON.parse(localStorage.getItem(k)).at ?? 0;
    for (const old of all.sort((a, b) => at(b) - at(a)).slice(KEPT)) localStorage.removeItem(old);
    return true;
  } catch {
    return false;
  }
}

function kept() {
  try {
    return JSON.parse(localStorage.getItem(PREFIX + state.digest)) ?? {};
  } catch {
    return {};
  }
}

function progress(saved = true) {
  const all = items().length;
  const done = Object.keys(answers()).length;
  const where = saved ? "kept in this browser" : "not kept: this browser does not allow it";
  byId("progress-said").textContent = state.submitted ? state.told : `${done} of ${all} lines written, ${where}`;
}

// --- how an answer is read -----------------------------------------------------------------------

async function read() {
  state.reading?.abort();
  const mine = state.reading = new AbortController();
  const asked = [...state.unread];
  const now = answers();
  const body = Object.fromEntries(asked.filter((id) => now[id]).map((id) => [id, now[id]]));
  for (const id of asked) if (!now[id]) fill(itemOf(id).querySelector(".echo"), "");
  if (Object.keys(body).length) {
    try {
      for await (const event of job({ do: "read", answers: body }, mine.signal)) {
        if (event.kind === "echo") fill(itemOf(event.item).querySelector(".echo"), event.html);
      }
    } catch (error) {
      if (error.name !== "AbortError") trouble(error.message);
      return;
    }
  }
  if (state.reading === mine) for (const id of asked) state.unread.delete(id);
}

function changed(event) {
  const item = event.target.closest("[data-item]");
  if (!item) return;
  if (event.target.matches("textarea")) grow(event.target);
  if (["value", "gradient", "equation", "blank", "bound"].includes(item.dataset.kind)) state.unread.add(item.dataset.item);
  clearTimeout(state.timer);
  state.timer = setTimeout(read, PAUSE);
  progress(keep());
}

// --- marks ---------------------------------------------------------------------------------------

function lock(locked) {
  state.submitted = locked;
  for (const field of document.querySelectorAll("#questions textarea")) field.readOnly = locked;
  for (const field of document.querySelectorAll("#questions input, #questions select")) field.disabled = locked;
  byId("submit").hidden = locked;
  byId("again").hidden = byId("solve").hidden = !locked;
  document.body.classList.toggle("submitted", locked);
}

async function submit(jump = true) {
  byId("submit").disabled = true;
  byId("fault").hidden = true;
  byId("marks-by").replaceChildren();
  try {
    for await (const event of job({ do: "mark", answers: answers() })) {
      if (event.kind === "marks") sheetMarked(event);
      if (event.kind === "total") marked(event, jump);
    }
  } catch (error) {
    trouble(error.message);
    say(error.message);
  }
  byId("submit").disabled = false;
}

function sheetMarked(event) {
  for (const line of event.lines) {
    const item = itemOf(line.item);
    fill(item.querySelector(".result"), line.html);
    item.dataset.look = line.look;
  }
  const section = document.querySelector(`#questions [data-sheet="${CSS.escape(event.sheet)}"]`);
  const title = section.querySelector("h3").firstChild.textContent.trim();
  byId("marks-by").append(make("li", {}, make("a", { href: `#${section.id}`, textContent: title }), " ", make("span", { textContent: `${event.earned} of ${event.of}` })));
}

function marked(event, jump) {
  byId("marks-title").textContent = `${event.earned} of ${event.of} marks`;
  const said = [];
  if (event.carried) said.push(event.carried === 1 ? "One line counts because it follows from your own earlier value." : `${event.carried} lines count because they follow from your own earlier values.`);
  if (event.waiting) said.push(`${event.waiting} more wait for a person: such lines are not decided here.`);
  if (event.written < event.lines) said.push(`${event.lines - event.written} of ${event.lines} lines are empty.`);
  byId("marks-said").textContent = said.join(" ");
  byId("marks").hidden = false;
  state.told = `${event.earned} of ${event.of} marks`;
  lock(true);
  progress(keep());
  say(`Marked: ${state.told}. ${said.join(" ")}`);
  if (jump) {
    byId("marks-title").focus();
    byId("marks").scrollIntoView({ block: "start" });
  }
}

// Back to writing: what was marked is no longer what stands there.
function again() {
  lock(false);
  byId("marks").hidden = true;
  for (const item of items()) {
    fill(item.querySelector(".result"), "");
    delete item.dataset.look;
  }
  for (const solution of document.querySelectorAll(".solution")) {
    solution.hidden = true;
    solution.replaceChildren();
  }
  byId("solve").disabled = false;
  progress(keep());
  items()[0]?.querySelector("textarea, input, select").focus();
}

async function solve() {
  byId("solve").disabled = true;
  say("Working the solutions…");
  for (const solution of document.querySelectorAll(".solution")) solution.replaceChildren();
  try {
    for await (const event of job({ do: "solution" })) {
      if (event.kind !== "solution") continue;
      const host = document.querySelector(`#questions [data-sheet="${CSS.escape(event.sheet)}"] .solution`);
      if (!host.children.length) host.append(make("h4", { textContent: "Solution" }));
      const part = make("div");
      fill(part, event.html);
      host.append(part);
      host.hidden = false;
    }
    say("The solutions stand below each question.");
  } catch (error) {
    byId("solve").disabled = false;
    trouble(error.message);
  }
}

// --- a script to hand in -------------------------------------------------------------------------

// The answers as `backproof mark` reads them.
function script() {
  const lines = [`student: ${byId("student").value.replace(/\s+/g, " ").trim() || "unnamed"}`];
  for (const section of document.querySelectorAll("#questions [data-sheet]")) {
    const own = [...section.querySelectorAll("[data-item]")].map((item) => [item.dataset.key, answerOf(item).replace(/\s*\n\s*/g, " ").trim()]);
    if (own.some(([, answer]) => answer)) lines.push("", `[${section.dataset.sheet}]`);
    for (const [key, answer] of own) if (answer) lines.push(`${key} = ${answer}`);
  }
  const name = (byId("student").value.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "") || "script").slice(0, 50);
  save(`${name}.txt`, new Blob([`${lines.join("\n")}\n`], { type: "text/plain" }));
}

function clear() {
  if (!window.confirm("Clear every answer to this paper? They are not kept anywhere else.")) return;
  again();
  for (const item of items()) {
    write(item, "");
    fill(item.querySelector(".echo"), "");
  }
  localStorage.removeItem(PREFIX + state.digest);
  progress();
}

// --- beginning -----------------------------------------------------------------------------------

async function open() {
  const form = byId("questions");
  form.replaceChildren();
  byId("title").textContent = byId("sum").textContent = "";
  byId("marks").hidden = byId("fault").hidden = byId("hand-in").hidden = byId("bar").hidden = true;
  try {
    for await (const event of job({ do: "paper" })) {
      if (event.kind === "paper") head(event);
      if (event.kind === "block") {
        const block = make("div", { className: "block" });
        fill(block, event.html, false);
        form.append(block);
      }
    }
  } catch (error) {
    byId("title").textContent ||= "A paper that cannot be read";
    trouble(error.message);
    return;
  }
  const before = kept();
  for (const item of items()) {
    const answer = before.answers?.[item.dataset.item];
    if (typeof answer !== "string") continue;
    write(item, answer);
    state.unread.add(item.dataset.item);
  }
  byId("student").value = before.student ?? "";
  byId("hand-in").hidden = byId("bar").hidden = false;
  lock(false);
  progress();
  if (state.unread.size) read();
  if (before.submitted) await submit(false);
  document.body.dataset.ready = "yes";
}

function head(event) {
  Object.assign(state, { digest: event.digest, title: event.title, unread: new Set(), submitted: false });
  byId("title").textContent = event.title || "A paper";
  document.title = `${event.title || "A paper"} · backproof`;
  const many = event.questions === 1 ? "One question" : `${event.questions} questions`;
  byId("sum").textContent = `${many}, ${event.lines} lines to answer, ${event.marks}.`;
}

async function begin() {
  delete document.body.dataset.ready;
  const about = await (await ask("/api/start")).json();
  const found = /^#s=([A-Za-z0-9_-]+)$/.exec(location.hash);
  try {
    state.text = found ? await unpacked(found[1], 4 * about.limits.text) : "";
  } catch {
    state.text = "";
  }
  if (state.text) return open();
  const papers = about.examples.filter((e) => e.group === "Papers");
  byId("title").textContent = found ? "The link holds no paper that can be read" : "Take a paper";
  byId("sum").textContent = "A paper is taken by a link that its author gives. These come along:";
  byId("questions").replaceChildren(make("ul", {}, ...papers.map((example) => make("li", {},
    make("button", { type: "button", className: "small", textContent: example.title, onclick: async () => {
      state.text = (await (await ask(`/api/examples/${example.name}`)).json()).text;
      await open();
      byId("title").focus();
    } })))));
}

byId("questions").addEventListener("input", changed);
byId("questions").addEventListener("submit", (event) => event.preventDefault());
byId("questions").addEventListener("keydown", (event) => {
  const one = event.target.matches("textarea") && !event.target.closest("[data-kind=essay]");
  if (event.key !== "Enter" || !one || event.shiftKey || event.isComposing) return;
  event.preventDefault(); // to the next line, as on paper; Shift and Enter breaks a long matrix
  const fields = [...document.querySelectorAll("#questions textarea, #questions input, #questions select")];
  fields[fields.indexOf(event.target) + 1]?.focus();
});
byId("student").oninput = keep;
byId("submit").onclick = () => submit();
byId("again").onclick = again;
byId("solve").onclick = solve;
byId("script").onclick = script;
byId("clear").onclick = clear;
byId("how-open").onclick = () => {
  byId("how").hidden = !byId("how").hidden;
  byId("how-open").setAttribute("aria-expanded", String(!byId("how").hidden));
};
byId("back").hidden = sessionStorage.getItem("sheet") === null;
// A place on this page is gone to without touching the address, which holds the paper.
document.addEventListener("click", (event) => {
  const link = event.target.closest("a[href^='#']");
  if (!link) return;
  event.preventDefault();
  const place = byId(decodeURIComponent(link.hash.slice(1)));
  if (!place) return;
  place.tabIndex = -1;
  place.focus({ preventScroll: true });
  place.scrollIntoView({ block: "start" });
});
window.addEventListener("hashchange", begin);
begin();
