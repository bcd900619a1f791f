// The live page: what is typed on the left is worked on the right. The server works everything;
// here is only what the reader does and sees.

import { makeEditor } from "./editor.js";
import { authorsView } from "./paper.js";
import { ask, button, byId, events, fill, make, packed, post, save, slots, stopped, unpacked } from "./parts.js";

const VIEWS = [
  ["paper", "Paper"], ["working", "Working"], ["shapes", "Shapes"], ["values", "Values"], ["tree", "Tree"],
  ["gradient", "Gradient"], ["batch", "Batch"], ["slow", "Slow"], ["claims", "Claims"],
];
const PAUSE = 60; // milliseconds without a keystroke before a sheet is worked
const LONGER = 180; // the same, where the last answer took longer than it is comfortable to wait
const SLOW = 450; // milliseconds after which progress is shown

const state = {
  view: "working", names: new Map(), learned: [], options: {}, verdicts: [], run: null, timer: 0,
  took: 0, about: null, typed: null, paper: false, region: [0, 0],
};
let editor;
let author;

// --- saying --------------------------------------------------------------------------------------

let saying = 0;
function say(text) {
  clearTimeout(saying);
  saying = setTimeout(() => { byId("said").textContent = text; }, 500);
}

function show(text, fails = false) {
  byId("state").textContent = text;
  byId("state").classList.toggle("fails", fails);
}

// --- working -------------------------------------------------------------------------------------

function later(wait = state.took > 300 ? LONGER : PAUSE) {
  clearTimeout(state.timer);
  state.timer = setTimeout(work, wait);
}

function stop() {
  if (!state.run) return;
  state.run.abort();
  ended();
  show("stopped");
  say("Stopped.");
}

function ended() {
  clearTimeout(state.late);
  state.run = null;
  byId("stop").hidden = byId("progress").hidden = true;
  byId("panel").setAttribute("aria-busy", "false");
}

async function work() {
  clearTimeout(state.timer);
  state.run?.abort();
  clearTimeout(state.late);
  const run = state.run = new AbortController();
  const view = state.view;
  const text = editor.text();
  sessionStorage.setItem("sheet", text);
  state.late = setTimeout(() => {
    byId("stop").hidden = byId("progress").hidden = false;
    byId("panel").setAttribute("aria-busy", "true");
    show("working…");
  }, SLOW);
  const page = new Page(view);
  try {
    const job = view === "paper" ? author.job(text, run.signal)
      : events({ text, view, option: state.options[view] ?? "", at: editor.place() }, run.signal);
    for await (const event of job) {
      if (state.run !== run) return;
      page[event.kind]?.(event);
    }
    if (state.run === run) ended();
    if (view === "claims") judgeTyped();
  } catch (error) {
    if (error.name === "AbortError" || state.run !== run) return;
    ended();
    page.trouble(`The server does not answer: ${error.message}`);
  }
}

// What the events of one job do to the page.
class Page {
  constructor(view) {
    this.view = view;
    this.done_ = 0;
    this.total = 1;
    this.list = [];
    this.open = 0; // claims whose repair is still looked for
    this.began = performance.now();
  }

  // Everything is answered; what may still come are repairs of refuted claims.
  answered() {
    if (this.told || this.done_ + this.open < this.total) return;
    this.told = true;
    state.took = performance.now() - this.began;
    performance.measure("answered", "typed");
  }

  step() {
    this.done_ += 1;
    byId("progress").max = this.total;
    byId("progress").value = this.done_;
    this.answered();
  }

  paper(event) {
    author.head(event);
    titled(event.title);
    this.total = event.sections;
    byId("fault").hidden = true;
    editor.underline([]);
    editor.verdicts([]);
  }

  section(event) {
    author.section(event);
    this.step();
  }

  read(event) {
    state.region = event.region;
    state.names = new Map(event.names.map((n) => [n.name, n]));
    state.learned = event.learned;
    titled(event.title);
    this.total = event.parts + event.claims || 1;
    this.parts = slots(byId("parts"), event.parts);
    byId("claims").hidden = !event.claims;
    this.claims = slots(byId("claims").querySelector("ol"), event.claims, "li");
    byId("fault").hidden = true;
    editor.underline([]);
    options(this.view);
  }

  part(event) {
    const slot = this.parts[event.index];
    const fresh = fill(slot, event.html);
    if (event.nodes) interactive(slot, event, fresh);
    this.step();
  }

