// One task: how it stands and why, what it wrote, how its runs ended, what is around it, and what can be done with it.

import { html } from '../libraries.js';
import { useCall } from '../api.js';
import { nameOfTask } from '../format.js';
import { useKeys } from '../keys.js';
import { useTitle } from '../router.js';
import { caller } from '../session.js';
import { Copy, Empty, Failure, Loading, State } from '../ui/index.js';
import { Actions } from './task/actions.js';
import { Attempts } from './task/attempts.js';
import { Changes } from './task/changes.js';
import { Deps } from './task/deps.js';
import { ErrorText } from './task/error.js';
import { Facts } from './task/facts.js';
import { Log } from './task/log.js';
import { Messages } from './task/messages.js';
import { Progress } from './task/progress.js';
import { Unknown } from './task/unknown.js';
import { Why } from './task/why.js';

const RUNS = new Set(['RUNNING', 'BATCH_RUNNING']);
const RUNNING_SECONDS = 2; // progress and message change without an event
const OTHERWISE_SECONDS = 30; // deps, workers and times do

/** @param {{params: URLSearchParams}} props */
export default function View({ params }) {
  const id = params.get('id') ?? '';
  if (!id) return html`<${Empty}>No task is named: search for one, or choose it from the tasks.</${Empty}>`;
  return html`<${Task} key=${id} id=${id} />`;
}

/** @param {{id: string}} props */
function Task({ id }) {
  let isUnknown = true;
  const details = useCall('task_details', { task_id: id }, {
    live: (change) => change.tasks.has(id) || (isUnknown && change.also.has('tasks')),
    every: (task) => (task && RUNS.has(task.status) ? RUNNING_SECONDS : OTHERWISE_SECONDS),
  });
  const task = details.data;
  isUnknown = task === null;
  useTitle(nameOfTask(id, task?.display_name));
  if (task === null && details.loading) return html`<${Loading} />`;
  return html`<article class="task">
    ${details.error ? html`<${Failure} error=${details.error} onRetry=${details.reload} />` : null}
    ${task === null
      ? details.error
        ? null
        : html`<${Unknown} id=${id} />`
      : html`<${Known} task=${task} reload=${details.reload} />`}
  </article>`;
}

/** @param {{task: any, reload: () => void}} props */
function Known({ task, reload }) {
  const isRunning = task.status === 'RUNNING';
  const isToCome = task.status === 'PENDING' || task.status === 'UNKNOWN';
  const error = html`<${ErrorText} key="error" task=${task} />`;
  const log = task.attempt === null && task.log_size === null ? null : html`<${Log} key="log" id=${task.task_id} isRunning=${isRunning} size=${task.log_size} />`;
  const messages = html`<${Messages} key="messages" task=${task} />`;
  const deps = html`<${Deps} key="deps" task=${task} />`;
  // By what they are, so that nothing is lost of what was typed and seen when the task goes on to another state.
  const parts = isToCome ? [deps, error, log, messages] : isRunning ? [log, messages, error] : [error, log, messages];
  useKeys([
    { keys: 'l', does: 'Go to the log', act: () => jump('task-log') },
    { keys: 'd', does: 'Go to what it needs', act: () => jump('task-deps') },
  ]);
  return html`
    <header class="task-head">
      <h2><${State} state=${task.state} /> <span class="task-name">${nameOfTask(task.task_id, task.display_name)}</span></h2>
      <p class="task-id"><code>${task.task_id}</code> <${Copy} text=${task.task_id} what="the task's id" /></p>
      <${KeptBack} />
      <${Why} task=${task} onChange=${reload} />
      ${isRunning || task.progress !== null || task.message || task.tracking_url ? html`<${Progress} task=${task} />` : null}
      <${Actions} task=${task} onChange=${reload} />
    </header>
    <div class="task-columns">
      <div class="task-main">
        ${parts}
      </div>
      <${Facts} task=${task} />
    </div>
    <${Attempts} task=${task} />
    ${isToCome ? null : deps}
    <${Changes} id=${task.task_id} />
  `;
}

/** Says what is not shown to a viewer who is kept from it. */
function KeptBack() {
  if (caller.sees === 'all') return null;
  return html`<p class="kept-back">
    You see names here, and how tasks stand. This server does not show viewers parameters, logs, errors, or what tasks say
    of themselves (--viewer-sees ${caller.sees}); its admin can give you another role.
  </p>`;
}

/** @param {string} place the id of an element */
function jump(place) {
  const element = document.getElementById(place);
  element?.scrollIntoView({ block: 'start' });
  element?.focus({ preventScroll: true });
}
