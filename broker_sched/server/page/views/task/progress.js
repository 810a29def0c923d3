// How far a running task is, as it says itself.

import { html } from '../../libraries.js';
import { bytes, duration, now } from '../../format.js';
import { useShared } from '../../shown_values.js';
import { Meter, WorkerLink } from '../../ui/index.js';

/** @param {{task: any}} props */
export function Progress({ task }) {
  const time = useShared(now);
  const isRunning = task.status === 'RUNNING' && task.started !== null;
  const percent = task.progress === null ? null : Number(task.progress);
  return html`<div class="progress">
    ${percent === null || !isRunning
      ? null
      : html`<p class="progress-bar">
          <${Meter} value=${Math.max(0, percent)} of=${100} label=${`${task.progress} % done, as the task says`} />
          <strong>${task.progress} %</strong>
        </p>`}
    ${isRunning
      ? html`<p>
          Runs for <strong>${duration(Math.max(0, Math.floor(time - task.started)))}</strong> on
          ${' '}<${WorkerLink} worker=${task.worker} />${task.memory === null ? '' : `, uses ${bytes(task.memory)} of memory`}
        </p>`
      : null}
    ${task.message ? html`<pre class="message" aria-label="What the task says">${task.message}</pre>` : null}
    ${task.tracking_url ? html`<p>Tracked at <${TrackingLink} url=${task.tracking_url} /></p>` : null}
  </div>`;
}

/**
 * A link only where it leads to a web page: what a task gives may be anything.
 * @param {{url: string}} props
 */
function TrackingLink({ url }) {
  if (!isWebAddress(url)) return html`<code class="id">${url}</code>`;
  return html`<a class="id" href=${url} rel="noopener noreferrer" target="_blank">${url}</a>`;
}

/** @param {string} url */
function isWebAddress(url) {
  try {
    return ['http:', 'https:'].includes(new URL(url).protocol);
  } catch {
    return false;
  }
}
