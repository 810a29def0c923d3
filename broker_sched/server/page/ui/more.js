// The end of a list of which there is more.

import { html } from '../libraries.js';
import { count } from '../format.js';

/**
 * Offers the next part of a list, and says how much was looked at for what is shown.
 * @param {{cursor: string | null, onMore: () => void, lookedAt?: number, of?: number, loading?: boolean}} props
 */
export function More({ cursor, onMore, lookedAt, of, loading = false }) {
  const isPartial = lookedAt !== undefined && of !== undefined && lookedAt < of;
  if (cursor === null && !isPartial) return null;
  return html`<p class="more">
    ${cursor === null ? null : html`<button type="button" disabled=${loading} onClick=${onMore}>Show more</button>`}
    ${lookedAt === undefined || of === undefined
      ? null
      : html`<span class="minor">looked at ${count(lookedAt)} of ${count(of)}</span>`}
  </p>`;
}
