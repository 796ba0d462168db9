// A form with one answer for each of several slides. What was refused stays open, with the reason beside it.
import { openDialog } from "./dialog.js";
import { button, element } from "./element.js";

/** @typedef {{label: string, save: (text: string) => Promise<string | null>}} Question `save` resolves to the reason for a refusal, or null */
/** @typedef {{input: HTMLInputElement, problem: HTMLElement, row: HTMLElement, save: Question["save"]}} Row */

const LONGEST = 128;

/**
 * @param {string} title
 * @param {Node[]} content
 * @param {Question[]} questions empty answers are skipped
 * @param {{text: string, className: string}} action
 * @returns {Promise<void>} when all are saved, or the dialog is cancelled
 */
export async function askEach(title, content, questions, action) {
  const rows = questions.map(rowOf);
  const form = element("form", { id: "answers", noValidate: true }, ...rows.map(({ row }) => row));
  const send = button(action.text, () => {}, { type: "submit", className: action.className });
  send.setAttribute("form", form.id);
  const cancel = button("Cancel", () => dialog.close(""));
  const { dialog, closed } = openDialog(title, [...content, form], { className: "question", buttons: [cancel, send] });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (send.disabled) return;
    send.disabled = true;
    await sendAll(rows);
    send.disabled = false;
    const wrong = rows.find(({ input }) => input.ariaInvalid === "true");
    if (!wrong && rows.some(isTaken)) dialog.close("");
    else (wrong ?? rows[0]).input.focus();
  });
  rows[0].input.focus();
  await closed;
}

/**
 * @param {Question} question
 * @returns {Row}
 */
function rowOf({ label, save }) {
  const input = element("input", { type: "text", maxLength: LONGEST, spellcheck: false, autocomplete: "off" });
  const problem = element("small", { className: "problem", role: "alert" });
  return { input, problem, row: element("label", { className: "answer" }, label, input, problem), save };
}

/** @param {Row[]} rows */
async function sendAll(rows) {
  for (const row of rows) {
    const text = row.input.value.trim();
    if (text === "" || isTaken(row)) continue;
    const why = await row.save(text);
    row.problem.textContent = why ?? "";
    row.input.ariaInvalid = String(why !== null);
    row.input.readOnly = why === null;
  }
}

/** @param {Row} row */
function isTaken({ input }) {
  return input.readOnly;
}
