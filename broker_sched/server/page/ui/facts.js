// What is known of one thing: labels with their values.

import { html } from '../libraries.js';

/**
 * @param {{rows: ([string, any] | null | false)[]}} props rows: what is null or false is left out
 */
export function Facts({ rows }) {
  return html`<dl class="facts facts-wide">
    ${rows.map((row) => (row ? html`<div key=${row[0]}><dt>${row[0]}</dt><dd>${row[1]}</dd></div>` : null))}
  </dl>`;
}
