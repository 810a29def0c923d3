// Which tasks are chosen: in the address, as arguments of the method `tasks`, and as options of `bsched task …`.

import { html, useState } from '../../libraries.js';
import { now, STATES, stateWord } from '../../format.js';
import { setParams } from '../../router.js';
import { caller } from '../../session.js';
import { Filters } from '../../ui/index.js';

const UNITS = /** @type {Record<string, number>} */ ({ s: 1, m: 60, min: 60, h: 3600, d: 86400, w: 604800 });
const PLAIN = ['family', 'status', 'worker', 'text', 'error', 'date'];
const MOMENTS = ['failed_since', 'updated_since'];
const TELLING = ['text', 'error', 'date', 'param']; // what a viewer who sees no parameters can't filter by
const RARE = ['worker', 'error', 'date', ...MOMENTS];

/**
 * @typedef {object} Choice
 * @property {string} key equal where the same tasks are chosen
 * @property {boolean} isAny whether any filter is given
 * @property {string} wrong what can't be used, and how it is written; empty where all is well
 * @property {() => Record<string, any>} args of the method `tasks`, as of now
 * @property {Record<string, any>} options of `bsched task list`, `retry` and so on
 * @property {string} family only its tasks; empty for those of all
 * @property {string} status only those in this state; empty for all
 */

/**
 * Reads from the address which tasks are chosen.
 * @param {URLSearchParams} params
 * @returns {Choice}
 */
export function chosenBy(params) {
  /** @type {Record<string, any>} */
  const options = {};
  let wrong = '';
  for (const name of [...PLAIN, ...MOMENTS]) if (params.get(name)) options[name] = params.get(name);
  if (params.has('no_family')) options.family = [''];
  const pairs = params.getAll('param');
  if (pairs.length) options.param = pairs;
  if (pairs.some((pair) => pair.indexOf('=') < 1)) wrong = 'Write a parameter as name=value.';
  for (const name of MOMENTS) {
    if (options[name] && secondsSince(options[name]) === null) {
      wrong = `“${options[name]}” is no time: write how long ago it was, as 30m, 1h or 2d, or 2026-01-31T08:00.`;
    }
  }
  return {
    key: JSON.stringify(options),
    isAny: Object.keys(options).length > 0,
    wrong,
    args: () => argumentsOf(options),
    options,
    family: typeof options.family === 'string' ? options.family : '',
    status: options.status ?? '',
  };
}

/** @param {Record<string, any>} options */
function argumentsOf(options) {
  const { param, ...args } = options;
  if (param) args.params = Object.fromEntries(param.map((/** @type {string} */ pair) => halves(pair)));
  if (Array.isArray(args.family)) args.family = '';
  for (const name of MOMENTS) if (args[name]) args[name] = secondsSince(args[name]);
  return args;
}

/** @param {string} pair */
function halves(pair) {
  const place = pair.indexOf('=');
  return [pair.slice(0, place), pair.slice(place + 1)];
}

/**
 * Returns the moment that a text stands for, in seconds since the epoch, as `bsched` reads it: how long ago it was, or a
 * local date and time; null for any other text.
 * @param {string} text
 */
export function secondsSince(text) {
  if (/^\d+(\.\d+)?$/.test(text)) return now.value - Number(text);
  const parts = [...text.matchAll(/\s*(\d+(?:\.\d+)?)\s*(min|[smhdw])/g)];
  if (parts.length && text.replace(/\s*(\d+(?:\.\d+)?)\s*(min|[smhdw])/g, '').trim() === '') {
    return now.value - parts.reduce((sum, [, amount, unit]) => sum + Number(amount) * UNITS[unit], 0);
  }
  if (!/^\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d)?)?$/.test(text)) return null;
  const at = new Date(text.length === 10 ? `${text}T00:00` : text.replace(' ', 'T')).getTime();
  return Number.isNaN(at) ? null : at / 1000;
}

const STATUS_OPTIONS = [
  { value: '', label: 'any' },
  ...['READY', 'WAITING', 'BLOCKED', 'RUNNING', 'BATCH_RUNNING', 'DONE', 'FAILED', 'DISABLED', 'UNKNOWN', 'PENDING'].map((value) => ({
    value,
    label: value === 'PENDING' ? 'pending, of any kind' : `${STATES[value].mark} ${stateWord(value)}`,
  })),
];
/** @type {import('../../ui/filters.js').Filter[]} */
const FIELDS = [
  { name: 'family', label: 'Family', hint: 'all' },
  { name: 'status', label: 'State', kind: 'select', options: STATUS_OPTIONS },
  { name: 'text', label: 'Words in name and parameters' },
  { name: 'date', label: 'For the day', hint: '2026-03-01' },
  { name: 'worker', label: 'Worker' },
  { name: 'error', label: 'Text of the error' },
  { name: 'failed_since', label: 'Failed since', hint: '1h, 2d, 2026-01-31T08:00' },
  { name: 'updated_since', label: 'Changed since', hint: '30m' },
];

/**
 * The filters, each kept in the address; the rarer ones folded away while none of them is used.
 * @param {{params: URLSearchParams, wrong: string}} props
 */
export function TaskFilters({ params, wrong }) {
  const offered = FIELDS.filter(({ name }) => caller.sees === 'all' || !TELLING.includes(name));
  const isUsed = RARE.some((name) => params.get(name));
  return html`<div class="task-filters">
    <${Filters} label="Choose tasks" filters=${offered.filter(({ name }) => !RARE.includes(name))}>
      ${caller.sees === 'all' ? html`<${Parameters} pairs=${params.getAll('param')} />` : null}
      ${[...params.keys()].length
        ? html`<a class="button" href="?view=tasks">Families</a>`
        : html`<a class="button" href="?view=tasks&list=1">All tasks</a>`}
    </${Filters}>
    <details open=${isUsed}>
      <summary>More filters</summary>
      <${Filters} label="More filters" filters=${offered.filter(({ name }) => RARE.includes(name))} />
    </details>
    ${wrong ? html`<p class="warn" role="alert">${wrong}</p>` : null}
  </div>`;
}

/**
 * Values of parameters, each of which can be taken away again.
 * @param {{pairs: string[]}} props
 */
function Parameters({ pairs }) {
  const [text, setText] = useState('');
  const add = () => {
    if (!text.trim()) return;
    setText('');
    setParams({ param: [...pairs.filter((pair) => pair !== text.trim()), text.trim()], cursor: null });
  };
  /** @param {KeyboardEvent} event */
  const press = (event) => {
    if (event.key === 'Enter') add();
  };
  return html`<label class="field">
      <span>Parameter</span>
      <input type="search" placeholder="name=value" autocomplete="off" spellcheck=${false} value=${text} onKeyDown=${press} onBlur=${add}
        onInput=${(/** @type {Event & {currentTarget: HTMLInputElement}} */ event) => setText(event.currentTarget.value)} />
    </label>
    ${pairs.map(
      (pair) => html`<button type="button" key=${pair} class="chip" aria-label=${`No longer only ${pair}`}
        onClick=${() => setParams({ param: pairs.filter((each) => each !== pair), cursor: null })}>${pair} <span aria-hidden="true">×</span></button>`,
    )}`;
}
