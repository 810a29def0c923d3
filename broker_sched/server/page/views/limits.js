// Limits of resources, as people write them.

import { numberOf } from '../ui/index.js';

/**
 * Returns the limit that a text stands for. Throws an error that says what a limit is.
 * @param {string} text
 */
export function limitOf(text) {
  const limit = numberOf(text);
  if (typeof limit !== 'number' || limit < 0) throw new Error('A limit is a number, 0 or more.');
  return limit;
}
