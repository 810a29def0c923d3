// The sheet that lists the keys of the view that is shown.

import { html } from './libraries.js';
import { useKnownKeys } from './keys.js';
import { caller } from './session.js';
import { Dialog } from './ui/index.js';

/** @param {{onClose: () => void}} props */
export function Help({ onClose }) {
  return html`<${Dialog} title="Keys" onClose=${onClose}>
    <dl class="keys">
      ${useKnownKeys().map(
        ({ keys, does }) => html`<div key=${keys}>
          <dt>${keys.split(' ').map((key) => html`<kbd key=${key}>${key}</kbd> `)}</dt>
          <dd>${does}</dd>
        </div>`,
      )}
      <div><dt><kbd>Esc</kbd></dt><dd>Close this</dd></div>
    </dl>
    <p class="minor">broker_sched ${caller.version}, namespace ${caller.namespace}</p>
    <p class="actions"><button type="button" onClick=${onClose}>Close</button></p>
  </${Dialog}>`;
}
