// One resource: who holds it, who wants it, and its limit.

import { html } from '../libraries.js';
import { useCall } from '../api.js';
import { command } from '../commands.js';
import { count, Time } from '../format.js';
import { useParams, useTitle } from '../router.js';
import { Answer, Button, Empty, Facts, FamilyLink, Meter, Table, TaskLink, ValueForm, WorkerLink } from '../ui/index.js';
import { limitOf } from './limits.js';

const EVERY_SECONDS = 30;
const SHOWN = 200; // holders, and waiters

/** @typedef {import('../ui/table.js').Column<any>} Column */

/** @type {Column} */
const TASK = { name: 'task', title: 'Task', kind: 'wide', cell: (each) => html`<${TaskLink} id=${each.task_id} />` };
/** @type {Column} */
const FAMILY = { name: 'family', title: 'Family', kind: 'narrow', cell: (each) => html`<${FamilyLink} family=${each.family} />` };
/** @type {Column} */
const AMOUNT = { name: 'amount', title: 'Amount', kind: 'number', cell: (each) => count(each.amount) };

/** @type {Column[]} */
const HOLDERS = [
  TASK,
  FAMILY,
  AMOUNT,
  { name: 'worker', title: 'Worker', cell: (each) => html`<${WorkerLink} worker=${each.worker} />` },
  { name: 'since', title: 'Began', cell: (each) => html`<${Time} at=${each.since} />` },
];

/** @type {Column[]} */
const WAITERS = [
  TASK,
  FAMILY,
  AMOUNT,
  { name: 'priority', title: 'Priority', kind: 'number', cell: (each) => count(each.priority) },
  { name: 'since', title: 'Ready since', cell: (each) => html`<${Time} at=${each.since} />` },
];

/** Shows the resource that the address names. */
export default function Resource() {
  const name = useParams().get('name') ?? '';
  useTitle(`Resource ${name}`);
  const asked = useCall('resource_details', { resource: name, limit: SHOWN }, {
    every: EVERY_SECONDS,
    live: (change) => change.families.size > 0 || change.also.has('resources'),
  });
  return html`
    <h2 class="named">Resource <span class="id">${name}</span></h2>
    <${Answer} asked=${asked}>
      ${(/** @type {any} */ found) => html`<${Details} found=${found ?? unknown(name)} isKnown=${found !== null} reload=${asked.reload} />`}
    </${Answer}>
  `;
}

/**
 * What holds of a resource that nobody has named so far.
 * @param {string} name
 */
function unknown(name) {
  return { name, limit: 1, has_limit: false, used: 0, holders: [], n_holders: 0, waiters: [], n_waiters: 0, complete: true };
}

/** @param {{found: any, isKnown: boolean, reload: () => void}} props */
function Details({ found, isKnown, reload }) {
  const { name } = found;
  const use = `${count(found.used)} of ${count(found.limit)}`;
  return html`
    ${isKnown ? null : html`<${Empty}>No task wants it, and it has no limit of its own.</${Empty}>`}
    <${Facts}
      rows=${[
        ['In use', html`<${Meter} value=${found.used} of=${found.limit} label=${use} /> ${use}`],
        ['Limit', `${count(found.limit)}${found.has_limit ? '' : ', as any resource without one of its own'}`],
        ['Held by', `${found.complete ? '' : 'at least '}${count(found.n_holders)} running`],
        ['Wanted by', `${count(found.n_waiters)} ready`],
      ]}
    />
    <div class="change-limit">
      <${ValueForm}
        key=${found.limit}
        method="update_resources"
        label="Limit"
        value=${String(found.limit)}
        takes="A number, 0 or more. Tasks that want more than the limit never run."
        button="Set the limit"
        args=${(/** @type {string} */ text) => ({ [name]: limitOf(text) })}
        command=${(/** @type {string} */ text) => command('resource set', { args: [name, text.trim()] })}
        told=${(/** @type {any} */ _, /** @type {string} */ text) => `${name} has the limit ${text.trim()}.`}
        onDone=${reload}
      />
      ${found.has_limit
        ? html`<${Button} method="remove_resource" args=${{ resource: name }} command=${command('resource unset', { args: [name] })}
            told=${() => `${name} has the limit 1, as any resource without one of its own.`} onDone=${reload}
            confirm=${{ title: 'Remove this limit?', yes: 'Remove it', text: 'The resource has the limit 1 then.' }}
          >Remove the limit</${Button}>`
        : null}
    </div>
    <${Part} title="Held by" total=${found.n_holders} rows=${found.holders} columns=${HOLDERS} none="Nobody holds it." />
    <${Part} title="Wanted by" total=${found.n_waiters} rows=${found.waiters} columns=${WAITERS} none="No ready task wants it." />
    ${found.complete ? null : html`<p class="minor">More than 1,000 tasks run: those that were handed out last may be missing here.</p>`}
  `;
}

/** @param {{title: string, total: number, rows: any[], columns: Column[], none: string}} props */
function Part({ title, total, rows, columns, none }) {
  const first = rows.length < total ? `the first ${count(rows.length)} of ${count(total)}` : count(total);
  return html`<section>
    <h2>${title}${total ? html` <span class="minor">${first}</span>` : null}</h2>
    ${rows.length
      ? html`<${Table} label=${title} columns=${columns} rows=${rows} total=${total} keys=${title === 'Held by'}
          keyOf=${(/** @type {any} */ each) => each.task_id} />`
      : html`<${Empty}>${none}</${Empty}>`}
  </section>`;
}
