// Families by day: how the tasks for each day of a month stand. A cell leads to the tasks that it counts.

import { html, useRef, useState } from '../libraries.js';
import { useCall } from '../api.js';
import { command } from '../commands.js';
import { count, STATES, stateWord } from '../format.js';
import { href, setParams } from '../router.js';
import { Answer, Command, Empty, FamilyLink, Filters, More, State } from '../ui/index.js';

const FIRST = 50; // families
const STEP = 150;
// What a cell tells of first: it needs somebody, then it goes on, then it has ended.
const WORST_FIRST = ['FAILED', 'DISABLED', 'BLOCKED', 'RUNNING', 'BATCH_RUNNING', 'READY', 'WAITING', 'UNKNOWN', 'DONE'];
const MOVES = /** @type {Record<string, [number, number]>} */ ({
  ArrowLeft: [0, -1],
  ArrowRight: [0, 1],
  ArrowUp: [-1, 0],
  ArrowDown: [1, 0],
});

/** @param {{params: URLSearchParams}} props */
export default function Grid({ params }) {
  const [limit, setLimit] = useState(FIRST);
  const [month, family] = [params.get('month'), params.get('family') || null];
  const asked = useCall('family_dates', { month, family, limit }, { live: (change) => change.families.size > 0 || change.also.has('tasks') });
  return html`
    <${Answer} asked=${asked}>${(/** @type {any} */ reply) => html`
      <div class="grid-bar">
        <${Months} months=${reply.months} month=${reply.month} />
        <${Filters} label="Choose a family" filters=${[{ name: 'family', label: 'Family', hint: 'all' }]} />
        <span class="grow"></span>
        <${Command} line=${command('family dates', { family, month: reply.month, limit: limit > 200 ? limit : null })} />
      </div>
      ${reply.families.length
        ? html`<${Days} month=${reply.month} families=${reply.families} /><${Legend} families=${reply.families} />
            <${More} cursor=${reply.cursor} onMore=${() => setLimit(Math.min(1000, limit + STEP))} loading=${asked.loading} />`
        : html`<${Nothing} reply=${reply} />`}
    `}</${Answer}>
  `;
}

/**
 * What the marks in the cells mean, and their numbers.
 * @param {{families: {dates: Record<string, Record<string, number>>}[]}} props
 */
function Legend({ families }) {
  const there = new Set(families.flatMap(({ dates }) => Object.values(dates).flatMap((counts) => Object.keys(counts))));
  return html`<p class="grid-legend minor">
    ${WORST_FIRST.filter((state) => there.has(state)).map((state) => html`<${State} key=${state} state=${state} /> `)}
    <span>A cell shows what comes first in this line; 2/30 is 2 of 30 tasks.</span>
  </p>`;
}

/** @param {{reply: any}} props */
function Nothing({ reply }) {
  return html`<${Empty}>${
    reply.months.length
      ? `There are no such tasks for ${reply.month}.`
      : 'No task has a date. A task stands here when its parameter “date”, or another one, is a day or month: 2026-03-01, 2026-03-01T05 or 2026-03.'
  }</${Empty}>`;
}

/** @param {{months: string[], month: string | null}} props */
function Months({ months, month }) {
  if (!months.length || month === null) return null;
  const before = months.filter((each) => each < month).at(-1);
  const after = months.find((each) => each > month);
  const shown = months.includes(month) ? months : [...months, month].sort();
  /** @param {Event & {currentTarget: HTMLSelectElement}} event */
  const choose = (event) => setParams({ month: event.currentTarget.value });
  return html`<button type="button" disabled=${!before} aria-label="Month before" onClick=${() => setParams({ month: before })}>←</button>
    <label class="field"><span>Month</span><select value=${month} onChange=${choose}>
      ${shown.map((each) => html`<option key=${each} value=${each}>${each}</option>`)}
    </select></label>
    <button type="button" disabled=${!after} aria-label="Next month" onClick=${() => setParams({ month: after })}>→</button>`;
}

/**
 * @param {{month: string, families: {family: string, dates: Record<string, Record<string, number>>}[]}} props
 */
