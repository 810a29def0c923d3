// Links to what has a view of its own. Names are cut by the style where they are long, never in the text.

import { html } from '../libraries.js';
import { nameOfTask } from '../format.js';
import { href } from '../router.js';

/**
 * @param {{id: string, name?: string | null}} props name: what to show, such as the display name; else the id
 */
export function TaskLink({ id, name }) {
  return html`<a class="id" href=${href('task', { id })} title=${id}>${nameOfTask(id, name)}</a>`;
}

/** @param {{family: string, status?: string}} props status: only its tasks in this state */
export function FamilyLink({ family, status }) {
  return html`<a class="id" href=${href('tasks', { family, status })}>${family}</a>`;
}

/** @param {{worker: string | null | undefined}} props */
export function WorkerLink({ worker }) {
  if (!worker) return html`<span class="none">–</span>`;
  return html`<a class="id" href=${href('worker', { id: worker })} title=${worker}>${worker}</a>`;
}

/** @param {{name: string}} props */
export function ResourceLink({ name }) {
  return html`<a class="id" href=${href('resource', { name })}>${name}</a>`;
}

/** @param {{id: string}} props */
export function SubmissionLink({ id }) {
  return html`<a class="id" href=${href('submission', { id })}>${id}</a>`;
}
