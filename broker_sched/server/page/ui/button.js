// A button that calls a method, with the command beside it that does the same.

import { html, useState } from '../libraries.js';
import { call } from '../api.js';
import { may } from '../session.js';
import { Confirm } from './confirm.js';
import { copy } from './copy.js';
import { notify } from './notice.js';

/**
 * A line for a terminal; a click copies it.
 * @param {{line: string}} props
 */
export function Command({ line }) {
  return html`<button type="button" class="command" title="Copy this command" onClick=${() => copy(line)}><code>${line}</code></button>`;
}

/**
 * A button for what a method does. It is not there for who may not call the method, and can't be pressed twice.
 * @param {object} props
 * @param {string} props.method which is called, and must be allowed
 * @param {Record<string, any>} [props.args] of the call
 * @param {() => Promise<any>} [props.act] what is done instead of the plain call
 * @param {string} props.command the line of `bsched` that does the same
 * @param {(reply: any) => string} [props.told] what to say when it is done; an empty text says nothing
 * @param {(reply: any) => void} [props.onDone]
 * @param {{title: string, text: any, yes: string}} [props.confirm] what to ask before
 * @param {'plain' | 'danger'} [props.kind]
 * @param {boolean} [props.disabled]
 * @param {boolean} [props.quiet] the command stands in the button's title only
 * @param {any} [props.children]
 */
export function Button(props) {
  const [isWorking, setWorking] = useState(false);
  const [isAsking, setAsking] = useState(false);
  if (!may(props.method)) return null;
  const work = async () => {
    setAsking(false);
    setWorking(true);
    try {
      const reply = await (props.act ? props.act() : call(props.method, props.args));
      const told = props.told ? props.told(reply) : 'Done.';
      if (told) notify(told);
      props.onDone?.(reply);
    } catch (error) {
      notify(error instanceof Error ? error.message : String(error), 'failed');
    }
    setWorking(false);
  };
  return html`<span class="action">
    <button
      type="button"
      class=${props.kind ?? 'plain'}
      title=${props.command}
      disabled=${isWorking || props.disabled}
      aria-busy=${isWorking}
      onClick=${() => (props.confirm ? setAsking(true) : work())}
    >
      ${props.children}
    </button>
    ${props.quiet ? null : html`<${Command} line=${props.command} />`}
    ${isAsking && props.confirm
      ? html`<${Confirm} title=${props.confirm.title} yes=${props.confirm.yes} onYes=${work} onNo=${() => setAsking(false)}>
          <div>${props.confirm.text}</div>
          <${Command} line=${props.command} />
        </${Confirm}>`
      : null}
  </span>`;
}
