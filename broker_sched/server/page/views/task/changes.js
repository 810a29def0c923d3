// What became of a task: its changes of status, as far as the last events tell, and who asked for them.

import { html, useEffect, useState } from '../../libraries.js';
import { call, useCall } from '../../api.js';
import { stateWord, Time } from '../../format.js';
import { may } from '../../session.js';
import { Answer, Table, WorkerLink } from '../../ui/index.js';

const LIMIT = 100;

/** @param {{id: string, isGone?: boolean}} props isGone: there is no such task, so that this is all there is to tell */
export function Changes({ id, isGone = false }) {
  const asked = useCall('events', { task_id: id, limit: LIMIT }, { live: (change) => change.tasks.has(id) });
  if (!may('events')) return null;
  return html`<section class="card" aria-labelledby="task-changes">
    <h3 id="task-changes">Changes</h3>
    <${Answer} asked=${asked}>
      ${(/** @type {any} */ newest) => html`<${Listed} key=${id} id=${id} newest=${newest} isGone=${isGone} />`}
    </${Answer}>
  </section>`;
}

/** @param {{id: string, newest: any, isGone: boolean}} props */
function Listed({ id, newest, isGone }) {
  const [older, setOlder] = useState(/** @type {{events: any[], first: string | null} | null} */ (null));
  const [isLooking, setLooking] = useState(false);
  const [failed, setFailed] = useState('');
  const first = older ? older.first : newest.first;
  const lookBack = async () => {
    setLooking(true);
    setFailed('');
    try {
      const reply = await call('events', { task_id: id, before: first, limit: LIMIT });
      setOlder({ events: [...reply.events, ...(older?.events ?? [])], first: reply.first });
    } catch (error) {
      setFailed(error instanceof Error ? error.message : String(error));
    }
    setLooking(false);
  };
  useEffect(() => {
    // Of a task that is not there, the events are all that anybody can tell.
    if (isGone && !shown.length && first !== null && !isLooking && !failed) lookBack();
  });
  /** @type {Map<string, any>} */
  const byId = new Map([...(older?.events ?? []), ...newest.events].map((event) => [event.id, event]));
  const shown = [...byId.values()].reverse();
  if (!shown.length && first === null) return html`<p class="none">No event tells of it: about the last 10,000 are kept.</p>`;
  return html`
    ${shown.length
      ? html`<${Table} label="Changes of the task, newest first" columns=${COLUMNS} rows=${shown} keys=${false} keyOf=${(/** @type {any} */ event) => event.id} />`
      : html`<p class="none">${isLooking ? 'Looking further back…' : 'None of the last 1,000 events tells of it.'}</p>`}
    ${failed ? html`<p class="warn" role="alert">${failed}</p>` : null}
    ${first === null
      ? null
      : html`<p class="more"><button type="button" disabled=${isLooking} onClick=${lookBack}>Look further back</button></p>`}
  `;
}

/** @type {import('../../ui/table.js').Column<any>[]} */
const COLUMNS = [
  { name: 'time', title: 'When', cell: (event) => html`<${Time} at=${event.time} exact=${true} />` },
  { name: 'change', title: 'Change', cell: changeOf },
  { name: 'worker', title: 'Worker', kind: 'narrow', cell: (event) => html`<${WorkerLink} worker=${event.worker} />` },
  { name: 'by', title: 'Asked for by', kind: 'wide', cell: (event) => (event.by === null ? '' : event.by || 'somebody') },
];

/** @param {any} event */
function changeOf(event) {
  if (event.refused) return `report of ${event.refused} refused: its run did not count any more`;
  if (event.asked) return `${event.asked}, and stayed ${stateWord(event.to)}`;
  return `${event.from ? stateWord(event.from) : 'new'} → ${event.to ? stateWord(event.to) : 'removed'}`;
}
