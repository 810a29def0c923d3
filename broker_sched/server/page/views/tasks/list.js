// The tasks for which filters hold: a table that grows page by page, and what can be done with them.

import { html, useState } from '../../libraries.js';
import { command } from '../../commands.js';
import { count, some, Time } from '../../format.js';
import { useKeys } from '../../keys.js';
import { setParams } from '../../router.js';
import { may } from '../../session.js';
import { Command, Empty, Failure, Loading, More, State, Table, TaskLink, WorkerLink } from '../../ui/index.js';
import { BulkActions } from './bulk.js';
import { usePages } from './pages.js';

const SHOWN_BY_COMMAND = 50; // rows, unless it is told otherwise
const MOST_OF_DATE = 10_000; // tasks for a day, of which the server knows beforehand, too
const INDEXED = new Set(['family', 'status', 'failed_since']); // of which it is known beforehand how many tasks there are

/** @param {{choice: import('./filters.js').Choice, order: 'newest' | 'oldest'}} props */
export function TaskList({ choice, order }) {
  const pages = usePages(choice, order);
  const [selected, setSelected] = useState(/** @type {Set<string>} */ (new Set()));
  const reload = () => {
    setSelected(new Set());
    pages.reload();
  };
  useKeys([{ keys: 'r', does: 'Load the list anew', act: reload }]);
  if (choice.wrong) return null;
  return html`<div class="task-list">
    <div class="actions">
      <${HowMany} pages=${pages} choice=${choice} />
      ${pages.changed || pages.hasNew
        ? html`<button type="button" class="changed" onClick=${reload}>${news(pages)}: show</button>`
        : null}
      <span class="grow"></span>
      <${Command} line=${lineFor(choice, order, pages.rows.length)} />
    </div>
    ${may('change_tasks') && pages.isThere
      ? html`<${BulkActions} choice=${choice} total=${totalOf(pages, choice)} selected=${selected} onDone=${reload} />`
      : null}
    ${pages.error ? html`<${Failure} error=${pages.error} onRetry=${pages.retry} />` : null}
    ${!pages.isThere
      ? pages.isLoading && html`<${Loading} />`
      : pages.rows.length || pages.cursor !== null
        ? html`<${Rows} pages=${pages} order=${order} selected=${selected} setSelected=${setSelected} />`
        : html`<${Empty}>No such tasks.</${Empty}>`}
  </div>`;
}

/**
 * What has changed besides the rows, which stay as they are.
 * @param {import('./pages.js').Pages} pages
 */
function news({ changed, hasNew }) {
  if (!changed) return 'Tasks were added';
  const others = changed === Infinity ? 'Many other tasks' : some(changed, 'other task');
  return `${others} ${changed === 1 ? 'has' : 'have'} changed${hasNew ? ', and some were added' : ''}`;
}

/**
 * How many tasks a choice is of, where that is known; else null.
 * @param {import('./pages.js').Pages} pages
 * @param {import('./filters.js').Choice} choice
 */
function totalOf(pages, choice) {
  if (pages.cursor === null) return pages.rows.length;
  const isKnown = (/** @type {string} */ name) => INDEXED.has(name) || (name === 'date' && pages.of <= MOST_OF_DATE);
  return Object.keys(choice.options).every(isKnown) ? pages.of : null;
}

/** @param {{pages: import('./pages.js').Pages, choice: import('./filters.js').Choice}} props */
function HowMany({ pages, choice }) {
  if (!pages.isThere) return null;
  const total = totalOf(pages, choice);
  return html`<strong role="status">${total === null ? `${some(pages.rows.length, 'task')} so far` : some(total, 'task')}</strong>`;
}

/**
 * @param {import('./filters.js').Choice} choice
 * @param {'newest' | 'oldest'} order
 * @param {number} rows
 */
function lineFor(choice, order, rows) {
  const limit = rows > SHOWN_BY_COMMAND ? rows : null;
  return command('task list', { ...choice.options, oldest_first: order === 'oldest', limit });
}

/**
 * @param {{pages: import('./pages.js').Pages, order: 'newest' | 'oldest', selected: Set<string>,
 *   setSelected: (selected: Set<string>) => void}} props
 */
function Rows({ pages, order, selected, setSelected }) {
  /** @param {string} wanted */
  const sort = (wanted) => setParams({ order: wanted === 'since' ? 'oldest' : null });
  return html`
    <${Table}
      label="Tasks"
      columns=${COLUMNS}
      rows=${pages.rows}
      keyOf=${idOf}
      total=${pages.of}
      order=${order === 'oldest' ? 'since' : '-since'}
      onOrder=${sort}
      selected=${selected}
      onSelect=${may('change_tasks') ? setSelected : undefined}
    />
    <${More} cursor=${pages.cursor} onMore=${pages.more} lookedAt=${pages.lookedAt} of=${pages.of} loading=${pages.isLoading} />
  `;
}

/** @param {any} row */
const idOf = (row) => row.task_id;

/** @type {import('../../ui/table.js').Column<any>[]} */
const COLUMNS = [
  { name: 'state', title: 'State', cell: (row) => html`<${State} state=${row.state} />` },
  { name: 'task', title: 'Task', kind: 'wide', cell: (row) => html`<${TaskLink} id=${row.task_id} name=${row.display_name} />` },
  { name: 'since', title: 'Since', sortable: true, cell: (row) => html`<${Time} at=${row.since} />` },
  { name: 'worker', title: 'Worker', kind: 'narrow', cell: (row) => html`<${WorkerLink} worker=${row.worker} />` },
  { name: 'error', title: 'Error or message', kind: 'narrow', cell: (row) => html`<${Told} row=${row} />` },
  { name: 'priority', title: 'Priority', kind: 'narrow', cell: (row) => count(row.priority) },
];

/** @param {{row: any}} props */
function Told({ row }) {
  const isBad = row.state === 'FAILED' || row.state === 'DISABLED';
  const text = isBad ? row.error : row.status === 'RUNNING' ? [row.progress === null ? '' : `${row.progress} %`, row.message ?? ''].join(' ').trim() : '';
  return text ? html`<span class=${isBad ? 'error-line' : ''} title=${text}>${text}</span>` : html`<span class="none">–</span>`;
}
