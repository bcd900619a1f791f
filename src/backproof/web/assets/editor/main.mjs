// The editor of the live page: a small interface of our own over CodeMirror 6, so that the page
// knows nothing of CodeMirror. Bundled into ../editor.js; see ../BUILD.md.
//
// The editor lives in a shadow root, because there CodeMirror adds its rules as constructed style
// sheets, which a Content-Security-Policy without 'unsafe-inline' allows.

import { autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import { HighlightStyle, bracketMatching, syntaxHighlighting } from "@codemirror/language";
import { lintKeymap, setDiagnostics } from "@codemirror/lint";
import { highlightSelectionMatches, search, searchKeymap } from "@codemirror/search";
import { Compartment, EditorState, StateEffect, StateField } from "@codemirror/state";
import {
  Decoration, EditorView, WidgetType, drawSelection, highlightActiveLine, highlightActiveLineGutter,
  highlightSpecialChars, hoverTooltip, keymap, lineNumbers, tooltips,
} from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { sheetLanguage, turned } from "./sheet.mjs";

const COLOURS = HighlightStyle.define([
  { tag: tags.comment, color: "var(--w-quiet)", fontStyle: "italic" },
  { tag: tags.heading, fontWeight: "700" },
  { tag: tags.keyword, color: "var(--w-word)", fontWeight: "600" },
  { tag: tags.typeName, color: "var(--w-set)" },
  { tag: tags.function(tags.variableName), color: "var(--w-function)" },
  { tag: tags.number, color: "var(--w-number)" },
  { tag: tags.string, color: "var(--w-set)" },
  { tag: tags.atom, color: "var(--w-number)" },
  { tag: tags.operator, color: "var(--w-sign)" },
]);

const THEME = EditorView.theme({
  "&": { height: "100%", fontSize: "var(--w-code-size)", color: "var(--w-ink)", backgroundColor: "transparent" },
  "&.cm-focused": { outline: "none" },
  ".cm-scroller": { fontFamily: "var(--w-code)", lineHeight: "1.55", overflow: "auto" },
  ".cm-content": { padding: "12px 0", caretColor: "var(--w-ink)" },
  ".cm-line": { padding: "0 14px 0 8px" },
  ".cm-cursor": { borderLeftColor: "var(--w-ink)", borderLeftWidth: "2px" },
  ".cm-gutters": { backgroundColor: "transparent", color: "var(--w-quiet)", border: "none" },
  ".cm-lineNumbers .cm-gutterElement": { minWidth: "2.6em", padding: "0 6px 0 10px" },
  ".cm-activeLine, .cm-activeLineGutter": { backgroundColor: "var(--w-line)" },
  ".cm-activeLineGutter": { color: "var(--w-ink)" },
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground":
    { backgroundColor: "var(--w-select) !important" },
  ".cm-selectionMatch": { backgroundColor: "var(--w-match)" },
  "&.cm-focused .cm-matchingBracket": { backgroundColor: "var(--w-match)", outline: "1px solid var(--w-quiet)" },
  ".cm-lintRange-error": {
    backgroundImage: "none", textDecoration: "underline wavy var(--w-wrong) 1.5px",
    textUnderlineOffset: "3px", textDecorationSkipInk: "none",
  },
  ".cm-lintRange-warning": {
    backgroundImage: "none", textDecoration: "underline dashed var(--w-wrong) 1.5px", textUnderlineOffset: "4px",
  },
  ".cm-lintPoint:after": { borderBottomColor: "var(--w-wrong)" },
  ".cm-tooltip": {
    backgroundColor: "var(--w-paper)", color: "var(--w-ink)", border: "1px solid var(--w-edge)",
    borderRadius: "4px", boxShadow: "0 2px 10px rgb(0 0 0 / .16)", zIndex: "8", maxWidth: "min(34em, 92vw)",
  },
  ".cm-diagnostic": { padding: "6px 10px", borderLeft: "3px solid var(--w-wrong)", fontFamily: "var(--w-text)", whiteSpace: "pre-wrap" },
  ".cm-tooltip-autocomplete > ul": { fontFamily: "var(--w-code)" },
  ".cm-tooltip.cm-tooltip-autocomplete > ul > li[aria-selected]": { backgroundColor: "var(--w-word)", color: "var(--w-paper)" },
  ".cm-tooltip.cm-tooltip-autocomplete > ul > li[aria-selected] .cm-completionDetail": { color: "var(--w-paper)" },
  ".cm-completionDetail": { color: "var(--w-quiet)", fontStyle: "normal" },
  ".cm-name": { padding: "6px 10px", fontFamily: "var(--w-text)" },
  ".cm-name b": { fontFamily: "var(--w-code)", fontWeight: "600" },
  ".cm-name pre": { margin: "4px 0 0", fontFamily: "var(--w-code)", fontSize: "0.92em" },
  ".cm-verdict": {
    fontFamily: "var(--w-text)", fontSize: "0.86em", marginLeft: "1.4em", padding: "0 6px", borderRadius: "3px",
    border: "1px solid currentColor", whiteSpace: "nowrap",
  },
  ".cm-verdict.holds": { color: "var(--w-holds)" },
  ".cm-verdict.fails": { color: "var(--w-wrong)" },
  ".cm-verdict.open": { color: "var(--w-open)" },
  ".cm-panels": { backgroundColor: "var(--w-line)", color: "var(--w-ink)", borderColor: "var(--w-edge)" },
  ".cm-textfield": { backgroundColor: "var(--w-paper)", color: "var(--w-ink)", border: "1px solid var(--w-edge)" },
  ".cm-button": { backgroundImage: "none", backgroundColor: "var(--w-paper)", color: "var(--w-ink)", border: "1px solid var(--w-edge)" },
});

class VerdictWidget extends WidgetType {
  constructor(word, look) {
    super();
    this.word = word;
    this.look = look;
  }
  eq(other) {
    return other.word === this.word && other.look === this.look;
  }
  toDOM() {
    const mark = document.createElement("span");
    mark.className = `cm-verdict ${this.look}`;
    mark.textContent = this.word;
    return mark;
  }
}

const setVerdicts = StateEffect.define();
const verdictField = StateField.define({
  create: () => Decoration.none,
  update(marks, transaction) {
    marks = marks.map(transaction.changes);
    for (const effect of transaction.effects) {
      if (!effect.is(setVerdicts)) continue;
      const ranges = effect.value.map(({ to, word, look }) =>
        Decoration.widget({ widget: new VerdictWidget(word, look), side: 1 })
          .range(transaction.state.doc.lineAt(Math.min(to, transaction.state.doc.length)).to));
      marks = Decoration.set(ranges, true);
    }
    return marks;
  },
  provide: (field) => EditorView.decorations.from(field),
});

// Where a selection is typed over, Chromium itself would keep its look in style attributes, which
// the page's Content-Security-Policy forbids (and reports): the editor replaces it instead.
const typeOver = EditorView.domEventHandlers({
  beforeinput(event, view) {
    const { from, to, empty } = view.state.selection.main;
    if (event.inputType !== "insertText" || !event.data || empty || view.composing) return false;
    event.preventDefault();
    const insert = () => view.state.update(view.state.replaceSelection(event.data), { userEvent: "input.type", scrollIntoView: true });
    const handled = view.state.facet(EditorView.inputHandler).some((handle) => handle(view, from, to, event.data, insert));
    if (!handled) view.dispatch(insert());
    return true;
  },
});

const NAME_AT = /[\p{L}\p{M}\p{N}_]/u;

function nameAt(state, pos) {
  const line = state.doc.lineAt(pos);
  let from = pos - line.from;
  let to = from;
  while (from > 0 && NAME_AT.test(line.text[from - 1])) from -= 1;
  while (to < line.text.length && NAME_AT.test(line.text[to])) to += 1;
  return from === to ? null : { from: line.from + from, to: line.from + to, name: line.text.slice(from, to) };
}

function nameCard(told) {
  const card = document.createElement("div");
  card.className = "cm-name";
  const head = document.createElement("b");
  head.textContent = told.name;
  card.append(head, ` ${told.brief}`);
  if (told.value) {
    const value = document.createElement("pre");
    value.textContent = told.value;
    card.append(value);
  }
  return card;
}

// Whether a line of a paper stands in a sheet.
function inSheet(doc, number) {
  const state = { fence: "", sheet: false };
  for (let at = 1; at < number; at += 1) turned(doc.line(at).text, state);
  return state.sheet;
}

// host      the element that holds the editor
// words     what the language knows: see sheet.mjs; functions is [{ name, detail }] here
// tell      name -> { name, brief, value } or null, for hovering
// names     () -> [{ name, brief }] for completion
// onChange  called with the text after every change by the user or by `replace`
// onCursor  called with what `tell` says of the name under the cursor, or null, and its place
export function makeEditor({ host, label, words, tell, names, onChange, onCursor, onSubmit }) {
  const root = host.attachShadow({ mode: "open" });
  const known = {
    statements: new Set(words.statements), words: new Set(words.words), sets: new Set(words.sets),
    functions: new Set(words.functions.map((f) => f.name)), constants: new Set(words.constants),
  };

  let paper = false;
  const language = new Compartment();

  function complete(context) {
    const word = context.matchBefore(/[\p{L}_][\p{L}\p{M}\p{N}_]*/u);
    if (!word && !context.explicit) return null;
    const line = context.state.doc.lineAt(context.pos);
    const before = line.text.slice(0, (word ? word.from : context.pos) - line.from);
    if (before.includes("#") || (paper && !inSheet(context.state.doc, line.number))) return null;
    const options = names().map((n) => ({ label: n.name, type: "variable", detail: n.brief, boost: 2 }));
    if (!before.trim()) options.push(...words.statements.map((w) => ({ label: w, type: "keyword", apply: `${w} ` })));
    if (/^\s*ask\s+$/.test(before)) {
      return { from: word ? word.from : context.pos, options: words.words.map((w) => ({ label: w, type: "keyword" })) };
    }
    if (/\bin\s+$/.test(before)) options.push(...words.sets.map((w) => ({ label: w, type: "type" })));
    options.push(...words.functions.map((f) => ({
      label: f.name, type: "function", detail: f.detail,
      apply: (view, completion, from, to) => view.dispatch({
        changes: { from, to, insert: `${f.name}()` }, selection: { anchor: from + f.name.length + 1 },
        userEvent: "input.complete",
      }),
    })));
    return { from: word ? word.from : context.pos, options, validFor: /^[\p{L}\p{M}\p{N}_]*$/u };
  }

  const view = new EditorView({
    root,
    parent: root,
    state: EditorState.create({
      extensions: [
        lineNumbers(), highlightActiveLineGutter(), highlightSpecialChars(), history(), drawSelection(),
        bracketMatching(), closeBrackets(), highlightActiveLine(), highlightSelectionMatches(),
        search({ top: true }), EditorView.lineWrapping, tooltips({ position: "fixed" }),
        typeOver,
        autocompletion({ override: [complete], icons: false }), verdictField,
        language.of(sheetLanguage(known)), syntaxHighlighting(COLOURS), THEME,
        hoverTooltip((editor, pos) => {
          const found = nameAt(editor.state, pos);
          const told = found && tell(found.name);
          return told ? { pos: found.from, end: found.to, above: true, create: () => ({ dom: nameCard(told) }) } : null;
        }, { hoverTime: 200 }),
        EditorView.contentAttributes.of({ "aria-label": label, tabindex: "0", spellcheck: "false", autocapitalize: "off" }),
        EditorView.updateListener.of((update) => {
          if (update.docChanged) onChange(update.state.doc.toString());
          if (update.docChanged || update.selectionSet) {
            const found = nameAt(update.state, update.state.selection.main.head);
            onCursor(found ? tell(found.name) : null, update.state.selection.main.head);
          }
        }),
        keymap.of([
          { key: "Mod-Enter", run: () => (onSubmit(), true) },
          ...closeBracketsKeymap, ...defaultKeymap, ...searchKeymap, ...historyKeymap, ...completionKeymap, ...lintKeymap,
        ]),
      ],
    }),
  });

  return {
    text: () => view.state.doc.toString(),
    place: () => view.state.selection.main.head,
    // Whether the text is a paper: Markdown with sheets between fences.
    paper(is) {
      if (is === paper) return;
      paper = is;
      view.dispatch({ effects: language.reconfigure(sheetLanguage(known, is)) });
    },
    goToLine(number) {
      const line = view.state.doc.line(Math.max(1, Math.min(number, view.state.doc.lines)));
      this.goTo(line.from, line.to);
    },
    focus: () => view.focus(),
    // Puts a whole new text in; can be undone like typing.
    replace(text) {
      view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: text }, selection: { anchor: 0 }, scrollIntoView: true });
    },
    splice(from, to, text) {
      view.dispatch({ changes: { from, to, insert: text }, selection: { anchor: from + text.length }, scrollIntoView: true });
    },
    goTo(from, to) {
      const end = view.state.doc.length;
      view.dispatch({ selection: { anchor: Math.min(from, end), head: Math.min(to, end) }, scrollIntoView: true });
      view.focus();
    },
    // faults: [{ from, to, severity, message }]
    underline(faults) {
      const end = view.state.doc.length;
      const fit = faults.map((f) => ({ ...f, from: Math.min(f.from, end), to: Math.max(Math.min(f.from, end), Math.min(f.to, end)) }));
      view.dispatch(setDiagnostics(view.state, fit));
    },
    // verdicts: [{ to, word, look }], look one of holds, fails, open
    verdicts(list) {
      view.dispatch({ effects: setVerdicts.of(list) });
    },
  };
}
