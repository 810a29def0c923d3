// What the latest run of a task wrote: it grows while the task runs, and can be searched and copied.

import { html, useEffect, useLayoutEffect, useRef, useState } from '../../libraries.js';
import { useCall } from '../../api.js';
import { command } from '../../commands.js';
import { count } from '../../format.js';
import { may } from '../../session.js';
import { Answer, Command, Copy, Empty } from '../../ui/index.js';
import { added, endOf, NOTHING_KEPT, places, shown } from './log_text.js';

const RUNNING_SECONDS = 2; // as often as workers tell it
const FIRST = 100_000; // characters shown, until more are asked for
const MOST_MARKS = 1000;
const NEAR_END_PIXELS = 40;

/** @param {{id: string, isRunning: boolean, size: number | null, isGone?: boolean}} props size: as the task's details say */
export function Log({ id, isRunning, size, isGone = false }) {
  const isAllowed = may('task_log');
  const asked = useCall('task_log', isAllowed ? { task_id: id } : null, {
    live: (change) => change.tasks.has(id),
    every: (reply) => (reply?.status === 'RUNNING' ? RUNNING_SECONDS : undefined),
  });
  const kept = useRef(NOTHING_KEPT);
  useEffect(() => {
    asked.reload(); // a run has begun, or its last words have come, a moment after its status
  }, [size, isRunning]);
  if (!isAllowed || (isGone && !asked.data?.log)) return null;
  return html`<section class="card" aria-labelledby="task-log">
    <h3 id="task-log" tabindex="-1">
      Log ${isRunning ? html`<span class="minor">as it is written, some seconds late</span>` : null}
    </h3>
    <${Answer} asked=${asked}>
      ${(/** @type {any} */ reply) => {
        if (reply.log === null) return html`<${Empty}>${isRunning ? NOTHING_YET : NONE}</${Empty}>`;
        kept.current = added(kept.current, reply);
        return html`<${Written} kept=${kept.current} id=${id} />`;
      }}
    </${Answer}>
  </section>`;
}

const NOTHING_YET = 'Nothing is known of what it writes. Workers tell it that capture output, as bsched worker does; stock Luigi workers do not.';
const NONE = 'No log of its latest run is kept: it has not run, its worker captures no output (stock Luigi workers do not), or it ended more than a day ago.';

/** @param {{kept: import('./log_text.js').Kept, id: string}} props */
function Written({ kept, id }) {
  const [most, setMost] = useState(FIRST);
  const [wanted, setWanted] = useState('');
  const [isOnly, setOnly] = useState(false);
  const [at, setAt] = useState(0);
  const whole = shown(kept.text);
  const end = endOf(whole, most);
  const text = isOnly && wanted ? linesWith(end, wanted) : end;
  const found = places(text, wanted, MOST_MARKS);
  const current = found.length ? ((at % found.length) + found.length) % found.length : -1;
  /** @param {Event & {currentTarget: HTMLInputElement}} event */
  const search = (event) => {
    setWanted(event.currentTarget.value);
    setAt(0);
  };
  /** @param {KeyboardEvent} event */
  const onKey = (event) => {
    if (event.key === 'Enter') setAt(current + (event.shiftKey ? -1 : 1));
    if (event.key === 'Escape') setWanted('');
  };
  return html`
    <div class="log-tools" role="search" aria-label="Search in the log">
      <input type="search" placeholder="Search in the log" aria-label="Search in the log" value=${wanted} onInput=${search} onKeyDown=${onKey} />
      ${wanted
        ? html`<span class="minor" role="status">${told(found.length, current)}</span>
            <button type="button" aria-label="Place before" disabled=${!found.length} onClick=${() => setAt(current - 1)}>↑</button>
            <button type="button" aria-label="Next place" disabled=${!found.length} onClick=${() => setAt(current + 1)}>↓</button>
            <label class="minor"><input type="checkbox" checked=${isOnly} onChange=${() => setOnly(!isOnly)} /> only lines with it</label>`
        : null}
      <span class="grow"></span>
      <${Copy} text=${whole} what="the log" />
    </div>
    ${end.length < whole.length
      ? html`<p><button type="button" onClick=${() => setMost(most * 5)}>Load earlier: ${count(whole.length - end.length)} characters more</button></p>`
      : kept.missing
        ? html`<p class="minor">${count(kept.missing)} characters before this are not kept: of each run, the last 16,384 are.</p>`
        : null}
    <${Text} text=${text} found=${found} current=${current} />
    <${Command} line=${command('task logs', { args: [id] })} />
  `;
}

/**
 * @param {number} n
 * @param {number} current
 */
function told(n, current) {
  if (!n) return 'not found';
  return `${current + 1} of ${n === MOST_MARKS ? `${count(n)} or more` : count(n)}`;
}

/**
 * @param {string} text
 * @param {string} wanted
 */
function linesWith(text, wanted) {
  return text
    .split('\n')
    .filter((line) => places(line, wanted, 1).length)
    .join('\n');
}

/** @param {{text: string, found: {at: number, length: number}[], current: number}} props */
function Text({ text, found, current }) {
  const box = useRef(/** @type {HTMLPreElement | null} */ (null));
  const isAtEnd = useRef(true);
  const [isBehind, setBehind] = useState(false);
  useLayoutEffect(() => {
    const element = box.current;
    if (!element) return;
    if (isAtEnd.current && current < 0) element.scrollTop = element.scrollHeight;
    else setBehind(!isAtEnd.current);
  }, [text]);
  useLayoutEffect(() => {
    box.current?.querySelector('mark.current')?.scrollIntoView({ block: 'nearest' });
  }, [current, found.length]);
  const onScroll = () => {
    const element = box.current;
    if (!element) return;
    isAtEnd.current = element.scrollHeight - element.scrollTop - element.clientHeight < NEAR_END_PIXELS;
    if (isAtEnd.current) setBehind(false);
  };
  const toEnd = () => box.current?.scrollTo({ top: box.current.scrollHeight });
  return html`<div class="log-box">
    <pre class="log" ref=${box} tabindex="0" aria-label="What it wrote" onScroll=${onScroll}>${marked(text, found, current)}</pre>
    ${isBehind ? html`<button type="button" class="log-end" onClick=${toEnd}>↓ To the end</button>` : null}
  </div>`;
}

/**
 * @param {string} text
 * @param {{at: number, length: number}[]} found
 * @param {number} current
 */
function marked(text, found, current) {
  /** @type {any[]} */
  const parts = [];
  let begin = 0;
  found.forEach(({ at, length }, index) => {
    parts.push(text.slice(begin, at));
    parts.push(html`<mark key=${index} class=${index === current ? 'current' : ''}>${text.slice(at, at + length)}</mark>`);
    begin = at + length;
  });
  return [...parts, text.slice(begin)];
}