  note(event) {
    this.remark = make("div", { className: "slot" });
    fill(this.remark, event.html);
    byId("parts").append(this.remark);
  }

  verdict(event) {
    const slot = this.claims[event.index];
    if (event.more) this.open += 1;
    else if (this.list[event.index]) this.open -= 1;
    this.list[event.index] = event;
    if (fill(slot, event.html)) actions(slot, event);
    else slot.event = Object.assign(slot.event ?? {}, event);
    if (event.more) this.answered();
    else this.step();
  }

  error(event) {
    const faults = [];
    if (event.from !== undefined) faults.push({ from: event.from, to: event.to, severity: "error", message: said(event) });
    if (event.also) faults.push({ from: event.also.from, to: event.also.to, severity: "warning", message: event.also.message });
    editor.underline(faults);
    editor.verdicts([]);
    const fault = byId("fault");
    fault.replaceChildren(
      make("p", { className: "message", textContent: event.ours ? "This is a fault in backproof. Please report it, with the sheet." : "" }),
      make("p", { className: "message", textContent: event.message }),
    );
    if (!event.ours) fault.firstChild.remove();
    if (event.hint) fault.append(make("p", { className: "hint", textContent: `Hint: ${event.hint}.` }));
    if (event.line) fault.append(button(`Go to line ${event.line}`, () => editor.goTo(event.from, event.to)));
    fault.hidden = false;
    for (const slot of document.querySelectorAll("#parts > *, #claims li, #paper > *")) slot.classList.add("stale");
    this.failed = true;
    show(event.line ? `error in line ${event.line}` : "error", true);
    say(`Error${event.line ? ` in line ${event.line}` : ""}: ${said(event)}`);
  }

  stopped(event) {
    const why = stopped(event);
    if (why) this.trouble(why);
  }

  trouble(text) {
    this.failed = true;
    byId("fault").replaceChildren(make("p", { className: "message", textContent: text }));
    byId("fault").hidden = false;
    show("stopped", true);
    say(text);
  }

  done(event) {
    if (event.fault) this.trouble(`This is a fault in backproof: ${event.fault}`);
    else if (event.stopped) this.stopped({ why: event.stopped });
    performance.measure("worked", "typed");
    if (this.failed) return;
    for (const slot of document.querySelectorAll("#panel .stale")) slot.classList.remove("stale");
    const counts = {};
    for (const verdict of this.list) counts[verdict.word] = (counts[verdict.word] ?? 0) + 1;
    const told = Object.entries(counts).map(([word, n]) => `${n} ${word}`).join(", ");
    if (this.view === "working" || this.view === "claims") {
      state.verdicts = this.list;
      editor.verdicts(this.list);
      show(told ? `claims: ${told}` : "worked", Boolean(counts.refuted));
    } else show(this.view === "paper" ? author.said() : "worked", this.view === "paper" && author.wrong());
    say(`Worked. ${told ? `Claims: ${told}.` : ""}`);
  }
}

function titled(title) {
  byId("title").textContent = title;
  document.title = title ? `${title} · backproof` : "backproof";
}

const said = (event) => event.message + (event.hint ? `\nHint: ${event.hint}.` : "");

// --- claims --------------------------------------------------------------------------------------

function actions(slot, event) {
  slot.event = event;
  const row = make("div", { className: "actions" });
  if (event.suggestion) {
    row.append(button("Put this repair into the sheet", () => {
      const { from, to, suggestion } = slot.event;
      editor.splice(from, to, suggestion);
      later(0);
    }, "small mend"));
  } else if (event.more) row.append(make("p", { className: "searching", textContent: "looking for a repair…" }));
  if (event.look !== "holds") row.append(button(`Line ${event.line}`, () => editor.goTo(slot.event.from, slot.event.to)));
  if (row.children.length) (slot.querySelector(".said") ?? slot).append(row);
}

