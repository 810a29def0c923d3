// What has changed on the server, told to whoever shows it.

import { EventStream } from './event_stream.js';
import { Shared } from './shown_values.js';
import { shareTabs } from './tabs.js';

const MOST_TASKS = 1000; // named in one change; of more, any may have changed

/**
 * All that changed since the last one was told, merged.
 * @typedef {object} Change
 * @property {Map<string, Map<string, number>>} families in which tasks changed → by how much the number in a status grew
 * @property {TaskIds} tasks whose status changed, by id
 * @property {Set<string>} also what else changed: tasks (new ones), workers, submissions, resources, paused, options,
 *   messages, audit
 * @property {boolean} reset whether more has changed than was told: all that is shown may be old
 * @property {string} seen how far the server has read; who asks anew since this change says so, and is answered together
 *   with other pages
 */

/** Ids of tasks that changed. Of too many to be named, `has` says yes to each. */
export class TaskIds extends Set {
  isComplete = true;

  /** @param {string} id */
  has(id) {
    return !this.isComplete || super.has(id);
  }
}

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

/**
 * How the stream of changes stands, and since when (milliseconds since the epoch); redisAway: the server can't say what
 * changes.
 */
export const connection = new Shared({
  state: /** @type {'connecting' | 'live' | 'lost' | 'resting'} */ ('connecting'),
  since: Date.now(),
  redisAway: false,
});

/** @type {string | null} */
let lastId = null; // of the events that this tab has heard
/** @type {Change | null} */
let pending = null; // what was heard and is not told yet
let tellsAt = 0; // milliseconds since the page began, before which nothing more is told
let seen = ''; // how far the server had read when it told of the last event
let pace = 0; // milliseconds between two changes that are told
/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer;

/** How far the server had read when it told of the last event; empty when it has told of none. */
export function heard() {
  return seen;
}

/** Begins to listen: one of the visible tabs does so for all of them. */
export function startLive() {
  shareTabs({
    lead: (tellOthers) => {
      const stream = new EventStream(
        lastId,
        (event) => {
          take(event);
          tellOthers({ event });
        },
        (state) => {
          stand(state);
          tellOthers({ state });
        },
      );
      return () => stream.close();
    },
    rest: () => {
      stand('resting');
      clearTimeout(timer);
      timer = undefined;
    },
    hear: (told) => {
      if (told.event) take(told.event);
      if (told.state) stand(told.state, told.redisAway);
      if (told.lastId) catchUp(told.lastId);
    },
    greet: () => ({ ...connection.value, lastId }),
  });
}

/**
 * @param {'connecting' | 'live' | 'lost' | 'resting'} state
 * @param {boolean} [redisAway]
 */
function stand(state, redisAway = connection.value.redisAway) {
  const before = connection.value;
  if (before.state === state && before.redisAway === redisAway) return;
  connection.value = { state, redisAway, since: Date.now() };
}

/**
 * A tab that comes to others which have heard more than it: what it shows may be old.
 * @param {string} id of the last event of the tab that listens
 */
function catchUp(id) {
  const isBehind = lastId !== null && lastId !== id;
  lastId = id;
  if (isBehind) note((change) => (change.reset = true));
  else if (pending) tellSoon();
}

/** @param {import('./event_stream.js').StreamEvent} event */
function take({ name, id, data }) {
  const isFirst = lastId === null;
  lastId = id ?? lastId;
  pace = (data.pace_seconds ?? pace / 1000) * 1000;
  seen = data.seen ?? seen;
  if (name === 'start') {
    stand('live', false);
    if (isFirst || !data.resumed) note((change) => (change.reset = true)); // what was read before may be old
    else if (pending) tellSoon(); // of before this tab was hidden
  } else if (name === 'redis') stand(connection.value.state, data.away);
  else if (name === 'change') note((change) => merge(change, data));
  // Where the login has ended, whoever asks is led to the login.
  else if (name === 'reset' || data.reason === 'login') note((change) => (change.reset = true));
}

/**
 * @param {Change} change
 * @param {any} data of an event `change`
 */
function merge(change, data) {
  for (const subject of data.also) change.also.add(subject);
  // Who sees only counts is not told the families' names.
  for (const [family, counts] of Object.entries(data.families ?? { '': data.counts })) {
    const sums = change.families.get(family) ?? new Map();
    for (const [status, n] of Object.entries(counts)) sums.set(status, (sums.get(status) ?? 0) + Number(n));
    change.families.set(family, sums);
  }
  for (const id of Object.keys(data.tasks ?? {})) change.tasks.add(id);
  change.tasks.isComplete &&= (data.complete ?? true) && change.tasks.size <= MOST_TASKS;
  if (!change.tasks.isComplete) change.tasks.clear();
}

/**
 * Adds to the change that is told next.
 * @param {(change: Change) => void} add
 */
function note(add) {
  pending ??= { families: new Map(), tasks: new TaskIds(), also: new Set(), reset: false, seen };
  pending.seen = seen;
  add(pending);
  tellSoon();
}

/** Tells what is pending: at once, but no two changes sooner after each other than the server's pace. */
function tellSoon() {
  if (timer !== undefined || document.hidden) return;
  const spread = Math.random() * Math.min(pace, 250); // pages that hear of it together do not ask together
  timer = setTimeout(tell, Math.max(spread, tellsAt - performance.now()));
}

function tell() {
  timer = undefined;
  const change = pending;
  pending = null;
  tellsAt = performance.now() + pace * (0.75 + Math.random() / 2);
  if (change) for (const listener of [...listeners]) listener(change);
}
