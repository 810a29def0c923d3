// What can be done with all tasks for which filters hold, or with those that are chosen: asked about first, then done.

import { html, useEffect, useRef, useState } from '../../libraries.js';
import { command } from '../../commands.js';
import { count, some } from '../../format.js';
import { useShared } from '../../shown_values.js';
import { Command, Dialog, Failure, Meter, TaskLink } from '../../ui/index.js';
import { ACTIONS, BulkChange } from './bulk_change.js';

const LIMIT_OF_COMMAND = 1000; // tasks, unless it is told otherwise
const REASONS = 10;

/**
 * @param {{choice: import('./filters.js').Choice, total: number | null, selected: Set<string>, onDone: () => void}} props
 *   total: how many tasks the choice is of; null where that is not known yet
 */
export function BulkActions({ choice, total, selected, onDone }) {
  const [action, setAction] = useState(/** @type {import('./bulk_change.js').Action | null} */ (null));
  const ids = selected.size ? [...selected] : null;
  const whom = ids ? `the ${count(ids.length)} chosen` : total === null ? 'all that match' : `all ${count(total)} that match`;
  const close = (/** @type {boolean} */ isChanged) => {
    setAction(null);
    if (isChanged) onDone();
  };
  return html`<div class="bulk" role="group" aria-label=${`Change ${whom}`}>
    <span>With <strong>${whom}</strong>:</span>
    ${ACTIONS.map((each) => html`<button type="button" key=${each.name} title=${each.does} class=${each.name === 'remove' ? 'danger' : ''}
      disabled=${!ids && total === 0} onClick=${() => setAction(each)}>${each.verb}</button>`)}
    ${action ? html`<${Bulk} action=${action} ids=${ids} choice=${choice} onClose=${close} />` : null}
  </div>`;
}

/**
 * @param {{action: import('./bulk_change.js').Action, ids: string[] | null, choice: import('./filters.js').Choice,
 *   onClose: (isChanged: boolean) => void}} props
 */
function Bulk({ action, ids, choice, onClose }) {
  const made = useRef(/** @type {BulkChange | null} */ (null));
  made.current ??= new BulkChange(action, { ids, args: choice.args() });
  const bulk = made.current;
  const { phase, error } = useShared(bulk.state);
  useEffect(() => {
    bulk.find();
    return () => bulk.breakOff();
  }, []);
  useLeaveQuestion(phase === 'changing' && error === null);
  const line = command(`task ${action.name}`, optionsFor(bulk, ids, choice));
  const close = () => {
    if (phase === 'changing' && error === null) bulk.breakOff(); // the dialog goes on to tell what was done
    else onClose(bulk.next > 0);
  };
  return html`<${Dialog} title=${phrase(action, ids ? some(ids.length, 'chosen task') : 'all that match')} onClose=${close}>
    <p>${action.does}</p>
    ${error ? html`<${Failure} error=${error} onRetry=${() => (phase === 'finding' ? onClose(false) : bulk.change())} />` : null}
    ${{ finding: Finding, found: Found, changing: Changing, ended: Ended }[phase]({ bulk })}
    <${Reasons} bulk=${bulk} />
    <p><${Command} line=${line} /></p>
    <p class="actions">
      ${phase === 'found' && bulk.eligible.length
        ? html`<button type="button" class=${action.name === 'remove' ? 'danger' : 'primary'} onClick=${() => bulk.change()}>${phrase(action, some(bulk.eligible.length, 'task'))}</button>`
        : null}
      <button type="button" onClick=${close}>${phase === 'ended' || (phase === 'found' && !bulk.eligible.length) ? 'Close' : 'Cancel'}</button>
    </p>
  </${Dialog}>`;
}

/**
 * Has the browser ask before the page is left.
 * @param {boolean} isNeeded
 */
function useLeaveQuestion(isNeeded) {
  useEffect(() => {
    if (!isNeeded) return undefined;
    /** @param {Event} event */
    const ask = (event) => event.preventDefault();
    addEventListener('beforeunload', ask);
    return () => removeEventListener('beforeunload', ask);
  }, [isNeeded]);
}

/**
 * @param {import('./bulk_change.js').Action} action
 * @param {string} what
 */
function phrase(action, what) {
  return action.phrase.replace('%', () => what);
}

/**
 * The options of the command that changes the same tasks.
 * @param {BulkChange} bulk
 * @param {string[] | null} ids
 * @param {import('./filters.js').Choice} choice
 */
function optionsFor(bulk, ids, choice) {
  const found = ids?.length ?? bulk.eligible.length + bulk.reasons().reduce((sum, each) => sum + each.count, 0);
  const limit = found > LIMIT_OF_COMMAND ? found : null;
  if (ids) return { limit, args: ids };
  // The command wants a filter: no words are in every name.
  return { ...(choice.isAny ? choice.options : { text: [''] }), limit };
}

/** @param {{bulk: BulkChange}} props */
function Finding({ bulk }) {
  return html`<${Progress} bulk=${bulk} what="looked at" />`;
}

/** @param {{bulk: BulkChange}} props */
function Found({ bulk }) {
  const n = bulk.eligible.length;
  return html`<p role="status"><strong>${n ? some(n, 'task') : 'No task'}</strong> would be ${bulk.action.outcome}.</p>`;
}

/** @param {{bulk: BulkChange}} props */
function Changing({ bulk }) {
  return html`<${Progress} bulk=${bulk} what="done" />`;
}

/** @param {{bulk: BulkChange}} props */
function Ended({ bulk }) {
  const left = bulk.eligible.length - bulk.next;
  return html`<p role="status">
    <strong>${some(bulk.changed, 'task')}</strong> ${bulk.changed === 1 ? 'is' : 'are'} ${bulk.action.outcome}.
    ${left ? ` Broken off: ${some(left, 'task')} ${left === 1 ? 'was' : 'were'} left alone.` : ''}
  </p>`;
}

/** @param {{bulk: BulkChange, what: string}} props */
function Progress({ bulk, what }) {
  const { done, of } = useShared(bulk.state);
  const told = of ? `${what} ${count(done)} of ${count(of)}` : 'looking for them';
  return html`<p role="status">${told}</p><p><${Meter} value=${done} of=${of} label=${told} /></p>`;
}

/** @param {{bulk: BulkChange}} props */
function Reasons({ bulk }) {
  const { phase } = useShared(bulk.state);
  if (phase !== 'found' && phase !== 'ended') return null;
  const reasons = bulk.reasons();
  if (!reasons.length) return null;
  const left = reasons.slice(REASONS).reduce((sum, each) => sum + each.count, 0);
  return html`<p>Not:</p>
    <ul class="reasons">
      ${reasons.slice(0, REASONS).map(
        ({ reason, count: n, examples }) => html`<li key=${reason}>
          <strong>${count(n)}</strong> ${reason} <span class="minor">such as <${TaskLink} id=${examples[0]} /></span>
        </li>`,
      )}
      ${left ? html`<li key=""><strong>${count(left)}</strong> for other reasons.</li>` : null}
    </ul>`;
}