function Days({ month, families }) {
  const box = useRef(/** @type {HTMLElement | null} */ (null));
  const [at, setAt] = useState({ row: 0, column: 0 });
  const dates = datesOf(month, families);
  /** @param {KeyboardEvent} event */
  const move = (event) => {
    const by = MOVES[event.key];
    const cell = event.target instanceof HTMLElement ? event.target.closest('td') : null;
    if (!by || !cell?.parentElement || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    nextLink(box.current, cell, by)?.focus();
  };
  return html`<div class="grid-box" ref=${box} onKeyDown=${move}>
    <table class="grid" aria-label=${`Families by day, ${month}`}>
      <thead><tr>
        <th scope="col">Family</th>
        ${dates.map((date) => html`<${DayHeading} key=${date} date=${date} />`)}
      </tr></thead>
      <tbody>
        ${families.map(
          ({ family, dates: counts }, row) => html`<tr key=${family}>
            <th scope="row">${family ? html`<${FamilyLink} family=${family} />` : html`<span class="none">without a family</span>`}</th>
            ${dates.map(
              (date, column) => html`<td key=${date} class=${isWeekend(date) ? 'weekend' : ''}>
                ${counts[date]
                  ? html`<${Cell} family=${family} date=${date} counts=${counts[date]} isFirst=${row === at.row && column === at.column}
                      onFocus=${() => setAt({ row, column })} />`
                  : null}
              </td>`,
            )}
          </tr>`,
        )}
      </tbody>
    </table>
  </div>`;
}

/**
 * All days of the month, and what else somebody's parameters name.
 * @param {string} month
 * @param {{dates: Record<string, unknown>}[]} families
 */
function datesOf(month, families) {
  const [year, number] = month.split('-').map(Number);
  const last = new Date(Date.UTC(year, number, 0)).getUTCDate();
  const days = Array.from({ length: last }, (_, index) => `${month}-${String(index + 1).padStart(2, '0')}`);
  const named = new Set(families.flatMap(({ dates }) => Object.keys(dates)));
  return [...(named.has(month) ? [month] : []), ...days, ...[...named].filter((date) => date > days[days.length - 1]).sort()];
}

/** @param {string} date */
function weekday(date) {
  const at = new Date(`${date}T00:00Z`);
  return date.length < 10 || Number.isNaN(at.getTime()) ? null : at.getUTCDay();
}

/** @param {string} date */
function isWeekend(date) {
  const day = weekday(date);
  return day === 0 || day === 6;
}

/** @param {{date: string}} props */
function DayHeading({ date }) {
  const day = weekday(date);
  const name = day === null ? '' : ['Su', 'Mo', 'Tu', 'We', 'Th', 'Fr', 'Sa'][day];
  return html`<th scope="col" class=${isWeekend(date) ? 'weekend' : ''}>
    <a href=${href('tasks', { date })} title=${`All tasks for ${date}`}>${date.length < 10 ? 'month' : Number(date.slice(8))}<span class="day-name">${name}</span></a>
  </th>`;
}

/**
 * @param {{family: string, date: string, counts: Record<string, number>, isFirst: boolean, onFocus: () => void}} props
 *   isFirst: the one that Tab leads to; from there the arrow keys go on
 */
function Cell({ family, date, counts, isFirst, onFocus }) {
  const states = WORST_FIRST.filter((state) => counts[state]);
  const total = states.reduce((sum, state) => sum + counts[state], 0);
  const worst = states[0];
  const told = `${family || 'without a family'}, ${date}: ${states.map((state) => `${count(counts[state])} ${stateWord(state)}`).join(', ')}`;
  const params = family === '' ? { no_family: 1, date } : { family, date };
  return html`<a href=${href('tasks', params)} class=${`state-${worst.toLowerCase()}`} title=${told} aria-label=${told}
    tabindex=${isFirst ? 0 : -1} onFocus=${onFocus}>
    <span class="mark" aria-hidden="true">${STATES[worst]?.mark ?? '?'}</span>
    <span aria-hidden="true">${counts[worst] === total ? count(total) : `${count(counts[worst])}/${count(total)}`}</span>
  </a>`;
}

/**
 * The next cell with tasks in a direction; null at the edge.
 * @param {HTMLElement | null} box
 * @param {HTMLTableCellElement} cell
 * @param {[number, number]} by
 * @returns {HTMLElement | null}
 */
function nextLink(box, cell, [down, right]) {
  const rows = [...(box?.querySelectorAll('tbody tr') ?? [])];
  let row = rows.findIndex((each) => each.contains(cell));
  let column = cell.cellIndex;
  while (row >= 0 && row < rows.length && column >= 0) {
    row += down;
    column += right;
    const next = rows[row]?.children[column];
    if (!next) return null;
    const link = next.tagName === 'TD' ? next.querySelector('a') : null;
    if (link) return link;
  }
  return null;
}
