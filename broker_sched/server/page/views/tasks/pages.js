// A list of tasks, page by page, which stays as it is while the tasks change.

import { useEffect, useRef, useState } from '../../libraries.js';
import { ApiError, call } from '../../api.js';
import { now } from '../../format.js';
import { onChange } from '../../live.js';

const FIRST_ROWS = 100;
const MORE_ROWS = 1000;
const CALLS = 10; // that are made on their own for one part of the list, where few of the tasks that are looked at are listed
const MOST_RENEWED = 1000; // tasks in one call of task_statuses
const MOST_NOTED = 10_000; // changed tasks
const RENEW_GAP_MS = 1000;
const RETRY_MS = 2000;

/**
 * @typedef {object} Pages
 * @property {any[]} rows
 * @property {string | null} cursor null where there are no more
 * @property {number} lookedAt
 * @property {number} of how many tasks there are to be looked at
 * @property {boolean} isLoading
 * @property {boolean} isThere whether the first part has come
 * @property {ApiError | null} error
 * @property {number} changed how many tasks have changed, others than those that are shown; infinite where they are many
 * @property {boolean} hasNew whether tasks have been added
 * @property {() => void} more loads the next part
 * @property {() => void} retry loads what failed
 * @property {() => void} reload loads the list anew, as long as it is
 */

/**
 * Loads tasks for which a choice holds. Those that are shown are renewed in place; what else has changed is counted.
 * @param {import('./filters.js').Choice} choice
 * @param {'newest' | 'oldest'} order
 * @returns {Pages}
 */
export function usePages(choice, order) {
  const [, draw] = useState(0);
  const list = useRef(/** @type {Listing | null} */ (null));
  useEffect(() => {
    if (choice.wrong) return undefined;
    const made = new Listing(choice, order, () => draw((n) => n + 1));
    list.current = made;
    made.load(FIRST_ROWS);
    return () => made.end();
  }, [choice.key, choice.wrong, order]);
  const made = list.current;
  return {
    rows: made?.rows ?? [],
    cursor: made?.cursor ?? null,
    lookedAt: made?.lookedAt ?? 0,
    of: made?.of ?? 0,
    isLoading: made?.isLoading ?? false,
    isThere: made?.isThere ?? false,
    error: made?.error ?? null,
    changed: made?.isUncounted ? Infinity : (made?.changed.size ?? 0),
    hasNew: made?.hasNew ?? false,
    more: () => made?.load(MORE_ROWS),
    retry: () => made?.load(...made.latest),
    reload: () => made?.reload(),
  };
}

