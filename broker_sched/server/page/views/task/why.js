// Why a task does not run, down to the tasks at the root, each with what mends it; or how it stands.

import { html } from '../../libraries.js';
import { useCall } from '../../api.js';
import { command } from '../../commands.js';
import { count, some } from '../../format.js';
import { href } from '../../router.js';
import { Button, Failure, ResourceLink, TaskLink, WorkerLink } from '../../ui/index.js';
import { changed, changeTasks, DONE_TEXT, Question } from './changing.js';
import { linked } from './linked.js';

const PENDING_SECONDS = 20; // a worker falls silent without an event
const OTHERWISE_SECONDS = 30;
const SHOWN = 10; // causes, holders, workers
const NAMED = 3; // holders, workers in a sentence

/** @param {{task: any, onChange: () => void}} props */
export function Why({ task, onChange }) {
  const why = useCall('why', { task_id: task.task_id }, {
    live: (change) => change.tasks.has(task.task_id) || causes.some((cause) => change.tasks.has(cause.task_id)) || mayFree(change),
    every: (reply) => (reply?.status === 'PENDING' ? PENDING_SECONDS : OTHERWISE_SECONDS),
  });
  /** @type {any[]} */
  const causes = why.data?.causes ?? [];
  if (why.error && why.data === null) return html`<${Failure} error=${why.error} onRetry=${why.reload} />`;
  if (why.data === null) return html`<p class="lead" aria-busy="true"> </p>`;
  const reload = () => {
    why.reload();
    onChange();
  };
  if (why.data.code !== 'deps') {
    return html`<div class="why" data-code=${why.data.code}>
      <p class="lead">${sentence(causes[0], task.task_id)}</p>
      <${More} cause=${causes[0]} own=${task.task_id} onChange=${reload} />
      <${LookedAt} why=${why.data} />
    </div>`;
  }
  return html`<div class="why" data-code="deps">
    <p class="lead">
      ${why.data.unmet ? `It waits for ${some(why.data.unmet, 'dep that is', 'deps that are')} not DONE.` : why.data.sentence}
      ${causes.length ? ' At the root:' : ''}
    </p>
    <ol class="causes">
      ${causes.slice(0, SHOWN).map(
        (cause) => html`<li key=${`${cause.code} ${cause.task_id}`} data-code=${cause.code}>
          <p>${sentence(cause, task.task_id)} ${cause.others ? html`<strong>${someOthers(cause.others, why.data.complete)}</strong>` : null}</p>
          <${More} cause=${cause} own=${task.task_id} onChange=${reload} />
        </li>`,
      )}
    </ol>
    <${LookedAt} why=${why.data} />
  </div>`;
}

/** @param {import('../../live.js').Change} change whether it may end what a task waits for though no task of its causes changed */
function mayFree(change) {
  return ['workers', 'resources', 'paused', 'options'].some((each) => change.also.has(each));
}

/**
 * @param {number} others
 * @param {boolean} isComplete
 */
function someOthers(others, isComplete) {
  return `And ${isComplete ? '' : 'at least '}${some(others, 'other', 'others')} for the same reason.`;
}

/** @param {{why: any}} props what was not told, or not looked at */
function LookedAt({ why }) {
  const left = why.causes.slice(SHOWN).reduce((/** @type {number} */ sum, /** @type {any} */ each) => sum + each.others + 1, why.other_causes);
  return html`
    ${left ? html`<p>And ${some(left, 'more task')} at the root, for other reasons.</p>` : null}
    ${why.complete ? null : html`<p class="minor">Only ${count(why.looked_at)} tasks were looked at; there are more, so counts are lower bounds.</p>`}
  `;
}

/**
 * The sentence of a cause with links to the tasks and workers that it names.
 * @param {any} cause
 * @param {string} own the id of the task that is shown
 */
