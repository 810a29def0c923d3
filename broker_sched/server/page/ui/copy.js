// What is put where the next paste takes it from.

import { html } from '../libraries.js';
import { notify } from './notice.js';

/**
 * Copies a text, and says so.
 * @param {string} text
 */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    notify('Copied.');
  } catch {
    notify('The browser copies nothing here: select the text and copy it.', 'failed');
  }
}

/**
 * A button that copies a text as it is, whatever is shown of it.
 * @param {{text: string, what: string, children?: any}} props what: for who has it read aloud, such as 'the log'
 */
export function Copy({ text, what, children = 'Copy' }) {
  return html`<button type="button" class="copy" aria-label=${`Copy ${what}`} onClick=${() => copy(text)}>${children}</button>`;
}