class Listing {
  /**
   * @param {import('./filters.js').Choice} choice
   * @param {'newest' | 'oldest'} order
   * @param {() => void} draw
   */
  constructor(choice, order, draw) {
    this.choice = choice;
    this.order = order;
    this.draw = draw;
    this.args = choice.args(); // of one moment for all pages, or the cursor would not hold
    /** @type {any[]} */
    this.rows = [];
    this.places = new Map(); // task id → its place among the rows
    this.cursor = /** @type {string | null} */ (null);
    this.lookedAt = 0;
    this.of = 0;
    this.isLoading = false;
    this.isThere = false;
    this.error = /** @type {ApiError | null} */ (null);
    /** @type {Set<string>} */
    this.changed = new Set(); // tasks that are not shown
    this.isUncounted = false; // whether more have changed than were named
    this.hasNew = false;
    /** @type {Set<string>} */
    this.due = new Set(); // tasks that are shown, and to be renewed
    this.isRenewing = false;
    this.newest = ''; // the id of the newest task of the family when the rows came
    this.isNewDue = false; // whether it is to be looked whether there is a newer one
    this.isReloadDue = false;
    /** @type {[number, boolean]} */
    this.latest = [FIRST_ROWS, false]; // what was loaded last
    this.abort = new AbortController();
    this.unsubscribe = onChange((change) => this.#note(change));
  }

  /**
   * Loads so many rows more, from the place where it ended.
   * @param {number} wanted
   * @param {boolean} [anew] in place of the rows that there are, once the first of them have come
   */
  async load(wanted, anew = false) {
    if (this.isLoading) return;
    this.latest = [wanted, anew];
    this.isLoading = true;
    this.error = null;
    this.draw();
    try {
      if ((anew || !this.isThere) && !this.#beginsWithNewest()) this.newest = await this.#newestOfFamily();
      let cursor = anew ? null : this.cursor;
      let left = wanted;
      for (let calls = 0; left > 0 && calls < CALLS; calls += 1) {
        // The first of many rows are shown before the others come.
        const limit = Math.min(left, calls === 0 && !anew ? FIRST_ROWS : MORE_ROWS);
        const args = { ...this.args, order: this.order, cursor, limit };
        const page = await call('tasks', args, { abort: this.abort.signal });
        if (anew && calls === 0) this.clear();
        if (cursor === null && this.#beginsWithNewest()) this.newest = page.tasks[0]?.task_id ?? '';
        this.add(page.tasks);
        left -= page.tasks.length;
        this.lookedAt = page.looked_at;
        this.of = page.of;
        this.isThere = true;
        this.cursor = page.cursor;
        cursor = page.cursor;
        this.draw();
        if (cursor === null) break;
      }
    } catch (error) {
      if (this.abort.signal.aborted) return;
      this.error = error instanceof ApiError ? error : new ApiError(0, 'Bug', String(error));
    }
    this.isLoading = false;
    this.draw();
    if (this.isReloadDue) this.reload();
  }

  reload() {
    this.isReloadDue = this.isLoading; // of which the arguments stay as they are
    if (this.isLoading) return;
    this.args = this.choice.args();
    this.load(Math.max(FIRST_ROWS, this.rows.length), true);
  }

  clear() {
    this.rows = [];
    this.places.clear();
    this.changed.clear();
    this.isUncounted = false;
    this.hasNew = false;
    this.due.clear();
  }

  /** @param {any[]} tasks */
  add(tasks) {
    const rows = [...this.rows];
    for (const task of tasks) {
      if (this.places.has(task.task_id)) continue; // it has moved on, and is met a second time
      this.places.set(task.task_id, rows.length);
      rows.push(task);
    }
    this.rows = rows;
  }

  /** @param {import('../../live.js').Change} change */
  #note(change) {
    const { family } = this.choice;
    if (change.reset) for (const id of this.places.keys()) this.due.add(id);
    else if (!family || change.families.has(family)) this.#noteTasks(change.tasks);
    if (change.also.has('tasks')) {
      if (family) this.isNewDue = true; // of which family they are is not told
      else this.hasNew = true;
    }
    this.draw();
    this.#renew();
  }

  /** @param {import('../../live.js').TaskIds} changed */
  #noteTasks(changed) {
    if (!changed.isComplete) {
      this.isUncounted = true;
      for (const id of this.places.keys()) this.due.add(id);
    }
    for (const id of changed) {
      if (this.places.has(id)) this.due.add(id);
      else if (this.changed.size < MOST_NOTED) this.changed.add(id);
      else this.isUncounted = true;
    }
  }

  /**
   * Asks how those tasks stand that are shown and have changed, so that rows are true and stay where they are; and
   * whether some were added to the family.
   */
  async #renew() {
    if (this.isRenewing || !(this.due.size || this.isNewDue) || this.abort.signal.aborted) return;
    this.isRenewing = true;
    let pause = RENEW_GAP_MS;
    const { isNewDue } = this;
    this.isNewDue = false;
    const ids = [...this.due].slice(0, MOST_RENEWED);
    for (const id of ids) this.due.delete(id);
    try {
      if (ids.length) this.#renewRows(ids, await call('task_statuses', { task_ids: ids }, { abort: this.abort.signal }));
      if (isNewDue) await this.#lookForNew();
    } catch {
      // The frame of the page tells when the server is away.
      for (const id of ids) if (this.places.has(id)) this.due.add(id);
      this.isNewDue ||= isNewDue;
      pause = RETRY_MS;
    }
    setTimeout(() => {
      this.isRenewing = false;
      this.#renew();
    }, pause);
  }

  async #lookForNew() {
    const newest = await this.#newestOfFamily();
    if (newest === '' || newest === this.newest || this.places.has(newest) || this.changed.has(newest)) return;
    this.hasNew = true;
    this.draw();
  }

  /** Whether the first row is the newest task of the family, in the state that is asked for. */
  #beginsWithNewest() {
    return this.order === 'newest' && Object.keys(this.choice.options).every((name) => name === 'family' || name === 'status');
  }

  /** The id of the task of the family, in the state that is asked for, which came there last; empty without a family. */
  async #newestOfFamily() {
    const { family, status } = this.args;
    if (!this.choice.family) return '';
    const { tasks } = await call('tasks', { family, status, limit: 1 }, { abort: this.abort.signal });
    return tasks[0]?.task_id ?? '';
  }

  /**
   * @param {string[]} ids
   * @param {Record<string, {status: string}>} standings
   */
  #renewRows(ids, standings) {
    const rows = [...this.rows];
    for (const id of ids) {
      const place = this.places.get(id);
      const row = place === undefined ? null : rows[place];
      if (!row) continue;
      const status = standings[id]?.status ?? 'REMOVED';
      if (status !== row.status) rows[place] = { ...row, status, state: status, since: now.value, isRenewed: true };
    }
    this.rows = rows;
    this.draw();
  }

  end() {
    this.abort.abort();
    this.unsubscribe();
  }
}
