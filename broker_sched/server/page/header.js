// The header: where one is, where one may go, the search, and what holds for the whole page.

import { html, useRef, useState } from './libraries.js';
import { call, useCall } from './api.js';
import { command } from './commands.js';
import { connection } from './live.js';
import { go, href, route } from './router.js';
import { caller, may } from './session.js';
import { chooseTheme, chooseZone, theme, zone } from './settings.js';
import { useShared } from './shown_values.js';
import { Button, notify } from './ui/index.js';

const THEMES = { system: 'Theme: as the system', light: 'Theme: light', dark: 'Theme: dark' };

/**
 * @param {{places: [string, import('./views/index.js').View][], onHelp: () => void}} props
 *   places: the views that have a link
 */
export function Header({ places, onHelp }) {
  const { view } = useShared(route);
  return html`<header class="header">
    <div class="header-row">
      <a class="brand" href=${href('now')}>broker_sched <strong>${caller.namespace}</strong></a>
      <${Search} />
      <${Live} />
      <span class="grow"></span>
      <${Pause} />
      <${Choices} onHelp=${onHelp} />
    </div>
    <nav aria-label="Views">
      ${places.map(
        ([name, each]) => html`<a key=${name} href=${href(name)} aria-current=${name === view ? 'page' : undefined}>
          ${each.title}
        </a>`,
      )}
    </nav>
  </header>`;
}

/** A task's id opens the task; any other text looks for tasks with it in their names. */
function Search() {
  const [text, setText] = useState('');
  const latest = useRef('');
  if (!may('tasks')) return null;
  /** @param {Event} event */
  const find = async (event) => {
    event.preventDefault();
    const wanted = text.trim();
    if (!wanted) return;
    latest.current = wanted;
    try {
      const found = /\s/.test(wanted) ? null : await call('task_details', { task_id: wanted });
      if (latest.current !== wanted) return; // another one is looked for by now
      if (found) go('task', { id: wanted });
      else go('tasks', { text: wanted });
      setText('');
      document.getElementById('view')?.focus(); // keys are for the view again
    } catch (error) {
      notify(error instanceof Error ? error.message : String(error), 'failed');
    }
  };
  return html`<form class="search" role="search" aria-label="Tasks" onSubmit=${find}>
    <input
      id="search"
      type="search"
      placeholder="Task id or text  /"
      aria-label="Task id, or words in the names of tasks"
      autocomplete="off"
      spellcheck=${false}
      value=${text}
      onInput=${(/** @type {any} */ event) => setText(event.currentTarget.value)}
    />
  </form>`;
}

const CONNECTIONS = {
  connecting: { mark: '◌', word: 'connecting' },
  live: { mark: '●', word: 'live' },
  lost: { mark: '⚠', word: 'not live' },
  resting: { mark: '◌', word: 'resting' },
  away: { mark: '⚠', word: 'Redis is away' },
};

/** Whether changes come by themselves. */
function Live() {
  const { redisAway, state: ours } = useShared(connection);
  const state = redisAway && ours === 'live' ? 'away' : ours;
  const { mark, word } = CONNECTIONS[state];
  return html`<span class=${`live live-${state}`}><span aria-hidden="true">${mark}</span> ${word}</span>`;
}

/** Says that nothing is handed out, and pauses or goes on. */
function Pause() {
  const { data, reload } = useCall('is_paused', {}, { live: (change) => change.also.has('paused') });
  if (data === null) return null;
  const isPaused = data.paused;
  const name = isPaused ? 'unpause' : 'pause';
  return html`
    ${isPaused ? html`<strong class="paused"><span aria-hidden="true">❚❚</span> paused</strong>` : null}
    <${Button}
      quiet
      method=${name}
      command=${command(name)}
      told=${() => (isPaused ? 'Tasks are handed out again.' : 'Nothing is handed out any more; what runs goes on.')}
      onDone=${reload}
    >
      ${isPaused ? 'Resume' : 'Pause'}
    </${Button}>
  `;
}

/** @param {{onHelp: () => void}} props */
function Choices({ onHelp }) {
  const isUtc = useShared(zone) === 'utc';
  const themes = Object.keys(THEMES);
  const kept = useShared(theme);
  const chosen = /** @type {keyof typeof THEMES} */ (themes.includes(kept) ? kept : 'system');
  const next = () => chooseTheme(themes[(themes.indexOf(chosen) + 1) % themes.length]);
  return html`
    <button type="button" class="plain" aria-pressed=${isUtc} title="Show times in UTC"
      onClick=${() => chooseZone(isUtc ? 'local' : 'utc')}>UTC</button>
    <button type="button" class="plain" title=${THEMES[chosen]} aria-label=${THEMES[chosen]} onClick=${next}>
      <span aria-hidden="true">${{ system: '◐', light: '☀', dark: '☾' }[chosen]}</span>
    </button>
    <button type="button" class="plain" title="Keys  ?" aria-label="Keys" onClick=${onHelp}>?</button>
    ${caller.name ? html`<span class="who" title=${`${caller.name}, ${caller.role}`}>${caller.name}</span>` : null}
    ${caller.hasLogin ? html`<button type="button" onClick=${logOut}>Log out</button>` : null}
  `;
}

async function logOut() {
  try {
    const response = await fetch('logout', { method: 'POST' });
    if (!response.ok) throw new Error(`The server answered ${response.status}.`);
    location.assign('login');
  } catch (error) {
    notify(`You are still logged in: ${error instanceof Error ? error.message : error}`, 'failed');
  }
}
