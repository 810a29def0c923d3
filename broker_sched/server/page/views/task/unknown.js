// A task that is not there: what is known of it all the same.

import { html } from '../../libraries.js';
import { useCall } from '../../api.js';
import { href } from '../../router.js';
import { may } from '../../session.js';
import { Answer, Copy } from '../../ui/index.js';
import { Changes } from './changes.js';
import { Direction } from './deps.js';
import { Log } from './log.js';

/** @param {{id: string}} props */
export function Unknown({ id }) {
  const why = useCall('why', { task_id: id }, { live: (change) => change.tasks.has(id) });
  const [, family] = /^([^(_]+)[(_]/.exec(id) ?? [];
  return html`
    <header class="task-head">
      <h2>There is no such task</h2>
      <p class="task-id"><code>${id}</code> <${Copy} text=${id} what="the task's id" /></p>
      <${Answer} asked=${why}>${(/** @type {any} */ reply) => html`<p class="lead">${reply.sentence}</p>`}</${Answer}>
      ${family && may('tasks') ? html`<p><a href=${href('tasks', { family })}>The tasks of ${family}</a></p>` : null}
    </header>
    ${may('task_deps') ? html`<${Direction} id=${id} direction="dependents" isGone=${true} />` : null}
    <${Log} id=${id} isRunning=${false} size=${null} isGone=${true} />
    <${Changes} id=${id} isGone=${true} />
  `;
}
