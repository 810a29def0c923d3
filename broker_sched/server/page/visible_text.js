// Characters that nobody sees, or that change what is seen of others, are written as escapes wherever text is shown.

import { options } from './libraries.js';

// Control characters but for tab and line feed; what turns the direction of writing; spaces of no width; halves of
// characters, as Python makes them of file names that are not UTF-8. What joins letters in some scripts, and in emoji,
// stays as it is.
const UNSEEN =
  /[\0-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

/**
 * Writes unseen characters of a text as escapes, such as \u202e.
 * @param {string} text
 * @param {(character: string) => string} [write] how to write one
 */
export function visible(text, write = asEscape) {
  return text.replace(UNSEEN, write);
}

/** @param {string} character of 16 bits */
export function asEscape(character) {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

/** Begins to do so with all texts that are put into the page. */
export function startVisibleText() {
  const before = options.vnode;
  options.vnode = (/** @type {any} */ vnode) => {
    // A node without a type is a text.
    if (vnode.type === null && typeof vnode.props === 'string') vnode.props = visible(vnode.props);
    before?.(vnode);
  };
}
