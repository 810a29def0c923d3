// The line of `bsched` that does what a button does.

import { asEscape, visible } from './visible_text.js';

const PLAIN = /^[A-Za-z0-9_@%+=:,./-]+$/;

/**
 * Quotes a word for a shell of Unix; one that needs no quotes stays as it is. What can't be seen, or would do something
 * in a terminal, is written as bash, zsh and ksh read it: what is shown is what is copied.
 * @param {string} word
 */
export function quoted(word) {
  if (PLAIN.test(word)) return word;
  const needsEscapes = /[\t\n]/.test(word) || visible(word) !== word;
  return needsEscapes ? `$'${escaped(word)}'` : `'${word.replaceAll("'", `'"'"'`)}'`;
}

/** @param {string} word */
function escaped(word) {
  return visible(word.replace(/[\\']/g, '\\$&').replaceAll('\n', '\\n').replaceAll('\t', '\\t'), (character) => {
    const code = character.charCodeAt(0);
    if (code < 0x80) return `\\x${code.toString(16).padStart(2, '0')}`;
    // A byte that is no UTF-8, which is half a character in Python's texts.
    return code >= 0xdc80 && code <= 0xdcff ? `\\x${(code - 0xdc00).toString(16)}` : asEscape(character);
  });
}

/**
 * Writes a command as it may be pasted into a shell.
 * @param {string} name such as 'task retry'
 * @param {Record<string, string | number | boolean | null | undefined | (string | number)[]>} [options]
 *   by name: true is a flag, lists are repeated; null, undefined, false and '' are left out, but '' in a list stays;
 *   `args` are the arguments that have no name
 */
export function command(name, options = {}) {
  const words = ['bsched', ...name.split(' ')];
  const { args = [], ...named } = options;
  for (const [option, value] of Object.entries(named)) {
    for (const each of Array.isArray(value) ? value : [value === '' ? null : value]) {
      if (each === null || each === undefined || each === false) continue;
      words.push(`--${option.replaceAll('_', '-')}`);
      if (each !== true) words.push(String(each));
    }
  }
  const plain = (Array.isArray(args) ? args : [args]).map(String);
  if (plain.some((word) => word.startsWith('-'))) words.push('--');
  return [...words, ...plain].map(quoted).join(' ');
}
