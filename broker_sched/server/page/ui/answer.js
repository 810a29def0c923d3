// What is shown while an answer is awaited, when there is none, and when there is nothing in it.

import { html, useEffect, useState } from '../libraries.js';

const PATIENCE_MS = 250; // before it is said that something is loading: what comes sooner does not flicker

/** @param {{children?: any}} props */
export function Empty({ children }) {
  return html`<p class="empty">${children}</p>`;
}

/** Says that an answer is awaited, unless it comes at once. */
export function Loading() {
  const [isShown, setShown] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setShown(true), PATIENCE_MS);
    return () => clearTimeout(timer);
  }, []);
  return html`<p class="loading" role="status">${isShown ? 'Loading…' : ''}</p>`;
}

/**
 * Says in words what went wrong, and offers to try again.
 * @param {{error: import('../api.js').ApiError, onRetry?: () => void}} props
 */
export function Failure({ error, onRetry }) {
  const isAway = error.status === 0 || error.status >= 502;
  return html`<div class="failure" role="alert">
    <p>
      <span aria-hidden="true">✗</span> ${error.message}
      ${isAway ? ' It is tried again until it answers; what is shown below is from before.' : ''}
    </p>
    ${error.requestId ? html`<p class="minor">The server's log tells more of the request ${error.requestId}.</p>` : null}
    ${onRetry ? html`<button type="button" onClick=${onRetry}>Try again</button>` : null}
  </div>`;
}

/**
 * Shows the reply of `useCall` once it is there, and what went wrong above it.
 * @param {{asked: import('../api.js').Asked, children: (data: any) => any}} props
 *   children: makes what is shown of the reply
 */
export function Answer({ asked, children }) {
  const { data, known, error, loading, stale, reload } = asked;
  return html`
    ${error ? html`<${Failure} error=${error} onRetry=${reload} />` : null}
    ${known ? html`<div class=${stale ? 'stale' : ''} aria-busy=${stale}>${children(data)}</div>` : loading ? html`<${Loading} />` : null}
  `;
}
