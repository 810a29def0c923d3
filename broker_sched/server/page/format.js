// Numbers, sizes and times as people read them.

import { html } from './libraries.js';
import { now } from './clock.js';
import { zone } from './settings.js';
import { useShared } from './shown_values.js';

export { now };

const UNITS = /** @type {const} */ ([
  ['d', 86400],
  ['h', 3600],
  ['min', 60],
  ['s', 1],
]);
const SIZES = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
const whole = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat('en-US', { maximumSignificantDigits: 3 });

/**
 * Writes how many: 1,234,567. A number that came as text, since it is beyond 2^53, stays exact.
 * @param {number | string | null | undefined} n
 */
export function count(n) {
  if (n === null || n === undefined) return '–';
  if (typeof n === 'string') return /^-?\d+$/.test(n) ? BigInt(n).toLocaleString('en-US') : n;
  return Number.isInteger(n) ? whole.format(n) : short.format(n);
}

/**
 * Writes one or many: `some(1, 'task', 'tasks')` is '1 task'.
 * @param {number} n
 * @param {string} one
 * @param {string} [many]
 */
export function some(n, one, many = `${one}s`) {
  return `${count(n)} ${n === 1 ? one : many}`;
}

/**
 * Writes how long: '0.4 s', '12 s', '5 min 20 s', '3 d 4 h'.
 * @param {number | null | undefined} seconds
 * @returns {string}
 */
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return '–';
  if (seconds < 0) return `-${duration(-seconds)}`;
  if (seconds < 10) return seconds < 0.0005 ? '0 s' : `${Number(seconds.toFixed(seconds < 1 ? 3 : 1))} s`;
  let left = Math.round(seconds);
  const parts = [];
  for (const [unit, size] of UNITS) {
    const n = Math.floor(left / size);
    left -= n * size;
    if (n || parts.length) parts.push(n ? `${n} ${unit}` : '');
    if (parts.length === 2) break;
  }
  return parts.filter(Boolean).join(' ');
}

/**
 * Writes a rate with the unit that gives a number that can be read: '12/s', '3.2/min', '4/h'.
 * @param {number} perSecond
 */
export function rate(perSecond) {
  if (!perSecond) return '0/s';
  if (perSecond >= 1) return `${short.format(perSecond)}/s`;
  return perSecond >= 1 / 60 ? `${short.format(perSecond * 60)}/min` : `${short.format(perSecond * 3600)}/h`;
}

/**
 * Writes a size: '512 B', '3.4 MiB'.
 * @param {number | null | undefined} n
 */
export function bytes(n) {
  if (n === null || n === undefined) return '–';
  let size = n;
  let unit = 0;
  while (size >= 1024 && unit < SIZES.length - 1) {
    size /= 1024;
    unit += 1;
  }
  return `${unit ? short.format(size) : size} ${SIZES[unit]}`;
}

/** @param {number} n */
const two = (n) => String(n).padStart(2, '0');

/**
 * Writes a moment exactly, in the chosen zone: '2026-03-01 14:05:09 UTC'.
 * @param {number} at seconds since the epoch
 */
export function exactTime(at) {
  const date = new Date(at * 1000);
  if (Number.isNaN(date.getTime())) return String(at);
  if (zone.value === 'utc') return `${date.toISOString().slice(0, 19).replace('T', ' ')} UTC`;
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  const offset = -date.getTimezoneOffset();
  const away = `${offset < 0 ? '-' : '+'}${two(Math.floor(Math.abs(offset) / 60))}:${two(Math.abs(offset) % 60)}`;
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())} ${away}`;
}

/**
 * Writes when something was, or will be, as seen from a moment: '5 min ago', 'in 2 h', 'now'.
 * @param {number} at seconds since the epoch
 * @param {number} moment seconds since the epoch
 */
function relativeTime(at, moment) {
  const away = at - moment;
  if (Math.abs(away) < 1) return 'now';
  const size = UNITS.find(([, seconds]) => Math.abs(away) >= seconds) ?? UNITS[3];
  const told = `${Math.floor(Math.abs(away) / size[1])} ${size[0]}`;
  return away < 0 ? `${told} ago` : `in ${told}`;
}

/**
 * A moment, as seen from now; exactly when the mouse is over it, and for who reads the page aloud.
 * @param {{at: number | null | undefined, exact?: boolean}} props exact: exactly in the text, too
 */
export function Time({ at, exact = false }) {
  if (at === null || at === undefined) return html`<span class="none">–</span>`;
  const told = exactTime(at);
  const date = new Date(at * 1000);
  if (Number.isNaN(date.getTime())) return html`<span>${told}</span>`; // hundreds of thousands of years away
  return html`<time datetime=${date.toISOString()} title=${told}>${exact ? told : html`<${Seen} at=${at} />`}</time>`;
}

/** @param {{at: number}} props */
function Seen({ at }) {
  return relativeTime(at, useShared(now));
}

/**
 * Returns what a task is called: its family and parameters, or its id where no more is known of it.
 * @param {string} id
 * @param {string | null | undefined} displayName
 */
export function nameOfTask(id, displayName) {
  return displayName && !displayName.startsWith('(') ? displayName : id;
}

/** States of tasks in words, and the mark of each: no state is told by its colour alone. */
export const STATES = /** @type {Record<string, {word: string, mark: string}>} */ ({
  READY: { word: 'ready', mark: '○' },
  WAITING: { word: 'waits for deps', mark: '◔' },
  BLOCKED: { word: 'blocked', mark: '⊘' },
  PENDING: { word: 'pending', mark: '○' },
  RUNNING: { word: 'running', mark: '▶' },
  BATCH_RUNNING: { word: 'running in a batch', mark: '▷' },
  DONE: { word: 'done', mark: '✓' },
  FAILED: { word: 'failed', mark: '✗' },
  DISABLED: { word: 'disabled', mark: '■' },
  UNKNOWN: { word: 'unknown', mark: '?' },
  MISSING: { word: 'missing', mark: '?' },
});

/**
 * Returns the words for a state of tasks.
 * @param {string} state
 */
export function stateWord(state) {
  return STATES[state]?.word ?? state.toLowerCase();
}
