// Calls of the scheduler's methods, and components that show their replies.

import { useEffect, useRef, useState } from './libraries.js';
import { noteClock } from './clock.js';
import { exactNumbers } from './exact_numbers.js';
import { heard, onChange } from './live.js';
import { Shared } from './shown_values.js';

const GAP_SECONDS = 0.25; // between an answer and the next question at least
const SHARE_OF_TIME = 0.25; // at most so much of the time is spent on waiting for answers to one question
const LONGEST_PAUSE_SECONDS = 10; // between two tries to reach a server that is away
const AWAY = new Set([502, 503, 504]); // statuses of a server, or of one behind a proxy, that can't answer now

/** Says what went wrong with a call: the server's own words, or that it can't be reached. */
export class ApiError extends Error {
  /**
   * @param {number} status of HTTP; 0 where no answer came
   * @param {string} type the kind of error
   * @param {string} message what is wrong and what to do, for people
   * @param {string} [field] the argument that is wrong
   * @param {string} [requestId] under which the server's log tells of it
   */
  constructor(status, type, message, field = '', requestId = '') {
    super(message);
    this.name = 'ApiError';
    this.status = status;
    this.type = type;
    this.field = field;
    this.requestId = requestId;
  }
}

/** Since when the server does not answer (milliseconds since the epoch); null while it does. */
export const lostSince = new Shared(/** @type {number | null} */ (null));

/**
 * Calls a method and returns its reply. Whole numbers beyond 2^53 are texts in it, digit for digit.
 * Throws ApiError; who has to log in is led to the login, and back.
 * @param {string} method
 * @param {Record<string, any>} [args] by name; null and undefined are left out
 * @param {{abort?: AbortSignal, seen?: string}} [options] seen: as a change of live.js told it; an answer will do that
 *   shows all of that change, and that may be another page's
 * @returns {Promise<any>}
 */
