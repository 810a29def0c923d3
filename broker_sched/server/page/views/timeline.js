// Which task ran where, from when to when: by worker or family, with idle times, live at the right edge.

import { html, useEffect, useMemo, useRef, useState } from '../libraries.js';
import { useCall } from '../api.js';
import { command } from '../commands.js';
import { duration, exactTime, now as clock, some, Time } from '../format.js';
import { useKeys } from '../keys.js';
import { setParams, useParams } from '../router.js';
import { may } from '../session.js';
import { useShared } from '../shown_values.js';
import { Answer, Command, Empty, Failure, Filters, Loading, State, Table, TaskLink, WorkerLink } from '../ui/index.js';
import { PathSummary } from './graph/path.js';
import { Chart } from './timeline/chart.js';
import { rowsOf } from './timeline/rows.js';
import { useRuns } from './timeline/runs.js';
import { idleTimes, Scale } from './timeline/scale.js';

const SPANS = /** @type {const} */ ([[300, '5 minutes'], [900, '15 minutes'], [3600, 'hour'], [21600, '6 hours'], [86400, 'day'], [604800, 'week']]);
const LEAST_SPAN = 2;
const MOST_SPAN = 60 * 86400;
const SHORTENED = 0.04; // of the span: idle times that are longer are shortened
const AHEAD = 0.4; // of the span, at most, for what is expected
const TYPING_MS = 250;

export default function TimelineView() {
  const params = useParams();
  const by = params.get('by') === 'family' ? 'family' : 'worker';
  const [worker, family] = [params.get('worker'), params.get('family')];
  const about = params.has('submission') ? { submission: params.get('submission') } : params.has('task') ? { task_id: params.get('task') } : null;
  const path = useCall('critical_path', about && may('critical_path') ? about : null, { live: (change) => change.tasks.size > 0 });
  const [time, move] = useTime();
  const [width, setWidth] = useState(800);
  const isLive = time.until === null;
  const now = useShared(clock);
  const steps = useMemo(() => (path.data ? placed(path.data.steps, now) : null), [path.data, Math.floor(now)]);
  const last = steps?.length ? steps[steps.length - 1].to : now;
  const until = time.until ?? now + Math.min(Math.max(0, last - now), time.span * AHEAD);
  const since = until - time.span;
  const step = time.span / 4; // so that not each second another time is asked for
  const wanted = { since: Math.floor((since - time.span / 8) / step) * step, until: isLive || until + time.span > now ? null : until + time.span, worker, family };
  const { found, error } = useRuns(wanted);
  const runs = found?.runs ?? [];
  const gaps = params.has('short') ? idleTimes(runs, since, Math.min(until, now)).filter(([from, to]) => to - from > time.span * SHORTENED) : [];
  const scale = new Scale(since, until, width, gaps);
  const rows = rowsOf(runs, by, scale, now);
  useKeys([
    { keys: '+', does: 'Zoom in', act: () => move(since + time.span / 4, until - time.span / 4) },
    { keys: '-', does: 'Zoom out', act: () => move(since - time.span / 2, until + time.span / 2) },
    { keys: '0', does: 'Back to now', act: () => setParams({ until: null }) },
  ]);
  const isList = params.get('form') === 'list';
  const shown = runs.filter((run) => (run.ended ?? now) >= since && (run.started ?? run.ended ?? now) <= until);
  return html`<div class="timeline-view">
    <${Filters} label="What is drawn" filters=${[
      { name: 'by', label: 'A row for each', kind: 'select', options: [{ value: '', label: 'worker' }, { value: 'family', label: 'family' }] },
      { name: 'worker', label: 'Only this worker' },
      { name: 'family', label: 'Only this family' },
    ]}>
      <${Moves} since=${since} until=${until} span=${time.span} isLive=${isLive} move=${move} />
    </${Filters}>
    <p class="timeline-about"><strong>${exactTime(since)}</strong> to <strong>${isLive ? 'now' : exactTime(until)}</strong>, ${duration(Math.round(time.span))}: ${some(shown.length, 'run')}
      <${Command} line=${command('timeline', { since: `${Math.ceil(now - since)}s`, until: isLive ? null : `${Math.max(0, Math.floor(now - until))}s`, by, worker, family })} /></p>
    ${error ? html`<${Failure} error=${error} />` : null}
    ${found ? html`<${Remarks} found=${found} since=${since} wanted=${wanted} />` : html`<${Loading} />`}
    ${isList
      ? html`<${RunTable} runs=${shown} now=${now} />`
      : html`<${Chart} scale=${scale} rows=${rows} by=${by} steps=${steps} now=${now} onWidth=${setWidth} onMove=${move}
          onPath=${new Set((path.data?.steps ?? []).map((/** @type {any} */ each) => each.task_id))} />
        ${found && !rows.length ? html`<${Empty}>Nothing ran in this time.</${Empty}>` : null}
        <p class="minor">✓ done, ✗ failed, ▶ running, ↩ given back, or waits for deps that it asked for. Drag, or Shift with an arrow key, moves; Ctrl with the wheel, or + and −, zooms.</p>`}
    ${about ? html`<${Answer} asked=${path}>${(/** @type {any} */ data) => data
      ? html`<${PathSummary} path=${data} words=${about.submission ? { submission: about.submission } : { args: about.task_id }} />`
      : html`<${Empty}>Nobody knows ${about.submission ?? about.task_id}.</${Empty}>`}</${Answer}>` : null}
  </div>`;
}

/**
 * The time that is shown, in the address; while it is moved, ahead of it.
 * @returns {[{span: number, until: number | null}, (since: number, until: number) => void]}
 */
