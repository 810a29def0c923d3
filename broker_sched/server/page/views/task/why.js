// Why a task does not run, down to the tasks at the root, each with what mends it; or how it stands.

import { html } from '../../built/libraries.js';
import { useCall } from '../../api.js';
import { command } from '../../commands.js';
import { count, some } from '../../format.js';
import { href } from '../../router.js';
import { Button, Failure, FamilyLink, ResourceLink, TaskLink, WorkerLink } from '../../ui/index.js';
import { changed, changeTasks } from './changing.js';
import { linked } from './linked.js';

const PENDING_SECONDS = 5; // workers come and go without an event of this task
const OTHERWISE_SECONDS = 30;
const SHOWN = 10; // causes, holders, workers

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
  return html`
    ${cause.cycle ? html`<${Cycle} ids=${cause.cycle} own=${own} />` : null}
    ${(cause.holders ?? []).length ? html`<${Holders} cause=${cause} />` : null}
    ${(cause.workers ?? []).length > 3 ? html`<${Workers} cause=${cause} />` : null}
    <${Mend} cause=${cause} own=${own} onChange=${onChange} />
  `;
}

/** @param {{ids: string[], own: string}} props */
function Cycle({ ids, own }) {
  return html`<ol class="chain" aria-label="The ring">
    ${ids.map((id) => html`<li key=${id}>${id === own ? html`<strong>this task</strong>` : html`<${TaskLink} id=${id} />`} needs</li>`)}
    <li>the first one again</li>
  </ol>`;
}

/** @param {{cause: any}} props */
function Holders({ cause }) {
  const left = cause.holders.length - SHOWN + cause.other_holders;
  return html`<ul class="minor" aria-label=${`Who holds ${cause.resource}`}>
    ${cause.holders.slice(0, SHOWN).map(
      (/** @type {any} */ each) =>
        html`<li key=${each.task_id}>${count(each.amount)}: <${TaskLink} id=${each.task_id} /> on <${WorkerLink} worker=${each.worker} /></li>`,
    )}
    ${left > 0 ? html`<li>and ${some(left, 'other')}: <${ResourceLink} name=${cause.resource} /></li>` : null}
  </ul>`;
}

/** @param {{cause: any}} props */
function Workers({ cause }) {
  const left = cause.workers.length - SHOWN + cause.other_workers;
  return html`<ul class="minor" aria-label="Workers that might run it">
    ${cause.workers.slice(0, SHOWN).map(
      (/** @type {any} */ each, /** @type {number} */ index) => html`<li key=${index}>
        ${each.worker ? html`<${WorkerLink} worker=${each.worker} />` : 'one whose name is not kept'}${each.host ? ` on ${each.host}` : ''}:
        ${each.state}${each.state === 'busy' ? `, ${count(each.running)} of ${count(each.slots)}` : ''}
      </li>`,
    )}
    ${left > 0 ? html`<li>and ${some(left, 'other')}</li>` : null}
  </ul>`;
}

/** @param {{cause: any, own: string, onChange: () => void}} props what can be done about a cause; for the task that is shown there are other buttons */
function Mend({ cause, own, onChange }) {
  const id = cause.task_id;
  /** @param {string} action */
  const change = (action) => () => changeTasks([id], action);
  switch (cause.code) {
    case 'failed':
      return id === own ? null : html`<${Button} method="change_tasks" act=${change('retry')} command=${command('task retry', { args: [id] })} told=${changed} onDone=${onChange}>Retry it</${Button}>`;
    case 'disabled':
      return id === own ? null : html`<${Button} method="change_tasks" act=${change('enable')} command=${command('task enable', { args: [id] })} told=${changed} onDone=${onChange}>Enable it</${Button}>`;
    case 'paused':
      return html`<${Button} method="unpause" command=${command('resume')} told=${() => 'Handing out goes on.'} onDone=${onChange}>Unpause the scheduler</${Button}>`;
    case 'family_paused':
      return html`<p><${FamilyLink} family=${cause.family} /></p>
        <${Button} method="unpause_family" args=${{ family: cause.family }} command=${command('resume', { args: [cause.family] })}
          told=${() => `${cause.family} is handed out again.`} onDone=${onChange}>Unpause the family</${Button}>`;
    case 'over_limit':
    case 'resource':
    case 'starvation_guard':
      return cause.resource ? html`<p class="minor">The resource: <${ResourceLink} name=${cause.resource} /></p>` : null;
    case 'deps':
      return html`<p><a href=${href('task', { id })}>Why that one waits</a></p>`;
    case 'external':
      return id === own ? null : html`<${Button} method="change_tasks" act=${change('done')} command=${command('task done', { args: [id] })} told=${changed} onDone=${onChange}
        confirm=${{ title: 'Take it for done?', text: html`<p>What waits for it goes on, whether or not its output is there: <code>${id}</code></p>`, yes: 'Mark as done' }}>Mark it as done</${Button}>`;
    default:
      return null;
  }
}

