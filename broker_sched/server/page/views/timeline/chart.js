// The rows of a timeline, drawn; it is moved and zoomed along the time.

import { html, useEffect, useRef, useState } from '../../libraries.js';
import { duration, some } from '../../format.js';
import { go, href } from '../../router.js';
import { FamilyLink, WorkerLink } from '../../ui/index.js';
import { listenToMoves, pressArrow } from '../drawing/moves.js';
import { outcomeOf, toldOf } from './rows.js';

const LINE = 16; // pixels
const LEAST_HEIGHT = 42; // of a row: the name and what is said of it beside the bars
const MARKS = /** @type {Record<string, string>} */ ({ DONE: '✓', FAILED: '✗', DISABLED: '■', RUNNING: '▶', BATCH_RUNNING: '▷', PENDING: '↩' });
const MARK_PIXELS = 13;
const MOST_ROWS = 60;

/** @typedef {import('./scale.js').Scale} Scale */
/** @typedef {import('./rows.js').Bar} Bar */

/**
 * @param {object} props
 * @param {Scale} props.scale
 * @param {import('./rows.js').Row[]} props.rows
 * @param {'worker' | 'family'} props.by
 * @param {Set<string>} props.onPath ids of tasks
 * @param {any[] | null} props.steps of the critical path, with the times at which they are drawn
 * @param {number} props.now
 * @param {(width: number) => void} props.onWidth
 * @param {(since: number, until: number) => void} props.onMove
 */
export function Chart({ scale, rows, by, onPath, steps, now, onWidth, onMove }) {
  const box = useRef(/** @type {HTMLDivElement | null} */ (null));
  const latest = useRef({ scale, onMove, onWidth });
  latest.current = { scale, onMove, onWidth };
  const [most, setMost] = useState(MOST_ROWS);
  const [current, setCurrent] = useState('');
  useEffect(() => (box.current ? listen(box.current, latest) : undefined), []);
  const shown = rows.slice(0, most);
  const ids = shown.flatMap((row) => row.bars.map((bar) => idOf(row.name, bar)));
  const focusable = ids.includes(current) ? current : ids[0];
  const step = (scale.until - scale.since) / 5;
  const about = { scale, onPath, now, focusable, setCurrent };
  return html`
    <div class="timeline" ref=${box} role="group"
      onKeyDown=${(/** @type {any} */ event) => pressArrow(event, 'a.run', (x) => x && onMove(scale.since - x * step, scale.until - x * step))}
      aria-label="The timeline. Arrow keys go to the nearest run, Enter opens it; “As a list” has the same in words.">
      <div class="timeline-row axis"><span class="timeline-name"></span><${Axis} scale=${scale} /></div>
      ${steps ? html`<${PathRow} steps=${steps} scale=${scale} now=${now} />` : null}
      ${shown.map(
        (row) => html`<div class="timeline-row" key=${row.name}>
          <span class="timeline-name">
            ${row.name === '' ? 'nobody' : by === 'worker' ? html`<${WorkerLink} worker=${row.name} />` : html`<${FamilyLink} family=${row.name} />`}
            <span class="minor" title=${`${some(row.runs, 'run')}; longest idle ${duration(row.longestIdle)}`}>
              busy ${Math.round(row.busy * 100)} %${row.longestIdle > 0 ? `, idle up to ${roughly(row.longestIdle)}` : ''}</span>
          </span>
          <svg width=${scale.width} height=${heightOf(row)}>
            <${Background} scale=${scale} height=${heightOf(row)} />
            ${row.bars.map((bar) => html`<${BarShape} key=${idOf(row.name, bar)} id=${idOf(row.name, bar)} bar=${bar} ...${about} />`)}
          </svg>
        </div>`,
      )}
    </div>
    ${rows.length > most ? html`<p class="more"><button type="button" onClick=${() => setMost(most + MOST_ROWS)}>Show more rows</button>
      <span class="minor">${most} of ${rows.length}</span></p>` : null}
  `;
}

/** @param {number} seconds */
const roughly = (seconds) => duration(seconds < 600 ? Math.round(seconds) : Math.round(seconds / 60) * 60);

/** @param {{lines: number}} row */
const heightOf = (row) => Math.max(row.lines * LINE + 6, LEAST_HEIGHT);

/** @param {string} name @param {Bar} bar */
const idOf = (name, bar) => `${name} ${bar.line} ${bar.runs[0].task_id} ${bar.runs[0].started ?? bar.runs[0].ended}`;

/** @param {{scale: Scale}} props */
function Axis({ scale }) {
  return html`<svg width=${scale.width} height="20" aria-hidden="true">
    ${scale.ticks().map(({ time, x, text }) => html`<text key=${time} x=${x} y="14">${text}</text>`)}
    ${scale.parts.map((part) => part.isBreak ? html`<text key=${part.from} class="break" x=${(part.start + part.end) / 2} y="14" text-anchor="middle">≈</text>` : null)}
  </svg>`;
}

