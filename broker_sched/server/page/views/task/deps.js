// What a task depends on directly, and what depends on it: how many are in which state, and a list of them.

import { html, useRef, useState } from '../../libraries.js';
import { call, useCall } from '../../api.js';
import { count, some, Time } from '../../format.js';
import { href } from '../../router.js';
import { may } from '../../session.js';
import { Answer, Bar, Empty, More, notify, State, Table, TaskLink, WorkerLink } from '../../ui/index.js';

const FIRST = 20; // tasks
const MOST = 1000;
const EVERY_SECONDS = 30;
const NO_FURTHER = {
  status: /** @type {string | null} */ (null),
  rows: /** @type {any[] | null} */ (null),
  cursor: /** @type {string | null} */ (null),
};
const UNCOUNTED = ['DISABLED', 'FAILED', 'RUNNING', 'READY', 'WAITING', 'BLOCKED', 'DONE']; // of too many to count
const TITLES = { deps: 'What it needs', dependents: 'What needs it' };
const NOTHING = { deps: 'It needs no other task.', dependents: 'No other task needs it.' };

/** @param {{task: any}} props */
export function Deps({ task }) {
  if (!may('task_deps')) return null;
  if (!task.n_deps && !task.n_dependents) {
    return html`<p class="none" id="task-deps">It needs no other task, and no other task needs it.</p>`;
  }
  return html`<div class="task-deps" id="task-deps" tabindex="-1">
    <${Direction} id=${task.task_id} direction="deps" known=${task.n_deps} unmet=${task.n_unmet} />
    <${Direction} id=${task.task_id} direction="dependents" known=${task.n_dependents} />
    ${may('condensed_graph')
      ? html`<p><a href=${href('graph', { id: task.task_id })}>Draw the graph around it</a></p>`
      : null}
  </div>`;
}

/**
 * @param {object} props
 * @param {string} props.id
 * @param {'deps' | 'dependents'} props.direction
 * @param {number} [props.known] how many there are, as the task's details say
 * @param {number} [props.unmet] how many of them are not DONE
 * @param {boolean} [props.isGone] the task is not there; nothing is shown when nothing needs it
 */
export function Direction({ id, direction, known, unmet, isGone = false }) {
  const [status, setStatus] = useState(/** @type {string | null} */ (null));
  const [limit, setLimit] = useState(FIRST);
  const [told, setFurther] = useState(NO_FURTHER);
  const further = told.status === status ? told : NO_FURTHER; // an answer may be late
  const ids = useRef(/** @type {Set<string>} */ (new Set()));
  const isNone = known === 0;
  const asked = useCall('task_deps', isNone ? null : { task_id: id, direction, status, limit }, {
    live: (change) => change.tasks.has(id) || [...ids.current].some((each) => change.tasks.has(each)),
    every: EVERY_SECONDS,
  });
  /** @type {any[]} */
  const first = asked.data?.tasks ?? [];
  ids.current = new Set(first.map((each) => each.task_id));
  if (asked.known && asked.data === null) return null; // it was removed a moment ago
  if (isGone && !asked.data?.total) return null;
  const title = html`<h3>${TITLES[direction]}${known === undefined ? '' : ` (${count(known)})`}</h3>`;
  if (isNone) return html`<p class="none">${NOTHING[direction]}</p>`;
  /** @param {string | null} chosen */
  const choose = (chosen) => {
    setStatus(chosen);
    setLimit(FIRST);
    setFurther(NO_FURTHER);
  };
  const rows = [...first, ...(further.rows ?? []).filter((each) => !ids.current.has(each.task_id))];
  const cursor = further.rows ? further.cursor : (asked.data?.cursor ?? null);
  const more = async () => {
    if (first.length >= limit && limit < MOST) setLimit(Math.min(MOST, limit * 5)); // all of it stays live
    else {
      const reply = await call('task_deps', { task_id: id, direction, status, limit: MOST, cursor });
      setFurther({ status, rows: [...(further.rows ?? []), ...reply.tasks], cursor: reply.cursor });
    }
  };
  return html`<section class="card" aria-label=${TITLES[direction]}>
    ${title}
    <${Answer} asked=${asked}>
      ${(/** @type {any} */ reply) => html`
        <${States} reply=${reply} unmet=${unmet} chosen=${status} onChoose=${choose} />
        <${Rows} rows=${rows} total=${reply.total} direction=${direction} isAll=${cursor === null} />
        ${cursor === null || status !== null ? null : html`<p class="minor">The first ${count(rows.length)} of ${count(reply.total)}</p>`}
        <${MoreOfThem} cursor=${cursor} onMore=${more} />
      `}
    </${Answer}>
  </section>`;
}

