// What has happened, told for a while at the edge of the page and to who has it read aloud.

import { html } from '../libraries.js';
import { Shared, useShared } from '../shown_values.js';

const SHOWN_SECONDS = 8;

const notices = new Shared(/** @type {{id: number, text: string, kind: 'done' | 'failed'}[]} */ ([]));
let last = 0;

/**
 * Tells what has happened. A failure stays until it is dismissed.
 * @param {string} text
 * @param {'done' | 'failed'} [kind]
 */
export function notify(text, kind = 'done') {
  last += 1;
  const id = last;
  notices.value = [...notices.value.slice(-3), { id, text, kind }];
  if (kind === 'done') setTimeout(() => dismiss(id), SHOWN_SECONDS * 1000);
}

/** @param {number} id */
function dismiss(id) {
  notices.value = notices.value.filter((each) => each.id !== id);
}

/** The place where notices appear: once in the page. */
export function Notices() {
  return html`<div class="notices" role="status">
    ${useShared(notices).map(
      ({ id, text, kind }) => html`<p key=${id} class=${`notice notice-${kind}`}>
        <span aria-hidden="true">${kind === 'done' ? '✓' : '✗'}</span> <span>${text}</span>
        <button type="button" class="plain" aria-label="Dismiss" onClick=${() => dismiss(id)}>×</button>
      </p>`,
    )}
  </div>`;
}
