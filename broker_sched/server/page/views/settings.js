// The scheduler's options: what each is, what it is by default, and who set it.

import { html } from '../libraries.js';
import { useCall } from '../api.js';
import { command } from '../commands.js';
import { Time } from '../format.js';
import { setParams, useParams } from '../router.js';
import { caller, may } from '../session.js';
import { Answer, Button, Filters, numberOf, ValueForm } from '../ui/index.js';

const EVERY_SECONDS = 60;

/** Shows all options, and changes them for who may. */
export default function Settings() {
  const asked = useCall('option_list', {}, { every: EVERY_SECONDS, live: (change) => change.also.has('options') });
  const text = (useParams().get('text') ?? '').toLowerCase();
  return html`
    <p class="minor">They hold for the whole namespace; all of its processes follow at once.${may('update_options') ? '' : ' Who has the role admin may change them.'}</p>
    <${Filters} filters=${[{ name: 'text', label: 'Name or meaning', hint: 'part of it' }]} label="Filter settings" />
    <${Answer} asked=${asked}>
      ${(/** @type {any[]} */ options) =>
        html`<ul class="settings">
          ${options
            .filter((each) => `${each.name} ${each.meaning}`.toLowerCase().includes(text))
            .map((each) => html`<${Option} key=${each.name} option=${each} reload=${asked.reload} />`)}
        </ul>`}
    </${Answer}>
  `;
}

/** @param {{option: any, reload: () => void}} props */
function Option({ option, reload }) {
  const isOpen = useParams().get('change') === option.name;
  const isDefault = option.value === option.default;
  return html`<li class=${isDefault ? 'setting' : 'setting is-set'}>
    <div class="what">
      <h2><code>${option.name}</code></h2>
      <p>${option.meaning}</p>
    </div>
    <p class="value">
      <code>${written(option.value)}</code>
      ${isDefault ? html`<span class="minor">the default</span>` : html`<span class="minor">default <code>${written(option.default)}</code></span>`}
    </p>
    <p class="minor set-by">
      ${option.set_at === null
        ? isDefault ? '' : 'Who set it is not known.'
        : html`Set by ${option.set_by || 'somebody'} <${Time} at=${option.set_at} />`}
    </p>
    ${may('update_options') && !isOpen
      ? html`<button type="button" class="change" aria-label=${`Change ${option.name}`} onClick=${() => setParams({ change: option.name }, { replace: true })}>Change</button>`
      : null}
    ${may('update_options') && isOpen ? html`<${Change} option=${option} reload=${reload} />` : null}
  </li>`;
}

/** @param {{option: any, reload: () => void}} props */
function Change({ option, reload }) {
  const { name } = option;
  const close = () => {
    reload();
    setParams({ change: null }, { replace: true });
  };
  const by = caller.name || null;
  return html`<div class="change-option">
    <${ValueForm}
      method="update_options"
      label=${`New value of ${name}`}
      value=${written(option.value)}
      takes=${`It is ${option.takes}.`}
      options=${typeof option.default === 'boolean' ? ['true', 'false'].map((each) => ({ value: each, label: each })) : undefined}
      button="Save"
      isFocused
      args=${(/** @type {string} */ text) => ({ options: { [name]: numberOf(text) }, by })}
      command=${(/** @type {string} */ text) => command('config set', { args: [`${name}=${text.trim()}`] })}
      told=${(/** @type {any} */ [told]) => `${name} is ${written(told.value)}.`}
      onDone=${close}
    ><button type="button" onClick=${close}>Cancel</button></${ValueForm}>
    ${option.value === option.default
      ? null
      : html`<${Button} method="update_options" args=${{ options: { [name]: null }, by }} command=${command('config unset', { args: [name] })}
          told=${() => `${name} is ${written(option.default)}, the default.`} onDone=${close}
        >Back to the default</${Button}>`}
  </div>`;
}

/** @param {any} value */
function written(value) {
  return String(value);
}
