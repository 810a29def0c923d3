// The runs of a time, fetched a page at a time from its end on back, and what ends or begins meanwhile.

import { useEffect, useState } from '../../libraries.js';
import { ApiError, call } from '../../api.js';
import { onChange } from '../../live.js';

const MOST = 3000; // runs that are drawn
const PAGE = 1000;
const GAP_MS = 1000; // between two questions for what is new
const RETRY_MS = 5000;

/** @typedef {{task_id: string, family: string, worker: string | null, started: number | null, ended: number | null, outcome: string}} Run */
/**
 * @typedef {object} Found
 * @property {Run[]} runs
 * @property {number} from down to when all are there
 * @property {boolean} isWhole whether that is all of the time that was asked for
 * @property {boolean} allRunning
 * @property {number | null} wholeSince what ended earlier is only told of tasks that are there
 */
/** @typedef {{since: number, until: number | null, worker: string | null, family: string | null}} Wanted until null: now */

/**
 * Returns the runs of a time; those of the one before while they are fetched.
 * @param {Wanted} wanted
 * @returns {{found: Found | null, error: ApiError | null}}
 */
export function useRuns(wanted) {
  const [state, setState] = useState(/** @type {{found: Found | null, error: ApiError | null}} */ ({ found: null, error: null }));
  useEffect(() => {
    const fetching = new Fetching(wanted, (change) => setState((before) => ({ ...before, ...change })));
    return () => fetching.end();
  }, [JSON.stringify(wanted)]);
  return state;
}

/** Fetches the runs of one time, and what is new as long as somebody looks. */
class Fetching {
  /**
   * @param {Wanted} wanted
   * @param {(change: {found?: Found, error: ApiError | null}) => void} tell
   */
  constructor(wanted, tell) {
    this.wanted = wanted;
    this.tell = tell;
    this.abort = new AbortController();
    /** @type {Map<string, Run>} */
    this.ended = new Map();
    /** @type {Run[]} */
    this.running = [];
    this.from = Infinity;
    this.allRunning = true;
    this.now = 0;
    this.isWhole = false;
    this.isThere = false; // all that is drawn
    this.isAsking = false;
    this.isDue = true;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined;
    this.unsubscribe = onChange(() => {
      this.isDue = true;
      this.ask();
    });
    document.addEventListener('visibilitychange', () => this.ask(), { signal: this.abort.signal });
    this.ask();
  }

  async ask() {
    if (this.isAsking || !this.isDue || document.hidden || (this.isThere && this.wanted.until !== null)) return;
    this.isAsking = true;
    this.isDue = false;
    let pause = GAP_MS;
    try {
      await (this.isThere ? this.#askForNew() : this.#askForAll());
    } catch (error) {
      if (this.abort.signal.aborted) return;
      this.tell({ error: error instanceof ApiError ? error : new ApiError(0, 'Bug', String(error)) });
      [this.isDue, pause] = [true, RETRY_MS];
    }
    if (this.abort.signal.aborted) return;
    this.timer = setTimeout(() => {
      this.isAsking = false;
      this.ask();
    }, pause);
  }

  async #askForAll() {
    let cursor = null;
    this.isThere = false;
    do {
      const page = await this.page({ since: this.wanted.since, until: this.wanted.until, cursor });
      if (cursor === null) this.begin(page);
      cursor = page.cursor;
      this.isWhole = cursor === null;
      this.from = this.isWhole ? this.wanted.since : Math.min(...[...this.ended.values()].map((run) => run.ended ?? Infinity));
      this.show(page);
      this.isThere = this.isWhole || this.ended.size >= MOST;
    } while (!this.isThere);
  }

  /** @param {any} page the first one, with what runs; what ends from then on is asked for later */
  begin(page) {
    this.running = page.runs.filter((/** @type {Run} */ run) => run.ended === null);
    this.now = page.now;
    this.allRunning = page.all_running;
  }

  async #askForNew() {
    const page = await this.page({ since: this.now });
    if (page.cursor !== null) {
      // More than a page has ended meanwhile, as when the tab was hidden for long.
      this.ended.clear();
      return this.#askForAll();
    }
    this.begin(page);
    this.show(page);
    return undefined;
  }

  /** @param {Record<string, any>} args */
  async page(args) {
    const { worker, family } = this.wanted;
    const page = await call('timeline', { ...args, worker, family, limit: PAGE }, { abort: this.abort.signal });
    for (const run of page.runs) if (run.ended !== null) this.ended.set(`${run.ended} ${run.task_id}`, run);
    return page;
  }

  /** @param {any} page */
  show(page) {
    if (this.ended.size > 2 * MOST) {
      const kept = [...this.ended].sort(([, one], [, other]) => (other.ended ?? 0) - (one.ended ?? 0)).slice(0, MOST);
      this.ended = new Map(kept);
      [this.from, this.isWhole] = [kept[MOST - 1][1].ended ?? 0, false];
    }
    const found = {
      runs: [...this.running, ...this.ended.values()],
      from: this.from,
      isWhole: this.isWhole,
      allRunning: this.allRunning,
      wholeSince: page.whole_since,
    };
    this.tell({ found, error: null });
  }

  end() {
    this.abort.abort();
    clearTimeout(this.timer);
    this.unsubscribe();
  }
}
