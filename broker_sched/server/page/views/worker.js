// One worker: what it runs, what it failed at, what it can't load, and what operators do with it.

import { html, useState } from '../libraries.js';
import { call, useCall } from '../api.js';
import { command } from '../commands.js';
import { bytes, count, some, Time } from '../format.js';
import { href, useParams, useTitle } from '../router.js';
import { caller, may } from '../session.js';
import { Answer, Button, Empty, Facts, FamilyLink, Meter, numberOf, Standing, Table, TaskLink, ValueForm } from '../ui/index.js';

const EVERY_SECONDS = 5; // its last contact, and the memory of what it runs

/** @typedef {import('../ui/table.js').Column<any>} Column */

/** @type {Column[]} */
const RUNNING = [
  { name: 'task', title: 'Task', kind: 'wide', cell: (each) => html`<${TaskLink} id=${each.task_id} />` },
  { name: 'family', title: 'Family', kind: 'narrow', cell: (each) => html`<${FamilyLink} family=${each.family} />` },
  { name: 'since', title: 'Began', cell: (each) => html`<${Time} at=${each.since} />` },
  { name: 'memory', title: 'Memory', kind: 'number', cell: (each) => bytes(each.memory) },
];

/** @type {Column[]} */
const FAILURES = [
  { name: 'task', title: 'Task', kind: 'wide', cell: (each) => html`<${TaskLink} id=${each.task_id} />` },
  { name: 'when', title: 'Failed', cell: (each) => html`<${Time} at=${each.time} />` },
  { name: 'error', title: 'Error', kind: 'wide', cell: (each) => html`<code class="error-line" title=${each.error}>${each.error}</code>` },
];

/** @type {Column[]} */
const REFUSALS = [
  { name: 'what', title: 'Module or family', kind: 'wide', cell: (each) => html`<code>${each.label}</code>` },
  { name: 'until', title: 'Not given to it until', cell: (each) => html`<${Time} at=${each.until} />` },
];

/** Shows all that is known of the worker that the address names. */
export default function Worker() {
  const id = useParams().get('id') ?? '';
  useTitle(`Worker ${id}`);
  const asked = useCall('worker_details', { worker: id }, {
    every: EVERY_SECONDS,
    live: (change) => change.families.size > 0 || change.also.has('workers'),
  });
  return html`
    <h2 class="named">Worker <span class="id">${id}</span></h2>
    <${Answer} asked=${asked}>
      ${(/** @type {any} */ worker) => worker === null ? html`<${Unknown} />` : html`<${Details} worker=${worker} reload=${asked.reload} />`}
    </${Answer}>
  `;
}

function Unknown() {
  return html`<${Empty}>
    There is no worker of this name, or not any more: one that was silent for long is forgotten. <a href="?view=workers">All workers</a>
  </${Empty}>`;
}

/** @param {{worker: any, reload: () => void}} props */
function Details({ worker, reload }) {
  const runs = `${count(worker.running)} of ${count(worker.slots)} at once`;
  const told = Object.entries(worker.info);
  return html`
    <${Facts}
      rows=${[
        ['State', html`<${Standing} state=${worker.state} />`],
        ['Last contact', html`<${Time} at=${worker.last_contact} />`],
        ['Runs', html`<${Meter} value=${worker.running} of=${worker.slots} label=${runs} /> ${runs}`],
        ['Last hour', `${count(worker.done_last_hour)} done, ${count(worker.failed_last_hour)} failed`],
        ['Host', worker.host ?? '–'],
        ['Version', worker.version ?? 'none told: a worker of Luigi'],
        ['Started', html`<${Time} at=${worker.started} />`],
        ['Others’ tasks', worker.assistant ? 'it takes them, too' : 'not taken'],
        worker.modules.length > 0 && ['Only of modules', worker.modules.join(', ')],
      ]}
    />
    <p class="actions">
      <a href=${href('tasks', { worker: worker.worker })}>Tasks that it may run</a>
      <a href=${href('timeline', { worker: worker.worker })}>Timeline</a>
    </p>
    ${worker.state === 'submission'
      ? html`<p>This is a submission: <a href=${href('submission', { id: worker.worker })}>how far it is</a>.</p>`
      : html`<${Actions} worker=${worker} reload=${reload} />`}
    <${Part} title="Running" rows=${worker.running_tasks} columns=${RUNNING} none="It runs nothing." />
    <${Part} title="Failed last" rows=${worker.failures} columns=${FAILURES} none="Nothing failed on it lately." />
    ${worker.refusals.length > 0
      ? html`<${Part} title="Can’t load" rows=${worker.refusals} columns=${REFUSALS} none="" />`
      : null}
    ${told.length > 0
      ? html`<details>
          <summary>What it told of itself</summary>
          <${Facts} rows=${told.map(([name, value]) => [name, html`<code>${typeof value === 'string' ? value : JSON.stringify(value)}</code>`])} />
        </details>`
      : null}
  `;
}

