// The frame around each view: header, what is wrong with the server, the view, notices.

import { html, useErrorBoundary, useState } from './libraries.js';
import { lostSince } from './api.js';
import { duration, now } from './format.js';
import { Header } from './header.js';
import { Help } from './help.js';
import { useKeys } from './keys.js';
import { go, route, useTitle } from './router.js';
import { may } from './session.js';
import { zone } from './settings.js';
import { useShared } from './shown_values.js';
import { Empty, Notices } from './ui/index.js';
import { views } from './views/index.js';

const PATIENCE_SECONDS = 2; // without an answer, before it is said

/** The whole page. */
export function Shell() {
  useShared(zone); // times are everywhere: all is drawn anew
  const [isHelp, setHelp] = useState(false);
  const places = Object.entries(views).filter(([, view]) => view.key && may(view.method));
  useKeys([
    { keys: '?', does: 'Show the keys', act: () => setHelp(true) },
    { keys: '/', does: 'Search', act: () => document.getElementById('search')?.focus() },
    ...places.map(([name, view]) => ({ keys: `g ${view.key}`, does: `Go to ${view.title}`, act: () => go(name) })),
  ]);
  /** @param {Event} event */
  const skip = (event) => {
    event.preventDefault();
    document.getElementById('view')?.focus();
  };
  return html`
    <a class="skip" href="#view" onClick=${skip}>Skip to the view</a>
    <${Header} places=${places} onHelp=${() => setHelp(true)} />
    <${Lost} />
    <main id="view" tabindex="-1"><${CurrentView} /></main>
    <${Notices} />
    ${isHelp ? html`<${Help} onClose=${() => setHelp(false)} />` : null}
  `;
}

/** Says that the server does not answer, and since when. */
function Lost() {
  const [since, time] = [useShared(lostSince), useShared(now)];
  const seconds = since === null ? 0 : time - since / 1000;
  const isLost = since !== null && seconds > PATIENCE_SECONDS;
  return html`<div class="lost" role="alert">
    ${isLost
      ? html`<p>
          <span aria-hidden="true">⚠</span> No answer from the server for ${duration(Math.floor(seconds))}. What is shown is
          from before; it is tried again until it answers.
        </p>`
      : null}
  </div>`;
}

/** The view that the address names, unless the caller may not see it. */
function CurrentView() {
  const { view: name, params } = useShared(route);
  const view = Object.hasOwn(views, name) ? views[name] : null;
  return html`<${Title} title=${view?.title ?? 'Nothing here'} />
    ${view
      ? may(view.method)
        ? html`<h1 class="aloud">${view.title}</h1>
            <${Guarded} key=${name} View=${view.View} params=${params} />`
        : html`<${Empty}>Your role here does not see ${view.title}: it may not call ${view.method}.</${Empty}>`
      : html`<${Empty}>There is no view named “${name}”.</${Empty}>`}`;
}

/**
 * Names the page in the browser's tab. It stands before the view, which may give it a name of its own then.
 * @param {{title: string}} props
 */
function Title({ title }) {
  useTitle(title);
  return null;
}

/**
 * A view that can't take the others down with it when it fails.
 * @param {{View: any, params: URLSearchParams}} props
 */
function Guarded({ View, params }) {
  const [error] = useErrorBoundary();
  if (!error) return html`<${View} params=${params} />`;
  return html`<div class="failure" role="alert">
    <p>This view has failed, which is a fault of the page: ${String(error?.message ?? error)}</p>
    <button type="button" onClick=${() => location.reload()}>Load the page anew</button>
  </div>`;
}
