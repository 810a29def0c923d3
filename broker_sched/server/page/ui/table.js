// A table of any length: only the rows that can be seen are in the page. Keys: j, k, x, Enter.

import { html, useEffect, useRef, useState } from '../libraries.js';
import { useKeys } from '../keys.js';

const ROW_PIXELS = 32; // as --row in base.css
const ALL_ROWS = 100; // a shorter table is drawn whole, and does not scroll by itself
const BEYOND = 15; // rows above and below those that can be seen

/**
 * @template Row
 * @typedef {object} Column
 * @property {string} name
 * @property {any} title
 * @property {(row: Row) => any} cell
 * @property {'number' | 'wide' | 'narrow'} [kind] number: to the right; wide: takes what is left; narrow: hidden on small screens
 * @property {boolean} [sortable]
 */

/**
 * @template Row
 * @param {object} props
 * @param {string} props.label what is in it, for who has it read aloud
 * @param {Column<Row>[]} props.columns
 * @param {Row[]} props.rows
 * @param {(row: Row) => string} props.keyOf
 * @param {number} [props.total] how many rows there are in all, where not all are here
 * @param {(row: Row) => void} [props.onOpen] on Enter; else the first link of the row is followed
 * @param {Set<string>} [props.selected] keys of rows; with onSelect, rows can be chosen
 * @param {(selected: Set<string>) => void} [props.onSelect]
 * @param {string} [props.order] the column it is sorted by, `-name` downwards
 * @param {(order: string) => void} [props.onOrder]
 * @param {boolean} [props.keys] whether j, k, x and Enter are for this table
 */
export function Table(props) {
  const { columns, rows, keyOf, selected, onSelect } = props;
  const box = useRef(/** @type {HTMLDivElement | null} */ (null));
  const [chosen, setChosen] = useState({ key: '', at: -1 });
  const at = placeOf(chosen, rows, keyOf);
  const view = useWindow(box, rows.length);
  useTableKeys(props, box, at, (place) => setChosen({ key: rows[place] ? keyOf(rows[place]) : '', at: place }));
  const isScrolled = useOverflow(box) || view.isWindowed;
  const first = onSelect ? 1 : 0;
  const shown = rows.slice(view.from, view.to);
  return html`<div class=${`table-box ${view.isWindowed ? 'windowed' : ''}`} ref=${box} tabindex=${isScrolled ? 0 : undefined}
      role=${isScrolled ? 'region' : undefined} aria-label=${isScrolled ? `${props.label}: the table` : undefined}>
    <table aria-rowcount=${(props.total ?? rows.length) + 1} aria-label=${props.label}>
      <thead>
        <tr aria-rowindex="1">
          ${onSelect ? html`<th class="choose"><${ChooseAll} ...${props} /></th>` : null}
          ${columns.map((column) => html`<${Heading} key=${column.name} column=${column} order=${props.order} onOrder=${props.onOrder} />`)}
        </tr>
      </thead>
      <tbody>
        <${Space} rows=${view.from} columns=${columns.length + first} />
        ${shown.map((row, index) => {
          const key = keyOf(row);
          const place = view.from + index;
          return html`<tr key=${key} aria-rowindex=${place + 2} data-key=${key} tabindex="-1"
              class=${place === at ? 'current' : ''} aria-current=${place === at ? 'true' : undefined}>
            ${onSelect
              ? html`<td class="choose"><input type="checkbox" aria-label=${`Choose ${key}`} checked=${selected?.has(key)}
                  onChange=${() => onSelect(toggled(selected, key))} /></td>`
              : null}
            ${columns.map((column) => html`<td key=${column.name} class=${column.kind ?? ''}>${column.cell(row)}</td>`)}
          </tr>`;
        })}
        <${Space} rows=${rows.length - view.to} columns=${columns.length + first} />
      </tbody>
    </table>
  </div>`;
}

/**
 * The rows that can be seen, and some beyond.
 * @param {{current: HTMLDivElement | null}} box
 * @param {number} length
 */
function useWindow(box, length) {
  const isWindowed = length > ALL_ROWS;
  const [seen, setSeen] = useState({ from: 0, to: ALL_ROWS });
  useEffect(() => {
    const element = box.current;
    if (!isWindowed || !element) return undefined;
    const look = () => {
      // In steps, so that not every pixel draws anew.
      const from = Math.max(0, Math.floor(element.scrollTop / ROW_PIXELS / BEYOND) * BEYOND - BEYOND);
      const to = from + Math.ceil(element.clientHeight / ROW_PIXELS / BEYOND) * BEYOND + 3 * BEYOND;
      setSeen((before) => (before.from === from && before.to === to ? before : { from, to }));
    };
    look();
    element.addEventListener('scroll', look, { passive: true });
    addEventListener('resize', look);
    return () => {
      element.removeEventListener('scroll', look);
      removeEventListener('resize', look);
    };
  }, [isWindowed]);
  if (!isWindowed) return { isWindowed, from: 0, to: length };
  const from = Math.min(seen.from, Math.max(0, length - 1));
  return { isWindowed, from, to: Math.min(length, seen.to) };
}

