// The frame around each view: header, what is wrong with the server, the view, notices.

import { html, useEffect, useState } from './built/libraries.js';
import { lostSince } from './api.js';
import { duration, now } from './format.js';
import { Header } from './header.js';
import { Help } from './help.js';
import { useKeys } from './keys.js';
import { go, route, useTitle } from './router.js';
import { may } from './session.js';
import { Empty, Loading, Notices } from './ui/index.js';
import { views } from './views/index.js';

const PATIENCE_SECONDS = 2; // without an answer, before it is said

/** The whole page. */
export function Shell() {
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
  const since = lostSince.value;
  const seconds = since === null ? 0 : now.value - since / 1000;
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

/** The view that the address names, once its file is there. */
function CurrentView() {
  const { view: name } = route.value;
  const view = Object.hasOwn(views, name) ? views[name] : null;
  const [loaded, setLoaded] = useState(/** @type {{name: string, View: any} | null} */ (null));
  const [failed, setFailed] = useState('');
  useTitle(view?.title ?? 'Nothing here');
  useEffect(() => {
    let isWanted = true;
    setFailed('');
    view?.load().then(
      (module) => isWanted && setLoaded({ name, View: module.default }),
      () => isWanted && setFailed(name),
    );
    return () => {
      isWanted = false;
    };
  }, [name]);
  if (!view) return html`<${Empty}>There is no view named “${name}”.</${Empty}>`;
  if (!may(view.method)) {
    return html`<${Empty}>Your role here does not see ${view.title}: it may not call ${view.method}.</${Empty}>`;
  }
  if (failed === name) {
    return html`<div class="failure" role="alert">
      <p>The files of this view could not be loaded: the server does not answer, or has been renewed meanwhile.</p>
      <button type="button" onClick=${() => location.reload()}>Load the page anew</button>
    </div>`;
  }
  if (loaded?.name !== name) return html`<${Loading} />`;
  return html`<h1 class="aloud">${view.title}</h1>
    <${loaded.View} key=${name} params=${route.value.params} />`;
}
