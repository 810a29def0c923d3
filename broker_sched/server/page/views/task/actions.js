// What people can do with a task, each with the command that does the same.

import { html } from '../../libraries.js';
import { call } from '../../api.js';
import { command } from '../../commands.js';
import { may } from '../../session.js';
import { Button, Command } from '../../ui/index.js';
import { changed, changeTasks, DONE_TEXT, Question } from './changing.js';

/**
 * @typedef {object} Action
 * @property {string} name of the method change_tasks, and of the command
 * @property {string} label
 * @property {string[]} statuses in which it is offered
 * @property {'danger'} [kind]
 * @property {string} [confirm] what to say before
 * @property {boolean} [disable] of `stop`: it is DISABLED then
 */

/** @type {Action[]} */
const ACTIONS = [
  { name: 'retry', label: 'Retry', statuses: ['FAILED', 'DISABLED'] },
  {
    name: 'forgive',
    label: 'Forgive failures',
    statuses: ['FAILED', 'DISABLED'],
    confirm: 'It runs again at once, and retry_count begins anew.',
  },
  {
    name: 'enable',
    label: 'Enable',
    statuses: ['DISABLED'],
    confirm: 'It is FAILED then, its failures forgotten, and is retried after retry_delay.',
  },
  {
    name: 'stop',
    label: 'Stop',
    statuses: ['RUNNING'],
    kind: 'danger',
    confirm: 'Its worker ends the run within a second or so. Then it is FAILED, and retried as usual. A worker of stock Luigi does not do it.',
  },
  {
    name: 'disable',
    label: 'Disable',
    statuses: ['PENDING', 'FAILED', 'UNKNOWN'],
    kind: 'danger',
    confirm: 'Nobody runs it until it is retried, forgiven, enabled or done, whoever schedules it again. What needs it waits.',
  },
  {
    name: 'done',
    label: 'Mark as done',
    statuses: ['PENDING', 'RUNNING', 'FAILED', 'DISABLED', 'UNKNOWN'],
    kind: 'danger',
    confirm: DONE_TEXT,
  },
  {
    name: 'remove',
    label: 'Remove',
    statuses: ['PENDING', 'DONE', 'FAILED', 'DISABLED', 'UNKNOWN'],
    kind: 'danger',
    confirm: 'The scheduler forgets it, with its runs, its error and its log; not while a task needs it that is not done.',
  },
  {
    name: 'stop',
    disable: true,
    label: 'Stop and disable',
    statuses: ['RUNNING'],
    kind: 'danger',
    confirm: 'Its worker ends the run within a second or so. Then it is DISABLED, and not tried again until somebody wants it.',
  },
];

/** @param {{task: any, onChange: () => void}} props */
export function Actions({ task, onChange }) {
  if (!may('change_tasks')) return null;
  const id = task.task_id;
  const offered = ACTIONS.filter((action) => action.statuses.includes(task.status));
  return html`<div class="actions" role="group" aria-label="What can be done with the task">
    ${offered.map((action) => html`<${Act} key=${action.label} action=${action} id=${id} onChange=${onChange} />`)}
    <details class="as-commands">
      <summary>As commands</summary>
      <ul class="plain-list">
        ${offered.map((action) => html`<li key=${action.label}><${Command} line=${commandOf(action, id)} /></li>`)}
      </ul>
    </details>
  </div>`;
}

/** @param {{action: Action, id: string, onChange: () => void}} props */
function Act({ action, id, onChange }) {
  const { name, label, confirm, kind } = action;
  return html`<${Button}
    method="change_tasks"
    act=${() => (action.disable ? stopAndDisable(id) : changeTasks([id], name))}
    command=${commandOf(action, id)}
    confirm=${confirm && { title: `${label}?`, yes: label, text: html`<${Question} text=${confirm} id=${id} />` }}
    kind=${kind}
    told=${changed}
    onDone=${onChange}
    quiet=${true}
    >${label}</${Button}
  >`;
}

/**
 * @param {Action} action
 * @param {string} id
 */
function commandOf({ name, disable }, id) {
  return disable ? command('task stop', { disable, args: [id] }) : command(`task ${name}`, { args: [id] });
}

/** @param {string} id */
async function stopAndDisable(id) {
  const reply = await call('stop_task', { task_id: id, disable: true });
  if (reply.worker === null) throw new Error('It does not run any more.');
  return { changed: [id], action: 'stop' };
}
