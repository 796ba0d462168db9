// Looks up the case of a slide ID by the laboratory's pattern while the ID is typed, and shows it below the field.
import { idsOf } from "../server/api.js";
import { debounced, element, setText } from "../shared/element.js";

const TYPING_MS = 200;

/**
 * @typedef {object} CaseFill
 * @property {HTMLElement} hint
 * @property {(text: string) => Promise<string | null>} caseOf rejects where the server cannot be asked
 */

/**
 * @param {HTMLInputElement} input the field of a slide ID
 * @returns {CaseFill}
 */
export function caseFill(input) {
  const hint = element("small", { className: "note", role: "status" });
  /** @type {Map<string, Promise<string | null>>} */
  const asked = new Map(); // by text: an answer belongs only to the text that it was asked for

  /** @param {string} text */
  const caseOf = (text) => {
    const answer = asked.get(text) ?? idsOf(text).then(({ CaseID }) => CaseID);
    asked.set(text, answer);
    answer.catch(() => asked.delete(text)); // the next try asks again
    return answer;
  };
  const look = debounced(TYPING_MS, async () => {
    const text = input.value.trim();
    if (!text || !input.isConnected) return;
    const found = await caseOf(text).catch(() => undefined);
    if (input.value.trim() === text && found !== undefined) setText(hint, found === null ? "Does not fit the pattern" : `Case ${found}`);
  });
  input.addEventListener("input", () => {
    setText(hint, "");
    look();
  });
  return { hint, caseOf };
}
