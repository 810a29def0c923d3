// A question before something is done that can't be undone.

import { html, useEffect, useRef } from '../libraries.js';

/**
 * Asks in a dialog; Escape and Cancel, which has the focus, are a no. The focus goes back to where it was.
 * @param {{title: string, yes: string, onYes: () => void, onNo: () => void, children?: any}} props
 *   yes: what the button says, such as 'Remove 12 tasks'
 */
export function Confirm({ title, yes, onYes, onNo, children }) {
  return html`<${Dialog} title=${title} onClose=${onNo}>
    ${children}
    <p class="actions">
      <button type="button" class="danger" onClick=${onYes}>${yes}</button>
      <button type="button" autofocus onClick=${onNo}>Cancel</button>
    </p>
  </${Dialog}>`;
}

/**
 * A dialog above the page, as long as it is shown.
 * @param {{title: string, onClose: () => void, children?: any}} props
 */
export function Dialog({ title, onClose, children }) {
  const dialog = useRef(/** @type {HTMLDialogElement | null} */ (null));
  useEffect(() => {
    const before = document.activeElement;
    dialog.current?.showModal();
    return () => {
      dialog.current?.close();
      if (before instanceof HTMLElement) before.focus();
    };
  }, []);
  /** @param {Event} event */
  const cancel = (event) => {
    event.preventDefault();
    onClose();
  };
  return html`<dialog ref=${dialog} aria-label=${title} onCancel=${cancel}>
    <h2>${title}</h2>
    ${children}
  </dialog>`;
}
