// How something else than a task stands: a worker, a submission, a call. A mark and a word, coloured.

import { html } from '../libraries.js';

/** @type {Record<string, {word: string, mark: string, tone: 'good' | 'bad' | 'busy' | 'quiet'}>} */
const STANDINGS = {
  active: { word: 'active', mark: '✓', tone: 'good' },
  silent: { word: 'silent', mark: '!', tone: 'bad' },
  disabled: { word: 'disabled', mark: '■', tone: 'bad' },
  submission: { word: 'submission', mark: '≡', tone: 'quiet' },
  ACTIVE: { word: 'active', mark: '▶', tone: 'busy' },
  DONE: { word: 'done', mark: '✓', tone: 'good' },
  FAILED: { word: 'failed', mark: '✗', tone: 'bad' },
  INCOMPLETE: { word: 'incomplete', mark: '?', tone: 'bad' },
  CANCELLED: { word: 'cancelled', mark: '■', tone: 'quiet' },
  done: { word: 'done', mark: '✓', tone: 'good' },
  refused: { word: 'refused', mark: '✗', tone: 'bad' },
  begun: { word: 'under way', mark: '▶', tone: 'busy' },
  unknown: { word: 'unknown', mark: '?', tone: 'bad' },
};

/** @param {{state: string}} props of a worker, a submission, or the result of an audited call */
export function Standing({ state }) {
  const known = STANDINGS[state] ?? { word: state, mark: '?', tone: 'quiet' };
  return html`<span class=${`state tone-${known.tone}`}>
    <span class="mark" aria-hidden="true">${known.mark}</span> <span class="word">${known.word}</span>
  </span>`;
}