function sentence(cause, own) {
  const workers = [cause.worker, ...(cause.workers ?? []).map((/** @type {any} */ each) => each.worker)];
  const holders = cause.holders ?? [];
  const tasks = [cause.task_id, cause.first, cause.dep, cause.combined, ...(cause.cycle ?? [])];
  for (const holder of holders) {
    tasks.push(holder.task_id);
    workers.push(holder.worker);
  }
  // The heading has just named the task.
  const told = cause.sentence.startsWith(`${own} `) ? `It${cause.sentence.slice(own.length)}` : cause.sentence;
  return linked(told, [
    ...tasks.filter((id) => id && id !== own).map((id) => ({ text: id, link: html`<${TaskLink} id=${id} />` })),
    ...workers.filter(Boolean).map((worker) => ({ text: worker, link: html`<${WorkerLink} worker=${worker} />` })),
  ]);
}

/** @param {{cause: any, own: string, onChange: () => void}} props what the sentence does not say, and what mends it */
function More({ cause, own, onChange }) {
  const { resource, holders = [], other_holders: unknownHolders, workers = [], other_workers: unknownWorkers } = cause;
  return html`
    ${cause.cycle ? html`<${Cycle} ids=${cause.cycle} own=${own} />` : null}
    <${Further} label=${`Who else holds ${resource}`} others=${holders} left=${unknownHolders}
      row=${(/** @type {any} */ each) => html`${count(each.amount)}: <${TaskLink} id=${each.task_id} /> on <${WorkerLink} worker=${each.worker} />`} />
    <${Further} label="Further workers that might run it" others=${workers} left=${unknownWorkers}
      row=${(/** @type {any} */ each) => html`<${WorkerLink} worker=${each.worker} /> ${each.host ? `on ${each.host}` : ''}: ${each.state}`} />
    ${resource ? html`<p class="minor">The resource: <${ResourceLink} name=${resource} /></p>` : null}
    <${Mend} cause=${cause} own=${own} onChange=${onChange} />
  `;
}

/** @param {{label: string, others: any[], left?: number, row: (each: any) => any}} props those whom the sentence does not name */
function Further({ label, others, left = 0, row }) {
  const more = Math.max(0, others.length - SHOWN) + left;
  if (others.length <= NAMED) return null;
  return html`<ul class="minor" aria-label=${label}>
    ${others.slice(NAMED, SHOWN).map((each, index) => html`<li key=${index}>${row(each)}</li>`)}
    ${more ? html`<li>and ${some(more, 'other')}</li>` : null}
  </ul>`;
}

/** @param {{ids: string[], own: string}} props */
function Cycle({ ids, own }) {
  return html`<ol class="chain" aria-label="The ring">
    ${ids.map((id) => html`<li key=${id}>${id === own ? html`<strong>this task</strong>` : html`<${TaskLink} id=${id} />`} needs</li>`)}
    <li>the first one again</li>
  </ol>`;
}

/** What mends a cause: a change of its task. That of the task that is shown has buttons of its own. */
const MENDS = /** @type {Record<string, [string, string]>} */ ({
  failed: ['retry', 'Retry it'],
  disabled: ['enable', 'Enable it'],
  external: ['done', 'Mark it as done'],
});

/** @param {{cause: any, own: string, onChange: () => void}} props */
function Mend({ cause, own, onChange }) {
  const { code, task_id: id, family } = cause;
  if (code === 'deps') return html`<p><a href=${href('task', { id })}>Why that one waits</a></p>`;
  if (code === 'paused' || code === 'family_paused') {
    const isAll = code === 'paused';
    return html`<${Button} method=${isAll ? 'unpause' : 'unpause_family'} args=${isAll ? {} : { family }}
      command=${command('resume', { args: isAll ? [] : [family] })} told=${() => 'Handing out goes on.'} onDone=${onChange}
      >Unpause ${isAll ? 'the scheduler' : family}</${Button}>`;
  }
  if (!MENDS[code] || id === own) return null;
  const [action, label] = MENDS[code];
  return html`<${Button} method="change_tasks" act=${() => changeTasks([id], action)} command=${command(`task ${action}`, { args: [id] })}
    told=${changed} onDone=${onChange}
    confirm=${action === 'done' && { title: 'Take it for done?', text: html`<${Question} text=${DONE_TEXT} id=${id} />`, yes: 'Mark as done' }}
    >${label}</${Button}>`;
}
