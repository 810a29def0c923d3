// The line of `bsched` that does what a button does.

const PLAIN = /^[A-Za-z0-9_@%+=:,./-]+$/;

/**
 * Quotes a word for a shell of Unix; one that needs no quotes stays as it is.
 * @param {string} word
 */
export function quoted(word) {
  return PLAIN.test(word) ? word : `'${word.replaceAll("'", `'"'"'`)}'`;
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
