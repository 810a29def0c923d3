// How the namespace stands, on one screen.

import { html } from '../libraries.js';
import { useCall } from '../api.js';
import { bytes, count, now, rate, some, Time } from '../format.js';
import { href } from '../router.js';
import { may } from '../session.js';
import { useShared } from '../shown_values.js';
import { Answer, Bar, Empty, FamilyLink, Meter, ResourceLink, State, TaskLink } from '../ui/index.js';

const EVERY_SECONDS = 60; // workers fall silent without an event
const FAILURES_SECONDS = 60;
const OLD_SECONDS = 30; // after which it is said why a ready task is not handed out
const MOST_RESOURCES = 8;
const MOST_CAUSES = 12;
const STATES = ['READY', 'RUNNING', 'DONE', 'FAILED', 'WAITING', 'BLOCKED', 'BATCH_RUNNING', 'DISABLED', 'UNKNOWN'];
const ALWAYS = STATES.slice(0, 4); // also where there are none
const PACES = [
  ['minute', 'last minute'],
  ['ten_minutes', '10 minutes'],
  ['hour', 'hour'],
];

/** @typedef {import('../live.js').Change} Change */

/** @param {Change} change whether anything has changed that is counted here */
const anything = (change) => change.families.size > 0 || change.also.size > 0;

/** @param {Change} change whether any task has failed */
const failed = (change) =>
  [...change.families.values()].some((counts) => (counts.get('FAILED') ?? 0) > 0 || (counts.get('DISABLED') ?? 0) > 0);

/** Shows what there is, what holds it up, how fast it goes, and what failed. */
export default function Now() {
  const asked = useCall('overview', {}, { every: EVERY_SECONDS, live: anything });
  return html`<${Answer} asked=${asked}>
    ${(/** @type {any} */ overview) => html`
      <${States} tasks=${overview.tasks} />
      <${HeldUp} overview=${overview} />
      <div class="cards">
        <${Pace} overview=${overview} />
        <${Workers} workers=${overview.workers} />
        <${Resources} resources=${overview.resources} />
        <${Redis} overview=${overview} />
      </div>
      ${may('failures') ? html`<${Failures} />` : null}
    `}
  </${Answer}>`;
}

/** @param {{tasks: Record<string, number>}} props */
function States({ tasks }) {
  const total = Object.values(tasks).reduce((sum, n) => sum + n, 0);
  return html`<section class="states" aria-label="Tasks by state">
    <ul>
      ${STATES.map((state) => {
        if (!tasks[state] && !ALWAYS.includes(state)) return null;
        const inside = html`<strong>${count(tasks[state] ?? 0)}</strong> <${State} state=${state} />`;
        return html`<li key=${state}>
          ${may('tasks') ? html`<a href=${href('tasks', { status: state })}>${inside}</a>` : inside}
        </li>`;
      })}
      <li class="total"><strong>${count(total)}</strong> ${total === 1 ? 'task' : 'tasks'}</li>
    </ul>
    <${Bar} counts=${tasks} />
  </section>`;
}

/** @param {{overview: any}} props what keeps many tasks from running, each for one reason */
function HeldUp({ overview }) {
  const time = useShared(now);
  const { upstream, ready, workers, paused, paused_families: families, resources, oldest_ready: oldest } = overview;
  const failed = upstream.UPSTREAM_FAILED;
  const full = resources.filter((/** @type {any} */ each) => each.used >= each.limit);
  const isOld = oldest !== null && time - oldest > OLD_SECONDS;
  const reasons = [
    paused && html`Nothing is handed out: the scheduler is paused.`,
    ready > 0 && !workers.active && html`${some(ready, 'task')} could run, and no worker is active.`,
    families.length > 0 && html`Paused families: ${listed(families.map((/** @type {string} */ family) => html`<${FamilyLink} family=${family} />`))}.`,
    failed.count > 0 &&
      html`${failed.exact ? '' : 'At least '}${some(failed.count, 'task waits', 'tasks wait')} for${' '}
        <a href=${href('tasks', { status: 'FAILED' })}>failed ones</a>.`,
    upstream.UPSTREAM_DISABLED > 0 &&
      html`${some(upstream.UPSTREAM_DISABLED, 'task waits', 'tasks wait')} for${' '}
        <a href=${href('tasks', { status: 'DISABLED' })}>disabled ones</a>.`,
    full.length > 0 && html`In use to the last: ${listed(full.map((/** @type {any} */ each) => html`<${ResourceLink} name=${each.name} />`))}.`,
    isOld && may('why') && html`<${Oldest} since=${oldest} />`,
  ].filter(Boolean);
  if (!reasons.length) return null;
  return html`<section class="held-up" aria-label="What holds tasks up">
    <ul>${reasons.map((reason) => html`<li><span aria-hidden="true">⚠</span> <span>${reason}</span></li>`)}</ul>
  </section>`;
}

/** @param {any[]} parts */
function listed(parts) {
  return parts.map((part, index) => html`${index ? ', ' : ''}${part}`);
}

/** @param {{since: number}} props when the task that has been ready for longest became so */
function Oldest({ since }) {
  const found = useCall('tasks', { status: 'READY', order: 'oldest', limit: 1 }, { every: FAILURES_SECONDS });
  const id = found.data?.tasks[0]?.task_id;
  const why = useCall('why', id ? { task_id: id } : null, { every: FAILURES_SECONDS });
  return html`The oldest ready task became so <${Time} at=${since} />${id ? html`: <${TaskLink} id=${id} />` : null}.
    ${why.data ? ` ${why.data.sentence}` : ''}`;
}

