// How the namespace stands, on one screen.

import { html } from '../built/libraries.js';
import { useCall } from '../api.js';
import { bytes, count, duration, rate, some, Time } from '../format.js';
import { href } from '../router.js';
import { may } from '../session.js';
import { Answer, Bar, Empty, FamilyLink, Meter, ResourceLink, State, TaskLink } from '../ui/index.js';

const EVERY_SECONDS = 10; // workers fall silent without an event
const SHOWN_STATES = ['READY', 'WAITING', 'BLOCKED', 'RUNNING', 'BATCH_RUNNING', 'DONE', 'FAILED', 'DISABLED', 'UNKNOWN'];
const FAILURES = 12;

export default function Now() {
  const overview = useCall('overview', {}, {
    every: EVERY_SECONDS,
    live: (change) => change.families.size > 0 || change.also.size > 0,
  });
  return html`<${Answer} asked=${overview}>${(/** @type {any} */ data) => html`<${Standing} overview=${data} />`}</${Answer}>`;
}

/** @param {{overview: any}} props */
function Standing({ overview }) {
  return html`
    <${States} tasks=${overview.tasks} />
    <div class="cards">
      <${Pace} overview=${overview} />
      <${Waiting} overview=${overview} />
      <${Workers} overview=${overview} />
      <${Resources} resources=${overview.resources} />
      <${Redis} overview=${overview} />
    </div>
    ${may('failures') ? html`<${Failures} />` : null}
  `;
}

