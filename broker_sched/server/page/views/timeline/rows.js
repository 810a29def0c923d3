// Runs by worker or family, and as bars that can be seen: what is too short to be told apart is one bar.

import { count, duration, exactTime, some, stateWord } from '../../format.js';
import { idleTimes } from './scale.js';

const MOST_LINES = 6; // of runs side by side, in a row
const LEAST_PIXELS = 3; // of a bar

/** @typedef {import('./runs.js').Run} Run */
/** @typedef {{start: number, end: number, line: number, runs: Run[]}} Bar in pixels */
/** @typedef {{name: string, bars: Bar[], lines: number, runs: number, busy: number, longestIdle: number}} Row */

/**
 * Makes rows of runs.
 * @param {Run[]} runs
 * @param {'worker' | 'family'} by
 * @param {import('./scale.js').Scale} scale
 * @param {number} now
 * @returns {Row[]} in the order of their names
 */
export function rowsOf(runs, by, scale, now) {
  /** @type {Map<string, Run[]>} */
  const found = new Map();
  for (const run of runs) {
    if ((run.ended ?? now) < scale.since || (run.started ?? run.ended ?? now) > scale.until) continue;
    const name = run[by] ?? '';
    const known = found.get(name);
    if (known) known.push(run);
    else found.set(name, [run]);
  }
  const end = Math.min(now, scale.until);
  return [...found].sort().map(([name, some]) => {
    const idle = idleTimes(some, scale.since, end);
    return {
      name,
      ...barsOf(some, scale, now),
      runs: some.length,
      busy: 1 - idle.reduce((sum, [from, to]) => sum + to - from, 0) / Math.max(end - scale.since, 1e-6),
      longestIdle: Math.max(0, ...idle.map(([from, to]) => to - from)),
    };
  });
}

/**
 * Makes bars of runs, side by side where they ran so.
 * @param {Run[]} runs
 * @param {import('./scale.js').Scale} scale
 * @param {number} now
 * @returns {{bars: Bar[], lines: number}}
 */
export function barsOf(runs, scale, now) {
  /** @type {Bar[]} */
  const bars = [];
  /** @type {{free: number, bar: Bar}[]} */
  const lines = [];
  const sorted = [...runs].sort((one, other) => (one.started ?? one.ended ?? 0) - (other.started ?? other.ended ?? 0));
  for (const run of sorted) {
    const [from, to] = [run.started ?? run.ended ?? now, run.ended ?? now];
    const start = Math.max(0, scale.x(Math.max(from, scale.since)));
    const end = Math.min(scale.width, Math.max(scale.x(Math.min(to, scale.until)), start + LEAST_PIXELS));
    let line = lines.findIndex((each) => each.free <= from);
    if (line < 0) line = Math.min(lines.length, MOST_LINES - 1);
    const last = lines[line]?.bar;
    if (last && start < last.end && (end - start <= 2 * LEAST_PIXELS || line === MOST_LINES - 1)) {
      last.end = Math.max(last.end, end);
      last.runs.push(run);
    } else bars.push((lines[line] = { free: to, bar: { start: Math.max(start, last?.end ?? 0), end, line, runs: [run] } }).bar);
    lines[line].free = Math.max(lines[line].free, to);
  }
  return { bars, lines: lines.length };
}

/**
 * Returns how a bar is drawn: as the worst of its runs.
 * @param {Bar} bar
 */
export function outcomeOf(bar) {
  const outcomes = new Set(bar.runs.map((run) => run.outcome));
  return ['DISABLED', 'FAILED', 'RUNNING', 'BATCH_RUNNING', 'DONE'].find((each) => outcomes.has(each)) ?? 'PENDING';
}

/**
 * Returns what a bar says to who has it read aloud, or has the mouse over it.
 * @param {Bar} bar
 * @param {number} now
 */
export function toldOf(bar, now) {
  const [run] = bar.runs;
  if (bar.runs.length > 1) {
    const failed = bar.runs.filter((each) => ['FAILED', 'DISABLED'].includes(each.outcome)).length;
    return `${some(bar.runs.length, 'run')}, ${count(failed)} failed, from ${exactTime(run.started ?? run.ended ?? now)}; opens closer`;
  }
  const word = run.outcome === 'PENDING' ? 'given back' : stateWord(run.outcome);
  if (run.started === null) return `${run.task_id}, ${word}, ended ${exactTime(run.ended ?? now)}; nothing tells when it began`;
  const took = duration((run.ended ?? now) - run.started);
  return `${run.task_id}, ${word}, ${took} from ${exactTime(run.started)}${run.worker ? `, on ${run.worker}` : ''}`;
}