let judging = null;
async function judgeTyped() {
  judging?.abort();
  const typed = byId("claim").value.trim();
  const slot = byId("claim-verdict");
  if (!typed) {
    slot.html = undefined;
    slot.replaceChildren();
    return;
  }
  const mine = judging = new AbortController();
  const whole = editor.text();
  const text = state.paper ? whole.slice(...state.region) : whole;
  const lines = text.split("\n").filter((line) => !/^\s*(claim|ask)\b/.test(line) || /[([{]\s*$/.test(line));
  try {
    for await (const event of events({ text: `${lines.join("\n")}\nclaim ${typed}`, view: "claims", option: "typed" }, mine.signal)) {
      if (judging !== mine) return;
      if (event.kind === "error") {
        slot.html = undefined;
        slot.replaceChildren(make("p", { className: "searching", textContent: event.message }));
      }
      if (event.kind !== "verdict") continue;
      if (!fill(slot, event.html)) continue;
      const row = make("div", { className: "actions" });
      if (event.suggestion) {
        row.append(button("Take this repair", () => {
          byId("claim").value = event.suggestion;
          byId("claim").focus();
          judgeTyped();
        }, "small mend"));
      }
      row.append(button("Add to the sheet", () => {
        const now = editor.text();
        const end = state.paper ? state.region[1] : now.length;
        editor.splice(end, end, `${!end || now[end - 1] === "\n" ? "" : "\n"}claim ${typed}\n`);
        byId("claim").value = "";
        judgeTyped();
      }));
      (slot.querySelector(".said") ?? slot).append(row);
      if (!event.more) say(`${event.word}. ${event.why}`);
    }
  } catch (error) {
    if (error.name !== "AbortError") slot.replaceChildren(make("p", { className: "searching", textContent: error.message }));
  }
}

// --- the tree ------------------------------------------------------------------------------------

function interactive(slot, event, fresh) {
  const known = new Set(event.nodes.map((n) => n.name));
  if (!fresh) return;
  const svg = slot.querySelector("svg");
  if (!svg) return;
  svg.setAttribute("role", "group");
  const figure = svg.closest("figure");
  figure.removeAttribute("role");
  figure.removeAttribute("tabindex");
  figure.removeAttribute("aria-label");
  state.about = make("section", { className: "about", hidden: true, tabIndex: 0 });
  state.about.setAttribute("aria-live", "polite");
  state.about.setAttribute("aria-label", "Derivatives of the chosen name");
  figure.after(make("p", { className: "hint", textContent: "Choose a name in the drawing to see its derivatives." }), state.about);
  for (const group of svg.querySelectorAll("g")) {
    const title = group.querySelector(":scope > title")?.textContent ?? "";
    const name = title.split(" (")[0];
    if (!known.has(name)) continue;
    group.classList.add("node");
    group.setAttribute("role", "button");
    group.setAttribute("tabindex", "0");
    group.setAttribute("aria-label", title);
    group.setAttribute("aria-pressed", "false");
    const choose = () => {
      for (const other of svg.querySelectorAll("g.node")) other.setAttribute("aria-pressed", String(other === group));
      local(name);
    };
    group.addEventListener("click", choose);
    group.addEventListener("keydown", (key) => {
      if (key.key === "Enter" || key.key === " ") {
        key.preventDefault();
        choose();
      }
    });
  }
  for (const text of svg.querySelectorAll("text")) text.setAttribute("pointer-events", "none");
}

async function local(name) {
  const box = state.about;
  const told = state.names.get(name);
  box.hidden = false;
  const head = make("h3", { textContent: `${name}${told ? `: ${told.brief}` : ""}` });
  box.replaceChildren(head, make("p", { className: "searching", textContent: "deriving…" }));
  const body = make("div");
  try {
    for await (const event of events({ text: editor.text(), view: "local", option: name, at: editor.place() })) {
      if (event.kind === "error") body.replaceChildren(make("p", { textContent: event.message }));
      if (event.kind === "part") {
        fill(body, event.html);
        const fold = body.querySelector("details.ask");
        fold?.querySelector("summary")?.remove();
        if (fold) fold.replaceWith(...fold.childNodes);
      }
    }
  } catch (error) {
    body.replaceChildren(make("p", { textContent: error.message }));
  }
  box.replaceChildren(head, ...(told?.value ? [make("pre", { textContent: `${name} = ${told.value}` })] : []), body);
  box.scrollIntoView({ block: "nearest" });
}

// --- views ---------------------------------------------------------------------------------------

function tabs() {
  const list = document.querySelector(".tabs");
  for (const [view, label] of VIEWS) {
    const tab = make("button", { type: "button", id: `tab-${view}`, textContent: label, onclick: () => choose(view) });
    tab.setAttribute("role", "tab");
    tab.setAttribute("aria-controls", "panel");
    list.append(tab);
  }
  list.addEventListener("keydown", (event) => {
    const views = VIEWS.filter(([view]) => state.paper || view !== "paper");
    const at = views.findIndex(([view]) => view === state.view);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: views.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    choose(views[(to + views.length) % views.length][0]);
    byId(`tab-${state.view}`).focus();
  });
  select(state.view);
}

function select(view) {
  state.view = view;
  for (const [other] of VIEWS) {
    byId(`tab-${other}`).setAttribute("aria-selected", String(other === view));
    byId(`tab-${other}`).tabIndex = other === view ? 0 : -1;
  }
  byId(`tab-${view}`).scrollIntoView({ block: "nearest", inline: "nearest" });
  byId("panel").setAttribute("aria-labelledby", `tab-${view}`);
  byId("claim-form").hidden = view !== "claims";
  byId("paper").hidden = view !== "paper";
  byId("options").hidden = true;
  byId("parts").replaceChildren();
  byId("claims").querySelector("ol").replaceChildren();
  byId("claims").hidden = true;
  byId("panel").scrollTop = 0;
}

function choose(view) {
  select(view);
  work();
}

// A text that has become a paper, or is none any longer: its own part comes and goes, and is worked.
function turn(text) {
  const paper = /^ {0,12}(?:[-*+] |\d+[.)] )?(?:`{3,}|~{3,})[ \t]*sheet(?:[ \t]|$)/m.test(text);
  editor.paper(paper);
  byId("tab-paper").hidden = !paper;
  if (paper !== state.paper) select(paper ? "paper" : "working");
  state.paper = paper;
}

function options(view) {
  const row = byId("options");
  const wanted = { gradient: "with respect to", slow: "of", batch: "samples as" }[view];
  row.hidden = !wanted;
  if (!wanted) return;
  const names = view === "batch" ? [["", "columns"], ["rows", "rows"]] : [
    ...(view === "gradient" ? [["", "everything learned"]] : []), ...state.learned.map((n) => [n, n]),
  ];
  if (row.firstChild?.textContent === wanted && row.known === names.join()) return;
  row.known = names.join();
  const choice = make("select", { id: "option", onchange: () => {
    state.options[view] = choice.value;
    work();
  } });
  for (const [value, text] of names) choice.append(make("option", { value, textContent: text }));
  if (names.some(([value]) => value === state.options[view])) choice.value = state.options[view];
  else state.options[view] = choice.value;
  const label = make("label", { textContent: wanted, htmlFor: "option" });
  row.replaceChildren(label, choice);
}

// --- tools ---------------------------------------------------------------------------------------

async function share() {
  const link = `${location.origin}${location.pathname}#s=${await packed(editor.text())}`;
  history.replaceState(null, "", link);
  try {
    await navigator.clipboard.writeText(link);
    show("link copied");
    say("The link is copied.");
  } catch {
    show("the link is in the address bar");
    say("The link is in the address bar.");
  }
}

function downloads(forms) {
  const labels = { html: "Page (HTML)", pdf: "PDF", tex: "LaTeX", json: "Data (JSON)" };
  const name = () => (byId("title").textContent.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "") || "sheet").slice(0, 50);
  const close = () => { byId("download").open = false; };
  byId("forms").append(button("Sheet", () => {
    save(`${name()}.${state.paper ? "md" : "sheet"}`, new Blob([editor.text()], { type: "text/plain" }));
    close();
  }));
  for (const form of forms) {
    byId("forms").append(button(labels[form], async () => {
      close();
      show("writing…");
      const reply = await post("/api/export", { text: editor.text(), to: form, at: editor.place() });
      if (reply.ok) {
        save(`${name()}.${form}`, await reply.blob());
        show("written");
      } else {
        const { message } = await reply.json();
        show(message, true);
        say(message);
      }
    }));
  }
}

const holds = new Map(); // name of a file -> what it holds, in words

async function files(list) {
  const names = list ?? (await (await ask("/api/files")).json()).files;
  byId("file-list").replaceChildren(...names.map((name) => make("li", {},
    make("span", {}, make("code", { textContent: name }), make("span", { className: "hint", textContent: ` ${holds.get(name) ?? ""}` })),
    button("Remove", async () => {
      const reply = await ask(`/api/files/${encodeURIComponent(name)}`, { method: "DELETE" });
      await files((await reply.json()).files);
      later(0);
    }))));
}

async function upload() {
  const [file] = byId("file").files;
  byId("file").value = "";
  if (!file) return;
  const reply = await ask(`/api/files/${encodeURIComponent(file.name)}`, { method: "POST", body: file });
  const told = await reply.json();
  const held = reply.ok ? told.arrays.map((a) => `${a.name} ${a.shape.join(" × ")}`).join(", ") : "";
  if (reply.ok) holds.set(told.name, held);
  const text = reply.ok ? `${told.name} holds ${held}` : told.message + (told.hint ? ` (${told.hint})` : "");
  show(text, !reply.ok);
  say(text);
  await files();
  later(0);
}

function gallery(examples) {
  const groups = Map.groupBy ? Map.groupBy(examples, (e) => e.group) : new Map([["", examples]]);
  for (const [group, list] of groups) {
    byId("gallery").append(make("h3", { textContent: group }), make("ul", {}, ...list.map((example) =>
      make("li", {}, make("button", { type: "button", textContent: example.title, onclick: async () => {
        const { text } = await (await ask(`/api/examples/${example.name}`)).json();
        byId("examples").close();
        history.replaceState(null, "", location.pathname);
        editor.replace(text);
        if (!state.paper) choose("working");
        editor.focus();
      } })))));
  }
}

function wire() {
  byId("stop").onclick = stop;
  byId("share").onclick = share;
  byId("file").onchange = upload;
  byId("examples-open").onclick = () => byId("examples").showModal();
  byId("help-open").onclick = () => byId("help").showModal();
  for (const close of document.querySelectorAll("dialog .close")) close.onclick = () => close.closest("dialog").close();
  byId("claim-form").onsubmit = (event) => {
    event.preventDefault();
    judgeTyped();
  };
  byId("claim").oninput = () => {
    clearTimeout(state.typed);
    state.typed = setTimeout(judgeTyped, PAUSE);
  };
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    for (const menu of document.querySelectorAll(".menu[open]")) {
      menu.open = false;
      menu.querySelector("summary").focus();
    }
    if (!document.querySelector("dialog[open]") && !byId("stop").hidden) stop();
  });
  document.addEventListener("click", (event) => {
    for (const menu of document.querySelectorAll(".menu[open]")) if (!menu.contains(event.target)) menu.open = false;
  });
  window.addEventListener("hashchange", async () => {
    const text = await fromLink();
    if (text !== null && text !== editor.text()) editor.replace(text);
  });
}

