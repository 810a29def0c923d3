// What a task is: its parameters, what it wants and holds, who may run it.

import { html } from '../../libraries.js';
import { count, some, Time } from '../../format.js';
import { href } from '../../router.js';
import { caller } from '../../session.js';
import { Copy, FamilyLink, ResourceLink, WorkerLink } from '../../ui/index.js';

const SHOWN_WORKERS = 5;

/** @param {{task: any}} props */
export function Facts({ task }) {
  return html`<aside class="task-facts" aria-label="Facts about the task">
    <section class="card"><h3>Parameters</h3><${Parameters} task=${task} /></section>
    <section class="card">
      <h3>The task</h3>
      <dl class="facts">
        <${Fact} name="Family"><${FamilyLink} family=${task.family} /></${Fact}>
        <${Fact} name="Module">${task.module}</${Fact}>
        <${Fact} name="Status">${task.status}</${Fact}>
        <${Fact} name="In this state since"><${Time} at=${task.since} /></${Fact}>
        <${Fact} name="Scheduled"><${Time} at=${task.created} /></${Fact}>
        <${Fact} name="Priority">${count(task.priority)}</${Fact}>
        <${Fact} name="Retried">${task.retry_at === null ? null : html`<${Time} at=${task.retry_at} />`}</${Fact}>
        <${Fact} name="Disabled until">${task.disabled_until === null ? null : html`<${Time} at=${task.disabled_until} />`}</${Fact}>
        <${Fact} name="Disabled by">${task.disabled_by}</${Fact}>
        <${Fact} name="Runs in the batch">${task.batch_id}</${Fact}>
        <${Fact} name=${task.status === 'RUNNING' ? 'Runs on' : 'Ran last on'}>
          ${task.worker ? html`<${WorkerLink} worker=${task.worker} />` : null}
        </${Fact}>
      </dl>
    </section>
    <section class="card"><h3>Resources</h3><${Resources} task=${task} /></section>
    <section class="card"><h3>Workers that may run it</h3><${Workers} task=${task} /></section>
  </aside>`;
}

/** @param {{name: string, children?: any}} props a fact that is not there is left out */
function Fact({ name, children }) {
  const parts = [children].flat().filter((each) => each !== null && each !== undefined && String(each).trim() !== '');
  return parts.length ? html`<div><dt>${name}</dt><dd>${parts}</dd></div>` : null;
}

/** @param {{task: any}} props */
function Parameters({ task }) {
  const params = Object.entries(task.params);
  if (!params.length) return html`<p class="none">${caller.sees === 'all' ? 'None that may be shown.' : 'Not shown to viewers here.'}</p>`;
  return html`<dl class="params">
    ${params.map(([name, value]) => {
      const text = typeof value === 'string' ? value : JSON.stringify(value);
      return html`<div key=${name}>
        <dt>${name}</dt>
        <dd>
          <code>${text}</code>
          <span class="params-do">
            <${Copy} text=${text} what=${`the parameter ${name}`} />
            <a href=${href('tasks', { family: task.family, param: `${name}=${text}` })} title="Tasks of this family with the same value">same</a>
          </span>
        </dd>
      </div>`;
    })}
  </dl>`;
}

/** @param {{task: any}} props */
function Resources({ task }) {
  const names = [...new Set([...Object.keys(task.resources), ...Object.keys(task.resources_held ?? {})])];
  if (!names.length) return html`<p class="none">It wants none.</p>`;
  return html`<dl class="facts">
    ${names.map((name) => {
      const held = task.status === 'RUNNING' ? task.resources_held?.[name] : undefined;
      return html`<div key=${name}>
        <dt><${ResourceLink} name=${name} /></dt>
        <dd>wants ${count(task.resources[name] ?? 0)}${held === undefined ? '' : html`, <strong>holds ${count(held)}</strong>`}</dd>
      </div>`;
    })}
  </dl>`;
}

/** @param {{task: any}} props */
function Workers({ task }) {
  if (!task.n_workers) return html`<p class="none">None has signed up for it.</p>`;
  const left = task.n_workers - Math.min(SHOWN_WORKERS, task.workers.length);
  return html`<ul class="plain-list">
    ${task.workers.slice(0, SHOWN_WORKERS).map((/** @type {string} */ worker) => html`<li key=${worker}><${WorkerLink} worker=${worker} /></li>`)}
    ${left > 0 ? html`<li>and <a href=${href('workers')}>${some(left, 'other')}</a></li>` : null}
  </ul>`;
}
