// The workers: who is there, what they do, which of them is sick.

import { html } from '../libraries.js';
import { useCall } from '../api.js';
import { count, some, Time } from '../format.js';
import { href, useParams } from '../router.js';
import { Answer, Empty, Filters, Meter, Standing, Table, WorkerLink } from '../ui/index.js';

const SHOWN = 1000;
const EVERY_SECONDS = 10; // a worker falls silent without an event
const STATES = ['active', 'silent', 'disabled', 'submission'];
/** @type {import('../ui/filters.js').Filter[]} */
const FILTERS = [
  { name: 'state', label: 'State', kind: 'select', options: ['', ...STATES].map((state) => ({ value: state, label: state || 'all' })) },
  { name: 'text', label: 'Name or host', hint: 'part of it' },
];

/** @type {import('../ui/table.js').Column<any>[]} */
const COLUMNS = [
  { name: 'worker', title: 'Worker', kind: 'wide', cell: (each) => html`<${WorkerLink} worker=${each.worker} />` },
  { name: 'state', title: 'State', cell: (each) => html`<${Standing} state=${each.state} />` },
  { name: 'runs', title: 'Runs', cell: (each) => html`<${Slots} ...${each} />` },
  { name: 'done', title: 'Done in 1 h', kind: 'number', cell: (each) => count(each.done_last_hour) },
  { name: 'failed', title: 'Failed in 1 h', kind: 'number', cell: (each) => html`<${Failed} n=${each.failed_last_hour} />` },
  { name: 'contact', title: 'Last contact', cell: (each) => html`<${Time} at=${each.last_contact} />` },
  { name: 'refuses', title: 'Can’t load', cell: (each) => each.refuses.join(', ') },
  { name: 'host', title: 'Host', kind: 'narrow', cell: (each) => each.host ?? '' },
  { name: 'version', title: 'Version', kind: 'narrow', cell: (each) => each.version ?? (each.state === 'submission' ? '' : 'Luigi’s') },
];

/** @param {{n: number}} props */
function Failed({ n }) {
  return n ? html`<span class="tone-bad">${count(n)}</span>` : html`0`;
}

/** @param {{running: number, slots: number, state: string}} props */
function Slots({ running, slots, state }) {
  if (state === 'submission') return html`<span class="none">–</span>`;
  const label = `${count(running)} of ${count(slots)}`;
  return html`<span class="slots"><${Meter} value=${running} of=${slots} label=${`${label} at once`} /> ${label}</span>`;
}

/** @param {import('../live.js').Change} change */
const concerns = (change) => change.families.size > 0 || change.also.has('workers');

/** Shows all workers, with what tells a sick one: silence, failures, modules that it can't load. */
export default function Workers() {
  const params = useParams();
  const asked = useCall('workers', { limit: SHOWN, cursor: params.get('cursor') }, { every: EVERY_SECONDS, live: concerns });
  return html`
    <${Filters} filters=${FILTERS} label="Filter workers" />
    <${Answer} asked=${asked}>${(/** @type {any} */ page) => html`<${Listed} page=${page} params=${params} />`}</${Answer}>
  `;
}

/** @param {{page: any, params: URLSearchParams}} props */
function Listed({ page, params }) {
  const state = params.get('state');
  const text = (params.get('text') ?? '').toLowerCase();
  const rows = page.workers.filter(
    (/** @type {any} */ each) =>
      (!state || each.state === state) && `${each.worker} ${each.host ?? ''}`.toLowerCase().includes(text),
  );
  if (!page.workers.length) {
    return html`<${Empty}>No worker is known. <code>bsched worker</code>, or a Luigi worker, is one.</${Empty}>`;
  }
  if (!rows.length) return html`<${Empty}>None of the ${some(page.workers.length, 'worker')} passes these filters.</${Empty}>`;
  return html`
    <${Table} label="Workers" columns=${COLUMNS} rows=${rows} keyOf=${(/** @type {any} */ each) => each.worker} />
    ${page.cursor ? html`<p class="more"><a href=${href('workers', { state, text, cursor: page.cursor })}>More workers</a></p>` : null}
  `;
}