/** @param {{tasks: Record<string, number>}} props */
function States({ tasks }) {
  const shown = SHOWN_STATES.filter((state) => tasks[state] || ['READY', 'RUNNING', 'DONE', 'FAILED'].includes(state));
  const total = Object.values(tasks).reduce((sum, n) => sum + n, 0);
  return html`<section class="states" aria-label="Tasks by state">
    <ul>
      ${shown.map((state) => {
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

/** @param {{title: any, children?: any}} props */
function Card({ title, children }) {
  return html`<section class="card"><h2>${title}</h2>${children}</section>`;
}

/** @param {{overview: any}} props */
function Pace({ overview }) {
  const { throughput, estimated_end: end } = overview;
  return html`<${Card} title="Pace">
    <table class="facts">
      <thead><tr><td></td><th scope="col">done</th><th scope="col">failed</th></tr></thead>
      <tbody>
        ${[['minute', 'last minute'], ['ten_minutes', '10 minutes'], ['hour', 'hour']].map(
          ([name, title]) => html`<tr key=${name}>
            <th scope="row">${title}</th>
            <td>${rate(throughput[name].done_per_second)}</td>
            <td>${rate(throughput[name].failed_per_second)}</td>
          </tr>`,
        )}
      </tbody>
    </table>
    <p>${end.at === null
      ? html`No end can be told: ${end.reason || 'too little is known'}.`
      : html`All that can run has ended <${Time} at=${end.at} />, about.`}</p>
  </${Card}>`;
}

/** @param {{overview: any}} props */
function Waiting({ overview }) {
  const { upstream, ready, oldest_ready: oldest, paused, paused_families: families } = overview;
  const failed = upstream.UPSTREAM_FAILED;
  return html`<${Card} title="Waiting">
    <dl class="facts">
      <div><dt>ready</dt><dd>${count(ready)}</dd></div>
      ${oldest === null ? null : html`<div><dt>the oldest since</dt><dd><${Time} at=${oldest} /></dd></div>`}
      <div><dt>wait for a failed one</dt><dd>${failed.exact ? '' : 'at least '}${count(failed.count)}</dd></div>
      <div><dt>wait for a disabled one</dt><dd>${count(upstream.UPSTREAM_DISABLED)}</dd></div>
    </dl>
    ${paused ? html`<p class="warn"><span aria-hidden="true">❚❚</span> Paused: nothing is handed out.</p>` : null}
    ${families.length
      ? html`<p class="warn"><span aria-hidden="true">❚❚</span> Paused families: ${families.map(
          (/** @type {string} */ family, /** @type {number} */ index) =>
            html`${index ? ', ' : ''}<${FamilyLink} family=${family} />`,
        )}</p>`
      : null}
  </${Card}>`;
}

/** @param {{overview: any}} props */
function Workers({ overview }) {
  const { workers } = overview;
  const title = may('workers') ? html`<a href=${href('workers')}>Workers</a>` : 'Workers';
  return html`<${Card} title=${title}>
    <dl class="facts">
      <div><dt>active</dt><dd>${count(workers.active)}</dd></div>
      ${workers.silent ? html`<div class="warn"><dt>silent</dt><dd>${count(workers.silent)}</dd></div>` : null}
      ${workers.disabled ? html`<div><dt>disabled</dt><dd>${count(workers.disabled)}</dd></div>` : null}
      <div><dt>slots in use</dt><dd>${count(workers.slots_in_use)} of ${count(workers.slots)}</dd></div>
    </dl>
    <${Meter} value=${workers.slots_in_use} of=${workers.slots}
      label=${`${count(workers.slots_in_use)} of ${count(workers.slots)} slots in use`} />
    ${workers.active ? null : html`<p class="warn">No worker is active: nothing will run.</p>`}
  </${Card}>`;
}

/** @param {{resources: {name: string, limit: number, used: number}[]}} props */
function Resources({ resources }) {
  if (!resources.length) return null;
  return html`<${Card} title=${html`<a href=${href('resources')}>Resources</a>`}>
    <dl class="facts">
      ${resources.slice(0, 8).map(
        ({ name, used, limit }) => html`<div key=${name}>
          <dt><${ResourceLink} name=${name} /></dt>
          <dd>${count(used)} of ${count(limit)}
            <${Meter} value=${used} of=${limit} label=${`${count(used)} of ${count(limit)} of ${name} in use`} /></dd>
        </div>`,
      )}
    </dl>
    ${resources.length > 8 ? html`<p><a href=${href('resources')}>and ${count(resources.length - 8)} more</a></p>` : null}
  </${Card}>`;
}

/** @param {{overview: any}} props */
function Redis({ overview }) {
  const { redis, versions } = overview;
  const limit = redis.max_memory ? ` of ${bytes(redis.max_memory)}` : '';
  return html`<${Card} title=${`Redis ${redis.version ?? ''}`}>
    <dl class="facts">
      <div><dt>memory</dt><dd>${bytes(redis.used_memory)}${limit}</dd></div>
      <div class=${redis.persistence === 'aof' ? '' : 'warn'}>
        <dt>kept on disk</dt>
        <dd>${redis.persistence === 'aof' ? 'every write (AOF)' : redis.persistence === null ? '–' : 'snapshots at the most'}</dd>
      </div>
      ${redis.last_save_ok === false ? html`<div class="warn"><dt>last write to disk</dt><dd>failed</dd></div>` : null}
      ${versions.servers
        ? html`<div><dt>servers</dt><dd>${count(versions.servers.length)}</dd></div>`
        : null}
    </dl>
  </${Card}>`;
}

function Failures() {
  const asked = useCall('failures', { limit: FAILURES }, { every: 60, live: (change) => change.families.size > 0 });
  return html`<section>
    <h2>Failures of the last hour</h2>
    <${Answer} asked=${asked}>
      ${(/** @type {any} */ data) =>
        data.failures.length
          ? html`<ul class="failures">
              ${data.failures.map(
                (/** @type {any} */ group) => html`<li key=${`${group.family} ${group.error}`}>
                  <a href=${href('tasks', { family: group.family, status: 'FAILED', error: group.error })}>
                    <strong>${count(group.count)}</strong> × ${group.family}</a>
                  <span class="error-line">${group.error || 'no error was told'}</span>
                  <span class="minor">
                    ${some(group.tasks, 'task')}, last <${Time} at=${group.last} />:
                    ${' '}<${TaskLink} id=${group.example} />
                  </span>
                </li>`,
              )}
            </ul>
            <p class="minor">
              ${some(data.total, 'failure')} in ${duration(overviewSpan(data))}${data.groups > data.failures.length
                ? `, ${count(data.groups - data.failures.length)} more causes`
                : ''}
            </p>`
          : html`<${Empty}>Nothing failed in the last hour.</${Empty}>`}
    </${Answer}>
  </section>`;
}

/** @param {{since: number}} failures the seconds that the list is about */
function overviewSpan(failures) {
  return Math.round(Date.now() / 1000 - failures.since);
}