export async function call(method, args = {}, options = {}) {
  const given = Object.fromEntries(Object.entries(args).filter(([, value]) => value !== null && value !== undefined));
  /** @type {Response} */
  let response;
  /** @type {string} */
  let text;
  try {
    response = await fetch(`api/${method}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...(options.seen ? { 'bsched-seen': options.seen } : {}) },
      body: JSON.stringify(given),
      signal: options.abort,
    });
    text = await response.text();
  } catch (error) {
    if (options.abort?.aborted) throw error;
    lostSince.value ??= Date.now();
    throw new ApiError(0, 'Unreachable', 'The server does not answer.');
  }
  lostSince.value = AWAY.has(response.status) ? (lostSince.value ?? Date.now()) : null;
  noteClock(response);
  if (response.status === 401) location.assign(`login?next=${encodeURIComponent(`/${location.search}`)}`);
  const reply = parsed(text);
  if (response.ok && reply) return reply.response;
  const told = reply?.error ?? {};
  throw new ApiError(
    response.status,
    told.type ?? 'Unexpected',
    told.message ?? `The server, or a proxy before it, answered ${response.status}.`,
    told.field,
    response.headers.get('x-request-id') ?? '',
  );
}

/** @param {string} text */
function parsed(text) {
  try {
    return JSON.parse(exactNumbers(text));
  } catch {
    return null; // of a proxy, not of ours
  }
}

/**
 * @typedef {number | ((data: any) => number | undefined)} Every
 */

/**
 * @template [T=any]
 * @typedef {object} Asked
 * @property {T | null} data the latest reply; the one before while it is asked again
 * @property {ApiError | null} error why there is no newer reply
 * @property {boolean} known whether there is a reply, which may be null
 * @property {boolean} loading whether the first reply to these arguments is awaited
 * @property {boolean} stale whether data is the reply to other arguments, or could not be renewed
 * @property {() => void} reload asks again
 */

/**
 * Calls a method as long as the component is shown, and again when something changed. Late answers are dropped, hidden
 * tabs rest, at most one call is on its way; when the server is away, it is tried again until it is back.
 * @param {string} method
 * @param {Record<string, any> | null} args null: nothing is asked
 * @param {{live?: (change: import('./live.js').Change) => boolean, every?: Every}} [options]
 *   live: tells whether a change concerns the reply. every: seconds after which it is asked again all the same, or a
 *   function that says so of the latest reply
 * @returns {Asked}
 */
export function useCall(method, args, options = {}) {
  const key = args === null ? null : `${method} ${JSON.stringify(args)}`;
  const [state, setState] = useState(
    /** @type {{key: string | null, data: any, error: ApiError | null, failed: string | null}} failed: of which key */
    ({ key: null, data: null, error: null, failed: null }),
  );
  const latest = useRef(options);
  latest.current = options;
  const asking = useRef(/** @type {Asking | null} */ (null));
  useEffect(() => {
    if (key === null || args === null) return undefined;
    const begun = new Asking(method, args, latest, (data, error) =>
      setState((before) => (error ? { ...before, error, failed: key } : { key, data, error: null, failed: null })),
    );
    asking.current = begun;
    return () => begun.end();
  }, [key]);
  const error = state.failed === key ? state.error : null; // what went wrong with another question says nothing here
  return {
    data: key === null ? null : state.data,
    error,
    known: key !== null && state.key !== null,
    loading: key !== null && state.key !== key && error === null,
    stale: state.key !== null && (state.key !== key || error !== null),
    reload: () => asking.current?.ask(),
  };
}

/** Asks the same question again and again, as long as somebody shows the answer. */
class Asking {
  /**
   * @param {string} method
   * @param {Record<string, any>} args
   * @param {{current: {live?: (change: import('./live.js').Change) => boolean, every?: Every}}} options
   * @param {(data: any, error: ApiError | null) => void} tell
   */
  constructor(method, args, options, tell) {
    this.method = method;
    this.args = args;
    this.options = options;
    this.tell = tell;
    this.abort = new AbortController();
    /** @type {any} */
    this.data = null;
    this.isAsking = false;
    this.isDue = false;
    this.seen = '';
    this.failures = 0;
    this.earliest = 0; // milliseconds since the page began
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined;
    this.unsubscribe = onChange((change) => {
      if (change.reset || this.options.current.live?.(change)) this.ask(change.seen);
    });
    document.addEventListener('visibilitychange', () => this.isDue && this.#wait(), { signal: this.abort.signal });
    this.ask();
  }

  /**
   * Asks as soon as that may be.
   * @param {string} [seen] as a change told it: an answer will do that shows all of that change; by default it shall
   *   show all that has happened by now
   */
  ask(seen = '') {
    this.seen = this.isDue && this.seen === '' ? '' : seen;
    this.isDue = true;
    this.#wait();
  }

  /** Waits until it may ask: not in a hidden tab, one question at a time, and not all of the time. */
  #wait() {
    if (this.isAsking || this.abort.signal.aborted || document.hidden) return;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.#askNow(), Math.max(0, this.earliest - performance.now()));
  }

  async #askNow() {
    if (document.hidden) return; // since it began to wait; it is still due
    this.isAsking = true;
    this.isDue = false;
    const started = performance.now();
    try {
      const data = await call(this.method, this.args, { abort: this.abort.signal, seen: this.seen });
      this.failures = 0;
      this.data = data;
      this.tell(data, null);
    } catch (error) {
      if (this.abort.signal.aborted) return;
      this.failures += 1;
      this.tell(null, error instanceof ApiError ? error : new ApiError(0, 'Bug', String(error)));
    }
    this.isAsking = false;
    if (this.abort.signal.aborted) return;
    const spent = performance.now() - started;
    const pause = this.failures ? Math.min(LONGEST_PAUSE_SECONDS, 2 ** (this.failures - 1)) : GAP_SECONDS;
    this.earliest = performance.now() + Math.max(pause * 1000, spent / SHARE_OF_TIME - spent);
    this.#askLater();
  }

  #askLater() {
    const { every } = this.options.current;
    const seconds = typeof every === 'function' ? every(this.data) : every;
    if (this.isDue) this.#wait();
    else if (this.failures) this.ask();
    else if (seconds) {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.ask(heard()), seconds * 1000);
    }
  }

  /** Asks no more, and drops what is on its way. */
  end() {
    this.abort.abort();
    clearTimeout(this.timer);
    this.unsubscribe();
  }
}
