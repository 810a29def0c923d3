// A critical path in words: what it takes, each of its tasks, and what is not known of it.

import { html } from '../../libraries.js';
import { command } from '../../commands.js';
import { count, duration, some, Time } from '../../format.js';
import { Command, State, TaskLink, WorkerLink } from '../../ui/index.js';

/**
 * @param {{path: any, words: Record<string, any>}} props words: of the command that shows the same
 */
export function PathSummary({ path, words }) {
  return html`<section class="critical-path">
    <h2>Critical path <${Command} line=${command('critical-path', words)} /></h2>
    ${path.steps.length
      ? html`<p>${some(path.steps.length, 'task')}, one after the other: <strong>${duration(path.spent_seconds)}</strong> spent,
          ${' '}<strong>${duration(path.expected_seconds)}</strong> expected. The last of them is done no sooner, whatever else is faster.</p>`
      : html`<p>None of its tasks is there any more.</p>`}
    <${LeftOut} path=${path} />
    <ol class="steps">
      ${path.steps.map(
        (/** @type {any} */ step) => html`<li key=${step.task_id}>
          <${TaskLink} id=${step.task_id} /> <${State} state=${step.state} /> ${' '}
          <span class="minor">${duration(step.spent_seconds)} spent${step.state === 'DONE'
            ? ''
            : `, ${step.expected_seconds === null ? 'nobody knows how long it takes' : `${duration(step.expected_seconds)} expected`}`}
            ${step.started === null ? null : html`, began <${Time} at=${step.started} />`}
            ${step.worker ? html` on <${WorkerLink} worker=${step.worker} />` : null}</span>
        </li>`,
      )}
    </ol>
  </section>`;
}

/** @param {{path: any}} props */
function LeftOut({ path }) {
  /** @param {string[]} names @param {number} n */
  const named = (names, n) => names.slice(0, 5).join(', ') + (n > Math.min(5, names.length) ? ` and ${count(n - Math.min(5, names.length))} more` : '');
  return html`<ul class="remarks">
    <li class="minor">Of waiting for workers and resources nothing is known.</li>
    ${path.n_unknown_families
      ? html`<li class="warn">Expected times are too short: no run was done yet of ${named(path.unknown_families, path.n_unknown_families)}.</li>`
      : null}
    ${path.n_missing ? html`<li class="warn">Missing deps: ${named(path.missing, path.n_missing)}.</li>` : null}
    ${path.cycle.length
      ? html`<li class="warn">These need each other in a ring, which is cut at one place: ${[...path.cycle.slice(0, 8), path.cycle[0]].join(' → ')}.</li>`
      : null}
    ${path.complete
      ? null
      : html`<li class="warn">There may be a longer one: ${some(path.looked_at, 'task')} were looked at, and ${some(path.further, 'dep')} of them not.</li>`}
  </ul>`;
}
