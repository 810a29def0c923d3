// The state of a task: a mark and a word, coloured.

import { html } from '../libraries.js';
import { STATES, stateWord } from '../format.js';

/**
 * @param {{state: string, short?: boolean}} props short: the mark alone, the word for who reads the page aloud
 */
export function State({ state, short = false }) {
  const known = STATES[state];
  return html`<span class=${`state state-${known ? state.toLowerCase() : 'unknown'}`} title=${stateWord(state)}>
    <span class="mark" aria-hidden="true">${known?.mark ?? '?'}</span>
    <span class=${short ? 'aloud' : 'word'}>${stateWord(state)}</span>
  </span>`;
}
