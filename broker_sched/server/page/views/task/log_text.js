// The text of a log: the parts of it that came one after the other, and as it is shown.

const MOST_KEPT = 2_000_000; // characters, of a run that is looked at while it writes
// What a terminal obeys and does not show: colours, cursor movements, titles.
const TERMINAL = /\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-~])/g;

/**
 * @typedef {object} Kept
 * @property {number | null} run when the run began
 * @property {string} text what is known of what it wrote
 * @property {number} size how many characters it wrote in all, as Python counts them
 * @property {number} missing how many of them, at the beginning, are not known
 */

/** @type {Kept} */
export const NOTHING_KEPT = { run: null, text: '', size: 0, missing: 0 };

/**
 * Adds a reply of task_log, which has the end of what a run wrote, to what is known of it from replies before.
 * @param {Kept} kept
 * @param {{run: number | null, log: string | null, size: number | string}} reply
 * @returns {Kept}
 */
export function added(kept, reply) {
  const end = reply.log ?? '';
  const characters = [...end];
  const size = Number(reply.size); // a text beyond 2^53
  const fresh = size - kept.size;
  if (reply.run !== kept.run || fresh < 0 || !kept.size) {
    return { run: reply.run, text: end, size, missing: Math.max(0, size - characters.length) };
  }
  if (!fresh) return kept;
  const gap = fresh - characters.length;
  const more = gap > 0 ? `\n… ${gap.toLocaleString('en-US')} characters were not seen here …\n${end}` : characters.slice(-fresh).join('');
  const text = kept.text + more;
  const cut = Math.max(0, text.length - MOST_KEPT);
  return { run: kept.run, text: text.slice(cut), size, missing: kept.missing + cut };
}

/**
 * Returns a log as a terminal shows it: without the sequences that colour it, and of a line that was written over, as
 * progress bars are, the last state.
 * @param {string} text
 */
export function shown(text) {
  return text
    .replace(TERMINAL, '')
    .split('\n')
    .map((line) => line.split('\r').findLast(Boolean) ?? '')
    .join('\n');
}

/**
 * Returns the end of a text, from the beginning of a line on.
 * @param {string} text
 * @param {number} length in characters, about
 */
export function endOf(text, length) {
  if (text.length <= length) return text;
  const line = text.indexOf('\n', text.length - length - 1);
  return text.slice(line < 0 || line > text.length - length / 2 ? text.length - length : line + 1);
}

/**
 * Finds a text whatever its case, and returns where it is.
 * @param {string} text
 * @param {string} wanted
 * @param {number} most places
 * @returns {{at: number, length: number}[]}
 */
export function places(text, wanted, most) {
  if (!wanted) return [];
  const pattern = new RegExp(wanted.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&'), 'gi');
  const found = [];
  for (const match of text.matchAll(pattern)) {
    found.push({ at: match.index, length: match[0].length });
    if (found.length === most) break;
  }
  return found;
}
