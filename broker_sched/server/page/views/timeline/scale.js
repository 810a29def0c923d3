// Times as places on the screen; idle times may be shortened.

import { exactTime } from '../../format.js';

const BREAK_PIXELS = 26; // of an idle time that is shortened
const TICK_PIXELS = 90; // between two of them at least
const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 604800];

/** @typedef {{from: number, to: number, start: number, end: number, isBreak: boolean}} Part from, to: times; start, end: pixels */

/** Says where on the screen a time is, and which time is at a place. */
export class Scale {
  /**
   * @param {number} since
   * @param {number} until
   * @param {number} width in pixels
   * @param {[number, number][]} gaps idle times that are shortened, in their order
   */
  constructor(since, until, width, gaps) {
    this.since = since;
    this.until = until;
    this.width = width;
    const idle = gaps.reduce((sum, [from, to]) => sum + to - from, 0);
    const room = Math.max(width - gaps.length * BREAK_PIXELS, width / 4);
    /** pixels a second, where nothing is shortened */
    this.pace = room / Math.max(until - since - idle, 1e-6);
    /** @type {Part[]} */
    this.parts = [];
    let [at, place] = [since, 0];
    for (const [from, to] of [...gaps, [until, until]]) {
      if (from > at) this.parts.push({ from: at, to: from, start: place, end: (place += (from - at) * this.pace), isBreak: false });
      if (to > from) this.parts.push({ from, to, start: place, end: (place += BREAK_PIXELS), isBreak: true });
      at = to;
    }
  }

  /** @param {number} time */
  x(time) {
    const part = this.parts.find((each) => time < each.to) ?? this.parts[this.parts.length - 1];
    return part ? part.start + ((time - part.from) / (part.to - part.from)) * (part.end - part.start) : 0;
  }

  /** @param {number} x */
  time(x) {
    const part = this.parts.find((each) => x < each.end) ?? this.parts[this.parts.length - 1];
    return part ? part.from + ((x - part.start) / (part.end - part.start)) * (part.to - part.from) : this.since;
  }

  /** Returns the times that are written, each with its place and what is written. */
  ticks() {
    const step = STEPS.find((each) => each * this.pace >= TICK_PIXELS) ?? STEPS[STEPS.length - 1];
    const found = [];
    for (const part of this.parts) {
      if (part.isBreak) continue;
      for (let time = Math.ceil(part.from / step) * step; time < part.to; time += step) {
        if (this.x(time) > this.width - TICK_PIXELS / 2) break;
        const [day, clock] = exactTime(time).split(' ');
        const text = step >= 86400 ? day.slice(5) : clock.slice(0, step < 60 ? 8 : 5);
        found.push({ time, x: this.x(time), text });
      }
    }
    return found;
  }
}

/**
 * Returns the times between two moments in which none of the runs ran, in their order.
 * @param {{started: number | null, ended: number | null}[]} runs
 * @param {number} since
 * @param {number} until
 * @returns {[number, number][]}
 */
export function idleTimes(runs, since, until) {
  const busy = runs.map((run) => [run.started ?? run.ended ?? until, run.ended ?? until]).sort((one, other) => one[0] - other[0]);
  /** @type {[number, number][]} */
  const found = [];
  let free = since;
  for (const [from, to] of busy) {
    if (from >= until) break;
    if (from > free) found.push([free, from]);
    free = Math.max(free, to);
  }
  if (free < until) found.push([free, until]);
  return found;
}
