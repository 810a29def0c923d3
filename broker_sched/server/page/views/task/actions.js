// What people can do with a task, each with the command that does the same.

import { html } from '../../built/libraries.js';
import { command } from '../../commands.js';
import { may } from '../../session.js';
import { Button, Command } from '../../ui/index.js';
import { changed, changeTasks } from './changing.js';

/**
 * @typedef {object} Action
 * @property {string} name of the method change_tasks, and of the command
 * @property {string} label
 * @property {string[]} statuses in which it is offered
 * @property {'danger'} [kind]
 * @property {{title: string, text: string, yes: string}} [confirm]
 */

/** @type {Action[]} */
const ACTIONS = [
  { name: 'retry', label: 'Retry', statuses: ['FAILED', 'DISABLED'] },
  {
    name: 'forgive',
    label: 'Forgive failures',
    statuses: ['FAILED', 'DISABLED'],
    confirm: { title: 'Forget its failures?', text: 'It runs again at once, and retry_count begins anew.', yes: 'Forgive' },
  },
  {
    name: 'enable',
    label: 'Enable',
    statuses: ['DISABLED'],
    confirm: { title: 'Enable it?', text: 'It is FAILED then, its failures forgotten, and is retried after retry_delay.', yes: 'Enable' },
  },
  {
    name: 'stop',
    label: 'Stop',
    statuses: ['RUNNING'],
    kind: 'danger',
    confirm: {
      title: 'Stop it?',
      text: 'Its worker is asked to end the run, within a second or so; then the task is FAILED, and retried as usual. A worker of stock Luigi does not do it.',
      yes: 'Stop',
    },
  },
  {
    name: 'disable',
    label: 'Disable',
    statuses: ['PENDING', 'FAILED', 'UNKNOWN'],
    kind: 'danger',
    confirm: {
      title: 'Disable it?',
      text: 'Nobody runs it until it is retried, forgiven, enabled or marked as done, whoever schedules it again. What needs it waits.',
      yes: 'Disable',
    },
  },
  {
    name: 'done',
    label: 'Mark as done',
    statuses: ['PENDING', 'RUNNING', 'FAILED', 'DISABLED', 'UNKNOWN'],
    kind: 'danger',
    confirm: { title: 'Take it for done?', text: 'What waits for it goes on, whether or not its output is there.', yes: 'Mark as done' },
  },
  {
    name: 'remove',
    label: 'Remove',
    statuses: ['PENDING', 'DONE', 'FAILED', 'DISABLED', 'UNKNOWN'],
    kind: 'danger',
    confirm: {
      title: 'Remove it?',
      text: 'The scheduler forgets it, with its runs, its error and its log. It is refused while a task needs it that is not done.',
      yes: 'Remove',
    },
  },
];

/** @param {{task: any, onChange: () => void}} props */
export function Actions({ task, onChange }) {
  if (!may('change_tasks')) return null;
  const offered = ACTIONS.filter((action) => action.statuses.includes(task.status));
  return html`<div class="actions" role="group" aria-label="What can be done with the task">
    ${offered.map((action) => html`<${Act} key=${action.name} action=${action} task=${task} onChange=${onChange} />`)}
    ${task.status === 'RUNNING' ? html`<${StopAndDisable} task=${task} onChange=${onChange} />` : null}
    <details class="as-commands">
      <summary>As commands</summary>
      <ul class="plain-list">
        ${offered.map((action) => html`<li key=${action.name}><${Command} line=${commandOf(action.name, task.task_id)} /></li>`)}
      </ul>
    </details>
  </div>`;
}

/**
 * @param {string} name
 * @param {string} id
 */
function commandOf(name, id) {
  return command(`task ${name}`, { args: [id] });
}

/** @param {{action: Action, task: any, onChange: () => void}} props */
function Act({ action, task, onChange }) {
  const id = task.task_id;
  return html`<${Button}
    method="change_tasks"
    act=${() => changeTasks([id], action.name)}
    command=${commandOf(action.name, id)}
    confirm=${action.confirm && { ...action.confirm, text: html`<${Question} text=${action.confirm.text} id=${id} />` }}
    kind=${action.kind}
    told=${changed}
    onDone=${onChange}
    quiet=${true}
    >${action.label}</${Button}
  >`;
}

/** @param {{task: any, onChange: () => void}} props */
function StopAndDisable({ task, onChange }) {
  const id = task.task_id;
  const text = 'Its worker is asked to end the run, within a second or so; then the task is DISABLED, and not tried again until somebody wants it.';
  return html`<${Button}
    method="stop_task"
    args=${{ task_id: id, disable: true }}
    command=${command('task stop', { disable: true, args: [id] })}
    confirm=${{ title: 'Stop and disable it?', text: html`<${Question} text=${text} id=${id} />`, yes: 'Stop and disable' }}
    kind="danger"
    told=${(/** @type {any} */ reply) => (reply.worker ? `${reply.worker} is asked to end it.` : 'It does not run any more.')}
    onDone=${onChange}
    quiet=${true}
    >Stop and disable</${Button}
  >`;
}

/** @param {{text: string, id: string}} props */
function Question({ text, id }) {
  return html`<p>${text}</p>
    <p class="task-id"><code>${id}</code></p>`;
}
