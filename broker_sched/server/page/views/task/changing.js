// One thing done with tasks, and what is told of it.

import { call } from '../../api.js';
import { caller } from '../../session.js';

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
  const by = caller.name || 'the web page';
  const reply = await call('change_tasks', { task_ids: taskIds, action, by });
  if (!reply.changed.length) throw new Error(`Nothing was changed: ${reply.unchanged[0]?.reason ?? 'there is no such task.'}`);
  return { ...reply, action };
}

/** @param {any} reply of changeTasks about one task */
export function changed(reply) {
  return `${reply.changed[0]} ${OUTCOMES[reply.action]}.`;
}
