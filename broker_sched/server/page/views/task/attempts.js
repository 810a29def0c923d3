// How the runs of a task went, the newest first.

import { html } from '../../libraries.js';
import { duration, now, Time } from '../../format.js';
import { useShared } from '../../shown_values.js';
import { State, Table, WorkerLink } from '../../ui/index.js';

const OUTCOMES = /** @type {Record<string, string>} */ ({
  PENDING: 'given back',
  WAITING: 'wanted more deps',
});

/** @param {{task: any}} props */
export function Attempts({ task }) {
  const runs = [...task.attempts].reverse();
  if (task.status === 'RUNNING') {
    runs.unshift({ attempt: task.attempt, started: task.started, ended: null, outcome: 'RUNNING', worker: task.worker, host: null, error: null });
  }
  if (!runs.length) return html`<p class="none">It has not run yet.</p>`;
  return html`<section class="card" aria-labelledby="task-runs">
    <h3 id="task-runs">Runs</h3>
    <${Table} label="Runs of the task" columns=${COLUMNS} rows=${runs} keys=${false}
      keyOf=${(/** @type {any} */ run) => `${run.attempt} ${run.ended}`} />
    ${task.attempts.length >= 20 ? html`<p class="minor">The last 20 runs are kept.</p>` : null}
  </section>`;
}

/** @type {import('../../ui/table.js').Column<any>[]} */
const COLUMNS = [
  { name: 'outcome', title: 'Outcome', cell: (run) => (OUTCOMES[run.outcome] ? OUTCOMES[run.outcome] : html`<${State} state=${run.outcome} />`) },
  { name: 'started', title: 'Began', kind: 'narrow', cell: (run) => html`<${Time} at=${run.started} exact=${true} />` },
  { name: 'ended', title: 'Ended', cell: (run) => (run.ended === null ? '–' : html`<${Time} at=${run.ended} />`) },
  { name: 'took', title: 'Took', kind: 'number', cell: (run) => html`<${Took} run=${run} />` },
  { name: 'worker', title: 'Worker', cell: (run) => html`<${WorkerLink} worker=${run.worker} />` },
  { name: 'host', title: 'Host', kind: 'narrow', cell: (run) => run.host ?? '–' },
  { name: 'error', title: 'Error', kind: 'wide', cell: (run) => html`<span class="error-line" title=${run.error ?? ''}>${run.error ?? ''}</span>` },
];

/** @param {{run: any}} props */
function Took({ run }) {
  const time = useShared(now);
  if (run.started === null) return '–';
  return duration(run.ended === null ? Math.max(0, Math.floor(time - run.started)) : run.ended - run.started);
}
