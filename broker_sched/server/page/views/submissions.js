// The submissions: tasks that stay until they have ended, though whoever scheduled them has left.

import { html } from '../libraries.js';
import { useCall } from '../api.js';
import { count, Time } from '../format.js';
import { Answer, Bar, Empty, Standing, SubmissionLink, Table } from '../ui/index.js';

const EVERY_SECONDS = 30;

/** @type {import('../ui/table.js').Column<any>[]} */
const COLUMNS = [
  { name: 'submission', title: 'Submission', kind: 'wide', cell: (each) => html`<${SubmissionLink} id=${each.submission} />` },
  { name: 'state', title: 'State', cell: (each) => html`<${Standing} state=${each.state} />` },
  { name: 'tasks', title: 'Tasks', cell: (each) => html`<${Progress} submission=${each} />` },
  { name: 'submitted', title: 'Submitted', cell: (each) => html`<${Time} at=${each.submitted} />` },
  { name: 'ended', title: 'Ended', cell: (each) => html`<${Time} at=${each.ended} />` },
];

/** @param {{submission: any}} props */
function Progress({ submission }) {
  if (submission.state === 'ACTIVE') {
    return `${count(submission.n_running)} running, ${count(submission.n_pending)} pending`;
  }
  return html`<span class="in-use"><${Bar} counts=${submission.counts} /></span>`;
}

/** Shows the active submissions, and those that ended within the last week. */
export default function Submissions() {
  const asked = useCall('submission_list', {}, {
    every: EVERY_SECONDS,
    live: (change) => change.families.size > 0 || change.also.has('submissions'),
  });
  return html`
    <${Answer} asked=${asked}>
      ${(/** @type {any[]} */ found) =>
        found.length
          ? html`<${Table} label="Submissions" columns=${COLUMNS} rows=${found} keyOf=${(/** @type {any} */ each) => each.submission} />`
          : html`<${Empty}>There is none. <code>bsched submit MODULE TASK</code> makes one; it is kept for a week after its end.</${Empty}>`}
    </${Answer}>
  `;
}
