// One submission: how far it is, when it may end, what of it runs and what has failed.

import { html } from '../libraries.js';
import { useCall } from '../api.js';
import { command } from '../commands.js';
import { count, some, Time } from '../format.js';
import { href, useParams, useTitle } from '../router.js';
import { Answer, Bar, Button, Empty, Facts, FamilyLink, Standing, State, Table, TaskLink, WorkerLink } from '../ui/index.js';

const EVERY_SECONDS = 30;
const STATES = ['READY', 'WAITING', 'BLOCKED', 'RUNNING', 'BATCH_RUNNING', 'FAILED', 'DISABLED', 'DONE', 'UNKNOWN', 'EXTERNAL'];

/** @typedef {import('../ui/table.js').Column<any>} Column */

/** @type {Column[]} */
const RUNNING = [
  { name: 'task', title: 'Task', kind: 'wide', cell: (each) => html`<${TaskLink} id=${each.task_id} />` },
  { name: 'worker', title: 'Worker', cell: (each) => html`<${WorkerLink} worker=${each.worker} />` },
  { name: 'since', title: 'Began', cell: (each) => html`<${Time} at=${each.since} />` },
];

/** Shows the submission that the address names. */
export default function Submission() {
  const id = useParams().get('id') ?? '';
  useTitle(`Submission ${id}`);
  const asked = useCall('submission_details', { submission: id }, {
    every: EVERY_SECONDS,
    live: (change) =>
      change.also.has('submissions') ||
      (asked.data?.families?.some((/** @type {any} */ each) => change.families.has(each.family)) ?? false),
  });
  return html`
    <h2 class="named">Submission <span class="id">${id}</span></h2>
    <${Answer} asked=${asked}>
      ${(/** @type {any} */ found) => found === null ? html`<${Unknown} />` : html`<${Details} found=${found} reload=${asked.reload} />`}
    </${Answer}>
  `;
}

function Unknown() {
  return html`<${Empty}>
    There is no submission of this name, or it ended more than a week ago. <a href=${href('submissions')}>All submissions</a>
  </${Empty}>`;
}

/** @param {{found: any, reload: () => void}} props */
function Details({ found, reload }) {
  const isActive = found.state === 'ACTIVE';
  return html`
    <p class="submission-progress"><${Bar} counts=${found.counts} /></p>
    <${Facts}
      rows=${[
        ['State', html`<${Standing} state=${found.state} />`],
        ['Done', `${found.looked_at < found.total ? 'about ' : ''}${count(doneOf(found))} of ${some(found.total, 'task')}`],
        isActive && ['Now', `${count(found.n_running)} running, ${count(found.n_ready)} ready, ${count(found.n_pending)} pending`],
        ['Submitted', html`<${Time} at=${found.submitted} />`],
        isActive ? ['May end', html`<${End} end=${found.estimated_end} />`] : ['Ended', html`<${Time} at=${found.ended} />`],
      ]}
    />
    <p class="actions">
      <a href=${href('timeline', { submission: found.submission })}>Timeline and critical path</a>
      ${isActive
        ? html`<${Button} method="cancel_submission" args=${{ submission: found.submission }} kind="danger" onDone=${reload}
            command=${command('submission cancel', { args: [found.submission] })}
            told=${(/** @type {any} */ reply) => `${found.submission} is ${(reply.state ?? 'gone').toLowerCase()}.`}
            confirm=${{ title: 'Cancel this submission?', yes: 'Cancel it', text: 'Its tasks that nobody else wants are not run any more; what runs goes on.' }}
          >Cancel the submission</${Button}>`
        : null}
    </p>
    <${Tasks} title="Asked for" ids=${found.tasks} />
    <${Tasks} title="Failed" ids=${found.failed} />
    <${Tasks} title="Nobody could load so far" ids=${found.refused} />
    ${found.running.length
      ? html`<section>
          <h2>Running</h2>
          <${Table} label="Running" columns=${RUNNING} rows=${found.running} keyOf=${(/** @type {any} */ each) => each.task_id} />
        </section>`
      : null}
    ${found.families.length ? html`<${Families} found=${found} />` : null}
    ${found.looked_at < found.total
      ? html`<p class="minor">Its tasks by state are those of ${count(found.looked_at)} that were looked at, chosen by chance.</p>`
      : null}
  `;
}

/** @param {any} found */
function doneOf(found) {
  const share = found.looked_at ? found.total / found.looked_at : 0;
  return Math.round((found.counts.DONE ?? 0) * share);
}

/** @param {{end: {at: number | null, reason: string | null}}} props */
function End({ end }) {
  return end.at === null ? end.reason : html`<${Time} at=${end.at} />`;
}

/** @param {{title: string, ids: string[]}} props */
function Tasks({ title, ids }) {
  if (!ids.length) return null;
  return html`<section>
    <h2>${title} <span class="minor">${count(ids.length)}</span></h2>
    <ul class="ids">${ids.map((id) => html`<li key=${id}><${TaskLink} id=${id} /></li>`)}</ul>
  </section>`;
}

/** @param {{found: any}} props */
function Families({ found }) {
  const states = STATES.filter((state) => found.counts[state]);
  /** @type {Column[]} */
  const columns = [
    { name: 'family', title: 'Family', kind: 'wide', cell: (each) => html`<${FamilyLink} family=${each.family} />` },
    ...states.map((state) => /** @type {Column} */ ({
      name: state,
      title: state === 'EXTERNAL' ? 'external' : html`<${State} state=${state} />`,
      kind: 'number',
      cell: (each) => html`<${Count} n=${each.tasks[state]} family=${each.family} state=${state} worker=${found.submission} />`,
    })),
  ];
  return html`<section>
    <h2>Its tasks</h2>
    <${Table} label="Tasks by family and state" columns=${columns} rows=${found.families} keys=${false}
      keyOf=${(/** @type {any} */ each) => each.family} />
  </section>`;
}

/** @param {{n: number | undefined, family: string, state: string, worker: string}} props */
function Count({ n, family, state, worker }) {
  if (!n) return html`<span class="none">0</span>`;
  return state === 'EXTERNAL' ? count(n) : html`<a href=${href('tasks', { family, status: state, worker })}>${count(n)}</a>`;
}
