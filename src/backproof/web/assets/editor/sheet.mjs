// The sheet language for the editor: which words and signs get which colour. It must not know
// what a sheet means; names, shapes and errors come from the server.

import { StreamLanguage } from "@codemirror/language";
import { tags } from "@lezer/highlight";

const NAME = /^[\p{L}_][\p{L}\p{M}\p{N}_]*/u;
const NUMBER = /^\d+(?:\.(?!\.)\d*)?(?:[eE][-+]?\d+)?|^\.\d+/;
const SIGN = /^(?:\*\*|==|!=|<=|>=|\.T|[-+*/@=<>·⊙×≤≥≠±ᵀ−∈])/;

// words: { statements, words, sets, functions, constants }, each a Set
export function sheetLanguage(words) {
  return StreamLanguage.define({
    name: "sheet",
    startState: () => ({ ask: false }),
    token(stream, state) {
      if (stream.sol()) state.ask = false;
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