function useTime() {
  const params = useParams();
  const inAddress = { span: number(params.get('span')) ?? 3600, until: number(params.get('until')) };
  const key = `${inAddress.span} ${inAddress.until}`;
  const [moved, setMoved] = useState(/** @type {{key: string, span: number, until: number | null} | null} */ (null));
  const timer = useRef(/** @type {ReturnType<typeof setTimeout> | undefined} */ (undefined));
  useEffect(() => () => clearTimeout(timer.current), []);
  /** @param {number} since @param {number} until */
  const move = (since, until) => {
    const span = Math.min(MOST_SPAN, Math.max(LEAST_SPAN, until - since));
    const end = until >= clock.value ? null : until;
    setMoved({ key, span, until: end });
    clearTimeout(timer.current);
    timer.current = setTimeout(() => setParams({ span: span.toFixed(1), until: end === null ? null : end.toFixed(1) }, { replace: true }), TYPING_MS);
  };
  const time = moved && moved.key === key ? moved : inAddress;
  return [{ span: Math.min(MOST_SPAN, Math.max(LEAST_SPAN, time.span)), until: time.until }, move];
}

/** @param {string | null} text */
function number(text) {
  const found = Number(text);
  return text && Number.isFinite(found) ? found : null;
}

/**
 * Where the steps of a critical path are drawn: what ran when it ran, what is to come one after the other from now on.
 * @param {any[]} steps
 * @param {number} now
 */
function placed(steps, now) {
  const found = [];
  let free = now;
  for (const step of steps) {
    if (step.started !== null) found.push({ step, from: step.started, to: step.ended ?? now, isExpected: false });
    if (!step.expected_seconds) continue;
    found.push({ step, from: free, to: free + step.expected_seconds, isExpected: true });
    free += step.expected_seconds;
  }
  return found;
}

/** @param {{since: number, until: number, span: number, isLive: boolean, move: (since: number, until: number) => void}} props */
function Moves({ since, until, span, isLive, move }) {
  const params = useParams();
  const known = SPANS.some(([seconds]) => seconds === span);
  /** @param {string} name @param {string} label @param {string} [value] */
  const toggle = (name, label, value = '1') => html`<button type="button" aria-pressed=${params.get(name) === value}
    onClick=${() => setParams({ [name]: params.get(name) === value ? null : value })}>${label}</button>`;
  return html`
    <label class="field"><span>How long</span>
      <select value=${String(span)} onChange=${(/** @type {Event & {currentTarget: HTMLSelectElement}} */ event) => setParams({ span: event.currentTarget.value })}>
        ${known ? null : html`<option value=${String(span)}>${duration(Math.round(span))}</option>`}
        ${SPANS.map(([seconds, label]) => html`<option key=${seconds} value=${String(seconds)}>${label}</option>`)}
      </select></label>
    <button type="button" aria-label="Earlier" title="Earlier" onClick=${() => move(since - span / 2, until - span / 2)}>◀</button>
    <button type="button" aria-label="Later" title="Later" disabled=${isLive} onClick=${() => move(since + span / 2, until + span / 2)}>▶</button>
    <button type="button" disabled=${isLive} onClick=${() => setParams({ until: null })}>Now</button>
    <button type="button" aria-label="Zoom in" title="Zoom in (+)" onClick=${() => move(since + span / 4, until - span / 4)}>+</button>
    <button type="button" aria-label="Zoom out" title="Zoom out (-)" onClick=${() => move(since - span / 2, until + span / 2)}>−</button>
    ${toggle('short', 'Shorten idle times')} ${toggle('form', 'As a list', 'list')}
  `;
}

/** @param {{found: import('./timeline/runs.js').Found, since: number, wanted: {until: number | null}}} props */
function Remarks({ found, since, wanted }) {
  return html`<ul class="remarks">
    ${!found.isWhole && found.from > since
      ? html`<li class="warn">Only the last ${some(found.runs.length, 'run')} are drawn, down to ${exactTime(found.from)}: zoom in on an earlier time to see what ran then.</li>`
      : null}
    ${found.wholeSince !== null && found.wholeSince > since
      ? html`<li class="warn">Before ${exactTime(found.wholeSince)} only the last run of each task that is still there is known: the last 10,000 events are kept.</li>`
      : null}
    ${found.allRunning ? null : html`<li class="warn">More than 1,000 tasks run: not all of them are drawn.</li>`}
    ${wanted.until === null ? null : html`<li class="minor">Runs that ended after ${exactTime(wanted.until)} are left out.</li>`}
  </ul>`;
}

/** @param {{runs: import('./timeline/runs.js').Run[], now: number}} props */
function RunTable({ runs, now }) {
  /** @typedef {import('./timeline/runs.js').Run} Run */
  const columns = [
    { name: 'began', title: 'Began', cell: (/** @type {Run} */ run) => html`<${Time} at=${run.started} exact />` },
    { name: 'took', title: 'Took', kind: 'number', cell: (/** @type {Run} */ run) => (run.started === null ? '–' : duration((run.ended ?? now) - run.started)) },
    { name: 'outcome', title: 'Outcome', cell: (/** @type {Run} */ run) => html`<${State} state=${run.outcome} />` },
    { name: 'task', title: 'Task', kind: 'wide', cell: (/** @type {Run} */ run) => html`<${TaskLink} id=${run.task_id} />` },
    { name: 'worker', title: 'Worker', cell: (/** @type {Run} */ run) => html`<${WorkerLink} worker=${run.worker} />` },
  ];
  return html`<${Table} label="Runs, the last ones first" columns=${columns} rows=${runs}
    keyOf=${(/** @type {Run} */ run) => `${run.task_id} ${run.ended}`} />`;
}
