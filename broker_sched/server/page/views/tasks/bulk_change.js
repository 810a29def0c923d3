// One thing done with very many tasks, a thousand a call: first all are asked about, then those are changed with which it can
// be done. The page shows how it stands, and may break it off.

import { ApiError, call } from '../../api.js';
import { author } from '../../session.js';
import { Shared } from '../../shown_values.js';

const AT_ONCE = 1000; // tasks in one call
const EXAMPLES = 3; // tasks that are named beside a reason

/**
 * @typedef {object} Action
 * @property {string} name as change_tasks and `bsched task` have it
 * @property {string} verb what its button says
 * @property {string} phrase the same with what it is done to in place of %: 'Mark % done'
 * @property {string} outcome what the tasks are then: "3 tasks are …"
 * @property {string} does what it does, in a sentence
 * @property {(string | null)[]} statuses those that filters choose from, unless a state is asked for; null: all
 */

/** The things that can be done, as `bsched task` has them. @type {Action[]} */
export const ACTIONS = [
  { name: 'retry', verb: 'Retry', phrase: 'Retry %', outcome: 'PENDING again', statuses: ['FAILED', 'DISABLED'],
    does: 'Runs failed and disabled tasks again at once. A disable is lifted, whoever made it.' },
  { name: 'forgive', verb: 'Forgive', phrase: 'Forgive %', outcome: 'PENDING again, their failures forgotten', statuses: ['FAILED', 'DISABLED'],
    does: 'Runs failed and disabled tasks again at once, and forgets their failures, so that retry_count begins anew.' },
  { name: 'enable', verb: 'Enable', phrase: 'Enable %', outcome: 'enabled', statuses: ['DISABLED'],
    does: 'Lets disabled tasks be failed ones, their failures forgotten; they are retried after retry_delay.' },
  { name: 'disable', verb: 'Disable', phrase: 'Disable %', outcome: 'DISABLED', statuses: ['PENDING', 'FAILED', 'UNKNOWN'],
    does: 'Has nobody run these tasks until they are retried, forgiven, enabled or done, whoever schedules them again.' },
  { name: 'done', verb: 'Mark done', phrase: 'Mark % done', outcome: 'DONE', statuses: ['PENDING', 'RUNNING', 'FAILED', 'DISABLED', 'UNKNOWN'],
    does: 'Takes tasks for done: what waits for them goes on.' },
  { name: 'stop', verb: 'Stop', phrase: 'Stop %', outcome: 'asked to end', statuses: ['RUNNING'],
    does: 'Ends running tasks: their workers terminate them. Workers of stock Luigi can’t.' },
  { name: 'remove', verb: 'Remove', phrase: 'Remove %', outcome: 'removed', statuses: [null],
    does: 'Forgets tasks. Not those that run, nor those that a task needs which is not done.' },
];

/**
 * @typedef {object} Refused
 * @property {string} reason
 * @property {number} count
 * @property {string[]} examples ids of some of them
 */

/**
 * @typedef {object} State
 * @property {'finding' | 'found' | 'changing' | 'ended'} phase
 * @property {number} done tasks that were looked at, or changed
 * @property {number} of
 * @property {ApiError | null} error
 */

/** One action on tasks that are named, or for which filters hold. How far it is, `state` tells. */
export class BulkChange {
  /**
   * @param {Action} action
   * @param {{ids: string[] | null, args: Record<string, any>}} what ids: the tasks; null: those for which args of the
   *   method `tasks` hold
   */
  constructor(action, { ids, args }) {
    this.action = action;
    this.ids = ids;
    this.args = args;
    this.state = new Shared(/** @type {State} */ ({ phase: 'finding', done: 0, of: 0, error: null }));
    this.isBrokenOff = false;
    /** @type {string[]} */
    this.eligible = []; // ids of the tasks with which it can be done
    this.changed = 0;
    this.next = 0; // the place among them where changing goes on
    this.refused = /** @type {Map<string, Refused>} */ (new Map());
    this.found = new Set(); // ids of all: one that changes its state meanwhile may be met twice
    this.abort = new AbortController();
  }

