// The author's view of a paper: what is to be looked at, marks and times, the key, a variant, files.
// The server works everything out.

import { button, byId, events, fill, make, packed, post, save, slots, stopped } from "./parts.js";

const FILES = {
  questions: "Questions (PDF)", blanks: "With blanks (PDF)", solutions: "Solutions (PDF)", key: "Key",
  form: "Form", moodle: "Moodle", "qti-2.1": "QTI 2.1", "qti-3.0": "QTI 3.0", canvas: "Canvas",
};

// Where a paper is taken: the paper is behind the #, which browsers do not send to servers.
const address = async (text) => `${location.origin}/take#s=${await packed(text)}`;

const named = (title) => (title.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "") || "paper").slice(0, 50);

// editor   the editor of the page
// show     (text, fails) for the line below the editor; say the same for a screen reader
// files    which files the server writes
export function authorsView({ editor, show, say, files }) {
  let about = { title: "", varies: false };
  let counts = {};
  let keys = 0;
  let drawing = null;

  function pages(event) {
    const many = (n, word) => `${n} ${word}${n === 1 ? "" : "s"}`;
    return `${event.questions === 1 ? "One question" : `${event.questions} questions`}, ${many(event.lines, "line")} to answer, ${event.marks}.`;
  }

  async function written(to) {
    show("writing…");
    const reply = await post("/api/paper/file", { text: editor.text(), to });
    if (reply.ok) {
      const ending = /filename="([^"]+)"/.exec(reply.headers.get("content-disposition"))[1];
      save(`${named(about.title)}-${ending}`, await reply.blob());
      show("written");
      say("Written.");
    } else {
      const { message } = await reply.json();
      show(message, true);
      say(message);
    }
  }

  async function draw() {
    drawing?.abort();
    const mine = drawing = new AbortController();
    const host = byId("paper-variant");
    host.replaceChildren(make("p", { className: "searching", textContent: "drawing…" }));
    const found = [];
    const fail = (text) => host.replaceChildren(make("p", { className: "fault", textContent: text }));
    try {
      const job = { do: "variant", text: editor.text(), option: byId("seed").value };
      for await (const event of events(job, mine.signal, "/api/paper")) {
        if (drawing !== mine) return;
        if (event.kind === "error") return fail(event.message + (event.hint ? ` Hint: ${event.hint}.` : ""));
        if (event.kind === "stopped" || event.stopped) return fail(stopped(event));
        if (event.fault) return fail(`This is a fault in backproof: ${event.fault}`);
        if (event.kind === "variant") found.push(...variant(event));
        if (event.kind === "section") {
          const part = make("div", { className: "slot" });
          fill(part, event.html);
          found.push(part);
        }
      }
    } catch (error) {
      if (error.name !== "AbortError") fail(error.message);
      return;
    }
    host.replaceChildren(...found);
  }

  function variant(event) {
    const rejected = event.rejected.length ? [make("details", { className: "rule" },
      make("summary", { textContent: "Draws that were not fit" }),
      make("ul", {}, ...event.rejected.map((line) => make("li", { textContent: line }))))] : [];
    return [
      make("p", { textContent: `About ${event.minutes} minutes of arithmetic.` }),
      make("div", { className: "actions" },
        button("Take this variant", async () => { location.href = await address(event.text); }),
        button("Put it into the editor", () => editor.replace(event.text)),
        button("Save it", () => save(`${named(about.title)}-${byId("seed").value}.md`, new Blob([event.text], { type: "text/markdown" })))),
      ...rejected,
    ];
  }

  byId("take").onclick = async () => { location.href = await address(editor.text()); };
  byId("take-link").onclick = async () => {
    const link = await address(editor.text());
    try {
      await navigator.clipboard.writeText(link);
      show("link copied");
      say("The link is copied.");
    } catch {
      byId("paper-sum").after(make("input", { type: "text", readOnly: true, value: link, className: "link", ariaLabel: "The link for students" }));
      byId("paper-sum").nextSibling.select();
    }
  };
  byId("variant-form").onsubmit = (event) => {
    event.preventDefault();
    draw();
  };
  byId("paper-files").append(...files.map((to) => button(FILES[to], () => written(to))));
  byId("paper").addEventListener("click", (event) => {
    const line = event.target.dataset?.line;
    if (line) editor.goToLine(Number(line));
  });

  return {
    job: (text, signal) => events({ do: "author", text }, signal, "/api/paper"),
    head(event) {
      about = event;
      keys = 0;
      byId("paper-sum").textContent = pages(event);
      byId("variant-form").hidden = !event.varies;
      if (!event.varies) {
        byId("paper-variant").replaceChildren(make("p", { className: "hint", textContent: "The paper varies nothing. A line such as vary W in {-0.5..0.5 step 0.1} in a sheet says what a variant may draw." }));
      } else if (byId("paper-variant").querySelector(":scope > .hint")) byId("paper-variant").replaceChildren();
      this.slots = slots(byId("paper-key"), event.sections - 2);
    },
    section(event) {
      if (event.counts) counts = event.counts;
      if (event.name === "key") fill(this.slots[keys++], event.html);
      else fill(byId(`paper-${event.name}`), event.html);
    },
    said() {
      const told = Object.entries(counts).filter(([, n]) => n).map(([word, n]) => `${n} ${word}${n === 1 ? "" : "s"}`);
      return told.length ? `paper: ${told.join(", ")}` : "paper: nothing to mend";
    },
    wrong: () => Boolean(counts.error),
  };
}
