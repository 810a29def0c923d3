// The server's clock, as far as it is known here: times are shown as seen from it.

import { Shared } from './shown_values.js';

const UNNOTICED_SECONDS = 2; // a smaller difference is that of the way

let clockAhead = 0; // seconds, by which the server's clock is ahead of this browser's

/** What the server's clock shows, in seconds since the epoch, a second at a time; it rests in a hidden tab. */
export const now = new Shared(Date.now() / 1000);

/**
 * Takes the server's clock from an answer.
 * @param {Response} response
 */
export function noteClock(response) {
  const told = Date.parse(response.headers.get('date') ?? '');
  if (Number.isNaN(told)) return;
  const ahead = (told - Date.now()) / 1000;
  if (Math.abs(ahead - clockAhead) <= UNNOTICED_SECONDS) return;
  clockAhead = ahead;
  tick();
}

function tick() {
  now.value = Date.now() / 1000 + clockAhead;
}

/** Begins to count times on: one timer for the whole page. */
export function startClock() {
  setInterval(() => document.hidden || tick(), 1000);
  document.addEventListener('visibilitychange', tick);
}