/** @param {{title: string, rows: any[], columns: Column[], none: string}} props */
function Part({ title, rows, columns, none }) {
  return html`<section>
    <h2>${title}${rows.length ? html` <span class="minor">${count(rows.length)}</span>` : null}</h2>
    ${rows.length
      ? html`<${Table} label=${title} columns=${columns} rows=${rows} keys=${title === 'Running'} keyOf=${keyOf} />`
      : html`<${Empty}>${none}</${Empty}>`}
  </section>`;
}

/** @param {any} row */
function keyOf(row) {
  return row.label ?? `${row.task_id} ${row.time ?? ''}`;
}

/** @param {{worker: any, reload: () => void}} props */
function Actions({ worker, reload }) {
  const id = worker.worker;
  const isOurs = worker.version !== null;
  return html`<section class="worker-actions" aria-label="Change this worker">
    ${worker.state === 'disabled'
      ? null
      : html`<${Button} method="disable_worker" args=${{ worker: id }} command=${command('worker disable', { args: [id] })} onDone=${reload}
          told=${() => `${id} gets no more work; what it runs goes on.`}
          confirm=${{ title: 'Disable this worker?', yes: 'Disable it', text: 'It gets no more work until it is started anew. What it runs, it may finish.' }}
        >Disable</${Button}>`}
    <${Draining} id=${id} isOurs=${isOurs} reload=${reload} />
    <${Processes} worker=${worker} />
    <${Forgetting} worker=${worker} reload=${reload} />
  </section>`;
}

/** @param {{id: string, isOurs: boolean, reload: () => void}} props */
function Draining({ id, isOurs, reload }) {
  if (!may('drain_worker')) return null;
  return html`<details>
    <summary>Drain…</summary>
    <p>
      It takes no more work, finishes what it runs, and leaves.
      ${isOurs ? '' : ' A worker of Luigi can’t be asked: it is disabled.'}
    </p>
    <${ValueForm}
      method="drain_worker"
      label="Give back what runs for longer than (seconds)"
      value=""
      takes="Empty: it may take its time."
      button="Drain"
      args=${(/** @type {string} */ text) => ({ worker: id, seconds: text.trim() === '' ? null : numberOf(text) })}
      command=${(/** @type {string} */ text) => command('worker drain', { timeout: text.trim(), args: [id] })}
      told=${(/** @type {any} */ reply) => (reply.disabled ? `${id} is disabled.` : reply.asked ? `${id} is asked to leave.` : `There is no worker ${id}.`)}
      onDone=${reload}
    />
  </details>`;
}

/** @param {{worker: any}} props */
function Processes({ worker }) {
  if (!may('set_worker_processes')) return null;
  const id = worker.worker;
  return html`<details>
    <summary>Processes…</summary>
    <${ValueForm}
      method="set_worker_processes"
      label="Tasks at once"
      value=${String(worker.slots)}
      takes="A whole number, 1 or more. It is told with its next heartbeat."
      button="Set"
      args=${(/** @type {string} */ text) => ({ worker: id, n: processesOf(text) })}
      command=${(/** @type {string} */ text) => command('worker set-processes', { args: [id, text.trim()] })}
      told=${(/** @type {any} */ _, /** @type {string} */ text) => `${id} is asked to run ${some(Number(text), 'task')} at once.`}
    />
  </details>`;
}

/**
 * Returns how many processes a text stands for. Throws an error that says what may be written.
 * @param {string} text
 */
function processesOf(text) {
  const n = numberOf(text);
  if (typeof n !== 'number' || !Number.isInteger(n) || n < 1) throw new Error('It is a whole number, 1 or more.');
  return n;
}

/** @param {{worker: any, reload: () => void}} props */
function Forgetting({ worker, reload }) {
  const [force, setForce] = useState(false);
  if (!may('forget_worker')) return null;
  const id = worker.worker;
  const forget = async () => {
    const reply = await call('forget_worker', { worker: id, force, by: caller.name || null });
    if (!reply.forgotten) throw new Error(`${id} is not forgotten. ${reply.reason}`);
    return reply;
  };
  return html`<details>
    <summary>Forget…</summary>
    <p>For a worker that has died: what it ran has failed, and is retried as any failure.</p>
    <p>
      <label class="choice">
        <input type="checkbox" checked=${force} onChange=${() => setForce(!force)} />
        also when it was heard of a moment ago; it comes back when it is alive
      </label>
    </p>
    <${Button} method="forget_worker" act=${forget} kind="danger" onDone=${reload}
      command=${command('worker forget', { force, yes: true, args: [id] })}
      told=${(/** @type {any} */ reply) => `${id} is forgotten; ${some(reply.tasks, 'task')} that it ran failed.`}
      confirm=${{ title: 'Forget this worker?', yes: 'Forget it', text: `${some(worker.running, 'task')} that it runs will have failed.` }}
    >Forget</${Button}>
  </details>`;
}