/**
 * Whether the table is wider than its room, so that it scrolls: then it can be reached and scrolled by keys.
 * @param {{current: HTMLDivElement | null}} box
 */
function useOverflow(box) {
  const [isWider, setWider] = useState(false);
  useEffect(() => {
    const element = box.current;
    if (!element) return undefined;
    const observer = new ResizeObserver(() => setWider(element.scrollWidth > element.clientWidth));
    observer.observe(element);
    if (element.firstElementChild) observer.observe(element.firstElementChild);
    return () => observer.disconnect();
  }, []);
  return isWider;
}

/** @param {{rows: number, columns: number}} props the room of rows that are not drawn */
function Space({ rows, columns }) {
  if (rows <= 0) return null;
  return html`<tr class="space" aria-hidden="true"><td colspan=${columns} style=${{ height: `${rows * ROW_PIXELS}px` }}></td></tr>`;
}

/** @param {{column: Column<any>, order?: string, onOrder?: (order: string) => void}} props */
function Heading({ column, order, onOrder }) {
  const isUp = order === column.name;
  const isDown = order === `-${column.name}`;
  const sort = isUp ? 'ascending' : isDown ? 'descending' : undefined;
  if (!column.sortable || !onOrder) return html`<th scope="col" class=${column.kind ?? ''}>${column.title}</th>`;
  return html`<th scope="col" class=${column.kind ?? ''} aria-sort=${sort}>
    <button type="button" class="plain" onClick=${() => onOrder(isDown ? column.name : `-${column.name}`)}>
      ${column.title}<span aria-hidden="true">${isUp ? ' ▲' : isDown ? ' ▼' : ''}</span>
    </button>
  </th>`;
}

/** @param {{rows: any[], keyOf: (row: any) => string, selected?: Set<string>, onSelect?: (selected: Set<string>) => void}} props */
function ChooseAll({ rows, keyOf, selected, onSelect }) {
  const isAll = rows.length > 0 && rows.every((row) => selected?.has(keyOf(row)));
  return html`<input type="checkbox" aria-label="Choose all that are shown" checked=${isAll}
    onChange=${() => onSelect?.(new Set(isAll ? [] : rows.map(keyOf)))} />`;
}

/**
 * @param {Set<string> | undefined} selected
 * @param {string} key
 */
function toggled(selected, key) {
  const found = new Set(selected);
  if (!found.delete(key)) found.add(key);
  return found;
}

/**
 * @param {{rows: any[], keyOf: (row: any) => string, selected?: Set<string>, onSelect?: (selected: Set<string>) => void,
 *   onOpen?: (row: any) => void, keys?: boolean}} props
 * @param {{current: HTMLDivElement | null}} box
 * @param {number} at the row that keys are for
 * @param {(at: number) => void} setAt
 */
function useTableKeys(props, box, at, setAt) {
  const { rows, keyOf, selected, onSelect, onOpen } = props;
  /** @param {number} to */
  const move = (to) => {
    const next = Math.max(0, Math.min(rows.length - 1, to));
    setAt(next);
    const element = box.current;
    if (!element || !rows.length) return;
    const top = next * ROW_PIXELS;
    if (rows.length > ALL_ROWS && (top < element.scrollTop || top > element.scrollTop + element.clientHeight - 3 * ROW_PIXELS)) {
      element.scrollTop = top - element.clientHeight / 2;
    }
    requestAnimationFrame(() => rowOf(element, keyOf(rows[next]))?.focus());
  };
  const open = () => {
    const row = rows[at];
    if (!row) return;
    if (onOpen) onOpen(row);
    else rowOf(box.current, keyOf(row))?.querySelector('a')?.click();
  };
  useKeys(
    props.keys === false
      ? []
      : [
          { keys: 'j', does: 'Next row', act: () => move(at + 1) },
          { keys: 'k', does: 'Row before', act: () => move(at - 1) },
          { keys: 'Enter', does: 'Open the row', act: open },
          ...(onSelect
            ? [{ keys: 'x', does: 'Choose the row', act: () => rows[at] && onSelect(toggled(selected, keyOf(rows[at]))) }]
            : []),
        ],
  );
}

/**
 * Where the row that was chosen by keys stands now: others may have come or gone above it. Of one that is gone, the row
 * that stands in its place.
 * @param {{key: string, at: number}} chosen
 * @param {any[]} rows
 * @param {(row: any) => string} keyOf
 */
function placeOf(chosen, rows, keyOf) {
  if (chosen.at < 0 || (rows[chosen.at] && keyOf(rows[chosen.at]) === chosen.key)) return chosen.at;
  const place = rows.findIndex((row) => keyOf(row) === chosen.key);
  return place < 0 ? Math.min(chosen.at, rows.length - 1) : place;
}

/**
 * @param {Element | null} box
 * @param {string} key
 * @returns {HTMLElement | undefined}
 */
function rowOf(box, key) {
  const found = [...(box?.querySelectorAll('tbody tr') ?? [])].find((row) => row.getAttribute('data-key') === key);
  return found instanceof HTMLElement ? found : undefined;
}