/** @param {{title: any, children?: any}} props */
function Card({ title, children }) {
  return html`<section class="card"><h2>${title}</h2>${children}</section>`;
}

/** @param {{rows: ([any, any, boolean?] | null | false)[]}} props a label, what it is, and whether it is alarming */
function Rows({ rows }) {
  return html`<dl class="facts">
    ${rows.map((row) => row && html`<div class=${row[2] ? 'warn' : ''}><dt>${row[0]}</dt><dd>${row[1]}</dd></div>`)}
  </dl>`;
}

/** @param {{overview: any}} props */
function Pace({ overview }) {
  const { throughput, estimated_end: end, oldest_ready: oldest } = overview;
  return html`<${Card} title="Pace">
    <table class="facts">
      <thead><tr><td></td><th scope="col">done</th><th scope="col">failed</th></tr></thead>
      <tbody>
        ${PACES.map(
          ([name, title]) => html`<tr key=${name}>
            <th scope="row">${title}</th>
            <td>${rate(throughput[name].done_per_second)}</td>
            <td>${rate(throughput[name].failed_per_second)}</td>
          </tr>`,
        )}
      </tbody>
    </table>
    <${Rows} rows=${[
      oldest !== null && ['oldest ready', html`<${Time} at=${oldest} />`],
      end.at !== null && ['all ends about', html`<${Time} at=${end.at} />`],
    ]} />
    ${end.at === null ? html`<p class="minor">No end can be told: ${end.reason || 'too little is known'}.</p>` : null}
  </${Card}>`;
}

/** @param {{workers: any}} props */
function Workers({ workers }) {
  const { active, silent, disabled, slots, slots_in_use: used } = workers;
  const title = may('workers') ? html`<a href=${href('workers')}>Workers</a>` : 'Workers';
  return html`<${Card} title=${title}>
    <${Rows} rows=${[
      ['active', count(active)],
      silent > 0 && ['silent', count(silent), true],
      disabled > 0 && ['disabled', count(disabled), true],
      ['slots in use', `${count(used)} of ${count(slots)}`],
    ]} />
    <${Meter} value=${used} of=${slots} label=${`${count(used)} of ${count(slots)} slots in use`} />
  </${Card}>`;
}

/** @param {{resources: {name: string, limit: number, used: number}[]}} props */
function Resources({ resources }) {
  if (!resources.length) return null;
  const more = resources.length - MOST_RESOURCES;
  return html`<${Card} title=${html`<a href=${href('resources')}>Resources</a>`}>
    ${resources.slice(0, MOST_RESOURCES).map(
      ({ name, used, limit }) => html`<div key=${name}>
        <${Rows} rows=${[[html`<${ResourceLink} name=${name} />`, `${count(used)} of ${count(limit)}`]]} />
        <${Meter} value=${used} of=${limit} label=${`${count(used)} of ${count(limit)} of ${name} in use`} />
      </div>`,
    )}
    ${more > 0 ? html`<p class="minor">and ${count(more)} more</p>` : null}
  </${Card}>`;
}

/** @param {{overview: any}} props */
function Redis({ overview }) {
  const { redis, versions } = overview;
  const limit = redis.max_memory ? ` of ${bytes(redis.max_memory)}` : '';
  const kept = { aof: 'each write (AOF)', 'no aof': 'now and then' }[/** @type {string} */ (redis.persistence)];
  const servers = versions.servers?.length;
  const seen = new Set((versions.servers ?? []).map((/** @type {any} */ each) => each.version));
  return html`<${Card} title=${`Redis ${redis.version ?? ''}`}>
    <${Rows} rows=${[
      ['memory', `${bytes(redis.used_memory)}${limit}`, redis.max_memory > 0 && redis.used_memory > 0.9 * redis.max_memory],
      ['on disk', kept ?? '–', redis.persistence === 'no aof'],
      redis.last_save_ok === false && ['last write to disk', 'failed', true],
      servers > 0 && ['servers', `${count(servers)}, version ${[...seen].join(' and ')}`, seen.size > 1],
    ]} />
  </${Card}>`;
}

/** What failed in the last hour, by cause. */
function Failures() {
  const asked = useCall('failures', { limit: MOST_CAUSES }, { every: FAILURES_SECONDS, live: failed });
  return html`<section>
    <h2>Failures of the last hour</h2>
    <${Answer} asked=${asked}>
      ${(/** @type {any} */ { failures, groups, total, complete, since }) =>
        total
          ? html`<ul class="failures">${failures.map((/** @type {any} */ each) => html`<${Cause} ...${each} />`)}</ul>
              <p class="minor">
                ${some(total, 'failure')} ${complete ? '' : html`since <${Time} at=${since} />; older ones are not kept`}
                ${groups > failures.length ? `, ${count(groups - failures.length)} more causes` : ''}
              </p>`
          : html`<${Empty}>Nothing has failed.</${Empty}>`}
    </${Answer}>
  </section>`;
}

/** @param {{family: string, error: string, count: number, tasks: number, last: number, example: string}} props */
function Cause({ family, error, count: failures, tasks, last, example }) {
  return html`<li>
    <a href=${href('tasks', { family, status: 'FAILED', error })}><strong>${count(failures)}</strong> × ${family}</a>
    <span class="error-line">${error || 'no error was told'}</span>
    <span class="minor">${some(tasks, 'task')}, last <${Time} at=${last} />: <${TaskLink} id=${example} /></span>
  </li>`;
}
