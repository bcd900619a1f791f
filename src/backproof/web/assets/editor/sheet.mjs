// The sheet language for the editor: which words and signs get which colour. It must not know
// what a sheet means; names, shapes and errors come from the server.

import { StreamLanguage } from "@codemirror/language";
import { tags } from "@lezer/highlight";

const NAME = /^[\p{L}_][\p{L}\p{M}\p{N}_]*/u;
const NUMBER = /^\d+(?:\.(?!\.)\d*)?(?:[eE][-+]?\d+)?|^\.\d+/;
export const FENCE = /^ {0,12}(?:[-*+] |\d+[.)] )?(`{3,}|~{3,})[ \t]*([^\n]*)$/;
const SIGN = /^(?:\*\*|==|!=|<=|>=|\.T|[-+*/@=<>·⊙×≤≥≠±ᵀ−∈])/;

// words: { statements, words, sets, functions, constants }, each a Set
// paper: whether the text is Markdown with sheets between fences
export function sheetLanguage(words, paper = false) {
  return StreamLanguage.define({
    name: "sheet",
    startState: () => ({ ask: false, fence: "", sheet: !paper }),
    token(stream, state) {
      if (stream.sol()) state.ask = false;
      if (paper && stream.sol() && turned(stream.string, state)) {
        stream.skipToEnd();
        return "comment";
      }
      if (!state.sheet) {
        const heading = stream.sol() && !state.fence && /^ {0,3}#{1,6} /.test(stream.string);
        stream.skipToEnd();
        return heading ? "heading" : null;
      }
      if (stream.eatSpace()) return null;
      if (stream.match(/^#.*/)) return "comment";
      if (stream.match(/^"[^"\n]*"?/)) return "string";
      if (stream.match(NUMBER)) return "number";
      const name = stream.match(NAME);
      if (name) {
        const word = name[0];
        if (words.statements.has(word)) {
          state.ask = word === "ask";
          return "keyword";
        }
        if (state.ask && words.words.has(word)) return "keyword";
        if (word === "for" || word === "in" || word === "if") return "keyword";
        if (words.sets.has(word)) return "typeName";
        if (words.functions.has(word) && stream.match(/^\s*\(/, false)) return "function";
        return words.constants.has(word) ? "atom" : "variableName";
      }
      if (stream.match(SIGN)) return "operator";
      stream.next();
      return null;
    },
    languageData: { commentTokens: { line: "#" }, closeBrackets: { brackets: ["(", "[", '"'] } },
    tokenTable: { function: tags.function(tags.variableName) },
  });
}

// Whether a line of a paper opens or closes a fence; the state knows then what stands behind it.
export function turned(line, state) {
  if (state.fence) {
    const bare = line.trim();
    if (bare.length < state.fence.length || [...bare].some((c) => c !== state.fence[0])) return false;
    Object.assign(state, { fence: "", sheet: false });
    return true;
  }
  const found = FENCE.exec(line);
  if (!found || (found[1][0] === "`" && found[2].includes("`"))) return false;
  Object.assign(state, { fence: found[1], sheet: found[2].trim().split(/\s+/)[0] === "sheet" });
  return true;
}
