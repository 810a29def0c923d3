// The resources: how much of each there is, and how much is in use.

import { html } from '../libraries.js';
import { useCall } from '../api.js';
import { command } from '../commands.js';
import { count } from '../format.js';
import { go } from '../router.js';
import { may } from '../session.js';
import { Answer, Empty, Meter, ResourceLink, Table, ValueForm } from '../ui/index.js';
import { limitOf } from './limits.js';

const EVERY_SECONDS = 30;

/** @type {import('../ui/table.js').Column<any>[]} */
const COLUMNS = [
  { name: 'name', title: 'Resource', kind: 'wide', cell: (each) => html`<${ResourceLink} name=${each.name} />` },
  { name: 'bar', title: 'In use', cell: (each) => html`<${InUse} ...${each} />` },
  { name: 'used', title: 'Used', kind: 'number', cell: (each) => count(each.used) },
  { name: 'limit', title: 'Limit', kind: 'number', cell: (each) => count(each.limit) },
];

/** @param {{used: number, limit: number}} props */
function InUse({ used, limit }) {
  return html`<span class=${used >= limit ? 'in-use all-in-use' : 'in-use'}>
    <${Meter} value=${used} of=${limit} label=${`${count(used)} of ${count(limit)} in use`} />
    ${used >= limit ? ' all' : ''}
  </span>`;
}

/** Shows every resource that has a limit of its own or is in use, and sets the limit of a new one. */
export default function Resources() {
  const asked = useCall('overview', {}, {
    every: EVERY_SECONDS,
    live: (change) => change.families.size > 0 || change.also.has('resources'),
  });
  return html`
    <${Answer} asked=${asked}>
      ${(/** @type {any} */ overview) =>
        overview.resources.length
          ? html`<${Table} label="Resources" columns=${COLUMNS} rows=${overview.resources} keyOf=${(/** @type {any} */ each) => each.name} />`
          : html`<${Empty}>No resource has a limit of its own or is in use. Tasks name what they want in <code>resources</code>.</${Empty}>`}
    </${Answer}>
    <p class="minor">A resource without a limit of its own has 1.</p>
    <${NewLimit} />
  `;
}

/** A form for the limit of a resource that is not in the list. */
function NewLimit() {
  if (!may('update_resources')) return null;
  return html`<details>
    <summary>Limit another resource…</summary>
    <${ValueForm}
      method="update_resources"
      label="Name and limit, as db=3"
      value=""
      takes="Tasks that want more than the limit are never run; 0 hands out nothing that wants it."
      button="Set"
      args=${named}
      command=${(/** @type {string} */ text) => command('resource set', { args: parts(text) })}
      told=${(/** @type {any} */ _, /** @type {string} */ text) => `${parts(text)[0]} has the limit ${parts(text)[1]}.`}
      onDone=${(/** @type {any} */ _, /** @type {string} */ text) => go('resource', { name: parts(text)[0] })}
    />
  </details>`;
}

/** @param {string} text */
function parts(text) {
  const place = text.lastIndexOf('=');
  return place < 0 ? [text.trim(), ''] : [text.slice(0, place).trim(), text.slice(place + 1).trim()];
}

/** @param {string} text */
function named(text) {
  const [name, limit] = parts(text);
  if (!name || !limit) throw new Error('Write a name, = and a number: db=3.');
  return { [name]: limitOf(limit) };
}
