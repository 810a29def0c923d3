// A field with a button that sends its value. What is wrong with the value is said beside it.

import { html, useEffect, useId, useState } from '../libraries.js';
import { call } from '../api.js';
import { may } from '../session.js';
import { Command } from './button.js';
import { notify } from './notice.js';

/**
 * Returns the number that a text stands for; any other text as it is, so that the server says what is wrong with it.
 * @param {string} text
 */
export function numberOf(text) {
  const trimmed = text.trim();
  return trimmed !== '' && Number.isFinite(Number(trimmed)) ? Number(trimmed) : trimmed;
}

/**
 * Tells whether a text is one to be sent: of any other there is no command either.
 * @param {{args: (text: string) => Record<string, any>}} props
 * @param {string} text
 */
function canBeSent({ args }, text) {
  try {
    args(text);
    return true;
  } catch {
    return false;
  }
}

/**
 * @param {object} props
 * @param {string} props.method which is called, and must be allowed
 * @param {string} props.label
 * @param {string} props.value with which the field begins
 * @param {string} [props.takes] which values it may have
 * @param {string} props.button what the button says
 * @param {(text: string) => Record<string, any>} props.args of the call
 * @param {(text: string) => string} props.command the line of `bsched` that does the same
 * @param {(reply: any, text: string) => string} props.told what to say when it is done
 * @param {(reply: any, text: string) => void} [props.onDone]
 * @param {{value: string, label: string}[]} [props.options] to choose from; else it is written
 * @param {boolean} [props.isFocused] whether the field takes the focus when it appears
 * @param {any} [props.children] what stands behind the button
 */
export function ValueForm(props) {
  const id = useId();
  const [text, setText] = useState(props.value);
  const [error, setError] = useState('');
  const [isWorking, setWorking] = useState(false);
  useEffect(() => {
    if (props.isFocused) document.getElementById(id)?.focus();
  }, []);
  if (!may(props.method)) return null;
  /** @param {Event} event */
  const send = async (event) => {
    event.preventDefault();
    if (isWorking) return;
    setWorking(true);
    try {
      const reply = await call(props.method, props.args(text));
      setError('');
      notify(props.told(reply, text));
      props.onDone?.(reply, text);
    } catch (failure) {
      setError(failure instanceof Error ? failure.message : String(failure));
      document.getElementById(id)?.focus();
    }
    setWorking(false);
  };
  /** @param {Event & {currentTarget: HTMLInputElement | HTMLSelectElement}} event */
  const change = (event) => {
    setText(event.currentTarget.value);
    setError('');
  };
  const described = { 'aria-invalid': error ? 'true' : undefined, 'aria-describedby': `${id}-takes ${id}-error` };
  return html`<form class="value-form" onSubmit=${send} novalidate>
    <label for=${id}>${props.label}</label>
    <span class="actions">
      ${props.options
        ? html`<select id=${id} value=${text} onChange=${change} ...${described}>
            ${props.options.map((each) => html`<option key=${each.value} value=${each.value}>${each.label}</option>`)}
          </select>`
        : html`<input id=${id} value=${text} onInput=${change} autocomplete="off" spellcheck=${false} ...${described} />`}
      <button type="submit" aria-busy=${isWorking}>${props.button}</button>
      ${props.children}
      ${canBeSent(props, text) ? html`<${Command} line=${props.command(text)} />` : null}
    </span>
    <span class="minor" id=${`${id}-takes`}>${props.takes ?? ''}</span>
    <span class="field-error" id=${`${id}-error`} role="alert">${error ? html`<span aria-hidden="true">✗ </span>${error}` : ''}</span>
  </form>`;
}
