// One thing done with tasks, and what is told of it.

import { html } from '../../libraries.js';
import { call } from '../../api.js';
import { author } from '../../session.js';

/** What a task is after an action. */
const OUTCOMES = /** @type {Record<string, string>} */ ({
  retry: 'is PENDING again',
  forgive: 'has its failures forgotten',
  enable: 'is enabled',
  disable: 'is DISABLED',
  done: 'is DONE',
  stop: 'is asked to end',
  remove: 'is removed',
});

/**
 * Does one thing with tasks. Throws an error with the reason when none of them was changed.
 * @param {string[]} taskIds
 * @param {string} action of the method change_tasks
 */
export async function changeTasks(taskIds, action) {
  const reply = await call('change_tasks', { task_ids: taskIds, action, by: author });
  if (!reply.changed.length) throw new Error(`Nothing was changed: ${reply.unchanged[0]?.reason ?? 'there is no such task.'}`);
  return { ...reply, action };
}

/** @param {any} reply of changeTasks about one task */
export function changed(reply) {
  return `${reply.changed[0]} ${OUTCOMES[reply.action]}.`;
}

/** What to know before a task is marked as done. */
export const DONE_TEXT = 'What waits for it goes on, whether or not its output is there.';

/** @param {{text: string, id: string}} props what is asked before a task is changed */
export function Question({ text, id }) {
  return html`<p>${text}</p>
    <p class="task-id"><code>${id}</code></p>`;
}
