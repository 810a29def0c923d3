// What has changed on the server, told to whoever shows it.

import { signal } from './built/libraries.js';

/**
 * @typedef {object} Change
 * @property {Set<string>} families in which tasks changed their state
 * @property {Set<string>} tasks that changed, by id
 * @property {boolean} reset whether more has changed than was told: all that is shown may be old
 */

/** @type {Set<(change: Change) => void>} */
const listeners = new Set();

/**
 * Has a function called with each change, until the returned function is called.
 * @param {(change: Change) => void} listener
 */
export function onChange(listener) {
  listeners.add(listener);
  return () => {
    listeners.delete(listener);
  };
}

/** How the stream of changes stands, and since when (milliseconds since the epoch). */
export const connection = signal({
  state: /** @type {'connecting' | 'live' | 'lost' | 'resting'} */ ('resting'),
  since: Date.now(),
});