/** @param {{reply: any, unmet?: number, chosen: string | null, onChoose: (state: string | null) => void}} props */
function States({ reply: { counts, total }, unmet, chosen, onChoose }) {
  return html`
    ${counts ? html`<${Bar} counts=${counts} />` : unmet === undefined ? null : html`<p>${count(total - unmet)} of ${count(total)} are done.</p>`}
    <p class="choices" role="group" aria-label="Only those in one state">
      <${Choice} state=${null} chosen=${chosen} onChoose=${onChoose}>${some(total, 'task')}</${Choice}>
      ${(counts ? Object.keys(counts) : UNCOUNTED).map(
        (state) => html`<${Choice} key=${state} state=${state} chosen=${chosen} onChoose=${onChoose}>
          ${counts && count(counts[state])} <${State} state=${state} />
        </${Choice}>`,
      )}
    </p>
  `;
}

/** @param {{state: string | null, chosen: string | null, onChoose: (state: string | null) => void, children?: any}} props */
function Choice({ state, chosen, onChoose, children }) {
  return html`<button type="button" aria-pressed=${chosen === state} onClick=${() => onChoose(state)}>${children}</button>`;
}

/** @param {{rows: any[], total: number, direction: 'deps' | 'dependents', isAll: boolean}} props */
function Rows({ rows, total, direction, isAll }) {
  if (!rows.length) return html`<${Empty}>${isAll ? 'None.' : 'None among those that were looked at so far.'}</${Empty}>`;
  return html`<${Table} label=${TITLES[direction]} columns=${COLUMNS} rows=${rows} total=${total} keys=${false}
    keyOf=${(/** @type {any} */ each) => each.task_id} />`;
}

/** @param {{cursor: string | null, onMore: () => Promise<void>}} props */
function MoreOfThem({ cursor, onMore }) {
  const [isAsking, setAsking] = useState(false);
  const ask = async () => {
    setAsking(true);
    try {
      await onMore();
    } catch (error) {
      notify(error instanceof Error ? error.message : String(error), 'failed');
    }
    setAsking(false);
  };
  return html`<${More} cursor=${cursor} onMore=${ask} loading=${isAsking} />`;
}

/** @type {import('../../ui/table.js').Column<any>[]} */
const COLUMNS = [
  { name: 'state', title: 'State', cell: (row) => html`<${State} state=${row.state} />` },
  { name: 'task', title: 'Task', kind: 'wide', cell: (row) => html`<${TaskLink} id=${row.task_id} name=${row.task?.display_name} />` },
  { name: 'since', title: 'Since', cell: (row) => html`<${Time} at=${row.task?.since} />` },
  { name: 'remark', title: 'Remark', kind: 'wide', cell: remark },
];

/** @param {any} row */
function remark({ state, task }) {
  if (state === 'MISSING' || state === 'UNKNOWN') return 'nobody has scheduled it, or not any more';
  if (state === 'FAILED' || state === 'DISABLED') return html`<span class="error-line" title=${task.error ?? ''}>${task.error ?? ''}</span>`;
  if (state === 'RUNNING') return html`on <${WorkerLink} worker=${task.worker} />`;
  return '';
}
