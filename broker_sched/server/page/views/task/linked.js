// A sentence in which names are links.

const NAME = /[\p{L}\p{N}_]/u; // a name ends where none of these follows
const SHORTEST = 3; // characters: a shorter one may be a word of the sentence

/**
 * Puts links in the place of names in a text; the longest name that fits counts.
 * @param {string} text
 * @param {{text: string, link: any}[]} names
 * @returns {any[]}
 */
export function linked(text, names) {
  const longestFirst = names.filter((each) => each.text.length >= SHORTEST).sort((a, b) => b.text.length - a.text.length);
  /** @type {any[]} */
  const parts = [];
  let begin = 0;
  for (let at = 0; at < text.length; ) {
    const found = longestFirst.find((each) => text.startsWith(each.text, at) && standsAlone(text, at, each.text.length));
    if (!found) {
      at += 1;
      continue;
    }
    parts.push(text.slice(begin, at), found.link);
    at += found.text.length;
    begin = at;
  }
  return [...parts, text.slice(begin)];
}

/**
 * @param {string} text
 * @param {number} at
 * @param {number} length
 */
function standsAlone(text, at, length) {
  return !NAME.test(text.charAt(at - 1)) && !NAME.test(text.charAt(at + length));
}