// --- beginning -----------------------------------------------------------------------------------

let limit = 60_000;
async function fromLink() {
  const found = /^#s=([A-Za-z0-9_-]+)$/.exec(location.hash);
  if (!found) return null;
  try {
    return await unpacked(found[1], 4 * limit);
  } catch {
    show("the link holds no sheet that can be read", true);
    return null;
  }
}

async function begin() {
  const about = await (await ask("/api/start")).json();
  limit = about.limits.text;
  editor = makeEditor({
    host: byId("editor"), label: "The sheet", words: about.words,
    tell: (name) => state.names.get(name) ?? null,
    names: () => [...state.names.values()],
    onChange: (text) => {
      performance.mark("typed");
      turn(text);
      later();
    },
    onCursor: (told, place) => {
      const [from, to] = state.region;
      if (state.paper && state.view !== "paper" && (place < from || place > to)) later(LONGER);
      byId("here").replaceChildren(...(told ? [make("b", { textContent: told.name }), ` ${told.brief}${told.value ? `, ${told.value.length > 60 ? "…" : told.value}` : ""}`] : []));
    },
    onSubmit: () => later(0),
  });
  author = authorsView({ editor, show, say, files: about.paper_files });
  tabs();
  byId("tab-paper").hidden = true;
  wire();
  gallery(about.examples);
  downloads(about.forms);
  files();
  let text = await fromLink();
  if (text === null && sessionStorage.getItem("start") === about.start.text) text = sessionStorage.getItem("sheet");
  text ??= about.start.text;
  if (!text) text = (await (await ask("/api/examples/siamese")).json()).text ?? "";
  sessionStorage.setItem("start", about.start.text);
  editor.replace(text);
  editor.focus();
}

begin();