  /** Asks about all of the tasks, and changes nothing. */
  async find() {
    await this.#guarded(async () => {
      if (this.ids) await this.#findNamed(this.ids);
      else for (const status of this.args.status ? [this.args.status] : this.action.statuses) await this.#findWith(status);
      this.#tell({ phase: 'found' });
    });
  }

  /** @param {string[]} ids */
  async #findNamed(ids) {
    this.#tell({ of: ids.length });
    for (let start = 0; start < ids.length; start += AT_ONCE) {
      await this.#ask(ids.slice(start, start + AT_ONCE));
      this.#tell({ done: Math.min(ids.length, start + AT_ONCE) });
    }
  }

  /** @param {string | null} status */
  async #findWith(status) {
    const before = this.state.value;
    let cursor = null;
    do {
      const page = await call('tasks', { ...this.args, status, cursor, limit: AT_ONCE }, { abort: this.abort.signal });
      await this.#ask(page.tasks.map((/** @type {any} */ task) => task.task_id));
      this.#tell({ done: before.done + page.looked_at, of: before.of + page.of });
      cursor = page.cursor;
    } while (cursor !== null);
  }

  /** @param {string[]} ids */
  async #ask(ids) {
    const others = ids.filter((id) => !this.found.has(id));
    if (!others.length) return;
    for (const id of others) this.found.add(id);
    const reply = await this.#call(others, true);
    for (const id of reply.changed) this.eligible.push(id);
    this.#note(reply.unchanged);
  }

  /**
   * @param {string[]} ids
   * @param {boolean} isDry
   */
  #call(ids, isDry) {
    // What was begun is not broken off: nobody would know how far it came.
    const args = { task_ids: ids, action: this.action.name, dry_run: isDry, by: author };
    return call('change_tasks', args, isDry ? { abort: this.abort.signal } : {});
  }

  /** @param {{task_id: string, reason: string}[]} unchanged */
  #note(unchanged) {
    for (const { task_id: id, reason } of unchanged) {
      const found = this.refused.get(reason) ?? { reason, count: 0, examples: [] };
      found.count += 1;
      if (found.examples.length < EXAMPLES) found.examples.push(id);
      this.refused.set(reason, found);
    }
  }

  /** Changes the tasks that were found; goes on where it was interrupted. */
  async change() {
    this.#tell({ phase: 'changing', of: this.eligible.length, done: this.next });
    if (this.next === 0) this.refused = new Map(); // which of them can't be changed any more
    await this.#guarded(async () => {
      while (this.next < this.eligible.length && !this.isBrokenOff) {
        const reply = await this.#call(this.eligible.slice(this.next, this.next + AT_ONCE), false);
        this.changed += reply.changed.length;
        this.#note(reply.unchanged);
        this.next = Math.min(this.eligible.length, this.next + AT_ONCE);
        this.#tell({ done: this.next });
      }
      this.#tell({ phase: 'ended' });
    });
  }

  /** @param {Partial<State>} changes */
  #tell(changes) {
    this.state.value = { ...this.state.value, ...changes };
  }

  /** @param {() => Promise<void>} work */
  async #guarded(work) {
    this.#tell({ error: null });
    try {
      await work();
    } catch (error) {
      // What was asked for and is not wanted any more is given up without an error; a change is never given up.
      if (error instanceof ApiError || !this.abort.signal.aborted) this.#tell({ error: error instanceof ApiError ? error : new ApiError(0, 'Bug', String(error)) });
    }
  }

  /** Ends it: at once while nothing is changed yet, else after the thousand tasks that are on their way. */
  breakOff() {
    this.isBrokenOff = true;
    this.abort.abort();
  }

  /** Why it can't be done with some, most tasks first. */
  reasons() {
    return [...this.refused.values()].sort((one, other) => other.count - one.count);
  }
}
