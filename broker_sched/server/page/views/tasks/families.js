// Families of tasks with exact counts by state: a million tasks are twenty lines.

import { html, useState } from '../../libraries.js';
import { useCall } from '../../api.js';
import { command } from '../../commands.js';
import { count, duration, STATES, stateWord, Time } from '../../format.js';
import { href } from '../../router.js';
import { Answer, Bar, Button, Command, Empty, More, Table } from '../../ui/index.js';

const FIRST = 200;
const STEP = 400;
const MOST = 1000; // in one call
const EVERY_SECONDS = 30; // mean times, and failures of the last hour, change without an event
const ALWAYS = ['READY', 'RUNNING', 'DONE', 'FAILED'];

/** @param {import('../../live.js').Change} change */
const concerns = (change) => change.families.size > 0 || change.also.has('tasks') || change.also.has('paused');

/** The table of families; each number leads to the tasks that it counts. */
export function Families() {
  const [limit, setLimit] = useState(FIRST);
  const asked = useCall('families', { limit }, { live: concerns, every: EVERY_SECONDS });
  return html`<${Answer} asked=${asked}>${(/** @type {any} */ reply) =>
    reply.families.length
      ? html`<${FamilyTable} families=${reply.families} isAll=${reply.cursor === null} reload=${asked.reload} />
          <${More} cursor=${limit < MOST ? reply.cursor : null} loading=${asked.loading}
            onMore=${() => setLimit(Math.min(MOST, limit + STEP))} />
          <${Command} line=${command('family list', { limit: limit === FIRST ? null : limit })} />`
      : html`<${Empty}>There are no tasks yet. They come when a worker schedules some, with this server as its scheduler.</${Empty}>`}
  </${Answer}>`;
}

/** @param {{families: any[], isAll: boolean, reload: () => void}} props */
function FamilyTable({ families, isAll, reload }) {
  const states = Object.keys(STATES).filter((state) => ALWAYS.includes(state) || families.some(({ tasks }) => tasks[state]));
  const columns = [
    { name: 'family', title: 'Family', kind: /** @type {const} */ ('wide'), cell: nameOf },
    { name: 'total', title: 'Tasks', kind: /** @type {const} */ ('number'), cell: (/** @type {any} */ row) => countOf(row, null) },
    ...states.map((state) => ({
      name: state,
      title: html`<span title=${stateWord(state)}><span aria-hidden="true">${STATES[state].mark}</span> ${stateWord(state)}</span>`,
      kind: /** @type {const} */ ('number'),
      cell: (/** @type {any} */ row) => countOf(row, state),
    })),
    { name: 'bar', title: 'Shares', kind: /** @type {const} */ ('narrow'), cell: (/** @type {any} */ row) => html`<${Bar} counts=${row.tasks} />` },
    { name: 'mean', title: 'Mean time', kind: /** @type {const} */ ('number'), cell: (/** @type {any} */ row) => duration(row.mean_seconds) },
    { name: 'failed', title: 'Failed', kind: /** @type {const} */ ('narrow'), cell: failedOf },
    { name: 'pause', title: html`<span class="aloud">Pause</span>`, cell: (/** @type {any} */ row) => pauseOf(row, reload) },
  ];
  const rows = isAll && families.length > 1 ? [...families, sumOf(families)] : families;
  return html`<${Table} label="Families" columns=${columns} rows=${rows} keyOf=${(/** @type {any} */ row) => (row.isSum ? ' sum' : row.family)} />`;
}

/** @param {any[]} families */
function sumOf(families) {
  /** @type {Record<string, number>} */
  const tasks = {};
  for (const each of families) for (const [state, n] of Object.entries(each.tasks)) tasks[state] = (tasks[state] ?? 0) + Number(n);
  const total = families.reduce((sum, each) => sum + each.total, 0);
  return { isSum: true, family: '', tasks, total, mean_seconds: null, failed_last_hour: 0, last_failed: null };
}

/**
 * The address of the tasks that a number counts.
 * @param {any} row
 * @param {string | null} state
 */
function leadsTo(row, state) {
  if (row.isSum) return href('tasks', { status: state, list: 1 });
  return href('tasks', row.family === '' ? { no_family: 1, status: state } : { family: row.family, status: state });
}

/** @param {any} row */
function nameOf(row) {
  if (row.isSum) return html`<a href=${href('tasks', { list: 1 })}>All families</a>`;
  const name = row.family === '' ? html`<span class="none">without a family: only named as deps</span>` : row.family;
  return html`${row.paused ? html`<span class="warn" title="paused">❚❚ <span class="aloud">paused: </span></span>` : null}
    <a class="id" href=${leadsTo(row, null)}>${name}</a>`;
}

/**
 * @param {any} row
 * @param {string | null} state null: in all states
 */
function countOf(row, state) {
  const n = state === null ? row.total : row.tasks[state];
  if (!n) return html`<span class="none">·</span>`;
  return html`<a class=${state === null ? '' : `state-${state.toLowerCase()}`} href=${leadsTo(row, state)}>${count(n)}</a>`;
}

/** @param {any} row */
function failedOf(row) {
  if (row.last_failed === null) return html`<span class="none">–</span>`;
  const lately = row.failed_last_hour ? `${count(row.failed_last_hour)} in the last hour. ` : '';
  return html`<span title=${`${lately}${row.last_error ?? ''}`}>${lately ? `${count(row.failed_last_hour)}×, ` : ''}<${Time} at=${row.last_failed} /></span>`;
}

/**
 * @param {any} row
 * @param {() => void} reload
 */
function pauseOf(row, reload) {
  if (row.isSum || row.family === '') return null;
  const { family } = row;
  return html`<${Button}
    quiet
    method=${row.paused ? 'unpause_family' : 'pause_family'}
    args=${{ family }}
    command=${command(row.paused ? 'resume' : 'pause', { args: [family] })}
    told=${() => (row.paused ? `${family} is handed out again.` : `Nothing of ${family} is handed out until you resume it.`)}
    onDone=${reload}
  >${row.paused ? 'Resume' : 'Pause'}</${Button}>`;
}