/** @param {{scale: Scale, height: number}} props lines at the written times, and what is shortened */
function Background({ scale, height }) {
  return html`<g aria-hidden="true">
    ${scale.ticks().map(({ time, x }) => html`<path key=${time} class="tick" d=${`M${x} 0 V${height}`} />`)}
    ${scale.parts.map((part) => part.isBreak
      ? html`<rect key=${part.from} class="break" x=${part.start} width=${part.end - part.start} height=${height}><title>idle for ${duration(part.to - part.from)}</title></rect>`
      : null)}
  </g>`;
}

/**
 * @param {{id: string, bar: Bar, scale: Scale, onPath: Set<string>, now: number, focusable: string,
 *   setCurrent: (id: string) => void}} props
 */
function BarShape({ id, bar, scale, onPath, now, focusable, setCurrent }) {
  const outcome = outcomeOf(bar);
  const isCritical = bar.runs.some((run) => onPath.has(run.task_id));
  const width = bar.end - bar.start;
  const told = `${toldOf(bar, now)}${isCritical ? ', on the critical path' : ''}`;
  const [view, params] = targetOf(bar, scale);
  /** @param {MouseEvent} event */
  const open = (event) => {
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    go(view, params);
  };
  const y = bar.line * LINE + 3;
  const mark = isCritical ? '◆' : MARKS[outcome];
  return html`<a class=${`run state-${outcome.toLowerCase()} ${isCritical ? 'critical' : ''}`} href=${href(view, params)} aria-label=${told}
      tabindex=${id === focusable ? 0 : -1} onClick=${open} onFocus=${() => setCurrent(id)}>
    <title>${told}</title>
    <rect x=${bar.start} y=${y} width=${Math.max(width - 0.5, 1)} height=${LINE - 3} rx="2" />
    ${width >= MARK_PIXELS ? html`<text x=${bar.start + 3} y=${y + 10}>${mark}${bar.runs.length > 1 && width > 40 ? ` ${bar.runs.length}` : ''}</text>` : null}
    ${width < MARK_PIXELS && ['FAILED', 'DISABLED'].includes(outcome) ? html`<path class="notch" d=${`M${bar.start + width / 2 - 3} ${y - 3} h6 l-3 5 z`} />` : null}
  </a>`;
}

/** @param {Bar} bar @param {Scale} scale @returns {[string, Record<string, any>]} */
function targetOf(bar, scale) {
  if (bar.runs.length === 1) return ['task', { id: bar.runs[0].task_id }];
  const [from, to] = [scale.time(bar.start), scale.time(bar.end)];
  const params = Object.fromEntries(new URLSearchParams(location.search));
  delete params.view;
  return ['timeline', { ...params, until: (to + (to - from)).toFixed(1), span: Math.max(2, 3 * (to - from)).toFixed(1) }];
}

/** @param {{steps: any[], scale: Scale, now: number}} props the chain that takes longest, in a row of its own */
function PathRow({ steps, scale, now }) {
  return html`<div class="timeline-row path-row">
    <span class="timeline-name on-path"><span aria-hidden="true">◆</span> critical path</span>
    <svg width=${scale.width} height=${LINE + 6}>
      <${Background} scale=${scale} height=${LINE + 6} />
      ${steps.map(({ step, from, to, isExpected }) => {
        if (to < scale.since || from > scale.until) return null;
        const [start, end] = [scale.x(Math.max(from, scale.since)), scale.x(Math.min(to, scale.until))];
        const told = `${step.task_id}, ${isExpected ? 'expected to take' : 'took'} ${duration(to - from)}${from > now ? ', not begun' : ''}`;
        return html`<a key=${`${step.task_id} ${isExpected}`} href=${href('task', { id: step.task_id })} aria-label=${told} tabindex="-1"
            class=${`run critical ${isExpected ? 'expected' : ''}`} onClick=${(/** @type {MouseEvent} */ event) => {
              event.preventDefault();
              go('task', { id: step.task_id });
            }}>
          <title>${told}</title><rect x=${start} y="3" width=${Math.max(end - start - 1, 2)} height=${LINE - 3} rx="2" />
        </a>`;
      })}
    </svg>
  </div>`;
}

/**
 * @param {HTMLDivElement} box
 * @param {{current: {scale: Scale, onMove: (since: number, until: number) => void, onWidth: (width: number) => void}}} latest
 */
function listen(box, latest) {
  const width = new ResizeObserver(() => {
    const name = box.querySelector('.timeline-name');
    const isBeside = name && getComputedStyle(box).getPropertyValue('--beside').trim() === '1';
    latest.current.onWidth(Math.max(120, box.clientWidth - (isBeside ? name.getBoundingClientRect().width : 0) - 2));
  });
  width.observe(box);
  const moves = () => {
    const { scale, onMove } = latest.current;
    return {
      pan: (/** @type {number} */ x) => onMove(scale.since - x / scale.pace, scale.until - x / scale.pace),
      zoom: (/** @type {number} */ factor, /** @type {{x: number}} */ { x }) => {
        const at = scale.time(x);
        onMove(at - (at - scale.since) / factor, at + (scale.until - at) / factor);
      },
    };
  };
  const end = listenToMoves(box, moves, { origin: () => box.querySelector('svg'), wheelZooms: false });
  return () => {
    end();
    width.disconnect();
  };
}
