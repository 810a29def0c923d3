// The changes of tasks' statuses, as they happen.

import { html, useRef } from '../libraries.js';
import { useCall } from '../api.js';
import { command } from '../commands.js';
import { STATES, stateWord, Time } from '../format.js';
import { useKeys } from '../keys.js';
import { href, setParams, useParams } from '../router.js';
import { Answer, Command, Empty, FamilyLink, Filters, State, Table, TaskLink, WorkerLink } from '../ui/index.js';

const SHOWN = 200;
const EVERY_SECONDS = 10;
const STATUSES = ['PENDING', 'RUNNING', 'BATCH_RUNNING', 'DONE', 'FAILED', 'DISABLED', 'UNKNOWN'].filter((each) => STATES[each]);

/** @type {import('../ui/filters.js').Filter[]} */
const FILTERS = [
  { name: 'family', label: 'Family' },
  {
    name: 'status',
    label: 'Changed to',
    kind: 'select',
    options: [{ value: '', label: 'any' }, ...STATUSES.map((status) => ({ value: status, label: stateWord(status) }))],
  },
  { name: 'task', label: 'Task id' },
];

/** @type {import('../ui/table.js').Column<any>[]} */
const COLUMNS = [
  { name: 'time', title: 'When', cell: (each) => html`<${Time} at=${each.time} />` },
  { name: 'change', title: 'Change', cell: (each) => html`<${Change} event=${each} />` },
  { name: 'task', title: 'Task', kind: 'wide', cell: (each) => html`<${TaskLink} id=${each.task_id} />` },
  { name: 'family', title: 'Family', kind: 'narrow', cell: (each) => html`<${FamilyLink} family=${each.family} />` },
  { name: 'worker', title: 'Worker', cell: (each) => html`<${WorkerLink} worker=${each.worker} />` },
  { name: 'by', title: 'Asked for by', kind: 'narrow', cell: (each) => asker(each) },
];

/** @param {{event: any}} props */
function Change({ event }) {
  if (event.asked) return html`<span class="change">${event.asked}, <${State} state=${event.to} /></span>`;
  if (event.refused) return html`<span class="change"><span aria-hidden="true">✗</span> report refused: ${stateWord(event.refused)}</span>`;
  return html`<span class="change">
    ${event.from ? html`<${State} state=${event.from} />` : 'new'} <span aria-label="to">→</span>
    ${event.to ? html`<${State} state=${event.to} />` : 'removed'}
  </span>`;
}

/** @param {any} event */
function asker(event) {
  return event.by === null ? '' : event.by || 'somebody';
}

/** Shows the newest changes that pass the filters; they stand still while it is paused, or when older ones are shown. */
export default function Events() {
  const params = useParams();
  const [family, status, task, before] = ['family', 'status', 'task', 'before'].map((name) => params.get(name));
  const isPaused = params.has('paused');
  const isLive = !isPaused && before === null;
  const asked = useCall('events', { limit: SHOWN, family, status, task_id: task, before }, {
    live: (change) => isLive && (family === null || change.families.has(family)),
    every: isLive ? EVERY_SECONDS : undefined,
  });
  const wanted = JSON.stringify([family, status, task, before]);
  const held = useRef({ wanted: '', data: /** @type {any} */ (null) });
  if (!asked.stale && (!isPaused || held.current.wanted !== wanted)) held.current = { wanted, data: asked.data };
  const shown = isPaused && held.current.wanted === wanted ? { ...asked, data: held.current.data } : asked;
  const pause = () => {
    if (isPaused) asked.reload(); // what happened meanwhile was not asked for
    setParams({ paused: isPaused ? null : 1 }, { replace: true });
  };
  useKeys([{ keys: 'p', does: isPaused ? 'Go on with what happens' : 'Pause what happens', act: pause }]);
  return html`
    <${Filters} filters=${FILTERS} label="Filter events">
      <button type="button" aria-pressed=${isPaused} onClick=${pause}>${isPaused ? '▶ Go on' : '❚❚ Pause'}</button>
      <${Command} line=${command('events', { follow: true, family, status, task })} />
    </${Filters}>
    <${Answer} asked=${shown}>
      ${(/** @type {any} */ found) => html`<${Listed} found=${found} isOlder=${before !== null} />`}
    </${Answer}>
  `;
}

/** @param {{found: any, isOlder: boolean}} props */
function Listed({ found, isOlder }) {
  const params = useParams();
  const kept = Object.fromEntries(params);
  return html`
    ${isOlder ? html`<p><a href=${href('events', { ...kept, before: null })}>Back to the newest</a></p>` : null}
    ${found.events.length
      ? html`<${Table} label="Changes, newest first" columns=${COLUMNS} rows=${found.events.toReversed()} keyOf=${(/** @type {any} */ each) => each.id} />`
      : html`<${Empty}>No such change among those that were looked at. The last 10,000 or so are kept.</${Empty}>`}
    ${found.first ? html`<p class="more"><a href=${href('events', { ...kept, before: found.first })}>Older changes</a></p>` : null}
  `;
}
