// Python's tracebacks, taken apart: frames of the user's own code, those of libraries, and what is said between them.

const FRAME = /^([\s|+-]*)File "(.*)", line (\d+)(?:, in (.*))?$/;
// Where code is that nobody looks for a fault in first: the standard library, installed packages, and what ran the task.
const LIBRARY =
  /(?:^|[\\/])(?:(?:site|dist)-packages|lib[\\/]python\d[^\\/]*|broker_sched[\\/](?:worker|tasks))[\\/]|[\\/]luigi[\\/](?:worker|task|interface)\.py$|^<(?:frozen|string)/;
const NOT_THE_ERROR = /^(?:Traceback \(most recent call last\):|During handling of|The above exception was|\s*[|+].*Traceback|\s*$)/;

/**
 * @typedef {object} Frame
 * @property {'frame'} kind
 * @property {string} file
 * @property {number} line
 * @property {string} name of the function
 * @property {string[]} code the lines below
 * @property {boolean} isOwn whether it is in code of the user's
 *
 * @typedef {object} Said
 * @property {'text' | 'error'} kind error: a line that names the exception
 * @property {string} text
 */

/**
 * Takes the text of an error apart, line by line; what is no traceback stays text.
 * @param {string} text
 * @returns {(Frame | Said)[]}
 */
export function parts(text) {
  /** @type {(Frame | Said)[]} */
  const found = [];
  let margin = '';
  let hasFrames = false;
  for (const line of text.trimEnd().split('\n')) {
    const match = FRAME.exec(line);
    const last = found.at(-1);
    if (match) {
      const [, before, file, number, name = ''] = match;
      margin = before;
      found.push({ kind: 'frame', file, line: Number(number), name, code: [], isOwn: !LIBRARY.test(file) });
      hasFrames = true;
    } else if (last?.kind === 'frame' && line.startsWith(`${margin}  `)) {
      last.code.push(line.slice(margin.length + 2));
    } else if (last?.kind === 'frame' && /^\s*\[Previous line repeated/.test(line)) {
      last.code.push(line.trim());
    } else {
      const isError = (last?.kind === 'frame' || last?.kind === 'error') && !NOT_THE_ERROR.test(line);
      found.push({ kind: isError ? 'error' : 'text', text: line });
    }
  }
  if (!hasFrames && found.length) markLast(found);
  return found;
}

/** @param {(Frame | Said)[]} found of an error without frames, its last line that says something is the error */
function markLast(found) {
  const last = found.findLast((each) => each.kind === 'text' && each.text.trim());
  if (last) /** @type {Said} */ (last).kind = 'error';
}

/**
 * Puts frames of libraries that follow each other together.
 * @param {(Frame | Said)[]} found
 * @returns {(Frame | Said | {kind: 'library', frames: Frame[]})[]}
 */
export function folded(found) {
  /** @type {(Frame | Said | {kind: 'library', frames: Frame[]})[]} */
  const shown = [];
  for (const part of found) {
    const last = shown.at(-1);
    if (part.kind !== 'frame' || part.isOwn) shown.push(part);
    else if (last?.kind === 'library') last.frames.push(part);
    else shown.push({ kind: 'library', frames: [part] });
  }
  return shown;
}
