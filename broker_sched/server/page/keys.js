// Keys that do something, wherever the focus is: components say which, the help sheet lists them.

import { useLayoutEffect, useRef } from './libraries.js';
import { Shared, useShared } from './shown_values.js';

const SEQUENCE_MS = 1500; // so long the second key of `g t` may take

/**
 * @typedef {object} Key
 * @property {string} keys as a KeyboardEvent names it: 'j', '?', 'Enter'; two in turn: 'g t'
 * @property {string} does what it does, for the help sheet
 * @property {() => void} act
 */

const layers = new Shared(/** @type {{current: Key[]}[]} */ ([]));

/** Returns the keys that do something now, to a component that shows them; of one that is given twice, the one that counts. */
export function useKnownKeys() {
  /** @type {Map<string, Key>} */
  const found = new Map();
  for (const layer of useShared(layers)) for (const key of layer.current) found.set(key.keys, key);
  return [...found.values()];
}

/**
 * Gives keys a meaning as long as the component is shown; who comes later counts.
 * @param {Key[]} keys
 */
export function useKeys(keys) {
  const layer = useRef(keys);
  layer.current = keys;
  useLayoutEffect(() => {
    layers.value = [...layers.value, layer];
    return () => {
      layers.value = layers.value.filter((each) => each !== layer);
    };
  }, []);
}

let pending = '';
let pendingSince = 0;

/** @param {KeyboardEvent} event */
function press(event) {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (isTyping(event.target) || document.querySelector('dialog[open]')) return;
  if (event.key === 'Enter' && event.target instanceof Element && event.target.closest('a, button, summary')) return;
  const isSecond = pending !== '' && event.timeStamp - pendingSince < SEQUENCE_MS;
  const pressed = isSecond ? `${pending} ${event.key}` : event.key;
  const known = layers.value.flatMap((layer) => layer.current).reverse();
  const found = known.find((key) => key.keys === pressed);
  pending = '';
  if (found) {
    event.preventDefault();
    found.act();
  } else if (!isSecond && known.some((key) => key.keys.startsWith(`${event.key} `))) {
    pending = event.key;
    pendingSince = event.timeStamp;
  }
}

/** @param {EventTarget | null} target */
function isTyping(target) {
  if (!(target instanceof HTMLElement)) return false;
  if (target instanceof HTMLInputElement) return !['checkbox', 'radio', 'button', 'submit'].includes(target.type);
  return target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement || target.isContentEditable;
}

/** Begins to listen to the keyboard. */
export function startKeys() {
  addEventListener('keydown', press);
}
