// The audit: who asked for which change, what was refused, and what has not ended yet.

import { html } from '../libraries.js';
import { useCall } from '../api.js';
import { command } from '../commands.js';
import { count, now, some, Time } from '../format.js';
import { href, useParams } from '../router.js';
import { Answer, Command, Empty, Filters, Standing, Table } from '../ui/index.js';

const SHOWN = 200;
const EVERY_SECONDS = 15; // what is under way leaves no event
const SPANS = /** @type {const} */ ([['', 'any time'], ['3600', 'the last hour'], ['86400', 'the last day'], ['604800', 'the last week']]);

/** @type {import('../ui/filters.js').Filter[]} */
const FILTERS = [
  { name: 'who', label: 'Who', hint: 'user, token, user@host' },
  { name: 'method', label: 'Method', hint: 'change_tasks' },
  {
    name: 'result',
    label: 'Result',
    kind: 'select',
    options: ['', 'done', 'refused', 'unknown'].map((each) => ({ value: each, label: each || 'any' })),
  },
  { name: 'within', label: 'Within', kind: 'select', options: SPANS.map(([value, label]) => ({ value, label })) },
];

/** @type {import('../ui/table.js').Column<any>[]} */
const COLUMNS = [
  { name: 'time', title: 'When', cell: (each) => html`<${Time} at=${each.time} />` },
  { name: 'who', title: 'Who', cell: (each) => html`<${Who} record=${each} />` },
  { name: 'method', title: 'Method', cell: (each) => html`<code>${each.method}</code>` },
  { name: 'result', title: 'Result', cell: (each) => html`<${Result} record=${each} />` },
  { name: 'tasks', title: 'Tasks', kind: 'number', cell: (each) => (each.tasks === null ? '' : count(each.tasks)) },
  { name: 'arguments', title: 'Arguments', kind: 'wide', cell: (each) => html`<${Given} given=${each.arguments} />` },
];

/** @param {{record: any}} props */
function Who({ record }) {
  return html`<span title=${record.kind}>${record.who || record.kind}${record.address ? html` <span class="minor">from ${record.address}</span>` : null}</span>`;
}

/** @param {{record: any}} props */
function Result({ record }) {
  const times = record.times > 1 ? ` ${some(record.times, 'time')}` : '';
  return html`<span title=${record.why ?? ''}><${Standing} state=${record.result} />${times}${record.why ? `: ${record.why}` : ''}</span>`;
}

/** @param {{given: Record<string, any>}} props */
function Given({ given }) {
  const told = Object.entries(given)
    .map(([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join(' ');
  return html`<code title=${told}>${told}</code>`;
}

/** Shows the newest records that pass the filters, and the calls under way above them. */
export default function Audit() {
  const params = useParams();
  const [who, method, result, before] = ['who', 'method', 'result', 'before'].map((name) => params.get(name));
  const within = Number(params.get('within') ?? '') || null;
  const since = within === null ? null : Math.floor(now.value / 60) * 60 - within;
  const asked = useCall('audit', { limit: SHOWN, who, method, result, since, before }, {
    every: before === null ? EVERY_SECONDS : undefined,
    live: (change) => before === null && change.also.has('audit'),
  });
  return html`
    <${Filters} filters=${FILTERS} label="Filter the audit">
      <${Command} line=${command('audit', { since: within === null ? null : `${within / 3600}h`, who, method, result })} />
    </${Filters}>
    <${Answer} asked=${asked}>${(/** @type {any} */ found) => html`<${Listed} found=${found} isOlder=${before !== null} />`}</${Answer}>
  `;
}

/** @param {{found: any, isOlder: boolean}} props */
function Listed({ found, isOlder }) {
  const kept = Object.fromEntries(useParams());
  return html`
    ${found.unfinished.length && !isOlder
      ? html`<section>
          <h2>Under way <span class="minor">${count(found.unfinished.length)}</span></h2>
          <${Table} label="Calls under way" columns=${COLUMNS} rows=${found.unfinished} keys=${false} keyOf=${keyOf} />
        </section>`
      : null}
    ${isOlder ? html`<p><a href=${href('audit', { ...kept, before: null })}>Back to the newest</a></p>` : null}
    ${found.records.length
      ? html`<${Table} label="Records, newest first" columns=${COLUMNS} rows=${found.records.toReversed()} keyOf=${keyOf} />`
      : html`<${Empty}>No such record among those that were looked at.</${Empty}>`}
    ${found.first ? html`<p class="more"><a href=${href('audit', { ...kept, before: found.first })}>Older records</a></p>` : null}
  `;
}

/** @param {any} record */
function keyOf(record) {
  return record.id || `${record.time} ${record.who} ${record.method}`;
}
