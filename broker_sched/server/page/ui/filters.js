// Filters of a list, kept in the address.

import { html, useEffect, useRef, useState } from '../libraries.js';
import { setParams, useParams } from '../router.js';

const TYPING_MS = 150; // after the last letter; what comes in one piece, by pasting or by a suggestion, is taken at once

/**
 * @typedef {object} Filter
 * @property {string} name of the parameter in the address
 * @property {string} label
 * @property {'text' | 'select' | 'date'} [kind]
 * @property {{value: string, label: string}[]} [options] of a select
 * @property {string} [hint] what may be written, shown while it is empty
 */

/**
 * Shows filters. What is chosen goes into the address, and `cursor` is taken out of it.
 * @param {{filters: Filter[], label: string, children?: any}} props
 */
export function Filters({ filters, label, children }) {
  /** @param {Event} event */
  const stay = (event) => event.preventDefault();
  return html`<form class="filters" role="search" aria-label=${label} onSubmit=${stay}>
    ${filters.map((filter) => html`<${Field} key=${filter.name} filter=${filter} />`)} ${children}
  </form>`;
}

/** @param {{filter: Filter}} props */
function Field({ filter }) {
  const inAddress = useParams().get(filter.name) ?? '';
  const [text, setText] = useState(inAddress);
  const timer = useRef(/** @type {ReturnType<typeof setTimeout> | undefined} */ (undefined));
  useEffect(() => setText(inAddress), [inAddress]); // another address was chosen, by a link or by Back
  useEffect(() => () => clearTimeout(timer.current), []);
  /** @param {string} value */
  const set = (value) => setParams({ [filter.name]: value.trim(), cursor: null }, { replace: true });
  /** @param {InputEvent & {currentTarget: HTMLInputElement}} event */
  const type = (event) => {
    const { value } = event.currentTarget;
    const isWhole = (event.data?.length ?? 0) > 1 || /Paste|Drop|Replacement/.test(event.inputType ?? '');
    setText(value);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => set(value), isWhole ? 0 : TYPING_MS);
  };
  /** @param {Event & {currentTarget: HTMLInputElement | HTMLSelectElement}} event */
  const choose = (event) => {
    clearTimeout(timer.current);
    set(event.currentTarget.value);
  };
  const field =
    filter.kind === 'select'
      ? html`<select value=${inAddress} onChange=${choose}>
          ${(filter.options ?? []).map((each) => html`<option key=${each.value} value=${each.value}>${each.label}</option>`)}
        </select>`
      : html`<input
          type=${filter.kind === 'date' ? 'datetime-local' : 'search'}
          value=${text}
          placeholder=${filter.hint ?? ''}
          autocomplete="off"
          spellcheck=${false}
          onInput=${type}
          onChange=${choose}
        />`;
  return html`<label class="field"><span>${filter.label}</span>${field}</label>`;
}
