// Shares as a bar: of tasks by state, or how far something is.

import { html } from '../libraries.js';
import { count, stateWord } from '../format.js';

const ORDER = ['DONE', 'RUNNING', 'BATCH_RUNNING', 'READY', 'WAITING', 'PENDING', 'UNKNOWN', 'BLOCKED', 'FAILED', 'DISABLED'];

/**
 * Tasks by state, as shares of a bar. Who does not see it is told the numbers.
 * @param {{counts: Record<string, number>}} props
 */
export function Bar({ counts }) {
  const parts = ORDER.filter((state) => counts[state]);
  const told = parts.map((state) => `${count(counts[state])} ${stateWord(state)}`).join(', ') || 'no tasks';
  return html`<span class="bar" role="img" aria-label=${told} title=${told}>
    ${parts.map(
      (state) => html`<span key=${state} class=${`part state-${state.toLowerCase()}`} style=${{ flexGrow: counts[state] }}></span>`,
    )}
  </span>`;
}

/**
 * How much of something is used or done.
 * @param {{value: number, of: number, label: string}} props label: for who does not see it
 */
export function Meter({ value, of, label }) {
  const share = of > 0 ? Math.min(1, value / of) : 0;
  return html`<span class="bar meter" role="img" aria-label=${label} title=${label}>
    <span class="part" style=${{ flexGrow: share }}></span><span class="rest" style=${{ flexGrow: 1 - share }}></span>
  </span>`;
}
